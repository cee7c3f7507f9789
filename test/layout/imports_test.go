// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package layout holds the tests of the repository's structure.
package layout

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/rollout"
)

const module = "github.com/stagegate/stagegate/"

// rule says what the packages below a path may import of this module, all of it by prefixes below the module, and which packages beside
// those, without what is below them.
type rule struct {
	packages string
	may      []string
	beside   []string
}

// The order of the rules is that of the layers: apis, then what is generated from them, the clients over that and what they mean, then registry, admission and controllers, then
// the server, then the command.
var rules = []rule{
	{packages: "pkg/version"},
	{packages: "pkg/memory"},
	{packages: "pkg/apis", may: []string{"pkg/apis"}},
	{packages: "pkg/generated", may: []string{"pkg/apis", "pkg/generated"}},
	{packages: "pkg/client", may: []string{"pkg/apis", "pkg/generated", "pkg/client"}},
	{packages: "pkg/rules", may: []string{"pkg/apis", "pkg/rules"}},
	{packages: "pkg/registry", may: []string{"pkg/apis", "pkg/rules", "pkg/registry"}},
	// Who asks and what they may, the registry and admission tell by the same rule.
	{packages: "pkg/admission", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/client", "pkg/admission"}, beside: []string{"pkg/registry/placement"}},
	{packages: "pkg/rollout/updaterun/plan", may: []string{"pkg/apis", "pkg/rules"}},
	// A run is planned by its first steps.
	{packages: "pkg/rollout/updaterun/engine", may: []string{"pkg/apis", "pkg/rules", "pkg/rollout/updaterun/plan"}},
	{packages: "pkg/rollout/apply", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/rollout/internal/reconcile", "pkg/rollout/storeid"}},
	{packages: "pkg/rollout/internal", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/client", "pkg/rollout/internal"}},
	{packages: "pkg/rollout/members", may: []string{"pkg/apis", "pkg/generated", "pkg/rollout/internal", "pkg/rollout/members"}},
	// As apply, it is what an agent on a member has too.
	{packages: "pkg/rollout/inspect", may: []string{"pkg/apis", "pkg/generated", "pkg/rollout/storeid"}},
	// What runs on a member brings nothing of the server along.
	{packages: "pkg/rollout/agent", may: []string{
		"pkg/apis", "pkg/generated", "pkg/rollout/apply", "pkg/rollout/inspect", "pkg/rollout/storeid",
		"pkg/rollout/internal/reconcile", "pkg/rollout/internal/election", "pkg/version", "pkg/memory",
	}},
	{packages: "pkg/rollout/storeid", may: []string{"pkg/apis"}},
	{packages: "pkg/rollout", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/client", "pkg/rollout"}},
	{packages: "pkg/importer", may: []string{"pkg/apis", "pkg/registry", "pkg/rollout/storeid"}},
	{packages: "pkg/apiserver", may: []string{"pkg/importer", "pkg/apis", "pkg/rules", "pkg/generated", "pkg/client", "pkg/registry", "pkg/admission", "pkg/rollout", "pkg/version", "pkg/memory", "pkg/apiserver"}},
	// What people are shown is made of the API alone. The server imports none of it.
	{packages: "pkg/view", may: []string{"pkg/apis", "pkg/rules", "pkg/view"}},
	// What people ask of the hub, the plugin and the dashboard ask by the same rule.
	{packages: "pkg/act", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/client"}},
	{packages: "pkg/dashboard", may: []string{"pkg/apis", "pkg/rules", "pkg/generated", "pkg/client", "pkg/act", "pkg/view"}},
	{packages: "pkg/cli", may: []string{
		"pkg/apis", "pkg/rules", "pkg/generated", "pkg/client", "pkg/act", "pkg/view", "pkg/dashboard", "pkg/version", "pkg/cli", "artifacts/member-agent",
	}},
	{packages: "cmd/kubectl-stagegate", may: []string{"pkg/cli"}},
	{packages: "cmd/memberagent", may: []string{"pkg/rollout/agent"}},
	{packages: "cmd", may: []string{"pkg/apiserver"}},
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

// Controllers never import each other: what one says to another is an API object.
func TestControllersDoNotKnowEachOther(t *testing.T) {
	controllers := controllers(t)
	controllerOf := func(path string) string {
		rest, _ := strings.CutPrefix(strings.TrimPrefix(path, module), "pkg/rollout/")
		name, _, _ := strings.Cut(rest, "/")
		if slices.Contains(controllers, name) {
			return name
		}
		return ""
	}
	for _, p := range packages(t) {
		controller := controllerOf(p.ImportPath)
		if controller == "" {
			continue
		}
		for _, imported := range p.Imports {
			if other := controllerOf(imported); other != "" && other != controller {
				t.Errorf("%s imports the controller %s", p.ImportPath, other)
			}
		}
	}
}

// The list of controllers names each package that is one, and so do the documents.
func TestEveryControllerIsListed(t *testing.T) {
	want := rollout.Controllers()
	sorted := slices.Sorted(slices.Values(want))
	if diff := cmp.Diff(sorted, controllers(t)); diff != "" {
		t.Errorf("packages with a const Name (-listed +found):\n%s", diff)
	}
	flag := "There are " + strings.Join(want, ", ") + " |"
	if !strings.Contains(read(t, "../../docs/operations.md"), flag) {
		t.Errorf("docs/operations.md lacks of --controllers: %s", flag)
	}
	var rows []string
	for line := range strings.Lines(read(t, "../../README.md")) {
		if cells := strings.Split(line, "|"); len(cells) > 1 && slices.Contains(want, strings.TrimSpace(cells[1])) {
			rows = append(rows, strings.TrimSpace(cells[1]))
		}
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("table of controllers in README.md (-want +got):\n%s", diff)
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

// controllers are the packages of pkg/rollout that have a const Name, in order.
func controllers(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../pkg/rollout/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if strings.Contains(read(t, file), "\nconst Name = ") {
			found = append(found, filepath.Base(filepath.Dir(file)))
		}
	}
	return found
}

// below reports whether a package is one of the named ones, or in a directory below one.
func below(path string, packages ...string) bool {
	for _, p := range packages {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
