// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the documents call tested is what the hub of the tests runs.
func TestWhatIsSupportedIsWhatIsTested(t *testing.T) {
	source := read(t, "../hub/build.go")
	_, table, _ := strings.Cut(read(t, "../../docs/install.md"), "## What is supported")
	for name, rows := range map[string][]string{
		"kubeVersion": {"| hub | Kubernetes ", "| members | Kubernetes "},
		"etcdVersion": {"| etcd in the process | ", "| external etcd | "},
	} {
		match := regexp.MustCompile(`\b` + name + `\s*= "(.*)"`).FindStringSubmatch(source)
		if match == nil {
			t.Fatalf("test/hub has no %s", name)
		}
		for _, row := range rows {
			if !strings.Contains(table, row+match[1]+" |") {
				t.Errorf("docs/install.md has no row that begins with %s%s", row, match[1])
			}
		}
	}
}

// A test that proves what is supported is there, under its name.
func TestWhatProvesSupportIsATest(t *testing.T) {
	var sources strings.Builder
	for _, pattern := range []string{"../../test/hub/e2e/*_test.go", "../../test/integration/*_test.go", "../../hack/release/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files (%v)", pattern, err)
		}
		for _, file := range files {
			sources.WriteString(read(t, file))
		}
	}
	named := regexp.MustCompile("`Test(\\w+)(?:/(\\w+))?`").FindAllStringSubmatch(read(t, "../../docs/install.md"), -1)
	if len(named) < 10 {
		t.Errorf("docs/install.md names %d tests", len(named))
	}
	for _, name := range named {
		if !strings.Contains(sources.String(), "func Test"+name[1]+"(") || name[2] != "" && !strings.Contains(sources.String(), `{"`+name[2]+`", `) {
			t.Errorf("docs/install.md names %s, which is no test", name[0])
		}
	}
}
