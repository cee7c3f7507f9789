// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

// The go tool takes a name that no part of TestHub and TestFailures has for nothing to run, and is content.
func TestNightRunsPartsThatThereAre(t *testing.T) {
	root, err := hub.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(root, "hack", "nightly.sh"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("hub_test.go")
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`\{"(\w+)", test\w+\}`).FindAllSubmatch(source, -1)
	named := regexp.MustCompile(`-run '\^\(TestHub\|TestFailures\)\$/\^\((.+)\)\$'`).FindSubmatch(script)
	if len(parts) == 0 || named == nil {
		t.Fatalf("hub_test.go has %d parts, and hack/nightly.sh names some: %t", len(parts), named != nil)
	}
	for name := range strings.SplitSeq(string(named[1]), "|") {
		pattern := regexp.MustCompile("^" + name + "$")
		found := false
		for _, part := range parts {
			found = found || pattern.Match(part[1])
		}
		if !found {
			t.Errorf("hack/nightly.sh runs the part %s, which there is not", name)
		}
	}
}
