// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	componentbaseconfig "k8s.io/component-base/config"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/stagegate/stagegate/pkg/rollout/internal/election"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

const (
	leaseName = "stagegate-apiserver"
	namespace = "fleet-system"
	me        = "this-replica"
	another   = "another-replica"
)

var electionTimes = func() componentbaseconfig.LeaderElectionConfiguration {
	lease, renewDeadline, retryPeriod := DefaultElectionTimes()
	return componentbaseconfig.LeaderElectionConfiguration{
		LeaderElect:       true,
		LeaseDuration:     metav1.Duration{Duration: lease},
		RenewDeadline:     metav1.Duration{Duration: renewDeadline},
		RetryPeriod:       metav1.Duration{Duration: retryPeriod},
		ResourceNamespace: namespace,
		ResourceName:      leaseName,
	}
}()

// aRetryPeriod is how long a renewal is away at most, with the jitter of the election.
const aRetryPeriod = 3 * time.Second

// campaign has a replica campaign until the context ends. The channels get when it leads, and when its term has ended.
func campaign(ctx context.Context, t *testing.T, hub kubernetes.Interface, identity string) (began, ended <-chan time.Time) {
	t.Helper()
	b, e := make(chan time.Time, 1), make(chan time.Time, 1)
	go func() {
		err := election.Campaign(ctx, hub, electionTimes, identity, func(term context.Context) error {
			b <- time.Now()
			<-term.Done()
			e <- time.Now()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	return b, e
}

// TestAnotherReplicaLeadsSoon has a leader end, or get no more answers, as one that is killed asks for none. The second leads soon, and not
// before the first, which cannot know who has the lease, has ended its term. The jitter of the election differs from one time to the next.
func TestAnotherReplicaLeadsSoon(t *testing.T) {
	const pause = 3 * time.Second
	for name, tc := range map[string]struct {
		cut    bool
		within time.Duration
		// hangs is how long a request takes that is not answered.
		hangs time.Duration
	}{
		"after a leader that ends in order":      {within: 3 * time.Second},
		"after a leader that is cut off":         {cut: true, within: 15 * time.Second},
		"after a leader whose requests are lost": {cut: true, within: 15 * time.Second, hangs: electionTimes.RenewDeadline.Duration},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 10 {
				synctest.Test(t, func(t *testing.T) {
					hub, mine := aHub(), fake.NewClientset()
					var cut atomic.Bool
					mine.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
						if cut.Load() {
							time.Sleep(tc.hangs)
							return true, nil, errors.New("no answer")
						}
						answer, err := hub.Invokes(action, &coordinationv1.Lease{})
						return true, answer, err
					})
					ctx, end := context.WithCancel(t.Context())
					defer end()
					began, ended := campaign(ctx, t, mine, me)
					<-began
					otherCtx, endOther := context.WithCancel(t.Context())
					defer endOther()
					second, _ := campaign(otherCtx, t, hub, another)
					time.Sleep(20*time.Second + time.Duration(i)*107*time.Millisecond)
					last := time.Now()
					if cut.Store(tc.cut); !tc.cut {
						end()
					}
					leads := <-second
					if took := leads.Sub(last); took > tc.within {
						t.Errorf("nobody led for %s, want %s at most", took, tc.within)
					}
					select {
					case at := <-ended:
						if got := leads.Sub(at); tc.cut && got < pause {
							t.Errorf("the first ended its term %s before the second led, want %s at least", got, pause)
						}
					default:
						t.Error("both lead")
					}
					end()
					endOther()
					// The last request may be under way.
					time.Sleep(2 * tc.hangs)
					synctest.Wait()
				})
			}
		})
	}
}

// aHub is a hub "this-hub" that refuses to overwrite a Lease which was changed meanwhile.
func aHub() *fake.Clientset {
	hub := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "this-hub"}})
	hub.PrependReactor("update", "leases", func(action clienttesting.Action) (bool, runtime.Object, error) {
		lease := action.(clienttesting.UpdateAction).GetObject().(*coordinationv1.Lease)
		current, err := hub.Tracker().Get(action.GetResource(), lease.Namespace, lease.Name)
		if err != nil {
			return true, nil, err
		}
		version := current.(*coordinationv1.Lease).ResourceVersion
		if lease.ResourceVersion != version {
			return true, nil, apierrors.NewConflict(action.GetResource().GroupResource(), lease.Name, errors.New("changed"))
		}
		n, _ := strconv.Atoi(version)
		lease = lease.DeepCopy()
		lease.ResourceVersion = strconv.Itoa(n + 1)
		return true, lease, hub.Tracker().Update(action.GetResource(), lease, lease.Namespace)
	})
	return hub
}

// holder returns who holds the lease, "" if nobody does or if there is none.
func holder(t *testing.T, hub *fake.Clientset) string {
	t.Helper()
	lease, err := hub.CoordinationV1().Leases(namespace).Get(context.WithoutCancel(t.Context()), leaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && lease.Spec.HolderIdentity == nil {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return *lease.Spec.HolderIdentity
}

// anotherTakes has another replica hold the lease, which it may once it thinks that the holder is gone.
func anotherTakes(t *testing.T, hub *fake.Clientset) {
	t.Helper()
	leases := hub.CoordinationV1().Leases(namespace)
	now := metav1.NowMicro()
	spec := coordinationv1.LeaseSpec{HolderIdentity: new(another), LeaseDurationSeconds: new(int32(15)), AcquireTime: &now, RenewTime: &now}
	lease, err := leases.Get(t.Context(), leaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: leaseName}, Spec: spec}, metav1.CreateOptions{})
	} else if err == nil {
		lease = lease.DeepCopy()
		lease.Spec = spec
		_, err = leases.Update(t.Context(), lease, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestALeaderThatReadsAnotherHolderEndsItsTermAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := aHub()
		began, ended := make(chan struct{}), make(chan struct{})
		done := make(chan error, 1)
		go func() {
			done <- election.Campaign(t.Context(), hub, electionTimes, me, func(term context.Context) error {
				close(began)
				<-term.Done()
				close(ended)
				return nil
			})
		}()
		<-began
		// Between two renewals, which would be in conflict with it.
		time.Sleep(1500 * time.Millisecond)
		anotherTakes(t, hub)
		taken := time.Now()
		<-ended
		if took := time.Since(taken); took > aRetryPeriod {
			t.Errorf("the term went on for %s after another replica had taken the lease", took)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := holder(t, hub); got != another {
			t.Errorf("the lease is held by %q, want %q", got, another)
		}
	})
}

// TestALeaseIsNotTakenBackWithinATerm has the other holder give the lease back before its predecessor looks.
func TestALeaseIsNotTakenBackWithinATerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := aHub()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := make(chan struct{})
		done := make(chan error, 1)
		go func() {
			done <- election.Campaign(ctx, hub, electionTimes, me, func(term context.Context) error {
				close(began)
				<-term.Done()
				return nil
			})
		}()
		<-began
		anotherTakes(t, hub)
		leases := hub.CoordinationV1().Leases(namespace)
		lease, err := leases.Get(t.Context(), leaseName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		lease = lease.DeepCopy()
		lease.Spec.HolderIdentity = new("")
		if _, err := leases.Update(t.Context(), lease, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || ctx.Err() != nil {
			t.Errorf("the term goes on: %v", err)
		}
	})
}

func TestALeaseOfAnotherIsNotReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := aHub()
		ctx, cancel := context.WithCancel(t.Context())
		began := make(chan struct{})
		done := make(chan error, 1)
		go func() {
			done <- election.Campaign(ctx, hub, electionTimes, me, func(term context.Context) error {
				close(began)
				<-term.Done()
				return nil
			})
		}()
		<-began
		synctest.Wait()
		// The end comes before the next renewal, which would read the other holder.
		anotherTakes(t, hub)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := holder(t, hub); got != another {
			t.Errorf("the lease is held by %q, want %q", got, another)
		}
	})
}

func TestTheLeaseIsHeldUntilLeadHasReturned(t *testing.T) {
	errLed := errors.New("led")
	for name, byItself := range map[string]bool{"lead returns by itself": true, "the context ends": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := aHub()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				began := make(chan struct{})
				done := make(chan error, 1)
				go func() {
					done <- election.Campaign(ctx, hub, electionTimes, me, func(term context.Context) error {
						close(began)
						if !byItself {
							<-term.Done()
						}
						// Longer than the lease lasts without a renewal.
						time.Sleep(time.Minute)
						if got := holder(t, hub); got != me {
							t.Errorf("the lease is held by %q while lead returns", got)
						}
						return errLed
					})
				}()
				<-began
				if !byItself {
					cancel()
				}
				if err := <-done; !errors.Is(err, errLed) {
					t.Errorf("Campaign() = %v, want %v", err, errLed)
				}
				if got := holder(t, hub); got != "" {
					t.Errorf("the lease is still held by %q", got)
				}
			})
		})
	}
}

func TestACampaignEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := aHub()
		anotherTakes(t, hub)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := election.Campaign(ctx, hub, electionTimes, me, func(context.Context) error {
			t.Error("led without the lease")
			return nil
		})
		if err != nil || ctx.Err() == nil {
			t.Errorf("Campaign() = %v before the end", err)
		}
	})
}

// hubRecord is where the store of a test keeps which hub it rules.
type hubRecord struct {
	mu  sync.Mutex
	hub string
}

func (r *hubRecord) Hub(context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hub, nil
}

func (r *hubRecord) SetHub(_ context.Context, from, to string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hub != from {
		return storeid.ErrHubRecordChanged
	}
	r.hub = to
	return nil
}

// world is a replica of store "mine" that wants to lead hub "this-hub".
type world struct {
	*testing.T
	hub    *fake.Clientset
	record *hubRecord
	log    ktesting.Buffer
	// terms gets the ruler when a term begins, ended when it has ended.
	terms chan storeid.Ruler
	ended chan struct{}
	// health is what the replica tells of itself.
	health *health
}

// begin runs the replica until the test ends.
func begin(t *testing.T, hub *fake.Clientset, recorded string, election componentbaseconfig.LeaderElectionConfiguration, change ...func(*leadership)) *world {
	t.Helper()
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
	w := &world{
		T: t, hub: hub, record: &hubRecord{hub: recorded}, log: logger.GetSink().(ktesting.Underlier).GetBuffer(),
		terms: make(chan storeid.Ruler, 1), ended: make(chan struct{}, 1), health: newHealth(nil),
	}
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), logger))
	done := make(chan struct{})
	l := leadership{
		hub: hub, store: "mine", record: w.record, election: election, identity: me, told: w.health.told,
		lead: func(ctx context.Context, ruler storeid.Ruler) {
			w.terms <- ruler
			<-ctx.Done()
			w.ended <- struct{}{}
		},
	}
	for _, c := range change {
		c(&l)
	}
	go func() {
		defer close(done)
		l.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if got := holder(t, hub); got == me {
			t.Error("the lease was not given back")
		}
	})
	return w
}

// name writes the hub's ConfigMap; "" is no key.
func (w *world) name(store, hub string) {
	w.Helper()
	data := map[string]string{}
	for key, value := range map[string]string{storeid.ConfigMapKey: store, storeid.ConfigMapHubKey: hub} {
		if value != "" {
			data[key] = value
		}
	}
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: storeid.ConfigMapName}, Data: data}
	configMaps := w.hub.CoreV1().ConfigMaps(namespace)
	_, err := configMaps.Update(w.Context(), configMap, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = configMaps.Create(w.Context(), configMap, metav1.CreateOptions{})
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) leads() {
	w.Helper()
	select {
	case ruler := <-w.terms:
		if want := (storeid.Ruler{Store: "mine", Hub: "this-hub"}); ruler != want {
			w.Errorf("led as %v, want %v", ruler, want)
		}
	case <-time.After(time.Minute):
		w.Fatal("does not lead")
	}
}

func (w *world) doesNotLead() {
	w.Helper()
	synctest.Wait()
	select {
	case <-w.terms:
		w.Fatal("leads")
	default:
	}
	if got := holder(w.T, w.hub); got == me {
		w.Error("holds the lease and does not lead")
	}
}

// endsAtOnce is when no time passes before the term ends.
func (w *world) endsAtOnce() {
	w.Helper()
	synctest.Wait()
	select {
	case <-w.ended:
	default:
		w.Fatal("the term goes on")
	}
}

func (w *world) logged(what string) int { return strings.Count(w.log.String(), what) }

// elections are the two ways to lead.
var elections = map[string]componentbaseconfig.LeaderElectionConfiguration{
	"with an election":    electionTimes,
	"without an election": {},
}

func TestWhoMayNotRuleTheHubDoesNotCampaign(t *testing.T) {
	for name, tc := range map[string]struct {
		recorded, store, hub string
		says                 string
	}{
		"another store rules the hub":        {store: "theirs", hub: "this-hub", says: "names store theirs"},
		"the store rules another hub":        {recorded: "that-hub", says: "names hub that-hub"},
		"the other hub's ConfigMap was kept": {recorded: "that-hub", store: "mine", hub: "that-hub", says: "names hub that-hub"},
	} {
		for how, election := range elections {
			t.Run(name+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					hub := aHub()
					w := &world{T: t, hub: hub}
					if tc.store != "" {
						w.name(tc.store, tc.hub)
					}
					w = begin(t, hub, tc.recorded, election)
					for range 100 {
						w.doesNotLead()
						time.Sleep(time.Second)
					}
					if got := w.logged("This server leads nothing"); got != 1 || w.logged(tc.says) != 1 {
						t.Errorf("logged %d times in 100 s:\n%s", got, w.log.String())
					}
					for _, action := range hub.Actions() {
						if action.GetResource().Resource == "leases" && action.GetVerb() != "get" {
							t.Errorf("wrote the lease: %v", action)
						}
					}

					if got := w.health.problem(); got == nil || !strings.Contains(got.Error(), tc.says) {
						t.Errorf("the health is %v, want what keeps the server from leading", got)
					}

					// A person names both.
					w.name("mine", "this-hub")
					named := time.Now()
					w.leads()
					if took := time.Since(named); took > 15*time.Second {
						t.Errorf("leads %s after it was adopted", took)
					}
					if got := w.health.problem(); got != nil {
						t.Errorf("the health of a leader is %v", got)
					}
				})
			})
		}
	}
}

// A store into which objects are still imported is not one to work on.
func TestWhoMayNotLeadYetLeadsSoonAfter(t *testing.T) {
	for how, election := range elections {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var may atomic.Bool
				w := begin(t, aHub(), "", election, func(l *leadership) {
					l.mayLead = func(context.Context) error {
						if !may.Load() {
							return errors.New("the import is not complete")
						}
						return nil
					}
				})
				for range 100 {
					w.doesNotLead()
					time.Sleep(time.Second)
				}
				if got := w.health.problem(); got == nil || !strings.Contains(got.Error(), "the import is not complete") {
					t.Errorf("the health is %v, want what keeps the server from leading", got)
				}
				may.Store(true)
				since := time.Now()
				w.leads()
				if took := time.Since(since); took > 15*time.Second {
					t.Errorf("leads %s after it may", took)
				}
				if got := w.health.problem(); got != nil {
					t.Errorf("the health of a leader is %v", got)
				}
			})
		})
	}
}

func TestALeaderEndsItsTermWhenTheHubNamesAnother(t *testing.T) {
	for name, named := range map[string]storeid.Ruler{
		"another store": {Store: "theirs", Hub: "this-hub"},
		"another hub":   {Store: "mine", Hub: "that-hub"},
	} {
		for how, election := range elections {
			t.Run(name+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := begin(t, aHub(), "", election)
					w.leads()
					synctest.Wait()
					w.name(named.Store, named.Hub)
					w.endsAtOnce()
					for range 100 {
						w.doesNotLead()
						time.Sleep(time.Second)
					}
					if got := w.logged("This server leads nothing"); got != 1 {
						t.Errorf("logged %d times in 100 s:\n%s", got, w.log.String())
					}
				})
			})
		}
	}
}

// TestALeaderGoesOnWhenNobodyIsNamed has a person delete the ConfigMap, so that another store may claim the hub.
func TestALeaderGoesOnWhenNobodyIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, aHub(), "", electionTimes)
		w.leads()
		synctest.Wait()
		if err := w.hub.CoreV1().ConfigMaps(namespace).Delete(t.Context(), storeid.ConfigMapName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.ended) != 0 || holder(t, w.hub) != me {
			t.Error("the term ended")
		}
		w.name("theirs", "this-hub")
		w.endsAtOnce()
	})
}

// TestTheHubIsClaimedAgainWhenATermBegins has another store claim the hub while this one waits for the lease.
func TestTheHubIsClaimedAgainWhenATermBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := aHub()
		anotherTakes(t, hub)
		w := begin(t, hub, "", electionTimes)
		time.Sleep(5 * time.Second)
		w.doesNotLead()
		w.name("theirs", "this-hub")
		for range 100 {
			w.doesNotLead()
			time.Sleep(time.Second)
		}
		if got := w.logged("Attempting to acquire"); got != 1 {
			t.Errorf("campaigned %d times:\n%s", got, w.log.String())
		}
	})
}

func TestALeaderThatLostItsLeaseLeadsAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, aHub(), "", electionTimes)
		w.leads()
		anotherTakes(t, w.hub)
		time.Sleep(aRetryPeriod)
		w.endsAtOnce()
		// The other does not renew the lease.
		w.leads()
		if got := w.logged("This server leads nothing"); got != 0 {
			t.Errorf("logged as a failure:\n%s", w.log.String())
		}
	})
}
