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
	files := append([]string{
		filepath.Join(base, "namespace.yaml"),
		filepath.Join(base, "serviceaccount.yaml"),
		filepath.Join(base, "rbac.yaml"),
		filepath.Join(base, "admission.yaml"),
		filepath.Join(base, "reserved-namespaces.yaml"),
	}, roles...)
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
