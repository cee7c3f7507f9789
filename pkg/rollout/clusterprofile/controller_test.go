// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterprofile

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
)

const (
	store   = "this-store"
	name    = "paris"
	cleanup = "kubernetes-fleet.io/cluster-profile-cleanup"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// world is a hub and a fleet with one member, with the controller running, in time that passes only when nothing is left to do.
type world struct {
	t      *testing.T
	api    *fake.Clientset
	hub    *dynamicfake.FakeDynamicClient
	events chan string
}

// inWorld runs the controller around a test.
func inWorld(t *testing.T, cluster *v1beta1.MemberCluster, onHub []runtime.Object, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		for i := range cluster.Status.AgentStatus {
			cluster.Status.AgentStatus[i].LastReceivedHeartbeat = metav1.Now()
		}
		w := &world{
			t: t, api: fake.NewClientset(cluster),
			hub: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
				resource: "ClusterProfileList", definitions: "CustomResourceDefinitionList",
			}, onHub...),
		}
		recorder := record.NewFakeRecorder(1000)
		w.events = recorder.Events
		ctx, stop := context.WithCancel(t.Context())
		f := fleet.New(w.api)
		f.Start(ctx.Done())
		controller := New(f, w.hub, store, recorder, clock.RealClock{})
		ended := make(chan error, 1)
		go func() { ended <- controller.Run(ctx) }()
		w.after(time.Second)
		test(w)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// after lets time pass.
func (w *world) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) profiles() dynamic.ResourceInterface {
	return w.hub.Resource(resource).Namespace("fleet-system")
}

// profile is the profile as the hub has it, nil for none.
func (w *world) profile() *unstructured.Unstructured {
	w.t.Helper()
	profile, err := w.profiles().Get(w.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	return profile
}

// shows fails unless there is a profile with the condition in it.
func (w *world) shows(wantStatus, wantReason string) {
	w.t.Helper()
	if status, reason := conditionOf(w.profile()); status != wantStatus || reason != wantReason {
		w.t.Errorf("the profile is %q, %q, want %q, %q", status, reason, wantStatus, wantReason)
	}
}

func (w *world) holds(want ...string) {
	w.t.Helper()
	if got := w.finalizers(); !slices.Equal(got, want) {
		w.t.Errorf("finalizers of the MemberCluster %q, want %q", got, want)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) finalizers() []string {
	w.t.Helper()
	cluster, err := w.api.ClusterV1beta1().MemberClusters().Get(w.t.Context(), name, metav1.GetOptions{})
	w.must(err)
	return cluster.Finalizers
}

// edit changes the MemberCluster, and waits for what follows.
func (w *world) edit(f func(*v1beta1.MemberCluster)) {
	w.t.Helper()
	clusters := w.api.ClusterV1beta1().MemberClusters()
	cluster, err := clusters.Get(w.t.Context(), name, metav1.GetOptions{})
	w.must(err)
	f(cluster)
	_, err = clusters.Update(w.t.Context(), cluster, metav1.UpdateOptions{})
	w.must(err)
	w.after(time.Second)
}

func member() *v1beta1.MemberCluster {
	return &v1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1},
		Spec:       v1beta1.MemberClusterSpec{HeartbeatPeriodSeconds: 60},
		Status: v1beta1.MemberClusterStatus{
			Conditions: []metav1.Condition{{Type: v1beta1.ConditionTypeMemberClusterJoined, Status: metav1.ConditionTrue}},
			Properties: map[v1beta1.PropertyName]v1beta1.PropertyValue{"k8s.io/k8s-version": {Value: "v1.37.2"}},
			AgentStatus: []v1beta1.AgentStatus{{
				Type:       v1beta1.MemberAgent,
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

const healthy = "MemberClusterAPIServerHealthy"

func TestAMemberHasAProfile(t *testing.T) {
	inWorld(t, member(), []runtime.Object{kind()}, func(w *world) {
		w.shows("True", healthy)
		profile := w.profile()
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
		w.holds(cleanup)

		// What others change is put back, what they add stays.
		profile.SetLabels(map[string]string{"team": "a"})
		_ = unstructured.SetNestedField(profile.Object, "other", "spec", "displayName")
		_ = unstructured.SetNestedField(profile.Object, "b", "spec", "added")
		_, err := w.profiles().Update(w.t.Context(), profile, metav1.UpdateOptions{})
		w.must(err)
		w.after(time.Second)
		profile = w.profile()
		want["added"] = "b"
		if diff := cmp.Diff(want, profile.Object["spec"]); diff != "" {
			t.Errorf("spec after it was changed (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"team": "a", "x-k8s.io/cluster-manager": "KubeFleet"}, profile.GetLabels()); diff != "" {
			t.Errorf("labels after they were changed (-want +got):\n%s", diff)
		}
		w.must(w.profiles().Delete(w.t.Context(), name, metav1.DeleteOptions{}))
		w.after(time.Second)
		w.shows("True", healthy)

		w.edit(func(c *v1beta1.MemberCluster) { c.Status.AgentStatus[0].Conditions[0].Status = metav1.ConditionFalse })
		w.shows("False", "MemberClusterAPIServerUnhealthy")

		// A member that is no longer joined keeps its profile, one that leaves does not.
		w.edit(func(c *v1beta1.MemberCluster) {
			c.Status.Conditions[0].Status = metav1.ConditionFalse
			c.Status.AgentStatus[0].Conditions[0].Status = metav1.ConditionTrue
		})
		w.shows("True", healthy)
		w.edit(func(c *v1beta1.MemberCluster) { c.DeletionTimestamp = new(metav1.Now()) })
		w.holds()
		if w.profile() != nil {
			t.Error("the profile of a member that left stays")
		}

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
	})
}

func TestALostHeartbeatIsSeenWithoutAChange(t *testing.T) {
	inWorld(t, member(), []runtime.Object{kind()}, func(w *world) {
		w.after(shortestLost - 2*time.Second)
		w.shows("True", healthy)
		w.after(time.Second)
		w.shows("False", "MemberAgentHeartbeatLost")
	})
}

func TestAProfileOfSomebodyElseIsLeftAsItIs(t *testing.T) {
	for what, annotations := range map[string]map[string]any{
		"made by hand": nil, "of another store": {"kubernetes-fleet.io/store-id": "that-store"},
	} {
		t.Run(what, func(t *testing.T) {
			theirs := someProfile(annotations)
			inWorld(t, member(), []runtime.Object{kind(), theirs.DeepCopy()}, func(w *world) {
				select {
				case event := <-w.events:
					if !strings.HasPrefix(event, "Warning ClusterProfileNotOwned ClusterProfile fleet-system/paris ") {
						t.Errorf("Event %q", event)
					}
				default:
					t.Error("no Event")
				}
				w.edit(func(c *v1beta1.MemberCluster) {
					// As if it had been ours before.
					c.Finalizers = append(c.Finalizers, cleanup)
					c.DeletionTimestamp = new(metav1.Now())
				})
				w.holds()
				if diff := cmp.Diff(theirs, w.profile()); diff != "" {
					t.Errorf("profile (-before +now):\n%s", diff)
				}
			})
		})
	}
}

func TestNothingIsWrittenWithoutTheKind(t *testing.T) {
	held := member()
	held.Finalizers = []string{"other", cleanup}
	inWorld(t, held, nil, func(w *world) {
		w.holds("other")
		for _, action := range w.hub.Actions() {
			if action.GetResource() == resource {
				t.Errorf("%s of ClusterProfiles", action.GetVerb())
			}
		}

		// The kind comes, and goes.
		_, err := w.hub.Resource(definitions).Create(w.t.Context(), kind(), metav1.CreateOptions{})
		w.must(err)
		w.after(time.Second)
		w.shows("True", healthy)
		w.holds("other", cleanup)
		w.must(w.hub.Resource(definitions).Delete(w.t.Context(), definition, metav1.DeleteOptions{}))
		w.after(time.Second)
		w.holds("other")
	})
}

// The finalizer comes before the profile: whoever deletes the MemberCluster between the two leaves nothing behind.
func TestAProfileIsNeverThereWithoutTheFinalizer(t *testing.T) {
	inWorld(t, member(), nil, func(w *world) {
		held := make(chan bool, 10)
		w.hub.PrependReactor("create", "clusterprofiles", func(clienttesting.Action) (bool, runtime.Object, error) {
			held <- len(w.finalizers()) == 1
			return false, nil, nil
		})
		_, err := w.hub.Resource(definitions).Create(w.t.Context(), kind(), metav1.CreateOptions{})
		w.must(err)
		w.after(time.Second)
		w.shows("True", healthy)
		if !<-held {
			t.Error("the profile was created first")
		}
	})
}
