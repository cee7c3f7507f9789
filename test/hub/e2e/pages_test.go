// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

// documents returns the pages whose commands are run.
func documents(t *testing.T, root string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"README.md"}
	for _, path := range found {
		names = append(names, "docs/"+filepath.Base(path))
	}
	return names
}

func readDocument(t *testing.T, root, name string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := parseDocument(string(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return blocks
}

// testDocuments reads all pages as their readers would.
func testDocuments(t *testing.T, s *suite) {
	for _, p := range pages {
		t.Run(filepath.Base(p.name), func(t *testing.T) { s.readPage(t, p) })
	}
}

func (s *suite) readPage(t *testing.T, p page) {
	r := &reader{suite: s, transcript: p.name, deviations: p.deviations, dir: s.readerDirectory(t)}
	t.Cleanup(func() {
		if p.cleanUp == "" {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*patience)
		defer cancel()
		// All of it, whatever is not there.
		if _, err := s.run(ctx, hub.HubName, "set +e\n"+p.cleanUp+"true", r.configure); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
		if p.membersLeave {
			s.up(t)
		}
	})
	if p.setUp != "" {
		r.execute(t, hub.HubName, p.setUp)
	}
	r.follow(t, readDocument(t, s.options.Root, p.name))
}

// readerDirectory is a directory like the repository's root for whoever reads a page, in which their files disturb nobody. The hub in it is
// that of these tests.
func (s *suite) readerDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(s.options.Root)
	if err != nil {
		t.Fatal(err)
	}
	link := func(from, to string) {
		if err := os.Symlink(from, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "_output" {
			link(filepath.Join(s.options.Root, name), name)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "_output"), 0o755); err != nil {
		t.Fatal(err)
	}
	link(s.options.Dir, "_output/hub")
	return dir
}

// documented returns the command of a page that begins so, with what the reader puts in: pairs of old and new.
func (s *suite) documented(t *testing.T, name, begin string, replace ...string) string {
	t.Helper()
	for _, b := range readDocument(t, s.options.Root, name) {
		if b.kind == command && strings.HasPrefix(b.text, begin) {
			return strings.NewReplacer(replace...).Replace(b.text)
		}
	}
	t.Fatalf("%s has no command that begins with %q", name, begin)
	return ""
}

// accountFor returns what keeps a command of a page from being run: nobody reads the page, or what is said of it is of nothing.
func accountFor(name string, blocks []block, pages []page, sources string) []error {
	i := slices.IndexFunc(pages, func(p page) bool { return p.name == name })
	if i < 0 {
		var errs []error
		for _, b := range blocks {
			if b.kind == command {
				errs = append(errs, fmt.Errorf("%s:%d: nobody runs %q: have the page read in pages.go", name, b.line, b.text))
			}
		}
		return errs
	}
	var errs []error
	rewritten, used := rewrite(name, blocks, pages[i].deviations)
	for n, d := range pages[i].deviations {
		if d.reason == "" {
			errs = append(errs, fmt.Errorf("%s: there is no reason for the deviation of %q%q", name, d.command, d.old))
		}
		of := func(b block) bool { return d.holds(name, b.section) && (d.command == "" || d.isOf(b)) }
		if d.old != "" && !used[n] || !slices.ContainsFunc(rewritten, of) {
			errs = append(errs, fmt.Errorf("%s has no command %q in section %q with %q: %s", name, d.command, d.section, d.old, d.reason))
		}
		if d.by != "" && !strings.Contains(sources, fmt.Sprintf("documented(t, %q, %q", name, d.command)) &&
			!strings.Contains(sources, fmt.Sprintf("documented(t, %q, `%s", name, d.command)) {
			errs = append(errs, fmt.Errorf("%s: test %s does not run %q", name, d.by, d.command))
		}
	}
	for _, b := range rewritten {
		if b.kind != command {
			continue
		}
		passed := slices.ContainsFunc(pages[i].deviations, func(d deviation) bool {
			return (d.skipped || d.by != "") && d.holds(name, b.section) && d.isOf(b)
		})
		typed, _, _ := strings.Cut(b.text, " #")
		if left := placeholder.FindStringSubmatch(typed); left != nil && !passed {
			errs = append(errs, fmt.Errorf("%s:%d: nothing says what %s is in %q: have pages.go put something in", name, b.line, left[1], b.text))
		}
	}
	return errs
}

// placeholder is what a page has where its reader puts in a name.
var placeholder = regexp.MustCompile(`\b(NAME|NAMESPACE|PLACEMENT|RUN|MEMBER|CLUSTER|HOLDER|UID|STORE|HUB|KEY)\b([^:]|$)`)

// TestEveryCommandOfTheDocumentsIsRun holds that testDocuments reads every page, and that what it does otherwise than the page says is still
// in the page.
func TestEveryCommandOfTheDocumentsIsRun(t *testing.T) {
	root, err := hub.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	sources := goSources(t)
	names := documents(t, root)
	commands := 0
	for _, name := range names {
		blocks := readDocument(t, root, name)
		for _, b := range blocks {
			if b.kind == command {
				commands++
			}
		}
		for _, err := range accountFor(name, blocks, pages, sources) {
			t.Error(err)
		}
	}
	for _, p := range pages {
		if !slices.Contains(names, p.name) {
			t.Errorf("there is no %s", p.name)
		}
	}
	if commands < 200 {
		t.Errorf("the documents have %d commands", commands)
	}
}

func goSources(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func TestCommandThatNobodyRunsIsFound(t *testing.T) {
	const text = "Do\n\n    kubectl get a\n\nor `kubectl get b NAME`.\n"
	blocks, err := parseDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	reads := func(deviations ...deviation) []page { return []page{{name: "a.md", deviations: deviations}} }
	named := deviation{reason: "x", old: "NAME", new: "name"}
	for name, tc := range map[string]struct {
		pages   []page
		sources string
		want    int
	}{
		"nobody reads the page":        {pages: nil, want: 2},
		"a name is not put in":         {pages: reads(), want: 1},
		"all are run":                  {pages: reads(named), want: 0},
		"one is skipped":               {pages: reads(named, deviation{reason: "x", command: "kubectl get a", skipped: true}), want: 0},
		"one is skipped for no reason": {pages: reads(named, deviation{command: "kubectl get a", skipped: true}), want: 1},
		"what is skipped is gone":      {pages: reads(named, deviation{reason: "x", command: "kubectl get c", skipped: true}), want: 1},
		"what is put in is gone":       {pages: reads(named, deviation{reason: "x", old: "RUN", new: "run"}), want: 1},
		"a test does not run it":       {pages: reads(named, deviation{reason: "x", command: "kubectl get a", by: "Other"}), want: 1},
		"a test runs it": {
			pages:   reads(named, deviation{reason: "x", command: "kubectl get a", by: "Other"}),
			sources: `s.documented(t, "a.md", "kubectl get a")`, want: 0,
		},
	} {
		if got := accountFor("a.md", blocks, tc.pages, tc.sources); len(got) != tc.want {
			t.Errorf("%s: got %v, want %d errors", name, got, tc.want)
		}
	}
}

// TestTargetsThatTheDocumentsNameExist holds what is run by no test: make and the go tool.
func TestTargetsThatTheDocumentsNameExist(t *testing.T) {
	root, err := hub.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile("(?m)(?:`|^    )make ([a-z][a-z0-9 -]*)")
	packages := regexp.MustCompile("\\bgo (?:test|run)[^`\\n]* (\\./[a-z0-9/.]+)")
	for _, name := range append(documents(t, root), "CONTRIBUTING.md", "SECURITY.md", "test/hub/README.md") {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range targets.FindAllStringSubmatch(string(text), -1) {
			for target := range strings.FieldsSeq(match[1]) {
				if !strings.Contains(string(makefile), "\n"+target+":") {
					t.Errorf("%s has make %s, and the Makefile no such target", name, target)
				}
			}
		}
		for _, match := range packages.FindAllStringSubmatch(string(text), -1) {
			// Once in test/hub, the reader stays there.
			if !slices.ContainsFunc([]string{"", "test/hub"}, func(dir string) bool {
				_, err := os.Stat(filepath.Join(root, dir, strings.TrimSuffix(match[1], "...")))
				return err == nil
			}) {
				t.Errorf("%s names the package %s, which is not there", name, match[1])
			}
		}
	}
}
