// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
)

// accessible has placement p mirror its status into namespace app.
func accessible(p v1beta1.PlacementObject) {
	p.PlacementSpec().StatusReportingScope = v1beta1.NamespaceAccessible
	p.PlacementSpec().ResourceSelectors = []v1beta1.ResourceSelectorTerm{
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "reader"}, {Version: "v1", Kind: "Namespace", Name: "app"},
	}
}

// mirroring makes a cluster-scoped world with p placed, and mirrored if that is asked for.
func mirroring(t *testing.T, change func(v1beta1.PlacementObject)) *fleettest.World {
	w := fleettest.New(t, "")
	placed(w, metav1.ConditionTrue, change)
	return w
}

func mirrorOf(w *fleettest.World, namespace string) *v1beta1.ClusterResourcePlacementStatus {
	w.Helper()
	m, err := w.Client.PlacementV1beta1().ClusterResourcePlacementStatuses(namespace).Get(w.Context(), "p", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.Must(err)
	return m
}

// synced is what the placement says of its mirror.
func synced(w *fleettest.World) string {
	p, err := w.Client.PlacementV1beta1().ClusterResourcePlacements().Get(w.Context(), "p", metav1.GetOptions{})
	w.Must(err)
	c := meta.FindStatusCondition(p.Status.Conditions, "ClusterResourcePlacementStatusSynced")
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason + ": " + c.Message
}

func TestAStatusIsMirroredIntoTheNamespaceThatIsPlaced(t *testing.T) {
	w := mirroring(t, accessible)
	w.Run(New(w.Fleet, record.NewFakeRecorder(20), clock.RealClock{}).Run)
	const said = "True StatusSyncSucceeded: Successfully created or updated ClusterResourcePlacementStatus in namespace 'app'"
	w.Eventually("it is written", func() bool { return synced(w) == said })
	m := mirrorOf(w, "app")
	p, err := w.Client.PlacementV1beta1().ClusterResourcePlacements().Get(t.Context(), "p", metav1.GetOptions{})
	w.Must(err)
	want := p.Status.DeepCopy()
	meta.RemoveStatusCondition(&want.Conditions, "ClusterResourcePlacementStatusSynced")
	if diff := cmp.Diff(want, &m.SourceStatus); diff != "" {
		t.Errorf("the mirror differs (-placement +mirror):\n%s", diff)
	}
	if owner := metav1.GetControllerOf(m); owner == nil || owner.UID != p.UID || owner.Kind != "ClusterResourcePlacement" || !*owner.BlockOwnerDeletion {
		t.Errorf("the owner is %v", owner)
	}
	if m.LastUpdatedTime.IsZero() {
		t.Error("the mirror has no time")
	}

	t.Run("and is created again when it is deleted", func(t *testing.T) {
		w.Must(w.Client.PlacementV1beta1().ClusterResourcePlacementStatuses("app").Delete(t.Context(), "p", metav1.DeleteOptions{}))
		w.Eventually("it is back", func() bool { again := mirrorOf(w, "app"); return again != nil && again.UID != m.UID })
	})
	t.Run("and is put right when somebody edits it", func(t *testing.T) {
		edited := mirrorOf(w, "app")
		edited.SourceStatus.ObservedResourceIndex = "forged"
		_, err := w.Client.PlacementV1beta1().ClusterResourcePlacementStatuses("app").Update(t.Context(), edited, metav1.UpdateOptions{})
		w.Must(err)
		w.Eventually("it is right", func() bool { return mirrorOf(w, "app").SourceStatus.ObservedResourceIndex == "0" })
	})
}

func TestAStatusIsNotMirroredUnlessThatIsAskedFor(t *testing.T) {
	for name, change := range map[string]func(v1beta1.PlacementObject){
		"not said": func(v1beta1.PlacementObject) {},
		"refused": func(p v1beta1.PlacementObject) {
			accessible(p)
			p.PlacementSpec().StatusReportingScope = v1beta1.ClusterScopeOnly
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := mirroring(t, change)
			_, err := New(w.Fleet, record.NewFakeRecorder(20), clock.RealClock{}).reconcile(t.Context(), w.Key("p"))
			w.Must(err)
			if m := mirrorOf(w, "app"); m != nil || synced(w) != "" {
				t.Errorf("mirror %v, the placement says %q", m, synced(w))
			}
		})
	}
	t.Run("a placement in a namespace", func(t *testing.T) {
		w := fleettest.New(t, "team")
		placed(w, metav1.ConditionTrue, accessible)
		_, err := New(w.Fleet, record.NewFakeRecorder(20), clock.RealClock{}).reconcile(t.Context(), w.Key("p"))
		w.Must(err)
		for _, a := range w.Client.Actions() {
			if a.GetVerb() != "list" && a.GetVerb() != "watch" && a.GetResource().Resource == "clusterresourceplacementstatuses" {
				t.Errorf("%s %s", a.GetVerb(), a.GetResource().Resource)
			}
		}
	})
}

func TestAMirrorIsWrittenOnChangeOnly(t *testing.T) {
	w := mirroring(t, accessible)
	c := New(w.Fleet, record.NewFakeRecorder(20), clock.RealClock{})
	_, err := c.reconcile(t.Context(), w.Key("p"))
	w.Must(err)
	w.Eventually("the caches have it", func() bool { return c.written.Ready(w.Key("p")) })
	w.Client.ClearActions()
	c.pace.Forget(w.Key("p"))
	_, err = c.reconcile(t.Context(), w.Key("p"))
	w.Must(err)
	for _, action := range w.Client.Actions() {
		t.Errorf("%s %s", action.GetVerb(), action.GetResource().Resource)
	}
}

func TestAMirrorThatCannotBeWrittenIsTold(t *testing.T) {
	const failed = "False StatusSyncFailed: Failed to create or update ClusterResourcePlacementStatus: "
	for name, test := range map[string]struct {
		before  func(w *fleettest.World)
		change  func(v1beta1.PlacementObject)
		want    string
		retried bool
		// kept is a mirror that must stay as it was.
		kept bool
	}{
		"the namespace is not there": {
			before: func(w *fleettest.World) {
				w.Client.PrependReactor("create", "clusterresourceplacementstatuses", func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "app")
				})
			},
			change: accessible, want: failed + `namespace app: namespaces "app" not found`, retried: true,
		},
		"there is a foreign one": {
			before: func(w *fleettest.World) {
				_, err := w.Client.PlacementV1beta1().ClusterResourcePlacementStatuses("app").Create(w.Context(), &v1beta1.ClusterResourcePlacementStatus{
					ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "app"}, SourceStatus: v1beta1.PlacementStatus{ObservedResourceIndex: "theirs"},
				}, metav1.CreateOptions{})
				w.Must(err)
				w.Eventually("it is in the cache", func() bool {
					_, err := w.Fleet.Mirrors.Lister().ClusterResourcePlacementStatuses("app").Get("p")
					return err == nil
				})
			},
			change: accessible, want: failed + "ClusterResourcePlacementStatus app/p belongs to somebody else: ask an administrator to delete it, and the server creates its own", retried: true, kept: true,
		},
		"there is one of an earlier placement of that name": {
			before: func(w *fleettest.World) {
				earlier := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "earlier"}}
				_, err := w.Client.PlacementV1beta1().ClusterResourcePlacementStatuses("app").Create(w.Context(), &v1beta1.ClusterResourcePlacementStatus{
					ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "app", OwnerReferences: []metav1.OwnerReference{
						*metav1.NewControllerRef(earlier, v1beta1.SchemeGroupVersion.WithKind("ClusterResourcePlacement")),
					}}, SourceStatus: v1beta1.PlacementStatus{ObservedResourceIndex: "theirs"},
				}, metav1.CreateOptions{})
				w.Must(err)
				w.Eventually("it is in the cache", func() bool {
					_, err := w.Fleet.Mirrors.Lister().ClusterResourcePlacementStatuses("app").Get("p")
					return err == nil
				})
			},
			change: accessible, want: failed + "ClusterResourcePlacementStatus app/p belongs to somebody else: ask an administrator to delete it, and the server creates its own", retried: true, kept: true,
		},
		"no namespace is named": {
			change: func(p v1beta1.PlacementObject) {
				accessible(p)
				p.PlacementSpec().ResourceSelectors[1].Name = ""
			},
			want: failed + "NamespaceAccessible ClusterResourcePlacement doesn't specify a resource selector which selects a namespace: give its selector of kind Namespace a name",
		},
		"the error is long": {
			before: func(w *fleettest.World) {
				w.Client.PrependReactor("create", "clusterresourceplacementstatuses", func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, errors.New(strings.Repeat("x", 1<<20))
				})
			},
			change: accessible, want: failed, retried: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := mirroring(t, test.change)
			if test.before != nil {
				test.before(w)
			}
			_, err := New(w.Fleet, record.NewFakeRecorder(20), clock.RealClock{}).reconcile(t.Context(), w.Key("p"))
			if (err != nil) != test.retried {
				t.Errorf("the error is %v, want one: %t", err, test.retried)
			}
			if got := synced(w); got != test.want && (name != "the error is long" || !strings.HasPrefix(got, failed) || len(got) > 2*maxSyncError) {
				t.Errorf("the placement says %q, want %q", got, test.want)
			}
			if condition(w, v1beta1.PlacementAvailable) == metav1.ConditionFalse {
				t.Error("the rest of the status is not written")
			}
			if m := mirrorOf(w, "app"); (m != nil) != test.kept || m != nil && m.SourceStatus.ObservedResourceIndex != "theirs" {
				t.Errorf("the mirror is %v", m)
			}
		})
	}
}

func TestAMirrorHasNoValuesOfFieldsThatDriftedOrDiffer(t *testing.T) {
	detail := []v1beta1.PatchDetail{{Path: "/data/password", ValueInMember: "member", ValueInHub: "hub"}}
	status := &v1beta1.PlacementStatus{
		Conditions: []metav1.Condition{{Type: "ClusterResourcePlacementStatusSynced"}, {Type: "ClusterResourcePlacementApplied"}},
		PerClusterPlacementStatuses: []v1beta1.PerClusterPlacementStatus{{
			ClusterName:       "a",
			FailedPlacements:  []v1beta1.FailedResourcePlacement{{ResourceIdentifier: v1beta1.ResourceIdentifier{Name: "f"}}},
			DriftedPlacements: []v1beta1.DriftedResourcePlacement{{ResourceIdentifier: v1beta1.ResourceIdentifier{Name: "d"}, ObservedDrifts: detail}},
			DiffedPlacements:  []v1beta1.DiffedResourcePlacement{{ResourceIdentifier: v1beta1.ResourceIdentifier{Name: "e"}, ObservedDiffs: detail}},
		}},
	}
	before := status.DeepCopy()
	got := reflect(status)
	if diff := cmp.Diff(before, status); diff != "" {
		t.Errorf("the status itself is changed:\n%s", diff)
	}
	path := []v1beta1.PatchDetail{{Path: "/data/password"}}
	want := before.DeepCopy()
	want.Conditions = want.Conditions[1:]
	want.PerClusterPlacementStatuses[0].DriftedPlacements[0].ObservedDrifts = path
	want.PerClusterPlacementStatuses[0].DiffedPlacements[0].ObservedDiffs = path
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mirror (-want +got):\n%s", diff)
	}
}

func TestAMirrorThatChangesMeanwhileIsLookedAtAgain(t *testing.T) {
	w := mirroring(t, accessible)
	c := New(w.Fleet, record.NewFakeRecorder(20), clock.RealClock{})
	w.Client.PrependReactor("create", "clusterresourceplacementstatuses", func(a clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewConflict(a.GetResource().GroupResource(), "p", errors.New("it was changed"))
	})
	if _, err := c.reconcile(t.Context(), w.Key("p")); !apierrors.IsConflict(err) || synced(w) != "" {
		t.Errorf("error %v, the placement says %q", err, synced(w))
	}
}
