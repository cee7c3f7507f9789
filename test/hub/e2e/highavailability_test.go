// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/stagegate/stagegate/test/hub"
)

const (
	// takeoverLimit and handoverLimit are how long nobody may lead after the leader was killed, and after it was asked to end: 15 and 3
	// seconds, which a test of the election holds to, and some for machines that are busy.
	takeoverLimit = 20 * time.Second
	handoverLimit = 6 * time.Second

	askInterval = 20 * time.Millisecond
	askTimeout  = time.Minute
	// maxUnsent is how many writes may be on their way when two replicas end their connections, see isUnsent.
	maxUnsent = 4
)

// TestHighAvailability has two replicas, run as the overlay artifacts/deploy/ha has them, on an etcd of three nodes with TLS, behind the
// aggregation layer of a real hub: hub.Service stands for the Service and says how. Whatever of it dies, stops or is replaced, nothing is
// lost and nothing is done twice. It logs how long each takes. Most of its time is that of leases that run out. It has the machine to itself: a
// replica that answers no probe for seconds, since others have the cores, is not ready.
func TestHighAvailability(t *testing.T) {
	if testing.Short() {
		t.Skip("brings up a hub")
	}
	root, err := hub.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	service := hub.NewService()
	options := hub.Options{Root: root, Dir: filepath.Join(root, "_output", "ha"), Members: 3, ServerFlags: []string{"--v=2"}, Service: service, Out: os.Stderr}
	down := func() {
		if err := hub.Down(options); err != nil {
			t.Error(err)
		}
	}
	down()
	t.Cleanup(func() {
		down()
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	a := availability{suite: &suite{options: options, changes: &changes{}, since: time.Now()}}
	a.up(t)
	t.Cleanup(a.changes.close)
	config, err := a.environment.RESTConfig(hub.HubName)
	if err != nil {
		t.Fatal(err)
	}
	if a.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T, *availability)
	}{
		{"LeaderKilled", testLeaderKilled},
		{"LeaderStopped", testLeaderStopped},
		{"StoreNodeKilled", testStoreNodeKilled},
		{"QuorumLost", testQuorumLost},
		{"RollingRestart", testRollingRestart},
	} {
		if !t.Run(part.name, func(t *testing.T) {
			t.Cleanup(func() {
				for _, replica := range a.environment.Replicas() {
					if t.Failed() {
						t.Logf("%s ends with:\n%s", replica, tail(a.environment.Log(replica)))
					}
				}
			})
			part.run(t, &a)
		}) {
			break
		}
	}
	t.Logf("Figures:\n%s", strings.Join(a.figures, "\n"))
}

// availability is the suite of replicas.
type availability struct {
	*suite
	kube    kubernetes.Interface
	figures []string
}

func (a *availability) figure(what string, took time.Duration) {
	a.figures = append(a.figures, fmt.Sprintf("| %s | %.1f s |", what, took.Seconds()))
}

// testLeaderKilled kills the leader while a run has a cluster in flight.
func testLeaderKilled(t *testing.T, a *availability) {
	const name = "leader-killed"
	written := a.recordWrites(t, name)
	r := a.newRollout(t, name, stagingThenCanary, gate)
	r.start(t, name, 0, "Run")
	r.release(t, "member2")
	r.awaitRun(t, name, clusterIs("member3", "Started"))
	r.awaitGate(t, "member3")
	leader, holder := a.awaitLeader(t, "")
	asking := a.ask(t, a.read)
	killed := time.Now()
	a.kill(t, leader)
	r.release(t, "member3")
	a.awaitLeader(t, holder)
	took := time.Since(killed)
	if took > takeoverLimit {
		t.Errorf("nobody led for %s after the leader was killed, want %s at most", took, takeoverLimit)
	}
	a.figure("kill -9 of the leader, until the other replica leads", took)
	a.changes.watch(t, a.clusters)
	r.awaitRun(t, name, clusterIs("member1", "Started"))
	a.figure("kill -9 of the leader, until its run has started the next cluster", time.Since(killed))
	longest, failed := asking.end()
	a.figure("kill -9 of a replica, longest time that reads through the hub fail", longest)
	t.Logf("reads that failed: %v", failed)
	a.up(t)
	r.release(t, "member1")
	holdsOrder(t, r.succeeds(t, name, "value1"))
	written.hold(t, "value1")
	a.holdWorks(t, name, 1)
}

// testLeaderStopped stops the leader amid its work until the other has taken over, done that work and more, and is at work again. When the
// first goes on it has a queue and caches of long ago, and a member must get nothing from it.
func testLeaderStopped(t *testing.T, a *availability) {
	const name = "leader-stopped"
	leader, holder := a.awaitLeader(t, "")
	// The hub may have its connections with the replica that stops, and waits for it until its own time limits.
	other := a.through(t, a.otherThan(leader))
	written := other.recordWrites(t, name)
	r := other.newRollout(t, name, stagingThenCanary, gate)
	r.start(t, name, 0, "Run")
	r.release(t, "member2")
	r.awaitRun(t, name, clusterIs("member3", "Started"))
	asking := a.ask(t, a.read)
	stopped := time.Now()
	signal := func(signal syscall.Signal) {
		t.Helper()
		if err := a.environment.Signal(leader, signal); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	// One that is stopped cannot be ended in order.
	t.Cleanup(func() { _ = a.environment.Signal(leader, syscall.SIGCONT) })
	r.release(t, "member3")
	a.awaitLeader(t, holder)
	took := time.Since(stopped)
	a.figure("SIGSTOP of the leader, until the other replica leads", took)
	if took > takeoverLimit {
		t.Errorf("nobody led for %s after the leader was stopped, want %s at most", took, takeoverLimit)
	}
	r.release(t, "member1")
	holdsOrder(t, r.succeeds(t, name, "value1"))
	r.change(t, "value2", 1)
	r.start(t, name+"-2", 1, "Run")
	r.succeeds(t, name+"-2", "value2")
	// The gates are open by now, so this run is at work when the first leader goes on.
	r.change(t, "value3", 2)
	r.start(t, name+"-3", 2, "Run")
	before := a.logged(t, leader)
	signal(syscall.SIGCONT)
	resumed := time.Now()
	a.awaitLogged(t, leader, before, `"Not leading"`)
	took = time.Since(resumed)
	a.figure("SIGCONT of the former leader, until it knows that it does not lead", took)
	// Less than the renewal deadline of six seconds, for which it would go on trying.
	if took > 5*time.Second {
		t.Errorf("there were two leaders for %s", took)
	}
	longest, failed := asking.end()
	a.figure(fmt.Sprintf("SIGSTOP of a replica for %s, longest time that reads through the hub fail or hang", resumed.Sub(stopped).Round(time.Second)), longest)
	t.Logf("reads that failed: %v", failed)
	r.succeeds(t, name+"-3", "value3")
	written.hold(t, "value1", "value2", "value3")
	other.holdWorks(t, name, 3)
	if now, _ := a.awaitLeader(t, ""); now == leader {
		t.Errorf("%s leads again", leader)
	}
	a.changes.watch(t, a.clusters)
}

// testStoreNodeKilled kills the node of etcd that the others follow, during a run.
func testStoreNodeKilled(t *testing.T, a *availability) {
	const name = "node-killed"
	written := a.recordWrites(t, name)
	r := a.newRollout(t, name, stagingThenCanary, gate)
	_, holder := a.awaitLeader(t, "")
	node, err := a.environment.StoreLeader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.start(t, name, 0, "Run")
	r.release(t, "member2")
	a.createToWrite(t, name)
	request, kept := a.write(t, name)
	asking := a.ask(t, request)
	a.kill(t, node)
	for _, member := range []string{"member3", "member1"} {
		r.release(t, member)
	}
	holdsOrder(t, r.succeeds(t, name, "value1"))
	longest, failed := asking.end()
	kept()
	a.figure("kill -9 of the first node of etcd, longest time until a write has succeeded", longest)
	if len(failed) > 0 {
		t.Logf("writes that failed: %v", failed)
	}
	a.up(t)
	if _, now := a.awaitLeader(t, ""); now != holder {
		t.Errorf("the leader is %s now, was %s", now, holder)
	}
	written.hold(t, "value1")
	a.holdWorks(t, name, 1)
}

// testQuorumLost kills two of the three nodes of etcd amid a run, and brings them back. No replica ends.
func testQuorumLost(t *testing.T, a *availability) {
	const name = "quorum-lost"
	written := a.recordWrites(t, name)
	r := a.newRollout(t, name, stagingThenCanary, gate)
	_, holder := a.awaitLeader(t, "")
	r.start(t, name, 0, "Run")
	r.release(t, "member2")
	r.awaitRun(t, name, clusterIs("member3", "Started"))
	r.awaitGate(t, "member3")
	a.createToWrite(t, name)
	for _, node := range a.environment.StoreNodes()[:2] {
		a.kill(t, node)
	}
	request, kept := a.write(t, name)
	asking := a.ask(t, request)
	r.release(t, "member3")
	asking.awaitFailure(t)
	back := time.Now()
	a.up(t)
	a.figure("two of three nodes of etcd start again, until the API is back through the hub", time.Since(back))
	r.awaitRun(t, name, clusterIs("member1", "Started"))
	a.figure("two of three nodes of etcd start again, until the run has started the next cluster", time.Since(back))
	_, failed := asking.end()
	kept()
	t.Logf("writes that failed: %v", failed)
	r.release(t, "member1")
	holdsOrder(t, r.succeeds(t, name, "value1"))
	if _, now := a.awaitLeader(t, ""); now != holder {
		t.Errorf("the leader is %s now, was %s", now, holder)
	}
	written.hold(t, "value1")
	a.holdWorks(t, name, 1)
}

// testRollingRestart replaces both replicas, the leader each time, while users read, write and watch, and a run is under way.
func testRollingRestart(t *testing.T, a *availability) {
	const name = "rolling-restart"
	written := a.recordWrites(t, name)
	r := a.newRollout(t, name, stagingThenCanary, gate)
	r.start(t, name, 0, "Run")
	r.awaitRun(t, name, clusterIs("member2", "Started"))
	endKubectl := a.kubectlLoop(t, name)
	endWatch := a.watchLoop(t, name)
	request, kept := a.write(t, name)
	asking := a.ask(t, request)
	for i, member := range []string{"member2", "member3"} {
		leader, holder := a.awaitLeader(t, "")
		asked := time.Now()
		var ending sync.WaitGroup
		ending.Go(func() {
			if err := a.environment.Replace(leader); err != nil {
				t.Error(err)
			}
			a.figure(fmt.Sprintf("SIGTERM of leader %d, until its process has ended", i+1), time.Since(asked))
		})
		r.release(t, member)
		a.awaitLeader(t, holder)
		took := time.Since(asked)
		ending.Wait()
		a.figure(fmt.Sprintf("SIGTERM of leader %d, until the other replica leads", i+1), took)
		if took > handoverLimit {
			t.Errorf("nobody led for %s after the leader was asked to end, want %s at most", took, handoverLimit)
		}
		a.up(t)
	}
	r.awaitRun(t, name, clusterIs("member1", "Started"))
	r.release(t, "member1")
	holdsOrder(t, r.succeeds(t, name, "value1"))
	longest, failed := asking.end()
	kept()
	a.figure("both replicas are replaced, longest time until a write has succeeded", longest)
	unsent := 0
	for err, times := range failed {
		if isUnsent(err) {
			t.Logf("%d writes by client-go were not sent: %s", times, err)
			unsent += times
			delete(failed, err)
		}
	}
	if unsent > maxUnsent {
		t.Errorf("%d writes by client-go were not sent, more than %d", unsent, maxUnsent)
	}
	if len(failed) > 0 {
		t.Errorf("writes by client-go failed: %v", failed)
	}
	endWatch()
	endKubectl()
	written.hold(t, "value1")
	a.holdWorks(t, name, 1)
}

// awaitLeader waits until a replica leads whose identity is not other, and returns the replica and its identity.
func (a *availability) awaitLeader(t *testing.T, other string) (replica, identity string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(ctx context.Context) (bool, error) {
		lease, err := a.kube.CoordinationV1().Leases("fleet-system").Get(ctx, serverProcess, metav1.GetOptions{})
		if err != nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" || *lease.Spec.HolderIdentity == other {
			return false, err
		}
		identity = *lease.Spec.HolderIdentity
		for _, replica = range a.environment.Replicas() {
			for line := range strings.Lines(a.logged(t, replica)) {
				if strings.Contains(line, `"Leading"`) && strings.Contains(line, identity) {
					return true, nil
				}
			}
		}
		return false, nil
	})
	if err != nil {
		t.Fatalf("no replica leads, the Lease is held by %q: %v", identity, err)
	}
	return replica, identity
}

func (a *availability) otherThan(replica string) string {
	replicas := a.environment.Replicas()
	return replicas[slices.IndexFunc(replicas, func(r string) bool { return r != replica })]
}

// logged returns all that a replica has logged.
func (a *availability) logged(t *testing.T, replica string) string {
	t.Helper()
	data, err := os.ReadFile(a.environment.Log(replica))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// awaitLogged waits for a text in what a replica logs after what it had logged before.
func (a *availability) awaitLogged(t *testing.T, replica, before, text string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(context.Context) (bool, error) {
		return strings.Contains(strings.TrimPrefix(a.logged(t, replica), before), text), nil
	})
	if err != nil {
		t.Fatalf("%s never says %q: %v", replica, text, err)
	}
}

// through returns the suite with a hub whose fleet is asked of one replica, as a Pod of the hub could.
func (a *availability) through(t *testing.T, replica string) *availability {
	t.Helper()
	config, err := a.environment.RESTConfig(hub.HubName)
	if err != nil {
		t.Fatal(err)
	}
	config.Host = a.environment.ReplicaURL(replica)
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	s := *a.suite
	s.clusters = maps.Clone(s.clusters)
	s.clusters[hub.HubName] = cluster{divided{s.hub(), client}}
	s.changes = &changes{}
	s.changes.watch(t, s.clusters)
	t.Cleanup(s.changes.close)
	return &availability{suite: &s, kube: a.kube}
}

// divided is a hub whose fleet is asked elsewhere.
type divided struct {
	dynamic.Interface
	fleet dynamic.Interface
}

func (d divided) Resource(resource schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	if resource.Group == placementV1beta1.Group || resource.Group == kindMemberCluster.Group {
		return d.fleet.Resource(resource)
	}
	return d.Interface.Resource(resource)
}

// writes are those that the ConfigMap of a rollout has got on each member.
type writes struct {
	mu      sync.Mutex
	members map[string][]write
	*availability
	name string
}

type write struct{ value, resourceVersion string }

// recordWrites records from now on what is written to the ConfigMap of a rollout that is to come, on every member: its watch has each write.
func (a *availability) recordWrites(t *testing.T, name string) *writes {
	t.Helper()
	w := &writes{members: map[string][]write{}, availability: a, name: name}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var watching sync.WaitGroup
	t.Cleanup(func() { cancel(); watching.Wait() })
	for _, member := range a.environment.Members() {
		options := metav1.ListOptions{FieldSelector: "metadata.name=settings"}
		events, err := a.clusters[member].of(kindConfigMap, name).Watch(ctx, options)
		if err != nil {
			t.Fatal(err)
		}
		watching.Go(func() {
			defer events.Stop()
			for event := range events.ResultChan() {
				obj, ok := event.Object.(*unstructured.Unstructured)
				if !ok || event.Type == watch.Deleted {
					continue
				}
				value, _, _ := unstructured.NestedString(obj.Object, "data", "key")
				w.mu.Lock()
				w.members[member] = append(w.members[member], write{value, obj.GetResourceVersion()})
				w.mu.Unlock()
				a.changes.notify()
			}
		})
	}
	return w
}

// hold holds that every member has got each of the values by one write, in that order.
func (w *writes) hold(t *testing.T, values ...string) {
	t.Helper()
	for _, member := range w.environment.Members() {
		var got []string
		w.eventually(t, func() error {
			obj, err := w.clusters[member].get(t.Context(), kindConfigMap, w.name, "settings")
			if err != nil {
				return err
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			seen := w.members[member]
			if len(seen) == 0 || seen[len(seen)-1].resourceVersion != obj.GetResourceVersion() {
				return fmt.Errorf("the watch of %s has not had the last write yet", member)
			}
			got = nil
			for _, write := range seen {
				got = append(got, write.value)
			}
			return nil
		})
		if diff := cmp.Diff(values, got); diff != "" {
			t.Errorf("writes to ConfigMap %s/settings on %s (-want +got):\n%s", w.name, member, diff)
		}
	}
}

// holdWorks holds that the Work of a placement for each member was written once for each version.
func (a *availability) holdWorks(t *testing.T, placement string, versions int64) {
	t.Helper()
	works, err := a.hub().of(placementV1beta1.WithKind("Work"), "").List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes-fleet.io/parent-CRP=" + placement})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(works.Items), len(a.environment.Members()); got != want {
		t.Errorf("%s has %d Works, want %d", placement, got, want)
	}
	for i := range works.Items {
		if work := &works.Items[i]; work.GetGeneration() != versions {
			t.Errorf("Work %s/%s has generation %d, want %d", work.GetNamespace(), work.GetName(), work.GetGeneration(), versions)
		}
	}
}

// asking is a client that asks one thing after the other, each without patience of its own: what client-go tries again it tries again.
type asking struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	failed  map[string]int
	longest time.Duration
	failure chan struct{}
}

// ask asks until the end.
func (a *availability) ask(t *testing.T, request func(context.Context) error) *asking {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	asking := &asking{cancel: cancel, done: make(chan struct{}), failed: map[string]int{}, failure: make(chan struct{})}
	t.Cleanup(func() { asking.end() })
	go func() {
		defer close(asking.done)
		pace := time.NewTicker(askInterval)
		defer pace.Stop()
		since := time.Now()
		for ctx.Err() == nil {
			limited, done := context.WithTimeout(ctx, askTimeout)
			err := request(limited)
			done()
			if ctx.Err() != nil {
				return
			}
			asking.mu.Lock()
			if err == nil {
				asking.longest = max(asking.longest, time.Since(since))
				since = time.Now()
			} else {
				if len(asking.failed) == 0 {
					close(asking.failure)
				}
				asking.failed[told(err)]++
			}
			asking.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-pace.C:
			}
		}
	}()
	return asking
}

// told is an error with what kube-apiserver says caused it.
func told(err error) string {
	text := err.Error()
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			text += ": " + cause.Message
		}
	}
	return text
}

// isUnsent is an error of a write that was on its way to a replica when that ended the connection in order. The replica has not looked at it, and
// kube-apiserver cannot send it once more: it has not kept its body. So it is with every aggregated API server and its HTTP/2.
func isUnsent(told string) bool {
	return strings.Contains(told, "cannot retry") && strings.Contains(told, "graceful shutdown GOAWAY")
}

// awaitFailure waits until an answer is an error.
func (a *asking) awaitFailure(t *testing.T) {
	t.Helper()
	select {
	case <-a.failure:
	case <-time.After(2 * patience):
		t.Fatalf("no request has failed within %s", 2*patience)
	}
}

// end returns the longest time from one answer without an error to the next, and how often there was which error.
func (a *asking) end() (time.Duration, map[string]int) {
	a.cancel()
	<-a.done
	return a.longest, a.failed
}

func (a *availability) read(ctx context.Context) error {
	_, err := a.hub().of(kindStrategy, "").List(ctx, metav1.ListOptions{Limit: 1})
	return err
}

// loopStrategy is an object to write to. Nothing uses it.
const loopStrategy = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: %s, annotations: {count: "0"}}
spec: {stages: [{name: all, labelSelector: {}}]}`

// createToWrite creates a strategy to write to.
func (a *availability) createToWrite(t *testing.T, name string) {
	t.Helper()
	t.Cleanup(func() { a.mustRunInCleanup(t, "kubectl delete csus --ignore-not-found "+name+"-counted") })
	a.hub().mustCreate(t, fmt.Sprintf(loopStrategy, name+"-counted"))
}

// write returns a request that writes the next number to the strategy that createToWrite has made. kept holds that none that was acknowledged is lost.
func (a *availability) write(t *testing.T, name string) (request func(context.Context) error, kept func()) {
	t.Helper()
	client, count := a.hub().of(kindStrategy, ""), 0
	request = func(ctx context.Context) error {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"count":"%d"}}}`, count+1)
		_, err := client.Patch(ctx, name+"-counted", types.MergePatchType, patch, metav1.PatchOptions{})
		if err == nil {
			count++
		}
		return err
	}
	return request, func() {
		t.Helper()
		stored, err := client.Get(t.Context(), name+"-counted", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// One that failed at last may be stored all the same.
		if got := stored.GetAnnotations()["count"]; count == 0 || got != strconv.Itoa(count) && got != strconv.Itoa(count+1) {
			t.Errorf("%d writes were acknowledged, and the last that is stored is %q", count, got)
		}
	}
}

// watchLoop watches a strategy to which somebody writes numbers. The function that it returns holds that the watch has had every number
// once, in order, up to the last.
func (a *availability) watchLoop(t *testing.T, name string) func() {
	t.Helper()
	a.createToWrite(t, name)
	client := a.hub().of(kindStrategy, "")
	list, err := client.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	options := metav1.ListOptions{FieldSelector: "metadata.name=" + name + "-counted"}
	watcher, err := watchtools.NewRetryWatcherWithContext(t.Context(), list.GetResourceVersion(), &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = options.FieldSelector
			return client.Watch(ctx, o)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for event := range watcher.ResultChan() {
			said := fmt.Sprintf("%s with %v", event.Type, event.Object)
			if obj, ok := event.Object.(*unstructured.Unstructured); ok {
				said = obj.GetAnnotations()["count"]
			}
			mu.Lock()
			seen = append(seen, said)
			mu.Unlock()
			a.changes.notify()
		}
	})
	t.Cleanup(func() { watcher.Stop(); reading.Wait() })
	return func() {
		t.Helper()
		obj, err := client.Get(t.Context(), name+"-counted", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		last, err := strconv.Atoi(obj.GetAnnotations()["count"])
		if err != nil || last == 0 {
			t.Fatalf("nothing was written: %v", err)
		}
		a.eventually(t, func() error {
			mu.Lock()
			defer mu.Unlock()
			for i, got := range seen {
				if want := strconv.Itoa(i + 1); got != want {
					t.Fatalf("the watch has %s, want number %s of %d", got, want, last)
				}
			}
			if len(seen) < last {
				return fmt.Errorf("the watch has %d of %d numbers", len(seen), last)
			}
			return nil
		})
		t.Logf("the watch has had all of %d writes", last)
	}
}

// kubectlLoop has a user apply and read one object after the other. The function that it returns ends that, and holds that no command failed.
func (a *availability) kubectlLoop(t *testing.T, name string) func() {
	t.Helper()
	end := filepath.Join(t.TempDir(), "end")
	script := fmt.Sprintf(`n=0
while [ ! -e %[1]s ]; do
  n=$((n+1))
  kubectl apply -f - >/dev/null <<EOF
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: %[2]s-kubectl, annotations: {count: "$n"}}
spec: {stages: [{name: all, labelSelector: {}}]}
EOF
  [ "$(kubectl get csus %[2]s-kubectl -o jsonpath='{.metadata.annotations.count}')" = "$n" ]
done
echo $n`, end, name)
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() {
		out, err := a.run(ctx, hub.HubName, script)
		done <- result{out, err}
	}()
	t.Cleanup(func() {
		cancel()
		a.mustRunInCleanup(t, "kubectl delete csus --ignore-not-found "+name+"-kubectl")
	})
	return func() {
		t.Helper()
		if err := os.WriteFile(end, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-done:
			if got.err != nil {
				t.Errorf("kubectl failed: %v", got.err)
			}
			t.Logf("kubectl has applied and read %s times", strings.TrimSpace(got.out))
		case <-time.After(patience):
			t.Error(errors.New("kubectl hangs"))
		}
	}
}
