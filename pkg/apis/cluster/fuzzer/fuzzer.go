// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fuzzer fills the types of the cluster API group with random values that the server could hold. It is for tests
// only and knows nothing of what is valid beyond defaults.
package fuzzer

import (
	runtimeserializer "k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
)

// Funcs returns the fill functions of the group. They leave no defaulted field empty, since decoding would fill it.
func Funcs(runtimeserializer.CodecFactory) []any {
	return []any{
		func(spec *v1beta1.MemberClusterSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			spec.HeartbeatPeriodSeconds = heartbeatPeriod(c)
		},
		func(spec *v1beta1.InternalMemberClusterSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			spec.HeartbeatPeriodSeconds = heartbeatPeriod(c)
		},
		func(options *v1beta1.DeleteOptions, c randfill.Continue) {
			options.ValidationMode = v1beta1.DeleteValidationModeStrict
			if c.Bool() {
				options.ValidationMode = v1beta1.DeleteValidationModeSkip
			}
		},
	}
}

func heartbeatPeriod(c randfill.Continue) int32 {
	return 1 + c.Int31n(600)
}
