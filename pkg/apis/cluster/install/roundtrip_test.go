// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"

	"github.com/stagegate/stagegate/pkg/apis/cluster/fuzzer"
	clusterv1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1"
	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	lossless "github.com/stagegate/stagegate/pkg/apis/internal/roundtrip"
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
			lossless.Lossless(t, Install, fuzzer.Funcs, v1beta1.SchemeGroupVersion, clusterv1.SchemeGroupVersion)
		}},
		{"v1 through v1beta1", func(t *testing.T) {
			lossless.Lossless(t, Install, fuzzer.Funcs, clusterv1.SchemeGroupVersion, v1beta1.SchemeGroupVersion)
		}},
	} {
		t.Run(tc.name, tc.test)
	}
}
