// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// sound is a request for each operation that a run under way grants, and what becomes of the state.
var sound = []struct {
	operation     v1beta1.OperationType
	state, become v1beta1.State
	spec          v1beta1.UpdateRunOperationSpec
}{
	{v1beta1.OperationStop, v1beta1.StateRun, v1beta1.StateStop, v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}},
	{v1beta1.OperationResume, v1beta1.StateStop, v1beta1.StateRun, v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}},
	{v1beta1.OperationSkip, v1beta1.StateRun, v1beta1.StateRun, v1beta1.UpdateRunOperationSpec{Reason: "INC-7", Clusters: []string{"b", "c"}}},
	{v1beta1.OperationSkip, v1beta1.StateStop, v1beta1.StateStop, v1beta1.UpdateRunOperationSpec{Reason: "INC-7", Stage: "canary", Task: v1beta1.StageTaskTypeTimedWait}},
	{v1beta1.OperationRetry, v1beta1.StateRun, v1beta1.StateRun, v1beta1.UpdateRunOperationSpec{Reason: "INC-7", Clusters: []string{"b"}}},
	{v1beta1.OperationRetry, v1beta1.StateRun, v1beta1.StateRun, v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}},
	{v1beta1.OperationRollback, v1beta1.StateRun, v1beta1.StateRun, v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}},
}

func subresourceOf(operation v1beta1.OperationType) string {
	return strings.ToLower(string(operation))
}

func TestWhatIsAskedIsRecordedAndNothingElseChanges(t *testing.T) {
	for way, write := range map[string]func(s *service, ctx context.Context, subresource, name string, spec v1beta1.UpdateRunOperationSpec) (runtime.Object, error){
		"post": func(s *service, ctx context.Context, subresource, name string, spec v1beta1.UpdateRunOperationSpec) (runtime.Object, error) {
			return s.ask(ctx, subresource, name, spec)
		},
		"put": func(s *service, ctx context.Context, subresource, name string, spec v1beta1.UpdateRunOperationSpec) (runtime.Object, error) {
			put := rest.DefaultUpdatedObjectInfo(&v1beta1.UpdateRunOperation{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
			out, _, err := s.paths[subresource].(rest.Updater).Update(ctx, name, put, nil, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			return out, err
		},
		"patch": func(s *service, ctx context.Context, subresource, name string, spec v1beta1.UpdateRunOperationSpec) (runtime.Object, error) {
			patch := changed(func(o *v1beta1.UpdateRunOperation) { o.Spec = spec })
			out, _, err := s.paths[subresource].(rest.Updater).Update(ctx, name, patch, nil, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			return out, err
		},
	} {
		t.Run(way, func(t *testing.T) {
			bothScopes(t, func(t *testing.T, s *service) {
				for i, tc := range sound {
					subresource := subresourceOf(tc.operation)
					name := subresource + "-" + string(rune('a'+i))
					status := underWay()
					status.History = []v1beta1.UpdateRunHistoryEntry{entry(6, v1beta1.OperationStart, "bob", ""), entry(7, "", "", "moved")}
					status.ObservedOperation = 6
					want := s.run(name, tc.state, status)

					ctx := s.as(alice, subresource)
					answer, err := write(s, ctx, subresource, name, tc.spec)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}

					got := s.get(name)
					asked := entry(8, tc.operation, "alice", "INC-7")
					asked.Stage, asked.Clusters, asked.Task = tc.spec.Stage, tc.spec.Clusters, tc.spec.Task
					want.RunStatus().History = append(want.RunStatus().History, asked)
					want.RunSpec().State = tc.become
					if tc.become != tc.state {
						want.SetGeneration(want.GetGeneration() + 1)
					}
					want.SetResourceVersion(got.GetResourceVersion())
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s: run (-want +got):\n%s", name, diff)
					}
					wantAnswer := &v1beta1.UpdateRunOperation{
						ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: got.GetNamespace(), UID: got.GetUID(), ResourceVersion: got.GetResourceVersion()},
						Spec:       tc.spec,
						Status:     v1beta1.UpdateRunOperationStatus{Number: 8, User: "alice", Time: &asked.Time},
					}
					if diff := cmp.Diff(runtime.Object(wantAnswer), answer); diff != "" {
						t.Errorf("%s: answer (-want +got):\n%s", name, diff)
					}
					if by, _ := audit.AuditContextFrom(ctx).GetEventAnnotation("placement.kubernetes-fleet.io/operation-by"); by != "alice" {
						t.Errorf("%s: audited as asked by %q", name, by)
					}
				}
			})
		})
	}
}

func TestWhatIsReadIsTheLastOfItsKind(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		status := underWay()
		status.History = []v1beta1.UpdateRunHistoryEntry{
			entry(1, v1beta1.OperationStop, "bob", "first"), entry(2, v1beta1.OperationResume, "bob", "mended"), entry(3, v1beta1.OperationStop, "alice", "second"),
			entry(4, v1beta1.OperationSkip, "bob", "oslo is down"),
		}
		status.History[3].Clusters = []string{"oslo", "rome"}
		status.ObservedOperation = 2
		run := s.run("run", v1beta1.StateStop, status)
		when := metav1.NewTime(testClock.Now())
		for subresource, want := range map[string]struct {
			spec   v1beta1.UpdateRunOperationSpec
			status v1beta1.UpdateRunOperationStatus
			row    string
		}{
			"stop": {
				v1beta1.UpdateRunOperationSpec{Reason: "second"}, v1beta1.UpdateRunOperationStatus{Number: 3, User: "alice", Time: &when},
				"run | 3 | alice | 2026-03-01T12:00:00Z | false | second |  |  | ",
			},
			"resume": {
				v1beta1.UpdateRunOperationSpec{Reason: "mended"}, v1beta1.UpdateRunOperationStatus{Number: 2, User: "bob", Time: &when, Done: true},
				"run | 2 | bob | 2026-03-01T12:00:00Z | true | mended |  |  | ",
			},
			"skip": {
				v1beta1.UpdateRunOperationSpec{Reason: "oslo is down", Clusters: []string{"oslo", "rome"}},
				v1beta1.UpdateRunOperationStatus{Number: 4, User: "bob", Time: &when},
				"run | 4 | bob | 2026-03-01T12:00:00Z | false | oslo is down |  |  | oslo,rome",
			},
			"rollback": {row: "run | <none> | <none> | <none> | <none> | <none> |  |  | "},
		} {
			got, err := s.paths[subresource].(rest.Getter).Get(s.as(bob, subresource), "run", &metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			read := &v1beta1.UpdateRunOperation{
				ObjectMeta: metav1.ObjectMeta{Name: "run", Namespace: run.GetNamespace(), UID: run.GetUID(), ResourceVersion: run.GetResourceVersion()},
				Spec:       want.spec,
				Status:     want.status,
			}
			if diff := cmp.Diff(runtime.Object(read), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", subresource, diff)
			}
			const headers = "Name | Number | User | Time | Done | Reason | Stage | Task | Clusters"
			if diff := cmp.Diff([]string{headers, want.row}, printed(t, s.paths[subresource], got)); diff != "" {
				t.Errorf("%s prints (-want +got):\n%s", subresource, diff)
			}
		}
	})
}

// printed is an object as kubectl get -o wide prints it.
func printed(t *testing.T, storage rest.Storage, obj runtime.Object) []string {
	t.Helper()
	table, err := storage.(rest.TableConvertor).ConvertToTable(t.Context(), obj, nil)
	if err != nil {
		t.Fatal(err)
	}
	var headers []string
	for _, column := range table.ColumnDefinitions {
		headers = append(headers, column.Name)
	}
	lines := []string{strings.Join(headers, " | ")}
	for _, row := range table.Rows {
		var cells []string
		for _, cell := range row.Cells {
			cells = append(cells, fmt.Sprint(cell))
		}
		lines = append(lines, strings.Join(cells, " | "))
	}
	return lines
}

// TestWhatIsWrittenBackAsItWasReadIsNotAskedAgain has a skip, which can be asked for as often as one likes.
func TestWhatIsWrittenBackAsItWasReadIsNotAskedAgain(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.run("run", v1beta1.StateRun, underWay())
		s.mustAsk(alice, "skip", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7", Clusters: []string{"b"}})
		before := s.get("run")
		put := func(change func(*v1beta1.UpdateRunOperation)) (*v1beta1.UpdateRunOperation, error) {
			read, err := s.paths["skip"].(rest.Getter).Get(s.as(alice, "skip"), "run", &metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			change(read.(*v1beta1.UpdateRunOperation))
			out, _, err := s.paths["skip"].(rest.Updater).Update(s.as(alice, "skip"), "run", rest.DefaultUpdatedObjectInfo(read), nil, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			if err != nil {
				return nil, err
			}
			return out.(*v1beta1.UpdateRunOperation), nil
		}

		answer, err := put(func(*v1beta1.UpdateRunOperation) {})
		if err != nil || answer.Status.Number != 1 || answer.Spec.Reason != "INC-7" {
			t.Errorf("what is written back is answered %+v, %v", answer, err)
		}
		if diff := cmp.Diff(before, s.get("run")); diff != "" {
			t.Errorf("run, -before +after:\n%s", diff)
		}
		answer, err = put(func(o *v1beta1.UpdateRunOperation) { o.Spec.Clusters = []string{"c"} })
		if err != nil || answer.Status.Number != 2 {
			t.Errorf("what is changed is answered %+v, %v", answer, err)
		}
	})
}

// TestAPatchSaysAllThatIsAsked has a patch without a cluster, and one without a reason, after a skip with both.
func TestAPatchSaysAllThatIsAsked(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.run("run", v1beta1.StateRun, underWay())
		s.mustAsk(alice, "skip", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7", Clusters: []string{"b"}})
		for field, change := range map[string]func(*v1beta1.UpdateRunOperation){
			"spec.reason":   func(o *v1beta1.UpdateRunOperation) { o.Spec.Clusters = []string{"c"} },
			"spec.clusters": func(o *v1beta1.UpdateRunOperation) { o.Spec.Reason = "INC-8" },
		} {
			_, _, err := s.paths["skip"].(rest.Updater).Update(s.as(alice, "skip"), "run", changed(change), nil, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			if !apierrors.IsInvalid(err) {
				t.Errorf("a patch that leaves out %s is answered %v", field, err)
			}
		}
	})
}

// TestTheSameIsAskedOnceMore has a run be stopped, resumed, and stopped for the same reason by the same patch.
func TestTheSameIsAskedOnceMore(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.run("run", v1beta1.StateRun, underWay())
		for _, step := range []struct {
			subresource string
			want        v1beta1.State
		}{{"stop", v1beta1.StateStop}, {"resume", v1beta1.StateRun}, {"stop", v1beta1.StateStop}, {"resume", v1beta1.StateRun}} {
			patch := changed(func(o *v1beta1.UpdateRunOperation) { o.Spec.Reason = "INC-7" })
			if _, _, err := s.paths[step.subresource].(rest.Updater).Update(s.as(alice, step.subresource), "run", patch, nil, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := s.get("run").RunSpec().State; got != step.want {
				t.Fatalf("after %s the state is %s", step.subresource, got)
			}
		}
	})
}

func TestWhoAsksForARollbackIsToldItsName(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		run := s.run("run", v1beta1.StateRun, underWay())
		name := wellknown.RollbackName("run", string(run.GetUID()), "")
		ask := func() warnings {
			var warned warnings
			if _, err := s.ask(warning.WithWarningRecorder(s.as(alice, "rollback"), &warned), "rollback", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}); err != nil {
				t.Fatal(err)
			}
			return warned
		}
		want := warnings{"run " + name + " will bring the clusters back: status.rolledBackBy of run run names it once it is created"}
		if diff := cmp.Diff(want, ask()); diff != "" {
			t.Errorf("at first (-want +got):\n%s", diff)
		}
		s.update(controllers, "status", "run", func(run v1beta1.UpdateRunObject) {
			run.RunStatus().RolledBackBy = &v1beta1.UpdateRunReference{Name: "run-rollback-renamed", UID: "1"}
		})
		if diff := cmp.Diff(warnings{"run run-rollback-renamed brings the clusters back"}, ask()); diff != "" {
			t.Errorf("once it is created (-want +got):\n%s", diff)
		}
	})
}

func TestAskingAgainGetsWhatIsRecorded(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		for _, operation := range []v1beta1.OperationType{v1beta1.OperationStop, v1beta1.OperationResume, v1beta1.OperationRollback} {
			subresource := subresourceOf(operation)
			state := v1beta1.StateRun
			if operation == v1beta1.OperationResume {
				state = v1beta1.StateStop
			}
			s.run(subresource, state, underWay())
			first := s.mustAsk(alice, subresource, subresource, v1beta1.UpdateRunOperationSpec{Reason: "first"})
			before := s.get(subresource)

			ctx := s.as(alice, subresource)
			again, err := s.ask(ctx, subresource, subresource, v1beta1.UpdateRunOperationSpec{Reason: "again"})
			if err != nil {
				t.Errorf("%s: %v", subresource, err)
			}
			if diff := cmp.Diff(first, again); diff != "" {
				t.Errorf("%s: answer, -first +again:\n%s", subresource, diff)
			}
			if diff := cmp.Diff(before, s.get(subresource)); diff != "" {
				t.Errorf("%s: run, -before +after:\n%s", subresource, diff)
			}
			if by, ok := audit.AuditContextFrom(ctx).GetEventAnnotation("placement.kubernetes-fleet.io/operation-by"); ok {
				t.Errorf("%s: audited as asked by %s", subresource, by)
			}
		}
	})
}

func TestARollbackThatIsMadeIsStillWhoAskedForIt(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		status := underWay()
		status.History = []v1beta1.UpdateRunHistoryEntry{entry(1, v1beta1.OperationRollback, "alice", "INC-7")}
		status.ObservedOperation = 1
		status.RolledBackBy = &v1beta1.UpdateRunReference{Name: "run-rollback"}
		status.Conditions = append(status.Conditions, withReason(v1beta1.RunSucceeded, metav1.ConditionFalse, "UpdateRunRolledBack"))
		s.run("run", v1beta1.StateRun, status)
		answer := s.mustAsk(alice, "rollback", "run", v1beta1.UpdateRunOperationSpec{Reason: "again"})
		when := metav1.NewTime(testClock.Now())
		if diff := cmp.Diff(v1beta1.UpdateRunOperationStatus{Number: 1, User: "alice", Time: &when, Done: true}, answer.Status); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestARollbackThatCameToNothingCanBeAskedForAgain(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		status := underWay()
		status.History = []v1beta1.UpdateRunHistoryEntry{entry(1, v1beta1.OperationRollback, "bob", "INC-7")}
		status.ObservedOperation = 1
		s.run("run", v1beta1.StateRun, status)
		if answer := s.mustAsk(alice, "rollback", "run", v1beta1.UpdateRunOperationSpec{Reason: "again"}); answer.Status.Number != 2 {
			t.Errorf("the answer is %+v, want a second record", answer.Status)
		}
	})
}

func TestARunThatChangedOverridesAloneCanBeRolledBack(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		status := underWay()
		c := &status.StagesStatus[0].Clusters[0]
		c.PreviousResourceSnapshotIndex = &status.ResourceSnapshotIndexUsed
		c.PreviousResourceOverrideSnapshots = []v1beta1.NamespacedName{{Namespace: "shop", Name: "o-0"}}
		s.run("run", v1beta1.StateRun, status)
		s.mustAsk(alice, "rollback", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"})
	})
}

func TestARunThatIsOverCanBeRolledBack(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		for name, status := range map[string]metav1.ConditionStatus{"succeeded": metav1.ConditionTrue, "failed": metav1.ConditionFalse} {
			over := underWay()
			over.Conditions = append(over.Conditions, condition(v1beta1.RunSucceeded, status))
			s.run(name, v1beta1.StateRun, over)
			s.mustAsk(alice, "rollback", name, v1beta1.UpdateRunOperationSpec{Reason: "INC-7"})
		}
	})
}

func TestARunWhoseInitializationIsTriedAgainCanBeStopped(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		first := metav1.NewTime(testClock.Now())
		s.run("run", v1beta1.StateRun, v1beta1.UpdateRunStatus{
			InitializationStartTime: &first,
			Conditions:              []metav1.Condition{withReason(v1beta1.RunInitialized, metav1.ConditionFalse, "UpdateRunInitializedFailed")},
		})
		s.mustAsk(alice, "stop", "run", v1beta1.UpdateRunOperationSpec{Reason: "INC-7"})
	})
}

func TestDryRunAsksNothing(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		before := s.run("run", v1beta1.StateRun, underWay())
		out, err := s.paths["stop"].(rest.NamedCreater).Create(s.as(alice, "stop"), "run", &v1beta1.UpdateRunOperation{Spec: v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}},
			rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.(*v1beta1.UpdateRunOperation).Status.User; got != "alice" {
			t.Errorf("the answer names %q", got)
		}
		if diff := cmp.Diff(before, s.get("run")); diff != "" {
			t.Errorf("run, -before +after:\n%s", diff)
		}
		_, err = s.paths["resume"].(rest.NamedCreater).Create(s.as(alice, "resume"), "run", &v1beta1.UpdateRunOperation{Spec: v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}},
			rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if !apierrors.IsConflict(err) {
			t.Errorf("a dry run of a refused operation answers %v", err)
		}
	})
}

// TestWhoMayStopMayDoNothingElse has handlers that let everything through: what is asked for is the storage's own.
func TestWhoMayStopMayDoNothingElse(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		qualified := s.resource.GroupResource().String()
		s.allowed = func(a authorizer.Attributes) bool { return a.GetVerb() == "update" && a.GetSubresource() == "stop" }
		for _, tc := range sound {
			subresource := subresourceOf(tc.operation)
			s.run("run", tc.state, underWay())
			_, err := s.ask(s.as(alice, subresource), subresource, "run", tc.spec)
			want := ""
			if tc.operation != v1beta1.OperationStop {
				want = qualified + ` "run" is forbidden: user "alice" needs the permission to update ` + qualified + `/` + subresource + `: no rule allows it`
			}
			expect(t, subresource, err, want)

			asked := s.asked[len(s.asked)-1]
			got := []string{asked.User.GetName(), asked.Verb, asked.APIGroup, asked.APIVersion, asked.Resource, asked.Subresource, asked.Namespace, asked.Name}
			attributes := []string{"alice", "update", "placement.kubernetes-fleet.io", "v1", s.resource.Plural, subresource, s.get("run").GetNamespace(), "run"}
			if diff := cmp.Diff(attributes, got); diff != "" {
				t.Errorf("%s asks (-want +got):\n%s", subresource, diff)
			}
			if _, _, err := s.storage.REST.Delete(s.as(alice, ""), "run", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestAnOperationDoesNotGoOverToAnotherRun has the run replaced between the read and the write.
func TestAnOperationDoesNotGoOverToAnotherRun(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.run("run", v1beta1.StateRun, underWay())
		replaced := false
		replace := func(context.Context, runtime.Object) error {
			if replaced {
				return nil
			}
			replaced = true
			if _, _, err := s.storage.REST.Delete(s.as(alice, ""), "run", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
				return err
			}
			s.run("run", v1beta1.StateRun, underWay())
			return nil
		}
		_, err := s.paths["stop"].(rest.NamedCreater).Create(s.as(alice, "stop"), "run", &v1beta1.UpdateRunOperation{Spec: v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}},
			replace, &metav1.CreateOptions{})
		expect(t, "stop", err, conflictOn(s, "the run was deleted and recreated meanwhile"))
		if got := s.get("run"); got.RunSpec().State != v1beta1.StateRun || len(got.RunStatus().History) > 0 {
			t.Errorf("the other run is in state %s, with the history %v", got.RunSpec().State, got.RunStatus().History)
		}
	})
}

func conflictOn(s *service, why string) string {
	return `Operation cannot be fulfilled on ` + s.resource.GroupResource().String() + ` "run": ` + why
}

// expect wants an error with a text, or none.
func expect(t *testing.T, what string, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: error (-want +got):\n%s", what, diff)
	}
}
