// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

var update = flag.Bool("update", false, "write what the engine decides into testdata")

// TestTraces plays the stories in testdata. Each is a file of blocks: what happens, a line of dashes, and what the engine decides. A look goes
// on until nothing follows any more; what it decides is in the order in which it is carried out. go test -run TestTraces -update rewrites what
// is below the dashes.
func TestTraces(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newStory(t).play(string(data))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := gocmp.Diff(string(data), got); diff != "" {
				t.Errorf("the engine decides otherwise (-want +got):\n%s", diff)
			}
		})
	}
}

// story is a placement with its runs. The fixture of the run that was named last is the embedded one.
type story struct {
	*fixture
	stages  []v1beta1.StageConfig
	n       int
	leaving []string
	// policy is a policy that demands an approval, nil for none.
	policy *policy.Policy
	runs   map[string]*fixture
	out    strings.Builder
}

func newStory(t *testing.T) *story {
	return &story{fixture: &fixture{T: t}, runs: map[string]*fixture{}}
}

const dashes = "----"

// play returns the text of a story with what the engine decides in it.
func (s *story) play(text string) string {
	var blocks []string
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(block, "#") {
			blocks = append(blocks, block)
			continue
		}
		events, _, _ := strings.Cut(block, "\n"+dashes)
		s.out.Reset()
		for line := range strings.SplitSeq(events, "\n") {
			s.happens(strings.Fields(line))
		}
		if s.out.Len() > 0 {
			events += "\n" + dashes + "\n" + strings.TrimRight(s.out.String(), "\n")
		}
		blocks = append(blocks, events)
	}
	return strings.Join(blocks, "\n\n") + "\n"
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// happens does what a line says. Words that no event knows fail the test.
func (s *story) happens(words []string) {
	s.Helper()
	event, about := words[0], words[1:]
	switch event {
	case "stage":
		s.stages, s.n = append(s.stages, s.stageOf(about)), 2
	case "unpicked":
		s.leaving = append(s.leaving, about...)
	case "plan":
		s.plan(about)
	case "had":
		s.had(about[0], about[1:]...)
	case "look":
		s.look(about)
	case "die":
		s.die()
	case "available":
		s.available(about...)
	case "gone":
		for _, cluster := range about {
			s.remove(cluster)
			s.each(func(f *fixture) { f.world.Bindings = s.world.Bindings })
		}
	case "leaves":
		s.world.Left[about[0]] = true
	case "fails":
		s.fails(about[0], v1beta1.BindingApplied, strings.Join(about[1:], " "))
	case "pass":
		d, err := time.ParseDuration(about[0])
		if err != nil {
			s.Fatal(err)
		}
		s.each(func(f *fixture) { f.pass(d) })
	case "policy":
		s.policy = guard(about[0], approvalRule)
		s.each(func(f *fixture) { f.governedBy(s.policy) })
	case "state":
		s.setState(v1beta1.State(about[0]))
	case "decide":
		if s.world.Approvals[about[1]] == nil {
			s.Fatalf("there is no request %s", about[1])
		}
		s.decide(about[1], v1beta1.DecisionType(about[0]))
	case "ask":
		s.ask(v1beta1.OperationType(about[0]), func(e *v1beta1.UpdateRunHistoryEntry) { e.Clusters = about[1:] })
	case "run":
		s.fixture = s.runs[about[0]]
	default:
		s.Fatalf("nothing happens by %q", words)
	}
}

func (s *story) each(f func(*fixture)) {
	for _, run := range s.runs {
		f(run)
	}
}

// stageOf is a stage of two clusters with what its settings say.
func (s *story) stageOf(words []string) v1beta1.StageConfig {
	config := stage(words[0])
	for _, setting := range words[1:] {
		name, value, _ := strings.Cut(setting, "=")
		switch name {
		case "maxConcurrency":
			concurrency(value)(&config)
		case "approvedBefore":
			approvedBefore(&config)
		case "approvedAfter":
			approvedAfter(&config)
		case "waitAfter":
			d, err := time.ParseDuration(value)
			if err != nil {
				s.Fatal(err)
			}
			waitAfter(d)(&config)
		case "onFailure":
			givesUp("")(&config)
			config.FailurePolicy.OnFailure = v1beta1.FailureAction(value)
		case "maxFailures":
			config.FailurePolicy.MaxFailures = ptr.To(intstr.Parse(value))
		default:
			s.Fatalf("a stage has no setting %q", setting)
		}
	}
	return config
}

// plan plans a run: the first one "run", another one of that name a minute later, or the one that rolls "run" back.
func (s *story) plan(words []string) {
	var first *fixture
	name := "run"
	if len(words) > 0 {
		name, first = words[0], s.fixture
	}
	switch {
	case first == nil:
		w := initWorld(s.n, s.stages...)
		for _, cluster := range s.leaving {
			w.Bindings = append(w.Bindings, &v1beta1.ClusterResourceBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "b-" + cluster, Generation: 1},
				Spec:       v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateUnscheduled, TargetCluster: cluster},
			})
		}
		s.fixture = newFixtureIn(s.T, w)
	case name == rollbackName:
		next := *first
		run, w := first.rollback()
		o := initialize(run, w, first.now)
		if o.Result != engine.ResultInitialized {
			s.Fatalf("the rollback cannot be planned: %s", o.Message)
		}
		run.Status = *roundTrip(o.Decision.Status)
		next.run, s.fixture = run, &next
	default:
		w := initWorld(s.n, s.stages...)
		next := newFixtureIn(s.T, w)
		if s.policy != nil {
			next.governedBy(s.policy)
		}
		next.run.Name, next.run.UID, next.run.CreationTimestamp = name, types.UID(name), metav1.NewTime(first.now)
		next.world.Bindings, next.world.Placement, next.now = first.world.Bindings, first.world.Placement, first.now
		s.fixture = next
	}
	s.runs[name] = s.fixture
	for _, e := range s.run.Status.History {
		s.say("event   %s: %s", e.Reason, e.Message)
	}
}

// look looks at a run until nothing follows any more.
func (s *story) look(words []string) {
	if len(words) > 0 {
		s.fixture = s.runs[words[0]]
	}
	for range 100 {
		s.see()
		d := s.step()
		s.told(d)
		if d.Status == nil && len(d.Bindings)+len(d.Requests)+len(d.Accepts)+len(d.Deletions) == 0 {
			s.stands()
			return
		}
	}
	s.Fatal("the run does not come to rest")
}

// see has the run see the others as they are.
func (s *story) see() {
	s.world.Others = nil
	for _, name := range slices.Sorted(maps.Keys(s.runs)) {
		if other := s.runs[name]; other != s.fixture {
			s.world.Others = append(s.world.Others, other.run)
		}
	}
}

// die writes the status of one look, and nothing that comes after it. A new leader begins.
func (s *story) die() {
	s.see()
	d := engine.Step(s.run, s.world, s.now)
	if d.Status != nil {
		s.run.Status = *roundTrip(d.Status)
	}
	s.told(d)
	s.say("(the status is written, and the leader dies)")
	s.world.Since = s.now
}

// told has a line for each part of a decision, in the order in which they are carried out.
func (s *story) told(d engine.Decision) {
	if d.Status != nil && len(d.Requests)+len(d.Accepts)+len(d.Bindings)+len(d.Deletions)+len(d.Events) > 0 || d.Rollback != nil && d.Status != nil {
		s.say("status")
	}
	for _, r := range d.Requests {
		s.say("request %s for %d clusters of stage %s", r.Name, r.Rollout.ClusterCount, r.Stage)
	}
	for _, a := range d.Accepts {
		s.say("accept  %s", a.GetName())
	}
	if d.Rollback != nil && d.Status != nil {
		s.say("create  %s", d.Rollback.Name)
	}
	for _, w := range d.Bindings {
		what := "condition RolloutStarted"
		if w.Spec != nil {
			what = w.Spec.ResourceSnapshotName
		}
		s.say("write   %s: %s, turn %d", w.Binding.BindingSpec().TargetCluster, what, w.Turn)
	}
	for _, b := range d.Deletions {
		s.say("delete  the binding of %s", b.BindingSpec().TargetCluster)
	}
	for _, e := range d.Events {
		s.say("%-7s %s: %s", map[bool]string{false: "event", true: "warning"}[e.Warning], e.Reason, e.Message)
	}
}

// stands tells how a run stands at the end of a look.
func (s *story) stands() {
	status := &s.run.Status
	stands := cmp.Or(string(status.Outcome), s.progress())
	s.say("%s is %s: %s", s.run.Name, stands, strings.Join(s.clusters(), ", "))
	if !s.last.WakeAt.IsZero() {
		s.say("wake    after %s", s.last.WakeAt.Sub(s.now).Round(time.Second))
	}
}

func (s *story) progress() string {
	c := meta.FindStatusCondition(s.run.Status.Conditions, v1beta1.RunProgressing)
	if c == nil {
		return "not started"
	}
	text := strings.TrimPrefix(c.Reason, "UpdateRun")
	if turn := s.run.Status.Turn; turn != nil && turn.Number > 0 {
		text += ", turn " + strconv.FormatInt(turn.Number, 10) + " " + string(turn.State)
	}
	return text
}
