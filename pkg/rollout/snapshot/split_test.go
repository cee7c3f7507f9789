// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestSplit(t *testing.T) {
	const kib = 1 << 10
	for name, tc := range map[string]struct {
		sizes []int
		want  [][]int
	}{
		"nothing is one empty part":     {nil, [][]int{{}}},
		"all in one":                    {[]int{kib, 2 * kib}, [][]int{{kib, 2 * kib}}},
		"exactly full":                  {[]int{400 * kib, 400 * kib}, [][]int{{400 * kib, 400 * kib}}},
		"one byte too much":             {[]int{400 * kib, 400*kib + 1}, [][]int{{400 * kib}, {400*kib + 1}}},
		"in order, gaps are not filled": {[]int{500 * kib, 500 * kib, 100 * kib, 700 * kib}, [][]int{{500 * kib}, {500 * kib, 100 * kib}, {700 * kib}}},
		"a larger object has its own":   {[]int{kib, 900 * kib, kib}, [][]int{{kib}, {900 * kib}, {kib}}},
		"a larger object may be first":  {[]int{900 * kib, kib}, [][]int{{900 * kib}, {kib}}},
	} {
		t.Run(name, func(t *testing.T) {
			var all []v1beta1.ResourceContent
			for _, size := range tc.sizes {
				all = append(all, v1beta1.ResourceContent{RawExtension: runtime.RawExtension{Raw: make([]byte, size)}})
			}
			got := [][]int{}
			for _, part := range split(all, maxPartBytes) {
				sizes := []int{}
				for _, content := range part {
					sizes = append(sizes, len(content.Raw))
				}
				got = append(got, sizes)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
		})
	}
}
