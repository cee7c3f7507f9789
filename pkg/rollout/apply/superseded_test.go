// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// A Work that only compares by now has no more written by a pass that began before, but for what was under way.
func TestAPassEndsOnceItsWorkIsAnotherOne(t *testing.T) {
	const n = 200
	var manifests []string
	for i := range n {
		manifests = append(manifests, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d, namespace: test-namespace}, data: {k: v}}", i))
	}
	b := newBench(t, newWork(t, append([]string{namespaceYAML}, manifests...)...))
	b.member.meanwhile("configmaps", func() {
		b.edit(t, func(work *v1beta1.Work) {
			work.Generation++
			work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
		})
		b.cacheUp(t)
	})
	_, _ = b.tryPass(t)
	written := 0
	for i := range n {
		if b.has(t, fmt.Sprintf("c%d", i)) {
			written++
		}
	}
	if written > n/2 {
		t.Errorf("%d ConfigMaps were written to a cluster that is only compared", written)
	}
}
