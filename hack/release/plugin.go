// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// plugin is the plugin of kubectl. It is a binary for the machines of people, and no image.
var plugin = program{"kubectl-stagegate", "./cmd/kubectl-stagegate", "Stagegate plugin of kubectl"}

// pluginPlatforms are what it is built for: the systems that people have, on the architectures that a release is for.
func pluginPlatforms(platforms []platform) (all []platform) {
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, p := range platforms {
			all = append(all, platform{system, p.arch})
		}
	}
	return all
}

// modulePath is where the project is.
const modulePath = "github.com/stagegate/stagegate"

// krewManifest is a plugin as krew, the package manager of kubectl, knows it.
type krewManifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       krewSpec          `json:"spec"`
}

type krewSpec struct {
	Version          string         `json:"version"`
	Homepage         string         `json:"homepage"`
	ShortDescription string         `json:"shortDescription"`
	Description      string         `json:"description"`
	Platforms        []krewPlatform `json:"platforms"`
}

type krewPlatform struct {
	Selector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	} `json:"selector"`
	URI    string `json:"uri"`
	Sha256 string `json:"sha256"`
	Bin    string `json:"bin"`
}

// makePlugin builds the plugin for each of its platforms, an archive for each. Where downloads says where these will be, it writes the manifest for
// krew, stagegate.yaml, which has their addresses and checksums.
func (s source) makePlugin(ctx context.Context, platforms []platform, downloads, dir string) error {
	manifest := krewManifest{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: map[string]string{"name": "stagegate"},
		Spec: krewSpec{
			Version: s.version, Homepage: "https://" + modulePath,
			ShortDescription: "Watch, plan, approve and stop staged rollouts",
			Description:      "Shows staged rollouts of Stagegate over a fleet of clusters, and lets you plan, start, approve, stop and roll them back.\n",
		},
	}
	license, err := os.ReadFile(filepath.Join(s.dir, "LICENSE"))
	if err != nil {
		return err
	}
	for _, on := range pluginPlatforms(platforms) {
		name := plugin.name
		if on.os == "windows" {
			name += ".exe"
		}
		binary := filepath.Join(dir, name)
		if err := s.build(ctx, plugin, on, binary); err != nil {
			return err
		}
		data, err := os.ReadFile(binary)
		if err != nil {
			return err
		}
		if err := os.Remove(binary); err != nil {
			return err
		}
		packed, err := archive([]file{{name, 0o755, data}, {"LICENSE", 0o644, license}}, s.date)
		if err != nil {
			return err
		}
		if packed, err = compress(packed); err != nil {
			return err
		}
		target := fmt.Sprintf("%s_%s_%s.tar.gz", plugin.name, on.os, on.arch)
		if err := os.WriteFile(filepath.Join(dir, target), packed, 0o644); err != nil {
			return err
		}
		p := krewPlatform{URI: strings.TrimSuffix(downloads, "/") + "/" + target, Sha256: fmt.Sprintf("%x", sha256.Sum256(packed)), Bin: name}
		p.Selector.MatchLabels = map[string]string{"os": on.os, "arch": on.arch}
		manifest.Spec.Platforms = append(manifest.Spec.Platforms, p)
	}
	if downloads == "" {
		return nil
	}
	data, err := yaml.Marshal(manifest)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "stagegate.yaml"), data, 0o644)
}
