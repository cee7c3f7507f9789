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
	s.follow(t, clusterScoped)
}

func testTutorialNamespaced(t *testing.T, s *suite) {
	s.cleanUpTutorial(t, "kubectl delete rp example-placement -n test-namespace --ignore-not-found",
		"kubectl delete crp test-namespace-placement --ignore-not-found")
	s.explain(t, "sur,areq,rp,resourcesnapshots,rb -n test-namespace", "crp")
	s.follow(t, namespaced)
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
	dir        string
	used       map[int]bool
}

func (s *suite) follow(t *testing.T, transcript string) {
	text, err := os.ReadFile(filepath.Join("testdata", transcript+".md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := parseTranscript(string(text))
	if err != nil {
		t.Fatal(err)
	}
	blocks, used := rewrite(transcript, blocks)
	r := &reader{suite: s, transcript: transcript, dir: t.TempDir(), used: used}
	for len(blocks) > 0 {
		section := blocks[0].section
		end := slices.IndexFunc(blocks, func(b block) bool { return b.section != section })
		if end < 0 {
			end = len(blocks)
		}
		t.Logf("## %s", section)
		r.around(t, section, func(d deviation) string { return d.before })
		r.read(t, blocks[:end])
		r.around(t, section, func(d deviation) string { return d.after })
		if section == "Prepare workloads for placement" {
			r.nothingPlaced(t)
		}
		blocks = blocks[end:]
	}
	for i, d := range deviations {
		if (d.transcript == "" || d.transcript == transcript) && !r.used[i] {
			t.Errorf("this deviation from the document does not occur: %s (%q, %s)", d.reason, d.old, d.field)
		}
	}
}

func (r *reader) around(t *testing.T, section string, script func(deviation) string) {
	t.Helper()
	for i, d := range deviations {
		if text := script(d); text != "" && d.holds(r.transcript, section) {
			r.used[i] = true
			r.execute(t, text)
		}
	}
}

func (r *reader) read(t *testing.T, blocks []block) {
	t.Helper()
	for i, b := range blocks {
		where := fmt.Sprintf("%s.md:%d", r.transcript, b.line)
		switch b.kind {
		case manifest:
			t.Logf("%s: apply", where)
			r.execute(t, "kubectl apply -f - << 'EOF'\n"+b.text+"EOF\n")
		case command:
			t.Logf("%s: %s", where, strings.TrimSpace(b.text))
			if i+1 < len(blocks) && (blocks[i+1].kind == tableOutput || blocks[i+1].kind == objectOutput) {
				r.executeUntil(t, hub.HubName, b.text, blocks[i+1])
			} else {
				r.execute(t, b.text)
			}
		case onMembers:
			for _, member := range r.environment.Members() {
				t.Logf("%s: on %s", where, member)
				r.executeUntil(t, member, "kubectl get cm test-cm -n test-namespace -o yaml", b)
			}
		}
	}
}

func (r *reader) execute(t *testing.T, script string) {
	t.Helper()
	if _, err := r.run(t.Context(), hub.HubName, script, r.configure); err != nil {
		t.Fatalf("%s: %v", strings.TrimSpace(script), err)
	}
}

// executeUntil runs the script until it prints what the block shows.
func (r *reader) executeUntil(t *testing.T, kubeconfig, script string, want block) {
	t.Helper()
	r.eventually(t, func() error {
		out, err := r.run(t.Context(), kubeconfig, script, r.configure)
		switch {
		case err != nil:
			return err
		case want.kind == tableOutput:
			return compareTables(want.text, out)
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
		i := slices.IndexFunc(deviations, func(d deviation) bool {
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
