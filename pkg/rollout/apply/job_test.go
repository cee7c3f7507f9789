// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

var jobs = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}

const jobYAML = `{apiVersion: batch/v1, kind: Job, metadata: {name: migrate, namespace: test-namespace}, spec: {ttlSecondsAfterFinished: 0, template: {spec: {restartPolicy: Never}}}}`

// finish has the Job on the member end with a condition.
func (b *bench) finish(t *testing.T, conditionType string) {
	t.Helper()
	b.member.change(t, jobs, "test-namespace", "migrate", func(o *unstructured.Unstructured) {
		o.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": conditionType, "status": "True"}}}
	})
}

func (b *bench) deleteJob(t *testing.T) {
	t.Helper()
	if err := b.member.Resource(jobs).Namespace("test-namespace").Delete(t.Context(), "migrate", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestAMemberDoesNotDeleteAJobThatHasFinished(t *testing.T) {
	for _, strategy := range []v1beta1.ApplyStrategyType{v1beta1.ApplyStrategyTypeClientSideApply, v1beta1.ApplyStrategyTypeServerSideApply} {
		work := newWork(t, namespaceYAML, jobYAML)
		work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: strategy}
		b := newBench(t, work)
		b.pass(t)
		if ttl, has, _ := unstructured.NestedInt64(b.member.get(t, jobs, "test-namespace", "migrate").Object, "spec", "ttlSecondsAfterFinished"); has {
			t.Errorf("%s: the Job has ttlSecondsAfterFinished %d", strategy, ttl)
		}
	}
}

func TestAJobThatHasCompletedRunsOnce(t *testing.T) {
	changed := strings.Replace(jobYAML, "Never", "OnFailure", 1)
	for name, tc := range map[string]struct {
		// ends is the condition with which the Job ends, empty where it is deleted before.
		ends string
		// between happens after the Job has ended and before it is deleted, and after it was deleted.
		between, after func(t *testing.T, b *bench)
		runsAgain      bool
	}{
		"it has completed":          {ends: "Complete"},
		"it has failed":             {ends: "Failed", runsAgain: true},
		"it was deleted as it ran":  {runsAgain: true},
		"the server starts again":   {ends: "Complete", after: func(_ *testing.T, b *bench) { clear(b.records) }},
		"the Work's status is lost": {ends: "Complete", after: func(t *testing.T, b *bench) { b.edit(t, func(w *v1beta1.Work) { w.Status = v1beta1.WorkStatus{} }) }},
		"it is another Job since":   {ends: "Complete", runsAgain: true, after: func(t *testing.T, b *bench) { b.become(t, namespaceYAML, changed) }},
		"another manifest has come": {ends: "Complete", after: func(t *testing.T, b *bench) { b.become(t, namespaceYAML, configMapYAML, jobYAML) }},
		"the strategy is another": {ends: "Complete", after: func(t *testing.T, b *bench) {
			b.edit(t, func(w *v1beta1.Work) {
				w.Generation++
				w.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeServerSideApply}
			})
		}},
		"the AppliedWork is deleted on the member": {ends: "Complete", after: func(t *testing.T, b *bench) {
			b.deleteOwner(t)
			b.pass(t)
		}},
		"it has drifted before": {ends: "Complete", between: func(t *testing.T, b *bench) {
			b.edit(t, func(w *v1beta1.Work) {
				w.Generation++
				w.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted}
			})
			b.member.change(t, jobs, "test-namespace", "migrate", func(o *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(o.Object, "Always", "spec", "template", "spec", "restartPolicy")
			})
		}},
		"a version without it comes": {ends: "Complete", runsAgain: true, after: func(t *testing.T, b *bench) {
			b.become(t, namespaceYAML)
			b.pass(t)
			b.become(t, namespaceYAML, jobYAML)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newWork(t, namespaceYAML, jobYAML))
			b.pass(t)
			if tc.ends != "" {
				b.finish(t, tc.ends)
				b.pass(t)
			}
			if tc.between != nil {
				tc.between(t, b)
				b.pass(t)
			}
			b.deleteJob(t)
			if tc.after != nil {
				tc.after(t, b)
			}
			work := b.pass(t)
			if created := b.member.get(t, jobs, "test-namespace", "migrate") != nil; created != tc.runsAgain {
				t.Fatalf("the Job runs again: %v, want %v", created, tc.runsAgain)
			}
			want := "True AllManifestsAvailable"
			if tc.runsAgain {
				want = "False SomeManifestsAreNotAvailable"
			}
			if got := condition(work.Status.Conditions, "Available"); got != want {
				t.Errorf("Available is %s, want %s", got, want)
			}
			b.member.ClearActions()
			if b.pass(t); len(b.member.writes()) > 0 {
				t.Errorf("the next pass writes %v", b.member.writes())
			}
		})
	}
}

// become makes the Work one of other manifests.
func (b *bench) become(t *testing.T, manifests ...string) {
	t.Helper()
	b.edit(t, func(w *v1beta1.Work) {
		w.Generation++
		w.Spec.Workload.Manifests = raw(t, manifests...)
	})
}

func TestACompletedJobOfAnotherIsNotRecorded(t *testing.T) {
	work := newWork(t, namespaceYAML, jobYAML)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{WhenToTakeOver: v1beta1.WhenToTakeOverTypeNever}
	b := newBench(t, work)
	b.member.put(t, strings.Replace(jobYAML, "spec:", `status: {conditions: [{type: Complete, status: "True"}]}, spec:`, 1))
	b.pass(t)
	b.deleteJob(t)
	if b.pass(t); b.member.get(t, jobs, "test-namespace", "migrate") == nil {
		t.Error("the Job of the placement has not run, and is not created")
	}
}

func TestACompletedJobIsRecordedAgainWhereThatFailed(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, jobYAML))
	b.pass(t)
	b.finish(t, "Complete")
	refuse := true
	b.member.fail(func(verb, resource, _ string) error {
		if refuse && verb == "patch" && resource == "appliedworks" {
			return apierrors.NewServiceUnavailable("soon")
		}
		return nil
	})
	if _, err := b.tryPass(t); err == nil {
		t.Error("the pass does not fail, and is not tried again")
	}
	refuse = false
	b.pass(t)
	b.deleteJob(t)
	if b.pass(t); b.member.get(t, jobs, "test-namespace", "migrate") != nil {
		t.Error("the Job runs again")
	}
}

func TestAWorkFullOfCompletedJobsHasRoomForAllRecords(t *testing.T) {
	// The smallest Job that there can be has more than 256 bytes, and all manifests of a Work together 800 KiB.
	const most, room = (800 << 10) / 256, 256 << 10
	m := decode(raw(t, jobYAML))[0]
	if size := most * (len(completedKey(m)) + len(completedValue(m))); size > room {
		t.Errorf("%d records take %d bytes, and annotations may have %d", most, size, room)
	}
}

func TestAMemberThatRefusesToCompareIsComparedWithInWhole(t *testing.T) {
	const widget = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: test-namespace}, spec: {size: 1}}`
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: "example.com", Kind: "Widget"}, "w", nil)
	for name, tc := range map[string]struct {
		strategy     v1beta1.ApplyStrategy
		live         string
		err          error
		want, onWork string
		wantPath     string
		retried      bool
	}{
		"and differs": {
			strategy: v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}, err: invalid, live: strings.Replace(widget, "1}}", "2, color: red}}", 1),
			want: "True FoundDiffInDegradedMode", onWork: "True AllManifestsDiffReported", wantPath: "/spec/color",
		},
		"and agrees": {
			strategy: v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}, err: invalid, live: widget,
			want: "True NoDiffFound", onWork: "True AllManifestsDiffReported",
		},
		"unless it refuses otherwise": {
			strategy: v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}, err: apierrors.NewForbidden(schema.GroupResource{}, "w", errors.New("no")), live: widget,
			want: "False FailedToReportDiff", onWork: "False SomeManifestsHaveNotReportedDiff", retried: true,
		},
		"before it is taken over": {
			strategy: v1beta1.ApplyStrategy{WhenToTakeOver: v1beta1.WhenToTakeOverTypeIfNoDiff}, err: invalid, live: strings.Replace(widget, "1}}", "1, color: red}}", 1),
			want: "False FailedToTakeOver", wantPath: "/spec/color",
		},
	} {
		t.Run(name, func(t *testing.T) {
			work := newWork(t, widget)
			work.Spec.ApplyStrategy = &tc.strategy
			b := newBench(t, work)
			b.member.put(t, tc.live)
			b.member.ClearActions()
			b.member.fail(func(verb, resource, _ string) error {
				if verb == "patch" && resource == "widgets" {
					return tc.err
				}
				return nil
			})
			work, err := b.tryPass(t)
			if (err != nil) != tc.retried {
				t.Errorf("the pass returns %v", err)
			}
			m := work.Status.ManifestConditions[0]
			if got := condition(m.Conditions, "DiffReported") + condition(m.Conditions, "Applied"); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if got := condition(work.Status.Conditions, "DiffReported"); got != tc.onWork {
				t.Errorf("the Work is %s, want %s", got, tc.onWork)
			}
			path := ""
			if m.DiffDetails != nil {
				path = m.DiffDetails.ObservedDiffs[0].Path
			}
			if path != tc.wantPath {
				t.Errorf("the first difference is at %q, want %q", path, tc.wantPath)
			}
			if len(b.member.writes()) > 0 {
				t.Errorf("written: %v", b.member.writes())
			}
		})
	}
}

func TestADriftFoundInDegradedModeSaysSo(t *testing.T) {
	const widget = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: test-namespace}, spec: {size: 1}}`
	work := newWork(t, widget)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted}
	b := newBench(t, work)
	b.pass(t)
	widgets := schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
	b.member.change(t, widgets, "test-namespace", "w", func(o *unstructured.Unstructured) { o.Object["spec"] = map[string]any{"size": int64(2)} })
	b.member.fail(func(verb, resource, _ string) error {
		if verb == "patch" && resource == "widgets" {
			return apierrors.NewInvalid(schema.GroupKind{Group: "example.com", Kind: "Widget"}, "w", nil)
		}
		return nil
	})
	m := b.pass(t).Status.ManifestConditions[0]
	if got := condition(m.Conditions, "Applied"); got != "False FoundDriftsInDegradedMode" || m.DriftDetails == nil {
		t.Errorf("got %s, drifts %+v", got, m.DriftDetails)
	}
}

func TestReportDiffTellsWhatHasChangedOnTheMember(t *testing.T) {
	work := newWork(t, configMapYAML)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	b := newBench(t, work)
	b.member.put(t, configMapYAML)
	for i, value := range []string{"value1", "theirs", "value1"} {
		b.member.change(t, configMaps, "test-namespace", "test-cm", func(o *unstructured.Unstructured) { o.Object["data"] = map[string]any{"key": value} })
		want := "True NoDiffFound"
		if value == "theirs" {
			want = "True FoundDiff"
		}
		m := b.pass(t).Status.ManifestConditions[0]
		if got := condition(m.Conditions, "DiffReported"); got != want || (m.DiffDetails != nil) != (value == "theirs") {
			t.Errorf("look %d: %s, details %+v; want %s", i, got, m.DiffDetails, want)
		}
	}
}

func TestDeletingWhatWasOnlyComparedRemovesNothing(t *testing.T) {
	for _, takeOver := range []v1beta1.WhenToTakeOverType{"", v1beta1.WhenToTakeOverTypeAlways, v1beta1.WhenToTakeOverTypeIfNoDiff, v1beta1.WhenToTakeOverTypeNever} {
		t.Run(fmt.Sprintf("whenToTakeOver %q", takeOver), func(t *testing.T) {
			work := newWork(t, namespaceYAML, configMapYAML)
			work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff, WhenToTakeOver: takeOver}
			b := newBench(t, work)
			b.member.put(t, namespaceYAML)
			b.member.put(t, configMapYAML)
			b.member.ClearActions()
			b.pass(t)
			b.edit(t, func(w *v1beta1.Work) { w.DeletionTimestamp = &metav1.Time{Time: testTime} })
			if _, err := b.tryPass(t); err != nil {
				t.Fatal(err)
			}
			if writes := b.member.writes(); len(writes) > 0 {
				t.Errorf("written: %v", writes)
			}
			if live := b.member.get(t, configMaps, "test-namespace", "test-cm"); live == nil || len(live.GetOwnerReferences()) > 0 {
				t.Errorf("the object is %v", live)
			}
		})
	}
}
