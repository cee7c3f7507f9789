// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOnlyABinaryOfTheRightVersionIsUsed(t *testing.T) {
	assets, first, second := t.TempDir(), t.TempDir(), t.TempDir()
	put := func(dir, name, script string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	etcd := kubeTools[0]
	says := func(version string) string {
		return fmt.Sprintf(`[ "$*" = --version ] && printf '%s\nGit SHA: x\n'`, version)
	}
	t.Setenv("PATH", first+string(filepath.ListSeparator)+second)
	t.Setenv(assetsVariable, "")
	for _, step := range []struct {
		name, dir, script, want string
	}{
		{"none", "", "", ""},
		{"an older one", first, says("etcd Version: 3.5.0"), ""},
		{"one that fails", first, "exit 1", ""},
		{"the right one behind a wrong one", second, says(etcd.version), filepath.Join(second, "etcd")},
		{"the right one before it", first, says(etcd.version), filepath.Join(first, "etcd")},
		{"that of the assets", assets, says(etcd.version), filepath.Join(assets, "etcd")},
	} {
		if step.dir != "" {
			put(step.dir, "etcd", step.script)
		}
		if step.dir == assets {
			t.Setenv(assetsVariable, assets)
		}
		if got := etcd.find(t.Context(), "/except"); got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
	if got := etcd.find(t.Context(), assets); got != filepath.Join(first, "etcd") {
		t.Errorf("without the assets: %q", got)
	}
}

func TestAVersionThatBeginsTheLineIsWhole(t *testing.T) {
	kwok := kubeTools[slices.IndexFunc(kubeTools, func(t tool) bool { return t.name == kwokBinary })]
	for printed, want := range map[string]bool{
		"kwok version " + kwokVersion + " go1.26.0 (linux/amd64)": true,
		"kwok version " + kwokVersion:                             true,
		"kwok version " + kwokVersion + "1":                       false,
		"kwok version " + kwokVersion + "-rc.1 go1.26.0":          false,
	} {
		dir := t.TempDir()
		t.Setenv("PATH", dir)
		t.Setenv(assetsVariable, "")
		if err := os.WriteFile(filepath.Join(dir, kwokBinary), []byte("#!/bin/sh\necho '"+printed+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := kwok.find(t.Context(), "/except") != ""; got != want {
			t.Errorf("%q is used: %v, want %v", printed, got, want)
		}
	}
}

func TestTheToolsOfEtcdAreOfItsVersion(t *testing.T) {
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := os.ReadFile(filepath.Join(etcdToolsModule(layout{root: root}), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"etcdctl", "etcdutl"} {
		if line := fmt.Sprintf("go.etcd.io/etcd/%s/v3 v%s", tool, etcdVersion); !strings.Contains(string(wanted), line) {
			t.Errorf("test/hub/etcdtools/go.mod does not have %q", line)
		}
	}
}
