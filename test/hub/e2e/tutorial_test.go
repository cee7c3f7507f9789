// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

func testTutorialClusterScoped(t *testing.T, s *suite) {
	s.cleanUpTutorial(t, "kubectl delete csur example-run example-run-2 stopped-run --ignore-not-found",
		"kubectl delete csus example-strategy --ignore-not-found",
		"kubectl delete crp example-placement --ignore-not-found")
	s.explain(t, "csur", "careq", "crp", "crs", "crb")
	s.followTranscript(t, clusterScoped)
}

func testTutorialNamespaced(t *testing.T, s *suite) {
	s.cleanUpTutorial(t, "kubectl delete rp example-placement -n test-namespace --ignore-not-found",
		"kubectl delete crp test-namespace-placement --ignore-not-found")
	s.explain(t, "sur,areq,rp,resourcesnapshots,rb -n test-namespace", "crp")
	s.followTranscript(t, namespaced)
}

// cleanUpTutorial does what the reader did not get to when the tutorial failed, so that the other tests are not disturbed.
func (s *suite) cleanUpTutorial(t *testing.T, commands ...string) {
	t.Cleanup(func() {
		if t.Failed() {
			s.mustRunInCleanup(t, strings.Join(append(commands, "kubectl delete ns test-namespace --ignore-not-found"), "\n"))
		}
	})
}

// reader follows a transcript as the reader of the document would: command after command, waiting until each prints what
// the document shows.
type reader struct {
	*suite
	transcript string
	deviations []deviation
	dir        string
	used       map[int]bool
	// prelude are the functions and variables that the reader has in the shell by now.
	prelude string
}

func (s *suite) followTranscript(t *testing.T, transcript string) {
	text, err := os.ReadFile(filepath.Join("testdata", transcript+".md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := parseTranscript(string(text))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{suite: s, transcript: transcript, deviations: deviations, dir: t.TempDir()}
	r.follow(t, blocks)
}

func (r *reader) follow(t *testing.T, blocks []block) {
	t.Helper()
	blocks, r.used = rewrite(r.transcript, blocks, r.deviations)
	for len(blocks) > 0 {
		section := blocks[0].section
		end := slices.IndexFunc(blocks, func(b block) bool { return b.section != section })
		if end < 0 {
			end = len(blocks)
		}
		t.Logf("## %s", section)
		around := func(d deviation) bool { return d.command == "" && d.holds(r.transcript, section) }
		r.around(t, around, func(d deviation) string { return d.before })
		r.read(t, blocks[:end])
		r.around(t, around, func(d deviation) string { return d.after })
		if r.transcript == clusterScoped && section == "Prepare workloads for placement" {
			r.nothingPlaced(t)
		}
		blocks = blocks[end:]
	}
	for i, d := range r.deviations {
		if (d.transcript == "" || d.transcript == r.transcript) && !r.used[i] {
			t.Errorf("this deviation from the document does not occur: %s (%q, %q, %s)", d.reason, d.command, d.old, d.field)
		}
	}
}

func (r *reader) around(t *testing.T, holds func(deviation) bool, script func(deviation) string) {
	t.Helper()
	for i, d := range r.deviations {
		if text := script(d); text != "" && holds(d) {
			r.used[i] = true
			r.execute(t, hub.HubName, text)
		}
	}
}

func (r *reader) read(t *testing.T, blocks []block) {
	t.Helper()
	for i, b := range blocks {
		where := fmt.Sprintf("%s:%d", r.transcript, b.line)
		switch b.kind {
		case manifest:
			t.Logf("%s: apply", where)
			r.execute(t, hub.HubName, "kubectl apply -f - << 'EOF'\n"+b.text+"EOF\n")
		case file:
			if err := os.WriteFile(filepath.Join(r.dir, fileName.FindStringSubmatch(b.text)[1]), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case command:
			var want block
			if i+1 < len(blocks) {
				want = blocks[i+1]
			}
			r.readCommand(t, where, b, want)
		case onMembers:
			for _, member := range r.environment.Members() {
				t.Logf("%s: on %s", where, member)
				r.executeUntil(t, member, "kubectl get cm test-cm -n test-namespace -o yaml", b)
			}
		}
	}
}

// readCommand runs a command until it prints what is shown after it.
func (r *reader) readCommand(t *testing.T, where string, b, want block) {
	t.Helper()
	cluster := hub.HubName
	isOf := func(d deviation) bool {
		return d.command != "" && d.holds(r.transcript, b.section) && d.isOf(b)
	}
	for i, d := range r.deviations {
		if !isOf(d) {
			continue
		}
		if d.needs != "" {
			r.used[i] = true
			if _, err := exec.LookPath(d.needs); err != nil {
				t.Logf("%s: not run, since there is no %s: %s", where, d.needs, b.text)
				return
			}
		}
		if d.skipped || d.by != "" || d.nightly && !atNight() {
			r.used[i] = true
			return
		}
		if d.nightly {
			r.used[i] = true
		}
		if d.on != "" {
			r.used[i] = true
			cluster = d.on
		}
	}
	r.around(t, isOf, func(d deviation) string { return d.before })
	t.Logf("%s: %s", where, strings.TrimSpace(b.text))
	switch want.kind {
	case tableOutput, objectOutput, textOutput, excerpt:
		r.executeUntil(t, cluster, b.text, want)
	default:
		r.execute(t, cluster, b.text)
	}
	if definition.MatchString(b.text) {
		r.prelude += b.text
	}
	r.around(t, isOf, func(d deviation) string { return d.after })
}

func (r *reader) execute(t *testing.T, kubeconfig, script string) {
	t.Helper()
	if _, err := r.run(t.Context(), kubeconfig, r.prelude+script, r.configure); err != nil {
		t.Fatalf("%s: %v", strings.TrimSpace(script), err)
	}
}

// executeUntil runs the script until it prints what the block shows.
func (r *reader) executeUntil(t *testing.T, kubeconfig, script string, want block) {
	t.Helper()
	r.eventually(t, func() error {
		out, err := r.run(t.Context(), kubeconfig, r.prelude+script, r.configure)
		if err != nil {
			return err
		}
		switch want.kind {
		case tableOutput:
			return compareTables(want.text, out)
		case textOutput:
			return compareText(want.text, out)
		case excerpt:
			return compareExcerpt(want.text, out)
		}
		return r.compareObjects(want, out)
	})
}

func (r *reader) configure(cmd *exec.Cmd) {
	cmd.Dir = r.dir
	// This is how the reader changes the value in kubectl edit.
	cmd.Env = append(cmd.Env, "KUBE_EDITOR=sed -i s/value1/value2/")
}

func (r *reader) compareObjects(want block, got string) error {
	found, err := compareObjects(want.text, got)
	if err != nil {
		return err
	}
	var errs []error
	for _, difference := range found {
		i := slices.IndexFunc(r.deviations, func(d deviation) bool {
			return d.field == difference.path && difference.want == nil && d.holds(r.transcript, want.section)
		})
		if i < 0 {
			errs = append(errs, errors.New(difference.String()))
			continue
		}
		r.used[i] = true
	}
	if len(errs) > 0 {
		errs = append(errs, fmt.Errorf("printed:\n%s", got))
	}
	return errors.Join(errs...)
}

// nothingPlaced holds what the document says of a placement that has no run yet.
func (r *reader) nothingPlaced(t *testing.T) {
	t.Helper()
	if err := r.values(t.Context(), "test-namespace", "test-cm", map[string]string{"member1": "", "member2": "", "member3": ""}); err != nil {
		t.Error(err)
	}
}
