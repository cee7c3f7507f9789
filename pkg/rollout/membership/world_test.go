// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	hubfake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/members"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

const (
	storeID  = "this-store"
	hubUID   = "this-hub"
	name     = "a"
	deadline = 30 * time.Second
	crdOf    = crdPath + "/" + storeid.MemberCRD
)

var testOptions = Options{Ruler: storeid.Ruler{Store: storeID, Hub: hubUID}, ForceDeleteWait: 15 * time.Minute}

var start = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// world is a hub and a fleet with one member, whose controller is reconciled by hand: its caches have what the fake servers have
// when it is.
type world struct {
	t          *testing.T
	api        *fake.Clientset
	hub        *hubfake.Clientset
	clock      *clocktesting.FakeClock
	events     chan string
	controller *Controller
	directory  *members.Directory
	// woken is sent to when those who watch the directory are to look at a member.
	woken chan struct{}
	// credentials is sent to when the directory has seen a Secret.
	credentials chan struct{}
}

func newWorld(t *testing.T, inFleet ...runtime.Object) *world {
	t.Helper()
	w := &world{
		t:           t,
		api:         fake.NewClientset(inFleet...),
		hub:         hubfake.NewClientset(),
		clock:       clocktesting.NewFakeClock(start),
		credentials: make(chan struct{}),
		woken:       make(chan struct{}, 1),
	}
	recorder := record.NewFakeRecorder(1000)
	w.events = recorder.Events
	w.directory = members.NewDirectory(w.hub, wellknown.SystemNamespace, members.Options{})
	w.controller = New(fleet.New(w.api), w.hub, w.directory, testOptions, recorder, w.clock)

	ctx, cancel := context.WithCancel(t.Context())
	changes := reconcile.New("changes", 1, func(ctx context.Context, _ reconcile.Key) (time.Duration, error) {
		select {
		case w.credentials <- struct{}{}:
		case <-ctx.Done():
		}
		return 0, nil
	})
	w.directory.Watch(changes)
	looks := reconcile.New("looks", 1, func(context.Context, reconcile.Key) (time.Duration, error) {
		select {
		case w.woken <- struct{}{}:
		default:
		}
		return 0, nil
	})
	w.directory.Watch(looks)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		go func() { _ = changes.Run(ctx) }()
		go func() { _ = looks.Run(ctx) }()
		w.directory.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-stopped })
	return w
}

// setSecret gives the member credentials, or takes them where the kubeconfig is empty.
func (w *world) setSecret(kubeconfig string) {
	w.t.Helper()
	secrets := w.hub.CoreV1().Secrets(wellknown.SystemNamespace)
	err := secrets.Delete(w.t.Context(), wellknown.MemberSecretName(name), metav1.DeleteOptions{})
	if err == nil {
		w.seeSecret(func(err error) bool { return err != nil && strings.Contains(err.Error(), "does not exist") })
	}
	if kubeconfig == "" {
		return
	}
	if _, err := secrets.Create(w.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.SystemNamespace, Name: wellknown.MemberSecretName(name)},
		Data:       map[string][]byte{wellknown.MemberKubeconfigKey: []byte(kubeconfig)},
	}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.seeSecret(func(err error) bool { return err == nil || !strings.Contains(err.Error(), "does not exist") })
}

func (w *world) seeSecret(done func(err error) bool) {
	w.t.Helper()
	for {
		if _, err := w.directory.Get(name); done(err) {
			return
		}
		select {
		case <-w.credentials:
		case <-time.After(deadline):
			w.t.Fatal("the Secret was not seen")
		}
	}
}

// reconcile has the controller look at the member, and returns when it will look again.
func (w *world) reconcile() time.Duration {
	w.t.Helper()
	again, err := w.tryReconcile()
	if err != nil {
		w.t.Fatal(err)
	}
	return again
}

func (w *world) tryReconcile() (time.Duration, error) {
	w.t.Helper()
	ctx := w.t.Context()
	clusters, err := w.api.ClusterV1beta1().MemberClusters().List(ctx, metav1.ListOptions{})
	w.fill(w.controller.fleet.MemberClusters.Informer(), clusters, err)
	internals, err := w.api.ClusterV1beta1().InternalMemberClusters("").List(ctx, metav1.ListOptions{})
	w.fill(w.controller.internals, internals, err)
	namespaces, err := w.hub.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: wellknown.FleetResourceLabel + "=true"})
	w.fill(w.controller.namespaces, namespaces, err)
	works, err := w.api.PlacementV1beta1().Works("").List(ctx, metav1.ListOptions{})
	w.fill(w.controller.fleet.Works.Informer(), works, err)
	return w.controller.reconcile(ctx, reconcile.Key{Name: name})
}

func (w *world) fill(informer cache.SharedIndexInformer, list runtime.Object, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	objs, err := meta.ExtractList(list)
	if err != nil {
		w.t.Fatal(err)
	}
	var items []any
	for _, obj := range objs {
		items = append(items, obj)
	}
	if err := informer.GetIndexer().Replace(items, ""); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) cluster() *v1beta1.MemberCluster {
	w.t.Helper()
	cluster, err := w.api.ClusterV1beta1().MemberClusters().Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return cluster
}

// edit changes the MemberCluster.
func (w *world) edit(f func(*v1beta1.MemberCluster)) {
	w.t.Helper()
	cluster := w.cluster()
	f(cluster)
	if _, err := w.api.ClusterV1beta1().MemberClusters().Update(w.t.Context(), cluster, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// delete asks the cluster to leave. The fake server knows no finalizers.
func (w *world) delete() {
	w.t.Helper()
	w.edit(func(cluster *v1beta1.MemberCluster) {
		now := metav1.NewTime(w.clock.Now())
		cluster.DeletionTimestamp = &now
	})
}

func (w *world) internal() *v1beta1.InternalMemberCluster {
	w.t.Helper()
	internal, err := w.api.ClusterV1beta1().InternalMemberClusters(wellknown.MemberNamespace(name)).Get(w.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return internal
}

func (w *world) namespace() *corev1.Namespace {
	w.t.Helper()
	namespace, err := w.hub.CoreV1().Namespaces().Get(w.t.Context(), wellknown.MemberNamespace(name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return namespace
}

// expect checks a condition, and that its message has the parts.
func (w *world) expect(conditionType string, status metav1.ConditionStatus, reason string, says ...string) {
	w.t.Helper()
	condition := meta.FindStatusCondition(w.cluster().Status.Conditions, conditionType)
	if condition == nil {
		w.t.Fatalf("no condition %s", conditionType)
	}
	if condition.Status != status || condition.Reason != reason {
		w.t.Errorf("%s is %s, %s (%s), want %s, %s", conditionType, condition.Status, condition.Reason, condition.Message, status, reason)
	}
	for _, part := range says {
		if !strings.Contains(condition.Message, part) {
			w.t.Errorf("%s: %q does not say %q", conditionType, condition.Message, part)
		}
	}
}

// told returns the reasons of the Events since it was called last.
func (w *world) told() []string {
	var reasons []string
	for {
		select {
		case event := <-w.events:
			reasons = append(reasons, strings.Fields(event)[1])
		default:
			return reasons
		}
	}
}

// writes counts what was written to the fleet's API since it was called last.
func (w *world) writes() int {
	count := 0
	for _, action := range w.api.Actions() {
		switch action.GetVerb() {
		case "create", "update", "patch", "delete":
			count++
		}
	}
	w.api.ClearActions()
	return count
}

func memberCluster() *v1beta1.MemberCluster {
	return &v1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1},
		Spec:       v1beta1.MemberClusterSpec{HeartbeatPeriodSeconds: 60},
	}
}

// joinedWorld has a member that has joined.
func joinedWorld(t *testing.T, inFleet ...runtime.Object) (*world, *member) {
	t.Helper()
	w, m := newWorld(t, append(inFleet, memberCluster())...), newMember(t)
	w.setSecret(m.kubeconfig(memberToken))
	w.reconcile()
	w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
	w.told()
	w.writes()
	return w, m
}
