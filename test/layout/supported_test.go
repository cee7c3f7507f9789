// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
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
