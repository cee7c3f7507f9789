// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"

	"github.com/stagegate/stagegate/pkg/apis/rollout/fuzzer"
)

func TestInternalTypesSurviveEveryVersion(t *testing.T) {
	roundtrip.RoundTripTestForAPIGroup(t, Install, fuzzer.Funcs)
}
