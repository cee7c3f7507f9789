// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
)

// textSerializer offers JSON and YAML only. Our types have no protobuf form, and a client that prefers protobuf but would take JSON
// is answered 406 if protobuf is on offer.
type textSerializer struct{ runtime.NegotiatedSerializer }

// SupportedMediaTypes returns what can be offered for any type.
func (s textSerializer) SupportedMediaTypes() []runtime.SerializerInfo {
	return slices.DeleteFunc(slices.Clone(s.NegotiatedSerializer.SupportedMediaTypes()), func(info runtime.SerializerInfo) bool {
		return info.MediaType != runtime.ContentTypeJSON && info.MediaType != runtime.ContentTypeYAML
	})
}
