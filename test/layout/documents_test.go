// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	links    = regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	unlinked = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchor is what a link to a heading has after "#".
func anchor(heading string) string {
	return strings.ReplaceAll(unlinked.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

func document(t *testing.T, path string) (text string, anchors []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range headings.FindAllStringSubmatch(string(data), -1) {
		anchors = append(anchors, anchor(match[1]))
	}
	return string(data), anchors
}

func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	const root = "../.."
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "test/hub/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	seen := 0
	for _, file := range files {
		text, _ := document(t, file)
		for _, match := range links.FindAllStringSubmatch(text, -1) {
			seen++
			target := file
			if match[1] != "" {
				target = filepath.Join(filepath.Dir(file), match[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", file, match[0], err)
				continue
			}
			if match[2] == "" {
				continue
			}
			if _, anchors := document(t, target); !slices.Contains(anchors, match[2]) {
				t.Errorf("%s links to %s, which has no such heading", file, match[0])
			}
		}
	}
	if seen < 100 {
		t.Errorf("the documents have %d links", seen)
	}
}

func TestKnownIssuesAreInTheirIndex(t *testing.T) {
	text, _ := document(t, "../../docs/known-issues.md")
	index, issues, found := strings.Cut(text, "\n## ")
	if !found {
		t.Fatal("there are no sections")
	}
	var want, got []string
	for section := range strings.SplitSeq(issues, "\n## ") {
		title, _, _ := strings.Cut(section, "\n")
		want = append(want, anchor(title))
	}
	for _, match := range links.FindAllStringSubmatch(index, -1) {
		// Links to other pages are no part of the index.
		if match[1] == "" {
			got = append(got, match[2])
		}
	}
	for _, missing := range want {
		if !slices.Contains(got, missing) {
			t.Errorf("the index does not have #%s", missing)
		}
	}
	if !slices.Equal(want, got) {
		t.Errorf("the index is not in the order of the sections: got %v, want %v", got, want)
	}
}

// TestTheDocumentsNameFilesThatExist keeps the documents from sending a reader to a package or a Go file that was moved.
func TestTheDocumentsNameFilesThatExist(t *testing.T) {
	const root = "../.."
	var documents []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/design/*.md"} {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, matches...)
	}
	goFiles := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == "_output" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		goFiles[filepath.Base(path)] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	packages, files := regexp.MustCompile("`((?:pkg|cmd|test|hack|artifacts)/[A-Za-z0-9_/.-]+)`"), regexp.MustCompile(`[a-z0-9_]+\.go\b`)
	found := 0
	for _, document := range documents {
		// The changes tell of what was.
		if filepath.Base(document) == "CHANGELOG.md" {
			continue
		}
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range packages.FindAllSubmatch(text, -1) {
			found++
			if _, err := os.Stat(filepath.Join(root, string(match[1]))); err != nil {
				t.Errorf("%s names %s: %v", document, match[1], err)
			}
		}
		for _, file := range files.FindAllString(string(text), -1) {
			found++
			if !goFiles[file] {
				t.Errorf("%s names %s, and no file is called so", document, file)
			}
		}
	}
	if found < 100 {
		t.Errorf("the documents name %d packages and files", found)
	}
}
