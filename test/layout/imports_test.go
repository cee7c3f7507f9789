// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package layout holds the tests of the repository's structure.
package layout

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stagegate/stagegate/"

// rule says what the packages below a path may import of this module, all of it by prefixes below the module, and which packages beside
// those, without what is below them.
type rule struct {
	packages string
	may      []string
	beside   []string
}

// The order of the rules is that of the layers: apis, then what is generated from them and what they mean, then registry, admission and loops, then
// the server, then the command.
var rules = []rule{
	{packages: "pkg/apis", may: []string{"pkg/apis"}},
	{packages: "pkg/generated", may: []string{"pkg/apis", "pkg/generated"}},
	{packages: "pkg/rules", may: []string{"pkg/apis", "pkg/rules"}},
	{packages: "pkg/registry", may: []string{"pkg/apis", "pkg/rules", "pkg/registry"}},
	// Who asks and what they may, the registry and admission tell by the same rule.
	{packages: "pkg/admission", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/admission"}, beside: []string{"pkg/registry/placement"}},
	{packages: "pkg/rollout/updaterun/plan", may: []string{"pkg/apis", "pkg/rules"}},
	// A run is planned by its first steps.
	{packages: "pkg/rollout/updaterun/engine", may: []string{"pkg/apis", "pkg/rules", "pkg/rollout/updaterun/plan"}},
	{packages: "pkg/rollout/apply", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/rollout/internal/reconcile", "pkg/rollout/internal/conditions", "pkg/rollout/storeid"}},
	{packages: "pkg/rollout/internal", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/rollout/internal"}},
	{packages: "pkg/rollout/members", may: []string{"pkg/apis", "pkg/generated", "pkg/rollout/internal", "pkg/rollout/members"}},
	{packages: "pkg/rollout/storeid", may: []string{"pkg/apis"}},
	{packages: "pkg/rollout", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/rollout"}},
	{packages: "pkg/apiserver", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/registry", "pkg/admission", "pkg/rollout", "pkg/apiserver"}},
	{packages: "cmd", may: []string{"pkg/apiserver"}},
}

// loops never import each other: what one says to another is an API object.
var loops = []string{
	"membership", "snapshot", "override", "scheduling", "rollingupdate", "updaterun", "work", "apply", "placementstatus",
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	command.Dir = "../.."
	output, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Logf("%s", exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var found []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, r := range rules {
			if !below(path, r.packages) {
				continue
			}
			for _, imported := range p.Imports {
				if other, ours := strings.CutPrefix(imported, module); ours && !below(other, r.may...) && !slices.Contains(r.beside, other) {
					t.Errorf("%s must not import %s: packages below %s may import %v", path, other, r.packages, slices.Concat(r.may, r.beside))
				}
			}
			// The first rule that fits is the narrowest.
			break
		}
	}
}

func TestLoopsDoNotKnowEachOther(t *testing.T) {
	for _, p := range packages(t) {
		loop, ok := loopOf(strings.TrimPrefix(p.ImportPath, module))
		if !ok {
			continue
		}
		for _, imported := range p.Imports {
			if other, ok := loopOf(strings.TrimPrefix(imported, module)); ok && other != loop {
				t.Errorf("%s imports the loop %s", p.ImportPath, other)
			}
		}
	}
}

func TestKubernetesItselfIsNotADependency(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "k8s.io/kubernetes/") {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

func loopOf(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "pkg/rollout/")
	if !ok {
		return "", false
	}
	name, _, _ := strings.Cut(rest, "/")
	for _, loop := range loops {
		if name == loop {
			return loop, true
		}
	}
	return "", false
}

// below says whether a package is one of the named ones, or in a directory below one.
func below(path string, packages ...string) bool {
	for _, p := range packages {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}
