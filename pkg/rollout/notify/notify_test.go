// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	hubfake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/outbound"
)

// world is a fleet in memory, with a hub that has Secrets, and controllers on it. The endpoints are real.
type world struct {
	*fleettest.World
	hub       *hubfake.Clientset
	addresses *outbound.Rules
}

func newWorld(t *testing.T, namespace string) *world {
	t.Helper()
	return &world{
		World: fleettest.New(t, namespace), hub: hubfake.NewClientset(),
		addresses: &outbound.Rules{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Flag: "--notification-allowed-networks"},
	}
}

// start runs a controller, until the test ends or the returned function is called.
func (w *world) start(c clock.WithTicker) (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	controller := New(w.Fleet, w.hub, Options{Addresses: w.addresses, Hub: "hub-uid"}, c)
	go func() { done <- controller.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		w.Must(<-done)
	})
	w.Cleanup(stop)
	return stop
}

// endpoint is a receiver. answer may be changed while it runs.
type endpoint struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(w http.ResponseWriter, r *http.Request)
	requests []request
	came     chan struct{}
}

type request struct {
	header http.Header
	body   string
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{came: make(chan struct{}, 1)}
	e.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.requests = append(e.requests, request{r.Header, string(body)})
		answer := e.answer
		e.mu.Unlock()
		select {
		case e.came <- struct{}{}:
		default:
		}
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) answers(f func(w http.ResponseWriter, r *http.Request)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = f
}

func (e *endpoint) got() []request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.requests)
}

// ids are those of the CloudEvents that came.
func (e *endpoint) ids() []string {
	var ids []string
	for _, r := range e.got() {
		var event struct{ ID string }
		_ = json.Unmarshal([]byte(r.body), &event)
		ids = append(ids, event.ID)
	}
	return ids
}

// until waits for requests.
func (e *endpoint) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for !done() {
		select {
		case <-e.came:
		case <-deadline.C:
			t.Fatalf("%s: does not happen; came: %v", what, e.ids())
		}
	}
}

func (w *world) sink(name string, e *endpoint, fill func(*v1alpha1.NotificationSinkSpec)) {
	w.Helper()
	sink := &v1alpha1.NotificationSink{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if e != nil {
		sink.Spec.URL = e.URL
		sink.Spec.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate().Raw})
	}
	if w.Namespace != "" {
		sink.Spec.Match = &v1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{}}
	}
	if fill != nil {
		fill(&sink.Spec)
	}
	_, err := w.Client.RolloutV1alpha1().NotificationSinks().Create(w.Context(), sink, metav1.CreateOptions{})
	w.Must(err)
	w.Eventually("the sink is in the cache", func() bool { _, err := w.Fleet.Sinks.Lister().Get(name); return err == nil })
}

func (w *world) change(name string, change func(*v1alpha1.NotificationSinkSpec)) {
	w.Helper()
	for {
		sink, err := w.Client.RolloutV1alpha1().NotificationSinks().Get(w.Context(), name, metav1.GetOptions{})
		w.Must(err)
		change(&sink.Spec)
		if _, err = w.Client.RolloutV1alpha1().NotificationSinks().Update(w.Context(), sink, metav1.UpdateOptions{}); err == nil {
			return
		}
	}
}

func (w *world) status(name string) v1alpha1.NotificationSinkStatus {
	sink, err := w.Fleet.Sinks.Lister().Get(name)
	if err != nil {
		return v1alpha1.NotificationSinkStatus{}
	}
	return sink.Status
}

// reports waits for the status of a sink.
func (w *world) reports(name, what string, is func(s v1alpha1.NotificationSinkStatus) bool) {
	w.Helper()
	defer func() {
		if w.Failed() {
			w.Logf("status of %s: %+v", name, w.status(name))
		}
	}()
	w.Eventually(what, func() bool { return is(w.status(name)) })
}

func reason(s v1alpha1.NotificationSinkStatus) string {
	if c := meta.FindStatusCondition(s.Conditions, v1alpha1.NotificationSinkReady); c != nil {
		return c.Reason
	}
	return ""
}

// run makes a run; tell adds an entry to its history.
func (w *world) run(name string) {
	w.Helper()
	fleettest.Create(w.World, w.Fleet.Runs, name, func(run v1beta1.UpdateRunObject) { run.RunSpec().PlacementName = "app" })
}

func (w *world) tell(name, why string, at time.Time) {
	w.Helper()
	fleettest.UpdateStatus(w.World, w.Fleet.Runs, name, func(run v1beta1.UpdateRunObject) {
		status := run.RunStatus()
		status.History = append(status.History, v1beta1.UpdateRunHistoryEntry{Number: int64(len(status.History) + 1), Time: metav1.NewTime(at), Reason: why})
	})
}

func (w *world) id(name string, number int) string {
	run, err := w.Fleet.Runs.Get(w.Key(name))
	w.Must(err)
	return fmt.Sprintf("%s-%d", run.GetUID(), number)
}

func (w *world) secret(name, sink string, data map[string]string) {
	w.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.SystemNamespace, Name: name}, Data: map[string][]byte{}}
	if sink != "" {
		secret.Labels = map[string]string{wellknown.NotificationSinkLabel: sink}
	}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	_, err := w.hub.CoreV1().Secrets(wellknown.SystemNamespace).Create(w.Context(), secret, metav1.CreateOptions{})
	w.Must(err)
}

func TestARunIsToldInItsOrderAndSigned(t *testing.T) {
	for name, namespace := range map[string]string{"cluster-scoped": "", "namespaced": "team"} {
		t.Run(name, func(t *testing.T) {
			w, e := newWorld(t, namespace), newEndpoint(t)
			w.secret("chatops", "chatops", map[string]string{"hmac": "s3cret", "token": "abc\n", "url": e.URL + "/hook\n"})
			w.sink("chatops", e, func(spec *v1alpha1.NotificationSinkSpec) {
				spec.URL, spec.URLSecret = "", &v1alpha1.SecretKeyReference{Name: "chatops", Key: "url"}
				spec.HMACSecret = &v1alpha1.SecretKeyReference{Name: "chatops", Key: "hmac"}
				spec.Auth = &v1alpha1.NotificationAuth{BearerTokenSecret: &v1alpha1.SecretKeyReference{Name: "chatops", Key: "token"}}
			})
			w.run("run")
			w.start(clock.RealClock{})
			for _, why := range []string{"Initialized", "Started", "ClusterFailed", "StageStarted", "Succeeded"} {
				w.tell("run", why, time.Now())
			}
			e.until(t, "four are told of", func() bool { return len(e.got()) >= 4 })
			// Clusters are not told of by default.
			if diff := cmp.Diff([]string{w.id("run", 1), w.id("run", 2), w.id("run", 4), w.id("run", 5)}, e.ids()); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
			for _, r := range e.got() {
				if want := signature([]byte("s3cret"), []byte(r.body)); r.header.Get("X-Signature") != want {
					t.Errorf("signature %q, want %q", r.header.Get("X-Signature"), want)
				}
				if got := r.header.Get("Authorization"); got != "Bearer abc" {
					t.Errorf("authorization %q", got)
				}
				if got := r.header.Get("Content-Type"); got != "application/cloudevents+json; charset=utf-8" {
					t.Errorf("content type %q", got)
				}
			}
			w.reports("chatops", "all is delivered", func(s v1alpha1.NotificationSinkStatus) bool {
				return s.Delivered == 4 && s.Pending == 0 && s.Failed == 0 && reason(s) == v1alpha1.ReasonSinkReady && s.ObservedGeneration == 1
			})
		})
	}
}

// TestWhatWasSentBeforeTheCursorIsSentOnceMore keeps the status of a sink from being written, which is what a kill between the two is.
func TestWhatWasSentBeforeTheCursorIsSentOnceMore(t *testing.T) {
	w, e := newWorld(t, ""), newEndpoint(t)
	w.sink("chatops", e, nil)
	w.run("run")
	stop := w.start(clock.RealClock{})
	w.tell("run", "Initialized", time.Now())
	w.reports("chatops", "the first is delivered", func(s v1alpha1.NotificationSinkStatus) bool { return s.Delivered == 1 })
	var killed sync.Mutex
	dead := true
	w.Client.PrependReactor("update", "notificationsinks", func(action clienttesting.Action) (bool, runtime.Object, error) {
		killed.Lock()
		defer killed.Unlock()
		return dead && action.GetSubresource() == "status", nil, errors.New("killed")
	})
	w.tell("run", "Started", time.Now())
	e.until(t, "the second is sent", func() bool { return len(e.got()) == 2 })
	stop()
	killed.Lock()
	dead = false
	killed.Unlock()
	w.start(clock.RealClock{})
	w.tell("run", "Succeeded", time.Now())
	e.until(t, "the third is sent", func() bool { return len(e.got()) >= 4 })
	if diff := cmp.Diff([]string{w.id("run", 1), w.id("run", 2), w.id("run", 2), w.id("run", 3)}, e.ids()); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestAnEndpointThatFailsIsTriedForAnHour(t *testing.T) {
	w, e := newWorld(t, ""), newEndpoint(t)
	e.answers(func(rw http.ResponseWriter, _ *http.Request) {
		http.Error(rw, "s3cret of somebody else", http.StatusInternalServerError)
	})
	begin := time.Now()
	c := clocktesting.NewFakeClock(begin)
	w.sink("chatops", e, nil)
	w.run("run")
	w.start(c)
	// The sink is created by the clock of the fake API, which is the real one: what is to be told of comes safely after that.
	w.tell("run", "Initialized", begin.Add(time.Hour))
	w.tell("run", "Started", begin.Add(time.Hour))
	// Time passes as fast as the controller waits for it. What it does between takes real time, so that the test looks again and again.
	pass := func(what string, is func(s v1alpha1.NotificationSinkStatus) bool) {
		t.Helper()
		deadline := time.Now().Add(60 * time.Second)
		for !is(w.status("chatops")) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: does not happen; status %+v", what, w.status("chatops"))
			}
			if c.HasWaiters() {
				c.Step(time.Second)
			}
			time.Sleep(time.Millisecond)
		}
	}
	pass("the sink is not ready", func(s v1alpha1.NotificationSinkStatus) bool {
		return reason(s) == v1alpha1.ReasonDeliveryFailed && s.Pending == 2 && s.LastError == "the endpoint answers 500 Internal Server Error"
	})
	pass("the first is given up", func(s v1alpha1.NotificationSinkStatus) bool { return s.Failed == 1 && s.Delivered == 0 })
	if took := c.Since(begin); took < giveUpAfter || took > giveUpAfter+lastRetry*3 {
		t.Errorf("given up after %s", took)
	}
	e.answers(nil)
	pass("the next one goes on", func(s v1alpha1.NotificationSinkStatus) bool {
		return s.Failed == 1 && s.Delivered == 1 && s.Pending == 0 && reason(s) == v1alpha1.ReasonSinkReady
	})
	ids := e.ids()
	if ids[0] != w.id("run", 1) || ids[len(ids)-1] != w.id("run", 2) || !slices.IsSorted(ids) {
		t.Errorf("ids: %v", ids)
	}
}

func TestASinkThatHangsDelaysNoOther(t *testing.T) {
	w, dead, well := newWorld(t, ""), newEndpoint(t), newEndpoint(t)
	release := make(chan struct{})
	dead.answers(func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	w.sink("dead", dead, nil)
	w.sink("well", well, nil)
	for i := range 2 * atOnce {
		w.run(fmt.Sprint("run-", i))
	}
	w.start(clock.RealClock{})
	for i := range 2 * atOnce {
		w.tell(fmt.Sprint("run-", i), "Initialized", time.Now())
	}
	dead.until(t, "all workers of the one hang", func() bool { return len(dead.got()) == atOnce })
	begin := time.Now()
	for i := range 2 * atOnce {
		w.tell(fmt.Sprint("run-", i), "Started", time.Now())
	}
	well.until(t, "the other is told of all", func() bool { return len(well.got()) == 4*atOnce })
	if took := time.Since(begin); took > requestTimeout {
		t.Errorf("it took %s", took)
	}
}

func TestWhatIsRefused(t *testing.T) {
	e := newEndpoint(t)
	for name, tc := range map[string]struct {
		fill    func(*v1alpha1.NotificationSinkSpec)
		answer  func(http.ResponseWriter, *http.Request)
		allowed []netip.Prefix
		want    string
		asked   bool
	}{
		"a private address": {want: "127.0.0.1 is not allowed: it is the server's own machine; use a public one, or start the server with its network in --notification-allowed-networks"},
		"a name for one": {
			fill: func(spec *v1alpha1.NotificationSinkSpec) {
				spec.URL = strings.Replace(spec.URL, "127.0.0.1", "localhost", 1)
			},
			want: "is not allowed: it is the server's own machine",
		},
		"a redirect": {
			allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			answer: func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "https://127.0.0.1:1/", http.StatusFound)
			},
			want: "the endpoint redirects (302), which is not followed: write the URL that it leads to", asked: true,
		},
		"a redirect that cannot be read": {
			allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			answer: func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", "%zz-s3cret-of-somebody-else")
				rw.WriteHeader(http.StatusFound)
			},
			want: "the endpoint redirects (302), which is not followed: write the URL that it leads to", asked: true,
		},
		"an answer that is none": {
			allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			answer: func(rw http.ResponseWriter, _ *http.Request) {
				conn, _, err := rw.(http.Hijacker).Hijack()
				if err == nil {
					_, _ = io.WriteString(conn, "s3cret of somebody else\r\n\r\n")
					_ = conn.Close()
				}
			},
			want: "the endpoint does not speak HTTP as expected", asked: true,
		},
		"a certificate of somebody else": {
			allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			fill:    func(spec *v1alpha1.NotificationSinkSpec) { spec.CABundle = nil },
			want:    "certificate",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.addresses.Allowed = tc.allowed
			e.answers(tc.answer)
			before := len(e.got())
			w.sink("chatops", e, func(spec *v1alpha1.NotificationSinkSpec) {
				// The path is the credential where a URL is one.
				spec.URL += "/hooks/T0"
				if tc.fill != nil {
					tc.fill(spec)
				}
			})
			w.run("run")
			w.start(clock.RealClock{})
			w.tell("run", "Initialized", time.Now())
			w.reports("chatops", "it is refused", func(s v1alpha1.NotificationSinkStatus) bool {
				return reason(s) == v1alpha1.ReasonDeliveryFailed && strings.Contains(s.LastError, tc.want) && s.Pending == 1
			})
			if got := w.status("chatops").LastError; strings.Contains(got, "dial tcp") {
				t.Errorf("the error of the dialer is in %q", got)
			}
			if asked := len(e.got()) > before; asked != tc.asked {
				t.Errorf("the endpoint is asked: %t, want %t", asked, tc.asked)
			}
			if got := w.status("chatops").LastError; strings.Contains(got, "/hooks/T0") || strings.Contains(got, "s3cret") {
				t.Errorf("the URL or the answer is in %q", got)
			}
		})
	}
}

func TestNoSecretButItsOwn(t *testing.T) {
	for name, tc := range map[string]struct{ secret, label string }{
		"one without the label":     {"other", ""},
		"that of another sink":      {"other", "pager"},
		"that of a member":          {"member-paris", ""},
		"that of a member, labeled": {"member-paris", "chatops"},
		"one that does not exist":   {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, e := newWorld(t, ""), newEndpoint(t)
			named := tc.secret
			if named == "" {
				named = "missing"
			} else {
				w.secret(tc.secret, tc.label, map[string]string{"key": "kubeconfig"})
			}
			w.sink("chatops", e, func(spec *v1alpha1.NotificationSinkSpec) {
				spec.HMACSecret = &v1alpha1.SecretKeyReference{Name: named, Key: "key"}
			})
			w.run("run")
			w.start(clock.RealClock{})
			w.tell("run", "Initialized", time.Now())
			want := fmt.Sprintf("spec.hmacSecret: there is no Secret fleet-system/%s with the label rollout.stagegate.dev/notification-sink=chatops: create it, or label it", named)
			w.reports("chatops", "it is refused", func(s v1alpha1.NotificationSinkStatus) bool {
				return reason(s) == v1alpha1.ReasonSinkInvalid && s.Conditions[0].Message == want && s.LastError == want
			})
			if len(e.got()) > 0 {
				t.Errorf("sent: %v", e.got())
			}
		})
	}
}

// TestAnApprovalIsToldOfOnceItsRequestExists, and without it after a while.
func TestAnApprovalIsToldOfOnceItsRequestExists(t *testing.T) {
	w, e := newWorld(t, ""), newEndpoint(t)
	w.sink("chatops", e, nil)
	for _, name := range []string{"asks", "asked-long-ago"} {
		w.run(name)
		fleettest.UpdateStatus(w.World, w.Fleet.Runs, name, func(run v1beta1.UpdateRunObject) {
			run.RunStatus().Conditions = []metav1.Condition{{Type: v1beta1.RunInitialized, Status: metav1.ConditionTrue}}
			run.RunStatus().StagesStatus = []v1beta1.StageUpdatingStatus{{
				StageName: "canary", Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "one"}},
				Conditions:            []metav1.Condition{{Type: v1beta1.StageProgressing, Status: metav1.ConditionFalse}},
				BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: name + "-before-canary"}},
			}}
			run.RunStatus().DeletionStageStatus = &v1beta1.StageUpdatingStatus{}
		})
	}
	c := clocktesting.NewFakeClock(time.Now().Add(time.Minute))
	w.start(c)
	w.tell("asks", wellknown.HistoryApproval, c.Now())
	w.tell("asked-long-ago", wellknown.HistoryApproval, c.Now().Add(-requestTakes))
	e.until(t, "the one without a request is told of", func() bool { return len(e.got()) == 1 })
	// Its turn is there when the request is.
	c.Step(between)
	fleettest.Create(w.World, w.Fleet.Approvals, "asks-before-canary", func(a v1beta1.ApprovalRequestObject) { a.RequestSpec().TargetUpdateRun = "asks" })
	e.until(t, "the other is told of", func() bool { return len(e.got()) == 2 })
	if diff := cmp.Diff([]string{w.id("asked-long-ago", 1), w.id("asks", 1)}, e.ids()); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if got := e.got(); strings.Contains(got[0].body, "kubectl patch") || !strings.Contains(got[1].body, "kubectl patch clusterapprovalrequest/asks-before-canary") {
		t.Errorf("got %s", got)
	}
}

// TestEachRequestHasItsTurn has all workers want one at once.
func TestEachRequestHasItsTurn(t *testing.T) {
	s := &sender{clock: clock.RealClock{}}
	turns := make(chan time.Time, 2*atOnce)
	for range 2 * atOnce {
		go func() {
			if s.turn(t.Context()) {
				turns <- time.Now()
			}
		}()
	}
	begin := <-turns
	for i := range 2*atOnce - 1 {
		// A timer may be late, and the one before it more so.
		if at := <-turns; at.Sub(begin) < time.Duration(i+1)*between-between/2 {
			t.Errorf("turn %d comes after %s", i+2, at.Sub(begin))
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if s.next = time.Now().Add(time.Hour); s.turn(ended) {
		t.Error("a turn after the end")
	}
}

// TestAURLThatCannotBeUsedIsNotRepeated where it comes from a Secret, which nobody has validated.
func TestAURLThatCannotBeUsedIsNotRepeated(t *testing.T) {
	for name, tc := range map[string]struct{ url, want string }{
		"without TLS":     {"http://a.example/s3cret", "the URL must begin with https://"},
		"with a password": {"https://u:s3cret@a.example/", "the URL must have no user or password"},
		"none":            {"https://a.example/%zz-s3cret", "the URL cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.secret("chatops", "chatops", map[string]string{"url": tc.url})
			w.sink("chatops", nil, func(spec *v1alpha1.NotificationSinkSpec) {
				spec.URLSecret = &v1alpha1.SecretKeyReference{Name: "chatops", Key: "url"}
			})
			w.run("run")
			w.start(clock.RealClock{})
			w.tell("run", "Initialized", time.Now())
			w.reports("chatops", "it is invalid", func(s v1alpha1.NotificationSinkStatus) bool {
				return reason(s) == v1alpha1.ReasonSinkInvalid && strings.HasPrefix(s.LastError, tc.want)
			})
			if s := w.status("chatops"); strings.Contains(s.Conditions[0].Message+s.LastError, "s3cret") {
				t.Errorf("the URL is in the status %+v", s)
			}
		})
	}
}

func TestASecretThatComesLaterIsUsedAtOnce(t *testing.T) {
	w, e := newWorld(t, ""), newEndpoint(t)
	w.sink("chatops", e, func(spec *v1alpha1.NotificationSinkSpec) {
		spec.HMACSecret = &v1alpha1.SecretKeyReference{Name: "chatops", Key: "key"}
	})
	w.run("run")
	w.start(clock.RealClock{})
	w.tell("run", "Initialized", time.Now())
	w.reports("chatops", "it is invalid", func(s v1alpha1.NotificationSinkStatus) bool {
		return reason(s) == v1alpha1.ReasonSinkInvalid && s.LastError != ""
	})
	w.secret("chatops", "chatops", map[string]string{"key": "s3cret"})
	e.until(t, "it is told", func() bool { return len(e.got()) == 1 })
	w.reports("chatops", "it is ready", func(s v1alpha1.NotificationSinkStatus) bool { return reason(s) == v1alpha1.ReasonSinkReady })
}

func TestASuspendedSinkIsToldLater(t *testing.T) {
	w, e := newWorld(t, ""), newEndpoint(t)
	w.sink("chatops", e, func(spec *v1alpha1.NotificationSinkSpec) { spec.Suspend = true })
	w.run("run")
	w.start(clock.RealClock{})
	w.tell("run", "Initialized", time.Now())
	w.tell("run", "Started", time.Now())
	w.reports("chatops", "they wait", func(s v1alpha1.NotificationSinkStatus) bool {
		return s.Pending == 2 && reason(s) == v1alpha1.ReasonSinkSuspended
	})
	if len(e.got()) > 0 {
		t.Fatalf("sent: %v", e.ids())
	}
	w.change("chatops", func(spec *v1alpha1.NotificationSinkSpec) { spec.Suspend = false })
	e.until(t, "both are told of", func() bool { return len(e.got()) == 2 })
	w.reports("chatops", "none waits", func(s v1alpha1.NotificationSinkStatus) bool {
		return s.Pending == 0 && s.Delivered == 2 && s.ObservedGeneration == 2
	})
}

func TestASinkIsToldOfWhatItMatches(t *testing.T) {
	w, e := newWorld(t, ""), newEndpoint(t)
	fleettest.Create(w.World, w.Fleet.Placements, "app", func(p v1beta1.PlacementObject) { p.SetLabels(map[string]string{"team": "checkout"}) })
	selects := func(team string) func(*v1alpha1.NotificationSinkSpec) {
		return func(spec *v1alpha1.NotificationSinkSpec) {
			spec.Match = &v1alpha1.PolicyMatch{PlacementSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}}
		}
	}
	other := newEndpoint(t)
	w.sink("checkout", e, selects("checkout"))
	w.sink("search", other, selects("search"))
	w.run("run")
	w.start(clock.RealClock{})
	w.tell("run", "Initialized", time.Now())
	e.until(t, "the one is told", func() bool { return len(e.got()) == 1 })
	// What it is told of comes after what it is not told of: entries of a run are handled in their order.
	fleettest.Update(w.World, w.Fleet.Placements, "app", func(p v1beta1.PlacementObject) { p.SetLabels(map[string]string{"team": "search"}) })
	w.Eventually("the label is in the cache", func() bool {
		p, err := w.Fleet.Placements.Get(w.Key("app"))
		return err == nil && p.GetLabels()["team"] == "search"
	})
	w.tell("run", "Started", time.Now())
	other.until(t, "the other is told", func() bool { return len(other.got()) > 0 })
	if diff := cmp.Diff([]string{w.id("run", 2)}, other.ids()); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}
