// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// serverManifests returns what the server needs on the hub and the roles for users, from the very files that users deploy.
// The Deployment is left out, since the server is a process here; so are the certificates and the APIServices, which
// follow from its port.
func serverManifests(root string) ([]*unstructured.Unstructured, error) {
	base := filepath.Join(root, "artifacts", "deploy", "base")
	roles, err := filepath.Glob(filepath.Join(root, "artifacts", "rbac", "*.yaml"))
	if err != nil {
		return nil, err
	}
	// What there is depends on the version of the repository.
	data, err := os.ReadFile(filepath.Join(base, "kustomization.yaml"))
	if err != nil {
		return nil, err
	}
	var deployed struct {
		Resources []string `json:"resources"`
	}
	if err := yaml.Unmarshal(data, &deployed); err != nil {
		return nil, fmt.Errorf("%s: %w", base, err)
	}
	var files []string
	for _, name := range deployed.Resources {
		if !slices.Contains([]string{"apiservices.yaml", "deployment.yaml", "pvc.yaml", "service.yaml"}, name) {
			files = append(files, filepath.Join(base, name))
		}
	}
	files = append(files, roles...)
	var objs []*unstructured.Unstructured
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		docs, err := readManifest(file)
		if err != nil {
			return nil, err
		}
		objs = append(objs, docs...)
	}
	return objs, nil
}

func readManifest(file string) ([]*unstructured.Unstructured, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var objs []*unstructured.Unstructured
	for docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return objs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &obj.Object); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(obj.Object) > 0 {
			objs = append(objs, obj)
		}
	}
}
