// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	hubfake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/members"
)

// TestRun changes objects only, and the controller follows: the Secret, the MemberCluster and the end of the namespace.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	api, hub, m := fake.NewClientset(memberCluster()), hubfake.NewClientset(), newMember(t)
	// The fake server knows no resourceVersions: without this a write from a stale cache would take the deletion back.
	api.PrependReactor("update", "memberclusters", func(action clienttesting.Action) (bool, runtime.Object, error) {
		updated := action.(clienttesting.UpdateAction).GetObject().(*v1beta1.MemberCluster)
		stored, err := api.Tracker().Get(action.GetResource(), "", updated.Name)
		if err == nil && updated.DeletionTimestamp.IsZero() && !stored.(*v1beta1.MemberCluster).DeletionTimestamp.IsZero() {
			err = apierrors.NewConflict(v1beta1.Resource("memberclusters"), updated.Name, nil)
		}
		return err != nil, nil, err
	})
	clusters := api.ClusterV1beta1().MemberClusters()
	watcher, err := clusters.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	cluster := &v1beta1.MemberCluster{}
	until := func(what string, done func() bool) {
		t.Helper()
		for {
			select {
			case event := <-watcher.ResultChan():
				if cluster = event.Object.(*v1beta1.MemberCluster); done() {
					return
				}
			case <-ctx.Done():
				t.Fatalf("it never %s; now %+v", what, cluster.Status)
			}
		}
	}
	joined := func(status metav1.ConditionStatus, reason string) func() bool {
		return func() bool {
			c := meta.FindStatusCondition(cluster.Status.Conditions, v1beta1.ConditionTypeMemberClusterJoined)
			return c != nil && c.Status == status && c.Reason == reason
		}
	}

	f := fleet.New(api)
	f.Start(ctx.Done())
	directory := members.NewDirectory(hub, wellknown.SystemNamespace, members.Options{})
	controller := New(f, hub, directory, testOptions, record.NewFakeRecorder(1000), clock.RealClock{})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	stopped := make(chan struct{})
	go func() { directory.Run(running); close(stopped) }()
	go func() { ended <- controller.Run(running) }()

	until("said that it lacks its Secret", joined(metav1.ConditionFalse, "SecretNotFound"))
	if _, err := hub.CoreV1().Secrets(wellknown.SystemNamespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.SystemNamespace, Name: wellknown.MemberSecretName(name)},
		Data:       map[string][]byte{wellknown.MemberKubeconfigKey: []byte(m.kubeconfig(memberToken))},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until("joined", joined(metav1.ConditionTrue, inspect.ReasonJoined))
	until("reported what it has", func() bool {
		return meta.IsStatusConditionTrue(cluster.Status.Conditions, v1beta1.ConditionTypeClusterPropertyCollectionSucceeded)
	})

	// The namespace takes its time to go, as it does on a real hub.
	namespaces := corev1.SchemeGroupVersion.WithResource("namespaces")
	terminating := make(chan struct{}, 1)
	hub.PrependReactor("delete", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		obj, err := hub.Tracker().Get(namespaces, "", wellknown.MemberNamespace(name))
		if err != nil {
			return true, nil, err
		}
		namespace := obj.(*corev1.Namespace).DeepCopy()
		namespace.DeletionTimestamp = &metav1.Time{Time: start}
		err = hub.Tracker().Update(namespaces, namespace, "")
		terminating <- struct{}{}
		return true, nil, err
	})
	leaving, now := cluster.DeepCopy(), metav1.Now()
	leaving.DeletionTimestamp = &now
	if _, err := clusters.Update(ctx, leaving, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-terminating:
	case <-ctx.Done():
		t.Fatal("the namespace was not deleted")
	}
	if err := hub.Tracker().Delete(namespaces, "", wellknown.MemberNamespace(name)); err != nil {
		t.Fatal(err)
	}
	until("could go", func() bool { return !slices.Contains(cluster.Finalizers, wellknown.MemberClusterFinalizer) })

	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-stopped
}

func TestAMemberThatIsNotReadInTimeHasItsHeartbeats(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	beatsOften := memberCluster()
	beatsOften.Spec.HeartbeatPeriodSeconds = 1
	api, m := fake.NewClientset(beatsOften), newMember(t)
	m.hangs.Store(true)
	hub := hubfake.NewClientset(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.SystemNamespace, Name: wellknown.MemberSecretName(name)},
		Data:       map[string][]byte{wellknown.MemberKubeconfigKey: []byte(m.kubeconfig(memberToken))},
	})
	watcher, err := api.ClusterV1beta1().MemberClusters().Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	f := fleet.New(api)
	f.Start(ctx.Done())
	directory := members.NewDirectory(hub, wellknown.SystemNamespace, members.Options{})
	controller := New(f, hub, directory, testOptions, record.NewFakeRecorder(1000), clock.RealClock{})
	ended := make(chan error, 1)
	go directory.Run(ctx)
	go func() { ended <- controller.Run(ctx) }()
	beats := sets.New[metav1.Time]()
	for beats.Len() < 3 {
		select {
		case event := <-watcher.ResultChan():
			cluster := event.Object.(*v1beta1.MemberCluster)
			if agent := inspect.Agent(&cluster.Status); agent != nil {
				beats.Insert(agent.LastReceivedHeartbeat)
			}
			if meta.FindStatusCondition(cluster.Status.Conditions, v1beta1.ConditionTypeClusterPropertyCollectionSucceeded) != nil {
				t.Error("the member was read")
			}
		case <-ctx.Done():
			t.Fatalf("heartbeats %v", beats)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
