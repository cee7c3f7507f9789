// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// object is a manifest.
type object = map[string]any

// overlay is a build of the manifests: directories below artifacts, and the name of each program's image.
type overlay struct {
	resources, components []string
	// images are by the name that the manifests have; without one that name stays.
	images map[string]imageName
}

// imageName is how a cluster finds an image.
type imageName struct{ repository, tag string }

// build runs kustomize, as the kubectl of users does.
func (o overlay) build(root string) ([]object, error) {
	disk := filesys.MakeFsInMemory()
	artifacts := filepath.Join(root, "artifacts")
	if err := filepath.WalkDir(artifacts, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(artifacts, name)
		if err != nil {
			return err
		}
		return disk.WriteFile(path.Join("/artifacts", filepath.ToSlash(relative)), data)
	}); err != nil {
		return nil, err
	}
	kustomization := types.Kustomization{}
	for _, name := range o.resources {
		kustomization.Resources = append(kustomization.Resources, "../artifacts/"+name)
	}
	for _, name := range o.components {
		kustomization.Components = append(kustomization.Components, "../artifacts/"+name)
	}
	for _, p := range programs {
		if image, ok := o.images[p.name]; ok {
			kustomization.Images = append(kustomization.Images, types.Image{Name: p.name, NewName: image.repository, NewTag: image.tag})
		}
	}
	data, err := yaml.Marshal(kustomization)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile("/overlay/kustomization.yaml", data); err != nil {
		return nil, err
	}
	options := krusty.MakeDefaultOptions()
	// A file beside a kustomization is no part of it.
	options.LoadRestrictions = types.LoadRestrictionsNone
	built, err := krusty.MakeKustomizer(options).Run(disk, "/overlay")
	if err != nil {
		return nil, fmt.Errorf("kustomize build of %v: %w", o.resources, err)
	}
	var objects []object
	for _, resource := range built.Resources() {
		data, err := resource.MarshalJSON()
		if err != nil {
			return nil, err
		}
		obj := &unstructured.Unstructured{}
		if err := obj.UnmarshalJSON(data); err != nil {
			return nil, err
		}
		objects = append(objects, obj.Object)
	}
	return objects, nil
}

// encode writes objects as one stream of YAML documents.
func encode(objects []object) ([]byte, error) {
	var all []byte
	for _, obj := range objects {
		data, err := yaml.Marshal(obj)
		if err != nil {
			return nil, err
		}
		all = append(append(all, "---\n"...), data...)
	}
	return all, nil
}
