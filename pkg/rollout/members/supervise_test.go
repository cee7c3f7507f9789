// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	fleetfake "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

func memberCluster(name string, joined bool) *clusterv1beta1.MemberCluster {
	cluster := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if joined {
		cluster.Status.Conditions = []metav1.Condition{{Type: clusterv1beta1.ConditionTypeMemberClusterJoined, Status: metav1.ConditionTrue}}
	}
	return cluster
}

// supervision is a fleet with a function that tells what becomes of its runs.
type supervision struct {
	t         *testing.T
	clientset *fleetfake.Clientset
	hub       *fake.Clientset
	directory *Directory
	fleet     *fleet.Fleet
	// started and ended carry the token that a run has.
	started, ended chan string
	// fail ends a run.
	fail chan error
}

func newSupervision(t *testing.T, clusters ...*clusterv1beta1.MemberCluster) *supervision {
	var objs []runtime.Object
	for _, cluster := range clusters {
		objs = append(objs, cluster)
	}
	s := &supervision{
		t:         t,
		clientset: fleetfake.NewClientset(objs...),
		hub:       fake.NewClientset(memberSecret("a", goodKubeconfig)),
		started:   make(chan string),
		ended:     make(chan string),
		fail:      make(chan error),
	}
	s.directory = newDirectory(t, s.hub)
	s.fleet = fleet.New(s.clientset)
	s.fleet.Start(t.Context().Done())
	if !s.fleet.WaitForSync(t.Context().Done()) {
		t.Fatal("caches are not filled")
	}
	return s
}

func (s *supervision) run(ctx context.Context, m *Member) error {
	s.started <- m.Config.BearerToken
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.fail:
	}
	s.ended <- m.Config.BearerToken
	return err
}

// supervise starts Supervise; stop ends it and waits for it and its runs.
func (s *supervision) supervise() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error)
	go func() { done <- Supervise(ctx, s.fleet, s.directory, s.run) }()
	return func() {
		cancel()
		for timeout := time.After(deadline); ; {
			select {
			case <-s.ended:
			case err := <-done:
				if err != nil {
					s.t.Error(err)
				}
				return
			case <-timeout:
				s.t.Fatal("Supervise did not return")
			}
		}
	}
}

func (s *supervision) expect(what string, from <-chan string, want string) {
	s.t.Helper()
	select {
	case got := <-from:
		if got != want {
			s.t.Fatalf("%s: %q, want %q", what, got, want)
		}
	case got := <-s.other(from):
		s.t.Fatalf("%s: something else happened with %q", what, got)
	case <-time.After(deadline):
		s.t.Fatalf("%s: did not happen", what)
	}
}

func (s *supervision) other(than <-chan string) <-chan string {
	if than == s.started {
		return s.ended
	}
	return s.started
}

func (s *supervision) update(cluster *clusterv1beta1.MemberCluster) {
	s.t.Helper()
	if _, err := s.clientset.ClusterV1beta1().MemberClusters().Update(s.t.Context(), cluster, metav1.UpdateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *supervision) rotate(token string) {
	s.t.Helper()
	s.rotateTo(strings.Replace(goodKubeconfig, "secret", token, 1))
}

func (s *supervision) rotateTo(kubeconfig string) {
	s.t.Helper()
	secret := memberSecret("a", kubeconfig)
	if _, err := s.hub.CoreV1().Secrets(wellknown.SystemNamespace).Update(s.t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// waitFor waits until the directory has the credentials with that token.
func (s *supervision) waitFor(token string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	seen := make(chan struct{}, 1)
	queue := reconcile.NewWithClock("test", 1, func(context.Context, reconcile.Key) (time.Duration, error) {
		if m, err := s.directory.Get("a"); err == nil && m.Config.BearerToken == token {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
		return 0, nil
	}, clock.RealClock{})
	s.directory.Watch(queue)
	// The credentials may have changed before the queue watched them.
	queue.Enqueue(reconcile.Key{Name: "a"})
	go func() { _ = queue.Run(ctx) }()
	select {
	case <-seen:
	case <-time.After(deadline):
		s.t.Fatalf("the directory never had the token %q", token)
	}
}

func TestSuperviseRunsWhileTheClusterIsAMember(t *testing.T) {
	s := newSupervision(t, memberCluster("a", false))
	stop := s.supervise()

	s.update(memberCluster("a", true))
	s.expect("start when it joins", s.started, "secret")

	leaving := memberCluster("a", true)
	now := metav1.Now()
	leaving.DeletionTimestamp, leaving.Finalizers = &now, []string{wellknown.MemberClusterFinalizer}
	idle := s.directory.Idle("a")
	select {
	case <-idle:
		t.Error("the member is idle while the function runs")
	default:
	}
	s.update(leaving)
	s.expect("end when it leaves", s.ended, "secret")
	select {
	case <-idle:
	case <-time.After(deadline):
		t.Error("the member is not idle after the function has returned")
	}

	s.update(memberCluster("a", true))
	s.expect("start when it has come back", s.started, "secret")
	if err := s.clientset.ClusterV1beta1().MemberClusters().Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.expect("end when it is gone", s.ended, "secret")
	stop()
}

func TestSuperviseEndsARunBeforeItUsesNewCredentials(t *testing.T) {
	s := newSupervision(t, memberCluster("a", true))
	stop := s.supervise()
	s.expect("start", s.started, "secret")
	s.rotate("rotated")
	// expect fails if the second run starts before the first has ended.
	s.expect("end", s.ended, "secret")
	s.expect("start", s.started, "rotated")

	if err := s.hub.CoreV1().Secrets(wellknown.SystemNamespace).Delete(t.Context(), "member-a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.expect("end without credentials", s.ended, "rotated")
	if _, err := s.hub.CoreV1().Secrets(wellknown.SystemNamespace).Create(t.Context(), memberSecret("a", goodKubeconfig), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.expect("start with credentials", s.started, "secret")
	stop()
}

func TestSuperviseStartsAgainAfterAnError(t *testing.T) {
	s := newSupervision(t, memberCluster("a", true))
	stop := s.supervise()
	s.expect("start", s.started, "secret")
	s.fail <- errors.New("boom")
	s.expect("end", s.ended, "secret")
	s.expect("start", s.started, "secret")
	stop()
}

func TestPausesGrowUntilTheCredentialsChange(t *testing.T) {
	s := newSupervision(t, memberCluster("a", true))
	c := clocktesting.NewFakeClock(time.Now())
	fails := func(ctx context.Context, m *Member) error {
		if m.Config.BearerToken == "rotated" {
			<-ctx.Done()
			return nil
		}
		panic("boom")
	}
	supervisor := newSupervisor(s.fleet, s.directory, fails, c)
	key := reconcile.Key{Name: "a"}
	ctx, cancel := context.WithCancel(t.Context())
	defer supervisor.running.Wait()
	defer cancel()
	look := func() time.Duration {
		t.Helper()
		again, err := supervisor.reconcile(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	startAndFail := func() {
		t.Helper()
		if again := look(); again != 0 {
			t.Fatalf("not started, but looked at again in %s", again)
		}
		<-supervisor.state("a").session.done
	}

	startAndFail()
	for _, want := range []time.Duration{firstPause, 2 * firstPause, 4 * firstPause} {
		if got := look(); got != want {
			t.Errorf("pause %s, want %s", got, want)
		}
		c.Step(want)
		startAndFail()
	}
	if got := look(); got == 0 {
		t.Error("no pause after the last failure")
	}

	s.rotate("rotated")
	s.waitFor("rotated")
	if again := look(); again != 0 || supervisor.state("a").session == nil {
		t.Errorf("new credentials are tried in %s, want at once", again)
	}
}

func TestNothingRunsForAMemberThatHasAnAgent(t *testing.T) {
	s := newSupervision(t, memberCluster("a", true))
	stop := s.supervise()
	defer stop()
	s.expect("the server serves the member", s.started, "secret")
	pulled := memberCluster("a", true)
	pulled.Annotations = map[string]string{wellknown.DeliveryAnnotation: wellknown.DeliveryPull}
	s.update(pulled)
	s.expect("an agent serves it", s.ended, "secret")
	// A run that started by mistake would start with the credentials of then.
	s.rotate("other")
	s.waitFor("other")
	s.update(memberCluster("a", true))
	s.expect("the server serves it again", s.started, "other")
}

func TestTheServerBeginsOnceAnAgentHasNoRightsAnyMore(t *testing.T) {
	s := newSupervision(t, memberCluster("a", true))
	internals := s.clientset.ClusterV1beta1().InternalMemberClusters("fleet-member-a")
	internal := &clusterv1beta1.InternalMemberCluster{ObjectMeta: metav1.ObjectMeta{
		Namespace: "fleet-member-a", Name: "a", Annotations: map[string]string{wellknown.DeliveryAnnotation: wellknown.DeliveryPull},
	}}
	if _, err := internals.Create(t.Context(), internal, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	supervisor := newSupervisor(s.fleet, s.directory, s.run, clocktesting.NewFakeClock(time.Now()))
	if again, err := supervisor.reconcile(t.Context(), reconcile.Key{Name: "a"}); err != nil || again != 0 || supervisor.state("a").session != nil {
		t.Errorf("looked at again after %s, error %v; the server serves: %t", again, err, supervisor.state("a").session != nil)
	}
	stop := s.supervise()
	defer stop()
	internal.Annotations = nil
	if _, err := internals.Update(t.Context(), internal, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	// Who has taken the rights of the agent tells so.
	s.directory.Wake("a")
	s.expect("the server serves the member", s.started, "secret")
}
