// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterprofile

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
)

const (
	store    = "this-store"
	name     = "paris"
	deadline = 30 * time.Second
	cleanup  = "kubernetes-fleet.io/cluster-profile-cleanup"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// world is a hub and a fleet with one member, with the controller running. Its clock stands still.
type world struct {
	t      *testing.T
	ctx    context.Context
	api    *fake.Clientset
	hub    *dynamicfake.FakeDynamicClient
	clock  *clocktesting.FakeClock
	events chan string
	stop   func()
}

func newWorld(t *testing.T, cluster *v1beta1.MemberCluster, onHub ...runtime.Object) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	w := &world{
		t: t, ctx: ctx, api: fake.NewClientset(cluster), clock: clocktesting.NewFakeClock(start),
		hub: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
			resource: "ClusterProfileList", definitions: "CustomResourceDefinitionList",
		}, onHub...),
	}
	recorder := record.NewFakeRecorder(1000)
	w.events = recorder.Events
	f := fleet.New(w.api)
	f.Start(ctx.Done())
	controller := New(f, w.hub, store, recorder, w.clock)
	ended := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	go func() { ended <- controller.Run(running) }()
	w.stop = func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { stop() })
	return w
}

func (w *world) profiles() dynamic.ResourceInterface {
	return w.hub.Resource(resource).Namespace("fleet-system")
}

// until waits until a profile, nil for none, is as it should be.
func (w *world) until(what string, is func(profile *unstructured.Unstructured) bool) *unstructured.Unstructured {
	w.t.Helper()
	var profile *unstructured.Unstructured
	w.eventually(what, func() bool {
		var err error
		if profile, err = w.profiles().Get(w.ctx, name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
			profile = nil
		} else if err != nil {
			w.t.Fatal(err)
		}
		return is(profile)
	})
	return profile
}

// eventually looks again whenever something was written.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for w.ctx.Err() == nil {
		if is() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("it never %s", what)
}

func (w *world) finalizers() []string {
	w.t.Helper()
	cluster, err := w.api.ClusterV1beta1().MemberClusters().Get(w.ctx, name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return cluster.Finalizers
}

func (w *world) edit(f func(*v1beta1.MemberCluster)) {
	w.t.Helper()
	clusters := w.api.ClusterV1beta1().MemberClusters()
	cluster, err := clusters.Get(w.ctx, name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	f(cluster)
	if _, err := clusters.Update(w.ctx, cluster, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func member() *v1beta1.MemberCluster {
	return &v1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1},
		Spec:       v1beta1.MemberClusterSpec{HeartbeatPeriodSeconds: 60},
		Status: v1beta1.MemberClusterStatus{
			Conditions: []metav1.Condition{{Type: v1beta1.ConditionTypeMemberClusterJoined, Status: metav1.ConditionTrue}},
			Properties: map[v1beta1.PropertyName]v1beta1.PropertyValue{"k8s.io/k8s-version": {Value: "v1.37.2"}},
			AgentStatus: []v1beta1.AgentStatus{{
				Type: v1beta1.MemberAgent, LastReceivedHeartbeat: metav1.NewTime(start),
				Conditions: []metav1.Condition{{Type: v1beta1.AgentHealthy, Status: metav1.ConditionTrue}},
			}},
		},
	}
}

func kind() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": definition},
		"spec":   map[string]any{"versions": []any{map[string]any{"name": "v1alpha1", "served": true}}},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": "True"}}},
	}}
}

func someProfile(annotations map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile",
		"metadata": map[string]any{"name": name, "namespace": "fleet-system", "uid": "1", "annotations": annotations},
		"spec":     map[string]any{"displayName": "theirs"},
	}}
}

func conditionOf(profile *unstructured.Unstructured) (status, reason string) {
	if profile == nil {
		return "", ""
	}
	conditions, _, _ := unstructured.NestedSlice(profile.Object, "status", "conditions")
	if len(conditions) != 1 {
		return "", ""
	}
	condition := conditions[0].(map[string]any)
	return condition["status"].(string), condition["reason"].(string)
}

func isHealthy(profile *unstructured.Unstructured) bool {
	status, _ := conditionOf(profile)
	return status == "True"
}

func TestAMemberHasAProfile(t *testing.T) {
	w := newWorld(t, member(), kind())
	profile := w.until("was shown", isHealthy)
	if profile.GetLabels()["x-k8s.io/cluster-manager"] != "KubeFleet" || len(profile.GetOwnerReferences()) != 0 {
		t.Errorf("metadata %v", profile.Object["metadata"])
	}
	want := map[string]any{"displayName": name, "clusterManager": map[string]any{"name": "KubeFleet"}}
	if diff := cmp.Diff(want, profile.Object["spec"]); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if version, _, _ := unstructured.NestedString(profile.Object, "status", "version", "kubernetes"); version != "v1.37.2" {
		t.Errorf("version %q", version)
	}
	if diff := cmp.Diff([]string{cleanup}, w.finalizers()); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}

	// What others change is put back, what they add stays.
	profile.SetLabels(map[string]string{"team": "a"})
	_ = unstructured.SetNestedField(profile.Object, "other", "spec", "displayName")
	_ = unstructured.SetNestedField(profile.Object, "b", "spec", "added")
	if _, err := w.profiles().Update(w.ctx, profile, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("was mended", func(profile *unstructured.Unstructured) bool {
		shown, _, _ := unstructured.NestedString(profile.Object, "spec", "displayName")
		added, _, _ := unstructured.NestedString(profile.Object, "spec", "added")
		return shown == name && added == "b" && profile.GetLabels()["team"] == "a" && profile.GetLabels()["x-k8s.io/cluster-manager"] == "KubeFleet"
	})
	if err := w.profiles().Delete(w.ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("came back", isHealthy)

	w.edit(func(c *v1beta1.MemberCluster) { c.Status.AgentStatus[0].Conditions[0].Status = metav1.ConditionFalse })
	w.until("was unhealthy", func(profile *unstructured.Unstructured) bool {
		_, reason := conditionOf(profile)
		return reason == "MemberClusterAPIServerUnhealthy"
	})

	// A member that is no longer joined keeps its profile, one that leaves does not.
	w.edit(func(c *v1beta1.MemberCluster) {
		c.Status.Conditions[0].Status = metav1.ConditionFalse
		c.Status.AgentStatus[0].Conditions[0].Status = metav1.ConditionTrue
	})
	w.until("stayed", isHealthy)
	now := metav1.NewTime(start)
	w.edit(func(c *v1beta1.MemberCluster) { c.DeletionTimestamp = &now })
	w.eventually("let the MemberCluster go", func() bool { return len(w.finalizers()) == 0 })
	w.until("was deleted", func(profile *unstructured.Unstructured) bool { return profile == nil })
	w.stop()

	// One that somebody takes over after it was looked at stays.
	var last *metav1.Preconditions
	for _, action := range w.hub.Actions() {
		if deletion, ok := action.(clienttesting.DeleteActionImpl); ok {
			last = deletion.DeleteOptions.Preconditions
		}
	}
	if last == nil || last.UID == nil || last.ResourceVersion == nil {
		t.Errorf("the profile is deleted whatever it is by now: %+v", last)
	}
}

func TestALostHeartbeatIsSeenWithoutAChange(t *testing.T) {
	w := newWorld(t, member(), kind())
	w.until("was shown", isHealthy)
	w.eventually("waited for the time", w.clock.HasWaiters)
	w.clock.Step(3 * time.Minute)
	w.until("was lost", func(profile *unstructured.Unstructured) bool {
		_, reason := conditionOf(profile)
		return reason == "MemberAgentHeartbeatLost"
	})
	w.stop()
}

func TestAProfileOfSomebodyElseIsLeftAsItIs(t *testing.T) {
	for what, annotations := range map[string]map[string]any{
		"made by hand": nil, "of another store": {"kubernetes-fleet.io/store-id": "that-store"},
	} {
		t.Run(what, func(t *testing.T) {
			theirs := someProfile(annotations)
			leaving := member()
			w := newWorld(t, leaving, kind(), theirs.DeepCopy())
			select {
			case event := <-w.events:
				if !strings.HasPrefix(event, "Warning ClusterProfileNotOwned ClusterProfile fleet-system/paris ") {
					t.Errorf("Event %q", event)
				}
			case <-w.ctx.Done():
				t.Fatal("no Event")
			}
			now := metav1.NewTime(start)
			w.edit(func(c *v1beta1.MemberCluster) {
				// As if it had been ours before.
				c.Finalizers = append(c.Finalizers, cleanup)
				c.DeletionTimestamp = &now
			})
			w.eventually("let the MemberCluster go", func() bool { return len(w.finalizers()) == 0 })
			profile := w.until("stayed", func(profile *unstructured.Unstructured) bool { return profile != nil })
			if diff := cmp.Diff(theirs.Object, profile.Object); diff != "" {
				t.Errorf("profile (-before +now):\n%s", diff)
			}
			w.stop()
		})
	}
}

func TestNothingIsWrittenWithoutTheKind(t *testing.T) {
	held := member()
	held.Finalizers = []string{"other", cleanup}
	w := newWorld(t, held)
	w.eventually("let the MemberCluster go", func() bool { return len(w.finalizers()) == 1 })
	for _, action := range w.hub.Actions() {
		if action.GetResource() == resource {
			t.Errorf("%s of ClusterProfiles", action.GetVerb())
		}
	}

	// The kind comes, and goes.
	if _, err := w.hub.Resource(definitions).Create(w.ctx, kind(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("was shown", isHealthy)
	if err := w.hub.Resource(definitions).Delete(w.ctx, definition, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("let the MemberCluster go", func() bool { return len(w.finalizers()) == 1 })
	w.stop()
}

// The finalizer comes before the profile: whoever deletes the MemberCluster between the two leaves nothing behind.
func TestAProfileIsNeverThereWithoutTheFinalizer(t *testing.T) {
	w := newWorld(t, member())
	held := make(chan bool, 10)
	w.hub.PrependReactor("create", "clusterprofiles", func(clienttesting.Action) (bool, runtime.Object, error) {
		held <- len(w.finalizers()) == 1
		return false, nil, nil
	})
	if _, err := w.hub.Resource(definitions).Create(w.ctx, kind(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("was shown", isHealthy)
	if !<-held {
		t.Error("the profile was created first")
	}
	w.stop()
}
