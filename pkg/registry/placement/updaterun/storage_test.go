// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

// fakePlanner puts every run on one stage.
type fakePlanner struct {
	err error
	// noRollback is why no run can be rolled back, and noResume why none can be resumed.
	noRollback, noResume error
	// obstacle is why no run can be initialized.
	obstacle string
}

func (p *fakePlanner) CheckResume(context.Context, v1beta1.UpdateRunObject) error { return p.noResume }

func (p *fakePlanner) Obstacle(context.Context, v1beta1.UpdateRunObject) string { return p.obstacle }

func (p *fakePlanner) CheckRollback(context.Context, v1beta1.UpdateRunObject) error {
	return p.noRollback
}

func (p *fakePlanner) Plan(_ context.Context, run v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
	if p.err != nil {
		return nil, nil, p.err
	}
	return plan(run.RunSpec().PlacementName), []string{"stage empty matches no cluster"}, nil
}

func plan(stage string) *v1beta1.UpdateRunStatus {
	return &v1beta1.UpdateRunStatus{StagesStatus: []v1beta1.StageUpdatingStatus{{StageName: stage}}}
}

// warnings collects what a request is warned about.
type warnings []string

func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

func newRun(r store.Resource) v1beta1.UpdateRunObject {
	run := r.New().(v1beta1.UpdateRunObject)
	run.SetName("run")
	*run.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "app", StagedUpdateStrategyName: "s", State: v1beta1.StateInitialize}
	return run
}

// ways are the ways to create a run: as POST does, and as server-side apply does.
var ways = map[string]func(ctx context.Context, storage rest.StandardStorage, run runtime.Object, dryRun []string) (runtime.Object, error){
	"create": func(ctx context.Context, storage rest.StandardStorage, run runtime.Object, dryRun []string) (runtime.Object, error) {
		return storage.Create(ctx, run, rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: dryRun})
	},
	"apply": func(ctx context.Context, storage rest.StandardStorage, run runtime.Object, dryRun []string) (runtime.Object, error) {
		out, created, err := storage.Update(ctx, "run", rest.DefaultUpdatedObjectInfo(run), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, true, &metav1.UpdateOptions{DryRun: dryRun})
		if err == nil && !created {
			return nil, apierrors.NewBadRequest("not created")
		}
		return out, err
	},
}

// created is the status of a run that nobody has looked at: it says who created it.
func created() *v1beta1.UpdateRunStatus {
	return &v1beta1.UpdateRunStatus{CreatedBy: &v1beta1.DecisionUser{Username: "alice", UID: "1", Groups: []string{"team"}}}
}

func TestDryRunCreateAnswersWithThePlan(t *testing.T) {
	etcd := storetest.Etcd(t)
	for _, r := range Resources(testClock) {
		s, err := store.NewStorage(r, etcd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.REST.Destroy)
		storage := Paths(s, &fakePlanner{}, authorizerfactory.NewAlwaysAllowAuthorizer(), testClock)[""].(rest.StandardStorage)
		for way, create := range ways {
			t.Run(r.Plural+"/"+way, func(t *testing.T) {
				var warned warnings
				ctx := warning.WithWarningRecorder(storetest.Request(t.Context(), r, "v1", ""), &warned)

				out, err := create(ctx, storage, newRun(r), []string{metav1.DryRunAll})
				if err != nil {
					t.Fatal(err)
				}

				want := plan("app")
				want.CreatedBy = created().CreatedBy
				if diff := cmp.Diff(want, out.(v1beta1.UpdateRunObject).RunStatus()); diff != "" {
					t.Errorf("status (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(warnings{"stage empty matches no cluster"}, warned); diff != "" {
					t.Errorf("warnings (-want +got):\n%s", diff)
				}
				if _, err := storage.Get(ctx, "run", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					t.Errorf("the dry run left something behind: %v", err)
				}
			})
		}
	}
}

func TestANewRunThatCannotBeInitializedIsWarnedOf(t *testing.T) {
	etcd := storetest.Etcd(t)
	for _, r := range Resources(testClock) {
		s, err := store.NewStorage(r, etcd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.REST.Destroy)
		for way, create := range ways {
			for why, want := range map[string]warnings{"": nil, "member3 is in no stage": {"the run cannot be initialized now: member3 is in no stage"}} {
				t.Run(r.Plural+"/"+way+"/"+why, func(t *testing.T) {
					storage := Paths(s, &fakePlanner{obstacle: why}, authorizerfactory.NewAlwaysAllowAuthorizer(), testClock)[""].(rest.StandardStorage)
					var warned warnings
					ctx := warning.WithWarningRecorder(storetest.Request(t.Context(), r, "v1", ""), &warned)
					if _, err := create(ctx, storage, newRun(r), nil); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, warned); diff != "" {
						t.Errorf("warnings (-want +got):\n%s", diff)
					}
					if _, _, err := storage.Delete(ctx, "run", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
}

func TestOnlyDryRunCreatesArePlanned(t *testing.T) {
	etcd := storetest.Etcd(t)
	for _, r := range Resources(testClock) {
		s, err := store.NewStorage(r, etcd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.REST.Destroy)
		storage := Paths(s, &fakePlanner{}, authorizerfactory.NewAlwaysAllowAuthorizer(), testClock)[""].(rest.StandardStorage)
		for way, create := range ways {
			t.Run(r.Plural+"/"+way, func(t *testing.T) {
				ctx := storetest.Request(t.Context(), r, "v1", "")
				out, err := create(ctx, storage, newRun(r), nil)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(created(), out.(v1beta1.UpdateRunObject).RunStatus()); diff != "" {
					t.Errorf("status of a stored run (-want +got):\n%s", diff)
				}

				start := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
					run := old.DeepCopyObject().(v1beta1.UpdateRunObject)
					run.RunSpec().State = v1beta1.StateRun
					return run, nil
				}
				want := created()
				want.History = []v1beta1.UpdateRunHistoryEntry{{Number: 1, Time: metav1.NewTime(testClock.Now()), Reason: "StartRequested", Operation: v1beta1.OperationStart, User: "alice"}}
				out, _, err = storage.Update(ctx, "run", rest.DefaultUpdatedObjectInfo(nil, start), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, out.(v1beta1.UpdateRunObject).RunStatus()); diff != "" {
					t.Errorf("status after a dry-run update (-want +got):\n%s", diff)
				}
				if _, _, err := storage.Delete(ctx, "run", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestPlanThatCannotBeMadeIsAnError(t *testing.T) {
	r := Resources(testClock)[0]
	s, err := store.NewStorage(r, storetest.Etcd(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.REST.Destroy)
	storage := Paths(s, &fakePlanner{err: apierrors.NewServiceUnavailable("not ready")}, authorizerfactory.NewAlwaysAllowAuthorizer(), testClock)[""].(rest.StandardStorage)
	for way, create := range ways {
		ctx := storetest.Request(t.Context(), r, "v1", "")
		if _, err := create(ctx, storage, newRun(r), []string{metav1.DryRunAll}); !apierrors.IsServiceUnavailable(err) {
			t.Errorf("%s answers %v, want service unavailable", way, err)
		}
	}
}

func TestWithoutPlannerADryRunHasNoStatus(t *testing.T) {
	r := Resources(testClock)[0]
	s, err := store.NewStorage(r, storetest.Etcd(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.REST.Destroy)
	storage := Paths(s, nil, authorizerfactory.NewAlwaysAllowAuthorizer(), testClock)[""].(rest.StandardStorage)
	for way, create := range ways {
		out, err := create(storetest.Request(t.Context(), r, "v1", ""), storage, newRun(r), []string{metav1.DryRunAll})
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		if diff := cmp.Diff(created(), out.(v1beta1.UpdateRunObject).RunStatus()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", way, diff)
		}
	}
}

func TestWhoCreatedARunStays(t *testing.T) {
	etcd := storetest.Etcd(t)
	for _, r := range Resources(testClock) {
		s, err := store.NewStorage(r, etcd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.REST.Destroy)
		ctx := storetest.Request(t.Context(), r, "v1", "")
		forged := newRun(r)
		forged.RunStatus().CreatedBy = &v1beta1.DecisionUser{Username: "bob"}
		if _, err := s.REST.Create(ctx, forged, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, creator := range []*v1beta1.DecisionUser{nil, {Username: "bob"}} {
			write := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
				run := old.DeepCopyObject().(v1beta1.UpdateRunObject)
				*run.RunStatus() = v1beta1.UpdateRunStatus{CreatedBy: creator, ResourceSnapshotIndexUsed: "1"}
				return run, nil
			}
			out, _, err := s.Status.Update(storetest.Request(t.Context(), r, "v1", "status"), "run", rest.DefaultUpdatedObjectInfo(nil, write),
				rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want := created()
			want.ResourceSnapshotIndexUsed = "1"
			if diff := cmp.Diff(want, out.(v1beta1.UpdateRunObject).RunStatus()); diff != "" {
				t.Errorf("%s: status (-want +got):\n%s", r.Plural, diff)
			}
		}
	}
}
