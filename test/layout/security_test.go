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
)

// TestTheThreatModelNamesTestsThatExist keeps SECURITY.md from promising what no test holds any more.
func TestTheThreatModelNamesTestsThatExist(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	var tests bytes.Buffer
	for _, dir := range []string{"pkg", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			tests.Write(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	named := regexp.MustCompile("(e2e )?`((?:Test|Fuzz)?[A-Za-z]+)(?:/[A-Za-z]+)?`")
	found := 0
	for _, match := range named.FindAllSubmatch(text, -1) {
		want := "func " + string(match[2]) + "("
		switch {
		case len(match[1]) > 0:
			want = `{"` + string(match[2]) + `", test`
		case !bytes.HasPrefix(match[2], []byte("Test")) && !bytes.HasPrefix(match[2], []byte("Fuzz")):
			continue
		}
		if found++; !bytes.Contains(tests.Bytes(), []byte(want)) {
			t.Errorf("SECURITY.md names %s, and no test is called so", match[0])
		}
	}
	if found < 50 {
		t.Errorf("SECURITY.md names %d tests", found)
	}
}
