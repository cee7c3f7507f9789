// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
)

var start = time.Date(2025, 7, 22, 21, 28, 8, 0, time.UTC)

// fixture is an override o in one scope, or what there is of it.
type fixture struct {
	*fleettest.World
	clock *clocktesting.FakeClock
}

func inBothScopes(t *testing.T, test func(f *fixture)) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		test(&fixture{World: w, clock: clocktesting.NewFakeClock(start)})
	})
}

// says sets what an override or a version changes: one object of a name that tells contents apart.
func says(o any, content string) {
	cluster := []v1beta1.ResourceSelectorTerm{{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: content}}
	namespaced := []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: content}}
	switch o := o.(type) {
	case *v1beta1.ClusterResourceOverride:
		o.Spec.ClusterResourceSelectors = cluster
	case *v1beta1.ResourceOverride:
		o.Spec.ResourceSelectors = namespaced
	case *v1beta1.ClusterResourceOverrideSnapshot:
		o.Spec.OverrideSpec.ClusterResourceSelectors = cluster
	case *v1beta1.ResourceOverrideSnapshot:
		o.Spec.OverrideSpec.ResourceSelectors = namespaced
	}
}

func (f *fixture) create(content string) {
	f.Helper()
	fleettest.Create(f.World, f.Fleet.Overrides, "o", func(o v1beta1.OverrideObject) { says(o, content) })
}

func (f *fixture) edit(content string) {
	f.Helper()
	fleettest.Update(f.World, f.Fleet.Overrides, "o", func(o v1beta1.OverrideObject) { says(o, content) })
}

func (f *fixture) delete() {
	f.Helper()
	fleettest.Update(f.World, f.Fleet.Overrides, "o", func(o v1beta1.OverrideObject) {
		o.SetDeletionTimestamp(&metav1.Time{Time: f.clock.Now()})
	})
}

// remove ends an object at once.
func remove[O fleet.Object](f *fixture, kind fleet.Kind[O], names ...string) {
	f.Helper()
	for _, name := range names {
		f.Must(kind.Client(f.Namespace).Delete(f.Context(), name, metav1.DeleteOptions{}))
		f.Eventually(name+" is gone from the cache", func() bool { _, err := kind.Get(f.Key(name)); return apierrors.IsNotFound(err) })
	}
}

// version makes a version as the controller would.
func (f *fixture) version(index int, content, latest string) {
	f.Helper()
	fleettest.Create(f.World, f.Fleet.OverrideSnapshots, wellknown.OverrideSnapshotName("o", index), func(s v1beta1.OverrideSnapshotObject) {
		says(s, content)
		s.SetLabels(map[string]string{
			wellknown.ParentOverrideLabel: "o", wellknown.OverrideIndexLabel: strconv.Itoa(index), wellknown.LatestSnapshotLabel: latest,
		})
	})
}

// controller has caches that hold what the API has now, and never more.
func (f *fixture) controller() *Controller {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	caches := fleet.New(f.Client)
	caches.Start(ctx.Done())
	if !caches.WaitForSync(ctx.Done()) {
		f.Fatal("the caches do not fill")
	}
	return New(caches, f.clock)
}

// look reconciles once with fresh caches.
func (f *fixture) look() time.Duration {
	f.Helper()
	again, err := f.controller().reconcile(f.Context(), f.Key("o"))
	f.Must(err)
	return again
}

// settled has the time pass that versions stay after a deletion, and looks.
func (f *fixture) settled() {
	f.Helper()
	f.clock.Step(settle)
	if again := f.look(); again != 0 {
		f.Errorf("looks again after %s", again)
	}
}

// versions are the override's versions, what they say, and which is marked as the newest.
func (f *fixture) versions() string {
	f.Helper()
	list := f.controller().fleet.OverrideSnapshots.ByIndex(fleet.ByOverride, f.Key("o"))
	slices.SortFunc(list, func(a, b v1beta1.OverrideSnapshotObject) int {
		// What is no version comes first.
		i, _ := overrides.Index(a)
		j, _ := overrides.Index(b)
		return i - j
	})
	var shown []string
	for _, s := range list {
		one := s.GetName() + " " + s.OverriddenResources()[0].Name
		if s.GetLabels()[wellknown.LatestSnapshotLabel] == "true" {
			one += " latest"
		}
		if _, ok := overrides.Index(s); !ok {
			one += " (foreign)"
		}
		shown = append(shown, one)
	}
	return strings.Join(shown, ", ")
}

func (f *fixture) want(versions string) {
	f.Helper()
	if diff := cmp.Diff(versions, f.versions()); diff != "" {
		f.Errorf("versions (-want +got):\n%s", diff)
	}
}

// held reports whether the override still has the controller's finalizer.
func (f *fixture) held() bool {
	f.Helper()
	o, err := f.Fleet.Overrides.Client(f.Namespace).Get(f.Context(), "o", metav1.GetOptions{})
	f.Must(err)
	return reconcile.HasFinalizer(o, wellknown.OverrideCleanupFinalizer)
}

// writes are what was written since the actions were cleared.
func (f *fixture) writes() []string {
	var writes []string
	for _, action := range f.Client.Actions() {
		if verb := action.GetVerb(); verb != "list" && verb != "watch" && verb != "get" {
			writes = append(writes, verb+" "+action.GetResource().Resource)
		}
	}
	return writes
}

// users make something that names a version, each in one of the places where that can be. The version is one of the override's scope.
var users = map[string]func(f *fixture, version string){
	"binding": func(f *fixture, version string) {
		fleettest.Create(f.World, f.Fleet.Bindings, "user", func(b v1beta1.BindingObject) {
			f.name(version, &b.BindingSpec().ClusterResourceOverrideSnapshots, &b.BindingSpec().ResourceOverrideSnapshots)
		})
	},
	"binding that is only compared since": func(f *fixture, version string) {
		fleettest.Create(f.World, f.Fleet.Bindings, "user", func(b v1beta1.BindingObject) {
			spec := b.BindingSpec()
			spec.ResourceSnapshotName = "p-0-snapshot"
			f.name(version, &spec.ClusterResourceOverrideSnapshots, &spec.ResourceOverrideSnapshots)
			bindingrules.Become(b, &v1beta1.ResourceBindingSpec{ResourceSnapshotName: "p-1-snapshot", ApplyStrategy: &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}})
		})
	},
	"run": func(f *fixture, version string) {
		f.run(func(c *v1beta1.ClusterUpdatingStatus) {
			f.name(version, &c.ClusterResourceOverrideSnapshots, &c.ResourceOverrideSnapshots)
		})
	},
	"run that can be rolled back": func(f *fixture, version string) {
		f.run(func(c *v1beta1.ClusterUpdatingStatus) {
			f.name(version, &c.PreviousClusterResourceOverrideSnapshots, &c.PreviousResourceOverrideSnapshots)
		})
	},
}

func (f *fixture) name(version string, clusterScoped *[]string, namespaced *[]v1beta1.NamespacedName) {
	if f.Namespace == "" {
		*clusterScoped = append(*clusterScoped, version)
	} else {
		*namespaced = append(*namespaced, v1beta1.NamespacedName{Namespace: f.Namespace, Name: version})
	}
}

// run makes a run that is over, the last cluster of its last stage as given.
func (f *fixture) run(fill func(c *v1beta1.ClusterUpdatingStatus)) {
	fleettest.Create(f.World, f.Fleet.Runs, "user", func(r v1beta1.UpdateRunObject) {
		last := v1beta1.ClusterUpdatingStatus{ClusterName: "c"}
		fill(&last)
		r.RunStatus().StagesStatus = []v1beta1.StageUpdatingStatus{
			{Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "a"}}},
			{Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "b"}, last}},
		}
		r.RunStatus().Conditions = []metav1.Condition{{Type: v1beta1.RunSucceeded, Status: metav1.ConditionTrue}}
	})
}

// userGone ends whatever user there is.
func (f *fixture) userGone(user string) {
	f.Helper()
	if strings.HasPrefix(user, "binding") {
		remove(f, f.Fleet.Bindings, "user")
	} else {
		remove(f, f.Fleet.Runs, "user")
	}
}
