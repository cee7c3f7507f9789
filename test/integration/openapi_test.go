// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// modelPrefixes begin the names of our models.
var modelPrefixes = []string{"io.kubernetes-fleet.", "dev.stagegate."}

var updateOpenAPI = flag.Bool("openapi.update", false, "write the OpenAPI documents instead of comparing them")

// TestOpenAPIDocumentsAreServed compares the OpenAPI documents in artifacts/openapi, which show a change of the API in review, with the
// served ones. They contain everything but the version of the server.
func TestOpenAPIDocumentsAreServed(t *testing.T) {
	s := testserver.Start(t)
	client, err := kubernetes.NewForConfig(s.As(testserver.Nobody))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups {
		for _, version := range store.Versions(group) {
			data, err := client.Discovery().RESTClient().Get().AbsPath("/openapi/v3/apis/"+group+"/"+version).SetHeader("Accept", "application/json").DoRaw(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var document map[string]any
			if err := json.Unmarshal(data, &document); err != nil {
				t.Fatal(err)
			}
			document["info"].(map[string]any)["version"] = "unversioned"
			served, err := json.MarshalIndent(document, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			served = append(served, '\n')
			name := "apis__" + group + "__" + version + "_openapi.json"
			file := filepath.Join("..", "..", "artifacts", "openapi", "v3", name)
			if *updateOpenAPI {
				if err := os.WriteFile(file, served, 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			written, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(written, served) {
				t.Errorf("artifacts/openapi/v3/%s is not what the server serves: run make generate", name)
			}
		}
	}
}

// TestEveryFieldIsDescribed holds what kubectl explain shows, in both forms of OpenAPI.
func TestEveryFieldIsDescribed(t *testing.T) {
	s := testserver.Start(t)
	client, err := kubernetes.NewForConfig(s.As(testserver.Nobody))
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, into any) {
		t.Helper()
		data, err := client.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	var v2 struct {
		Definitions map[string]spec.Schema `json:"definitions"`
	}
	get("/openapi/v2", &v2)
	checkModels(t, "v2", v2.Definitions)
	for _, group := range groups {
		for _, version := range store.Versions(group) {
			var v3 struct {
				Components struct {
					Schemas map[string]spec.Schema `json:"schemas"`
				} `json:"components"`
			}
			get("/openapi/v3/apis/"+group+"/"+version, &v3)
			checkModels(t, "v3 "+group+"/"+version, v3.Components.Schemas)
		}
	}
}

func checkModels(t *testing.T, document string, models map[string]spec.Schema) {
	t.Helper()
	ours := 0
	for name, model := range models {
		if !slices.ContainsFunc(modelPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		ours++
		if model.Description == "" {
			t.Errorf("%s: %s has no description", document, name)
		}
		for field, schema := range model.Properties {
			if schema.Description == "" {
				t.Errorf("%s: %s.%s has no description", document, name, field)
			}
		}
	}
	if ours == 0 {
		t.Errorf("%s has no models of ours", document)
	}
}
