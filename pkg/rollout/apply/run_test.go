// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		return holds(), nil
	})
	if err != nil {
		t.Fatalf("it never came about: %s", what)
	}
}

func TestMemberIsKeptAsWanted(t *testing.T) {
	const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: test-namespace}, spec: {replicas: 1}}`
	deployments := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML, deployment))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	available := func() string { return condition(b.work(t).Status.Conditions, "Available") }
	eventually(t, "everything is applied and the Deployment waits", func() bool {
		return available() == "False SomeManifestsAreNotAvailable"
	})
	synced := func(gvr schema.GroupVersionResource, name string) func() bool {
		return func() bool {
			live := b.member.get(t, gvr, "test-namespace", name)
			version, ok := b.watches.version(gvr, keyIn("test-namespace", name))
			return ok && live != nil && version == live.GetResourceVersion()
		}
	}
	eventually(t, "the Deployment is watched", synced(deployments, "d"))
	b.member.change(t, deployments, "test-namespace", "d", func(o *unstructured.Unstructured) {
		o.Object["status"] = map[string]any{
			"observedGeneration": int64(1), "replicas": int64(1), "updatedReplicas": int64(1), "readyReplicas": int64(1), "availableReplicas": int64(1),
			"conditions": []any{map[string]any{"type": "Available", "status": "True"}},
		}
	})
	eventually(t, "the Deployment is available", func() bool { return available() == "True AllManifestsAvailable" })

	eventually(t, "the ConfigMap is watched", synced(configMaps, "test-cm"))
	b.member.change(t, configMaps, "test-namespace", "test-cm", func(o *unstructured.Unstructured) {
		o.Object["data"] = map[string]any{"key": "drifted"}
	})
	eventually(t, "the drift is put back", func() bool {
		data, _, _ := unstructured.NestedString(b.member.get(t, configMaps, "test-namespace", "test-cm").Object, "data", "key")
		return data == "value1"
	})

	if err := b.member.Resource(configMaps).Namespace("test-namespace").Delete(ctx, "test-cm", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was deleted is made again", func() bool { return b.member.get(t, configMaps, "test-namespace", "test-cm") != nil })

	b.edit(t, func(w *v1beta1.Work) {
		now := metav1.NewTime(testTime)
		w.DeletionTimestamp = &now
	})
	eventually(t, "the Work is released when the AppliedWork is gone", func() bool {
		work, err := b.works.Get(ctx, "web-work", metav1.GetOptions{})
		return apierrors.IsNotFound(err) || err == nil && len(work.Finalizers) == 0
	})
	if b.member.get(t, appliedWorks, "", "web-work") != nil {
		t.Error("the AppliedWork is still there")
	}
}

func TestWorksAreCountedByWhetherTheyAreApplied(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML))
	count := func(when string, wantAll, wantApplied int) {
		t.Helper()
		if all, applied := b.Works(); all != wantAll || applied != wantApplied {
			t.Errorf("%s: %d Works, of which %d are applied, want %d and %d", when, all, applied, wantAll, wantApplied)
		}
	}
	count("before it is seen", 0, 0)
	b.cacheUp(t)
	count("when it is seen", 1, 0)
	work := b.pass(t)
	b.cacheUp(t)
	count("when it is applied", 1, 1)
	work.Generation++
	if err := b.informer.GetStore().Update(work); err != nil {
		t.Fatal(err)
	}
	count("when it has changed", 1, 0)
}

func TestWatchesEndWithTheLastWork(t *testing.T) {
	m := newFakeMember()
	ctx, stop := context.WithCancel(t.Context())
	w := newWatches(ctx, m.member().informer, func(string) {})
	defer w.stopAll()
	defer stop()
	wanted := wish{}
	wanted.add(configMaps, keyIn("ns", "c"))
	w.set("a", wanted)
	w.set("b", wanted)
	first := w.kinds[configMaps]
	w.set("a", nil)
	if w.kinds[configMaps] != first {
		t.Error("the watch ended before the last Work")
	}
	w.set("b", nil)
	if len(w.kinds) > 0 || len(w.wishes) > 0 {
		t.Error("the watch outlives the last Work")
	}
}
