// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// kubectl asks the documents which patches a kind takes, and complains where it cannot make the one that they offer.
func TestEnvelopesOfferNoStrategicMergePatch(t *testing.T) {
	config := &genericapiserver.Config{OpenAPIConfig: &common.Config{}, OpenAPIV3Config: &common.OpenAPIV3Config{}}
	offerNoStrategicMerge(config)
	all := []string{"application/apply-patch+yaml", "application/merge-patch+json", "application/strategic-merge-patch+json"}
	const group = "/apis/placement.kubernetes-fleet.io/v1/"
	for path, want := range map[string][]string{
		group + "clusterresourceenvelopes/{name}":                 all[:2],
		group + "namespaces/{namespace}/resourceenvelopes/{name}": all[:2],
		group + "clusterresourceplacements/{name}":                all,
	} {
		v2 := &spec.Swagger{}
		v2.Paths = &spec.Paths{Paths: map[string]spec.PathItem{path: {PathItemProps: spec.PathItemProps{Patch: &spec.Operation{}}}}}
		v2.Paths.Paths[path].Patch.Consumes = slices.Clone(all)
		v2, err := config.OpenAPIConfig.PostProcessSpec(v2)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, v2.Paths.Paths[path].Patch.Consumes); diff != "" {
			t.Errorf("%s in v2 (-want +got):\n%s", path, diff)
		}
		content := map[string]*spec3.MediaType{}
		for _, mediaType := range all {
			content[mediaType] = &spec3.MediaType{}
		}
		body := &spec3.RequestBody{RequestBodyProps: spec3.RequestBodyProps{Content: content}}
		operation := &spec3.Operation{OperationProps: spec3.OperationProps{RequestBody: body}}
		v3 := &spec3.OpenAPI{Paths: &spec3.Paths{Paths: map[string]*spec3.Path{path: {PathProps: spec3.PathProps{Patch: operation}}}}}
		v3, err = config.OpenAPIV3Config.PostProcessSpec(v3)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(v3.Paths.Paths[path].Patch.RequestBody.Content))); diff != "" {
			t.Errorf("%s in v3 (-want +got):\n%s", path, diff)
		}
	}
}
