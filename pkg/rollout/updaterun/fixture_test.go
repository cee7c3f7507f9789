// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	hubfake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/traces"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// fixture is the tutorial's fleet in one scope, on an API server that keeps versions.
type fixture struct {
	*testing.T
	ctx       context.Context
	client    *fake.Clientset
	fleet     *fleet.Fleet
	hub       *hubfake.Clientset
	namespace string
	events    *events
	snapshots *fakeSnapshots
	// traces is nil unless a test sets it.
	traces  *traces.Recorder
	changed chan struct{}
}

func forBothScopes(t *testing.T, test func(f *fixture)) {
	for name, namespace := range map[string]string{"cluster-scoped": "", "namespaced": "team"} {
		t.Run(name, func(t *testing.T) { test(newFixture(t, namespace)) })
	}
}

func newFixture(t *testing.T, namespace string) *fixture {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fixture{
		T: t, ctx: ctx, namespace: namespace,
		client: fleettest.NewClientset(), events: &events{}, snapshots: &fakeSnapshots{index: 7}, changed: make(chan struct{}, 1),
	}
	f.events.notify = f.notify
	f.fleet = fleet.New(f.client)
	f.hub = hubfake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: map[string]string{"tier": "1"}}})
	namespaces := informers.NewSharedInformerFactory(f.hub, 0)
	f.fleet.Namespaces = namespaces.Core().V1().Namespaces()
	f.fleet.Namespaces.Informer()
	namespaces.Start(ctx.Done())
	for _, informer := range slices.Concat(f.fleet.Runs.Informers(), f.fleet.Approvals.Informers(), f.fleet.Bindings.Informers(),
		f.fleet.Placements.Informers(), f.fleet.Strategies.Informers(), f.fleet.Snapshots.Informers(), f.fleet.PolicySnapshots.Informers(),
		f.fleet.OverrideSnapshots.Informers(), f.fleet.Policies.Informers(),
		[]cache.SharedIndexInformer{f.fleet.MemberClusters.Informer()}) {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { f.notify() }, UpdateFunc: func(any, any) { f.notify() }, DeleteFunc: func(any) { f.notify() },
		})
		f.must(err)
	}
	f.fleet.Start(ctx.Done())
	if !f.fleet.WaitForSync(ctx.Done()) {
		t.Fatal("the caches do not fill")
	}
	t.Cleanup(cancel)
	return f
}

func (f *fixture) notify() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// eventually waits for something that follows from changes.
func (f *fixture) eventually(what string, done func() bool) {
	f.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !done() {
		select {
		case <-f.changed:
		case <-deadline.C:
			f.Fatalf("%s: does not happen; run: %+v", what, f.summary())
		}
	}
}

func (f *fixture) summary() string {
	var b strings.Builder
	for _, run := range f.fleet.Runs.All() {
		fmt.Fprintf(&b, "%s %s turn %v:", run.GetName(), run.RunSpec().State, run.RunStatus().Turn)
		for _, c := range run.RunStatus().Conditions {
			fmt.Fprintf(&b, " %s=%s(%s: %s)", c.Type, c.Status, c.Reason, c.Message)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (f *fixture) key(name string) reconcile.Key {
	return reconcile.Key{Namespace: f.namespace, Name: name}
}

// start runs a controller and returns what ends it.
func (f *fixture) start() (stop func()) {
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error, 1)
	controller := f.controller()
	go func() { done <- controller.Run(ctx) }()
	return func() {
		f.Helper()
		cancel()
		f.must(<-done)
	}
}

func (f *fixture) controller() *Controller {
	return New(f.fleet, f.snapshots, f.events, f.traces, clock.RealClock{})
}

func create[O fleet.Object](f *fixture, kind fleet.Kind[O], name string, fill func(O)) O {
	f.Helper()
	o := kind.New(f.key(name))
	fill(o)
	created, err := kind.Client(f.namespace).Create(f.ctx, o, metav1.CreateOptions{})
	f.must(err)
	f.eventually(name+" is in the cache", func() bool { _, err := kind.Get(f.key(name)); return err == nil })
	return created
}

// update changes an object until that meets no conflict.
func update[O fleet.Object](f *fixture, kind fleet.Kind[O], name string, status bool, change func(O)) {
	f.Helper()
	client := kind.Client(f.namespace)
	for {
		o, err := client.Get(f.ctx, name, metav1.GetOptions{})
		f.must(err)
		change(o)
		if status {
			_, err = client.UpdateStatus(f.ctx, o, metav1.UpdateOptions{})
		} else {
			_, err = client.Update(f.ctx, o, metav1.UpdateOptions{})
		}
		if !apierrors.IsConflict(err) {
			f.must(err)
			return
		}
	}
}

// tutorial makes the fleet, the placement and the strategy of the tutorial.
func (f *fixture) tutorial() {
	f.members()
	f.placement()
	f.strategy()
}

func (f *fixture) members() {
	for name, labels := range map[string]map[string]string{
		"member1": {"environment": "canary", "order": "2"},
		"member2": {"environment": "staging"},
		"member3": {"environment": "canary", "order": "1"},
	} {
		_, err := f.client.ClusterV1beta1().MemberClusters().Create(f.ctx,
			&clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
		f.must(err)
		f.eventually(name+" is in the cache", func() bool { _, err := f.fleet.MemberClusters.Lister().Get(name); return err == nil })
	}
}

func (f *fixture) placement() {
	parent := map[string]string{wellknown.ParentPlacementLabel: "example-placement"}
	for _, cluster := range []string{"member1", "member2", "member3"} {
		create(f, f.fleet.Bindings, "example-placement-"+cluster, func(b v1beta1.BindingObject) {
			b.SetLabels(parent)
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{
				State: v1beta1.BindingStateScheduled, TargetCluster: cluster, SchedulingPolicySnapshotName: "example-placement-0",
			}
		})
	}
	for i := range 2 {
		create(f, f.fleet.Snapshots, wellknown.ResourceSnapshotName("example-placement", i), func(s v1beta1.ResourceSnapshotObject) {
			s.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "example-placement", wellknown.ResourceIndexLabel: strconv.Itoa(i)})
			s.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "hash"})
			s.SnapshotSpec().SelectedResources = []v1beta1.ResourceContent{{RawExtension: runtime.RawExtension{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"any"}}`)}}}
		})
	}
	create(f, f.fleet.PolicySnapshots, "example-placement-0", func(s v1beta1.PolicySnapshotObject) {
		s.SetLabels(map[string]string{
			wellknown.ParentPlacementLabel: "example-placement", wellknown.PolicyIndexLabel: "0", wellknown.LatestSnapshotLabel: "true",
		})
		*s.PolicySnapshotStatus() = v1beta1.SchedulingPolicySnapshotStatus{ObservedCRPGeneration: 1, Conditions: []metav1.Condition{{
			Type: v1beta1.PolicySnapshotScheduled, Status: metav1.ConditionTrue, ObservedGeneration: 1,
		}}}
	})
	create(f, f.fleet.Placements, "example-placement", func(p v1beta1.PlacementObject) {
		p.PlacementSpec().Strategy.Type = v1beta1.ExternalRolloutStrategyType
	})
}

func (f *fixture) strategy() {
	create(f, f.fleet.Strategies, "example-strategy", func(s v1beta1.UpdateStrategyObject) {
		s.StrategySpec().Stages = []v1beta1.StageConfig{
			{
				Name:            "staging",
				LabelSelector:   &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "staging"}},
				MaxConcurrency:  ptr.To(intstr.FromInt32(1)),
				AfterStageTasks: []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: 50 * time.Millisecond}}},
			},
			{
				Name:             "canary",
				LabelSelector:    &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}},
				SortingLabelKey:  ptr.To("order"),
				MaxConcurrency:   ptr.To(intstr.FromString("50%")),
				BeforeStageTasks: []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}},
			},
		}
	})
}

func (f *fixture) newRun(name string, state v1beta1.State) {
	f.Helper()
	f.newRunAt(name, "1", state)
}

func (f *fixture) newRunAt(name, index string, state v1beta1.State) {
	f.Helper()
	create(f, f.fleet.Runs, name, func(r v1beta1.UpdateRunObject) {
		*r.RunSpec() = v1beta1.UpdateRunSpec{
			PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy", ResourceSnapshotIndex: index, State: state,
		}
	})
}

func (f *fixture) setState(name string, state v1beta1.State) {
	f.Helper()
	update(f, f.fleet.Runs, name, false, func(r v1beta1.UpdateRunObject) { r.RunSpec().State = state })
}

func (f *fixture) run(name string) v1beta1.UpdateRunObject {
	run, err := f.fleet.Runs.Get(f.key(name))
	if err != nil {
		return f.fleet.Runs.New(f.key(name))
	}
	return run
}

// condition is "<status> <reason>" of a condition of a run.
func (f *fixture) condition(run, conditionType string) string {
	c := meta.FindStatusCondition(f.run(run).RunStatus().Conditions, conditionType)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

func (f *fixture) message(run, conditionType string) string {
	if c := meta.FindStatusCondition(f.run(run).RunStatus().Conditions, conditionType); c != nil {
		return c.Message
	}
	return ""
}

func (f *fixture) untilCondition(run, conditionType, want string) {
	f.Helper()
	f.eventually(fmt.Sprintf("%s of %s is %q", conditionType, run, want), func() bool { return f.condition(run, conditionType) == want })
}

// membersApply has what is rolled out become available, or be compared, at once.
func (f *fixture) membersApply() {
	for _, informer := range f.fleet.Bindings.Informers() {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(_, newObj any) {
			b := newObj.(v1beta1.BindingObject)
			if b.BindingSpec().State == v1beta1.BindingStateBound && bindingrules.IsRolloutStarted(b) && !bindingrules.IsReady(b) {
				f.available(fleet.Copy(b))
			}
		}})
		f.must(err)
	}
}

func (f *fixture) available(b v1beta1.BindingObject) {
	told := metav1.Condition{Type: v1beta1.BindingAvailable, Status: metav1.ConditionTrue, Reason: "AllWorkAreAvailable", ObservedGeneration: b.GetGeneration()}
	if bindingrules.Compares(b.BindingSpec().ApplyStrategy) {
		told.Type, told.Reason = v1beta1.BindingDiffReported, "AllWorkHaveDiffReported"
	}
	meta.SetStatusCondition(&b.BindingStatus().Conditions, told)
	bindingrules.RecordSynchronized(b.BindingStatus(), b.BindingSpec())
	_, err := f.fleet.Bindings.Client(f.namespace).UpdateStatus(f.ctx, b, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsConflict(err) && f.ctx.Err() == nil {
		f.Error(err)
	}
}

// decide records a decision as the server does.
func (f *fixture) decide(name string, decision v1beta1.DecisionType) {
	f.Helper()
	f.eventually(name+" is asked for", func() bool { _, err := f.fleet.Approvals.Get(f.key(name)); return err == nil })
	update(f, f.fleet.Approvals, name, true, func(a v1beta1.ApprovalRequestObject) {
		a.RequestStatus().Decisions = []v1beta1.ApprovalDecision{{
			Decision: decision, User: v1beta1.DecisionUser{Username: "ann"}, Comment: "CHG-1", RequestUID: a.GetUID(), Time: metav1.Now(),
		}}
	})
}

func (f *fixture) binding(cluster string) v1beta1.BindingObject {
	f.Helper()
	b, err := f.fleet.Bindings.Get(f.key("example-placement-" + cluster))
	f.must(err)
	return b
}

// writesTo counts the writes that reached the API for a resource.
func (f *fixture) writesTo(resource string) int {
	n := 0
	for _, a := range f.client.Actions() {
		if a.GetVerb() != "list" && a.GetVerb() != "watch" && a.GetVerb() != "get" && strings.HasSuffix(a.GetResource().Resource, resource) {
			n++
		}
	}
	return n
}

// asked returns what reached the API but watches, which the informers begin when they like.
func (f *fixture) asked() []clienttesting.Action {
	return slices.DeleteFunc(f.client.Actions(), func(a clienttesting.Action) bool { return a.GetVerb() == "watch" })
}

// events keeps what a recorder is given.
type events struct {
	record.FakeRecorder
	notify func()

	mu               sync.Mutex
	list, ofRequests []string
}

// Event keeps those of runs and those of approval requests apart.
func (e *events) Event(o runtime.Object, _, reason, message string) {
	e.mu.Lock()
	if _, ok := o.(v1beta1.ApprovalRequestObject); ok {
		e.ofRequests = append(e.ofRequests, reason+": "+message)
	} else {
		e.list = append(e.list, reason+": "+message)
	}
	e.mu.Unlock()
	e.notify()
}

func (e *events) reasons() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var reasons []string
	for _, event := range e.list {
		reason, _, _ := strings.Cut(event, ":")
		reasons = append(reasons, reason)
	}
	return reasons
}

// fakeSnapshots is a SnapshotSource.
type fakeSnapshots struct {
	mu    sync.Mutex
	index int
	// selected are the resources at that index.
	selected []snapshotrules.Resource
	err      error
	calls    int
	dryRun   bool
}

func (s *fakeSnapshots) Snapshot(_ context.Context, _ v1beta1.PlacementObject, dryRun bool) (snapshotrules.Selection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.dryRun = dryRun
	return snapshotrules.Selection{Index: s.index, Resources: s.selected}, s.err
}
