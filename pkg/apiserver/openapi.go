// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// offerNoStrategicMerge keeps the OpenAPI documents from offering strategic merge patches for envelopes, as those of custom resources do not.
// Their schema knows nothing of the objects in them, and kubectl apply and diff would complain of that before they merge without it.
func offerNoStrategicMerge(config *genericapiserver.Config) {
	config.OpenAPIConfig.PostProcessSpec = func(document *spec.Swagger) (*spec.Swagger, error) {
		if document.Paths == nil {
			return document, nil
		}
		for path, item := range document.Paths.Paths {
			if isEnvelope(path) && item.Patch != nil {
				item.Patch.Consumes = slices.DeleteFunc(slices.Clone(item.Patch.Consumes), isStrategicMerge)
			}
		}
		return document, nil
	}
	config.OpenAPIV3Config.PostProcessSpec = func(document *spec3.OpenAPI) (*spec3.OpenAPI, error) {
		if document.Paths == nil {
			return document, nil
		}
		for path, item := range document.Paths.Paths {
			if isEnvelope(path) && item.Patch != nil && item.Patch.RequestBody != nil {
				delete(item.Patch.RequestBody.Content, string(types.StrategicMergePatchType))
			}
		}
		return document, nil
	}
}

func isStrategicMerge(mediaType string) bool {
	return mediaType == string(types.StrategicMergePatchType)
}

// isEnvelope reports whether a path is that of an envelope of either scope.
func isEnvelope(path string) bool { return strings.HasSuffix(path, "resourceenvelopes/{name}") }
