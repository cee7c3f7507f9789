// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"

	lossless "github.com/stagegate/stagegate/pkg/apis/internal/roundtrip"
	"github.com/stagegate/stagegate/pkg/apis/placement/fuzzer"
	placementv1 "github.com/stagegate/stagegate/pkg/apis/placement/v1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestInternalTypesSurviveEveryVersion(t *testing.T) {
	roundtrip.RoundTripTestForAPIGroup(t, Install, fuzzer.Funcs)
}

func TestNoVersionLosesAFieldOfTheOther(t *testing.T) {
	for _, tc := range []struct {
		name string
		test func(*testing.T)
	}{
		{"v1beta1 through v1", func(t *testing.T) {
			lossless.Lossless(t, Install, fuzzer.Funcs, v1beta1.SchemeGroupVersion, placementv1.SchemeGroupVersion)
		}},
		{"v1 through v1beta1", func(t *testing.T) {
			lossless.Lossless(t, Install, fuzzer.Funcs, placementv1.SchemeGroupVersion, v1beta1.SchemeGroupVersion)
		}},
	} {
		t.Run(tc.name, tc.test)
	}
}
