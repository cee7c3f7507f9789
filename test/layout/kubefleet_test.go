// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/stagegate/stagegate/pkg/generated/openapi"
)

const kubeFleetPage = "../../docs/kubefleet.md"

// TestTheComparisonWithKubeFleetNamesWhatThereIs holds that what docs/kubefleet.md says of Stagegate stands in its code: fields in the API,
// reasons of conditions and Events, columns, labels, annotations, flags and roles.
func TestTheComparisonWithKubeFleetNamesWhatThereIs(t *testing.T) {
	page, err := os.ReadFile(kubeFleetPage)
	if err != nil {
		t.Fatal(err)
	}
	code := sources(t, "pkg", ".go")
	roles := sources(t, "artifacts", ".yaml")
	models := openapi.GetOpenAPIDefinitions(func(path string) spec.Ref { return spec.MustCreateRef("#/" + path) })
	rules := []struct {
		what    string
		pattern *regexp.Regexp
		stands  func(name string) bool
	}{
		{"field", regexp.MustCompile(`^(spec|status)\.`), func(name string) bool { return isField(models, name) }},
		{"label or annotation", regexp.MustCompile(`^kubernetes-fleet\.io/[a-z-]+$`), func(name string) bool {
			return bytes.Contains(code, []byte(`Prefix + "`+strings.TrimPrefix(name, "kubernetes-fleet.io/")+`"`))
		}},
		{"column", regexp.MustCompile(`^[A-Z]+(-[A-Z]+)*$`), func(name string) bool {
			return name == "AGE" || regexp.MustCompile(`(?i)"`+name+`"`).Match(code)
		}},
		{"flag", regexp.MustCompile(`^--[a-z-]+(=\w+)?$`), func(name string) bool {
			flag, _, _ := strings.Cut(strings.TrimPrefix(name, "--"), "=")
			return bytes.Contains(code, []byte(`"`+flag+`"`))
		}},
		{"role", regexp.MustCompile(`^stagegate-`), func(name string) bool { return bytes.Contains(roles, []byte("name: "+name+"\n")) }},
		{"reason, value or message", regexp.MustCompile(`^[A-Z][A-Za-z]*[a-z]$`), func(name string) bool {
			return bytes.Contains(code, []byte(`"`+name+`"`)) || isModel(models, name)
		}},
	}
	found := map[string]int{}
	for _, name := range ofStagegate(string(page)) {
		for _, rule := range rules {
			if !rule.pattern.MatchString(name) {
				continue
			}
			if found[rule.what]++; !rule.stands(name) {
				t.Errorf("docs/kubefleet.md names the %s %s, and there is none", rule.what, name)
			}
			break
		}
	}
	for _, rule := range rules {
		if found[rule.what] == 0 {
			t.Errorf("docs/kubefleet.md names no %s", rule.what)
		}
	}
}

// ofStagegate are the names in code that the page has of Stagegate: in its column of tables that compare, and in the whole of the others.
func ofStagegate(page string) (names []string) {
	quoted := regexp.MustCompile("`([^`]+)`")
	compares := false
	for _, line := range strings.Split(page, "\n") {
		cells := strings.Split(line, " | ")
		switch {
		case strings.HasPrefix(line, "| | KubeFleet | Stagegate |"):
			compares = true
		case !strings.HasPrefix(line, "|"):
			compares = false
		}
		switch {
		case strings.HasPrefix(line, "## To move"):
			return names
		case !strings.HasPrefix(line, "|"):
			continue
		case compares && len(cells) > 2:
			line = cells[2]
		}
		for _, match := range quoted.FindAllStringSubmatch(line, -1) {
			names = append(names, match[1])
		}
	}
	return names
}

// sources are all files of a kind below a directory, one after the other.
func sources(t *testing.T, dir, suffix string) []byte {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, suffix) || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		all.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}

func isModel(models map[string]common.OpenAPIDefinition, kind string) bool {
	_, ok := models["io.kubernetes-fleet.placement.v1."+kind]
	return ok
}

// isField reports whether a kind of v1 has a field of that path, in which [] stands for the elements of a list.
func isField(models map[string]common.OpenAPIDefinition, path string) bool {
	for name, model := range models {
		if strings.Contains(name, ".v1.") && strings.HasPrefix(name, "io.kubernetes-fleet.") && has(models, model.Schema, strings.Split(path, ".")) {
			return true
		}
	}
	return false
}

func has(models map[string]common.OpenAPIDefinition, schema spec.Schema, path []string) bool {
	if ref := strings.TrimPrefix(schema.Ref.String(), "#/"); ref != "" {
		schema = models[ref].Schema
	}
	if len(path) == 0 {
		return true
	}
	name, isList := strings.CutSuffix(path[0], "[]")
	next, ok := schema.Properties[name]
	if ok && isList {
		if next.Items == nil {
			return false
		}
		next = *next.Items.Schema
	}
	return ok && has(models, next, path[1:])
}
