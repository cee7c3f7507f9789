// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	signingKey = "e2e-signing-key"

	// answerTimeout is how long the server waits for an endpoint.
	answerTimeout = 10 * time.Second
)

var kindSink = schema.GroupVersionKind{Group: "rollout.stagegate.dev", Version: "v1alpha1", Kind: "NotificationSink"}

// notified is a notification as it came.
type notified struct {
	at        time.Time
	body      []byte
	signature string

	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		Entry     map[string]any `json:"entry"`
		Approvals []struct {
			Approve string `json:"approve"`
		} `json:"approvals"`
	} `json:"data"`
}

// number is that of the entry in the history.
func (n *notified) number() int {
	number, _ := n.Data.Entry["number"].(float64)
	return int(number)
}

// receiver is an HTTPS endpoint that accepts what it is sent, and holds the answer to one back.
type receiver struct {
	*httptest.Server

	came chan struct{}
	// ended is closed when nothing is held back any more.
	ended chan struct{}

	mu  sync.Mutex
	got []notified
	// holds reports whether an answer is held back.
	holds func(notified) bool
}

func newReceiver(t *testing.T, holds func(notified) bool) *receiver {
	t.Helper()
	r := &receiver{came: make(chan struct{}, 1), ended: make(chan struct{}), holds: holds}
	r.Server = httptest.NewTLSServer(r)
	t.Cleanup(func() {
		close(r.ended)
		r.Close()
	})
	return r
}

// ServeHTTP takes a notification.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	n := notified{at: time.Now(), signature: request.Header.Get("X-Signature")}
	var err error
	if n.body, err = io.ReadAll(request.Body); err == nil {
		err = json.Unmarshal(n.body, &n)
	}
	if err != nil {
		http.Error(w, "no CloudEvent", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.got = append(r.got, n)
	holds := r.holds != nil && r.holds(n)
	r.mu.Unlock()
	select {
	case r.came <- struct{}{}:
	default:
	}
	if holds {
		select {
		case <-request.Context().Done():
		case <-r.ended:
		}
	}
}

// hold sets of which notifications the answer is held back from now on.
func (r *receiver) hold(holds func(notified) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holds = holds
}

func (r *receiver) all() []notified {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// until waits for a notification, and returns the first one that is it.
func (r *receiver) until(t *testing.T, what string, is func(notified) bool) notified {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		got := r.all()
		if i := slices.IndexFunc(got, is); i >= 0 {
			return got[i]
		}
		select {
		case <-r.came:
		case <-deadline.C:
			t.Fatalf("after %s there is no notification of %s; numbers that came: %v", patience, what, numbersOf(got))
		}
	}
}

func numbersOf(all []notified) []int {
	numbers := make([]int, len(all))
	for i := range all {
		numbers[i] = all[i].number()
	}
	return numbers
}

func isType(name string) func(notified) bool {
	return func(n notified) bool { return n.Type == "dev.stagegate."+name+".v1" }
}

// sinkManifest is a sink that is told of everything by a receiver with the certificate of a test.
func (r *receiver) sinkManifest(name, more string) string {
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})
	return fmt.Sprintf(`apiVersion: rollout.stagegate.dev/v1alpha1
kind: NotificationSink
metadata: {name: %s}
spec: {url: "%s/hook", caBundle: %s, types: ["*"]%s}
`, name, r.URL, base64.StdEncoding.EncodeToString(bundle), more)
}

// awaitSink waits until a field of the status of a sink has a value. Each call has a watch of its own: one from before the server was killed may
// be half a minute late.
func (s *suite) awaitSink(t *testing.T, name, path, value string) {
	t.Helper()
	s.mustRun(t, fmt.Sprintf("kubectl wait notificationsink/%s --for=jsonpath='{.status.%s}'=%s --timeout=%s", name, path, value, patience))
}

// sinkSays holds that a sink is not ready, for a reason in these words.
func (s *suite) sinkSays(t *testing.T, name, reason, words string) {
	t.Helper()
	s.awaitSink(t, name, "conditions[0].reason", reason)
	obj, err := s.hub().get(t.Context(), kindSink, "", name)
	if err != nil {
		t.Fatal(err)
	}
	ready, err := findCondition(obj, "Ready")
	if err != nil {
		t.Fatal(err)
	}
	if ready.Reason != reason || ready.Message != words {
		t.Errorf("%s is not ready for %s: %s\nwant %s: %s", name, ready.Reason, ready.Message, reason, words)
	}
}

// testNotifications has receivers told of a run of the tutorial's shape. The server is started three times, of about ten seconds each.
func testNotifications(t *testing.T, s *suite) {
	first := newReceiver(t, nil)
	silent := newReceiver(t, func(notified) bool { return true })
	spied := newReceiver(t, nil)
	flags := s.options.ServerFlags
	t.Cleanup(func() {
		s.options.ServerFlags = flags
		s.up(t)
	})
	t.Cleanup(func() {
		s.mustRunInCleanup(t, `kubectl delete notificationsinks e2e-first e2e-silent e2e-spy --ignore-not-found
kubectl -n fleet-system delete secret e2e-first --ignore-not-found`)
	})
	s.explain(t, "notificationsinks")
	s.grant(t, "alice", "stagegate-approver")
	s.mustRun(t, `kubectl -n fleet-system create secret generic e2e-first --from-literal=hmac=`+signingKey+`
kubectl -n fleet-system label secret e2e-first rollout.stagegate.dev/notification-sink=e2e-first`)
	s.hub().mustCreate(t, first.sinkManifest("e2e-first", ", hmacSecret: {name: e2e-first, key: hmac}"))
	s.hub().mustCreate(t, silent.sinkManifest("e2e-silent", ""))
	s.readsNoOtherSecret(t, spied)

	r := s.newRollout(t, "notified", watchedStages)
	r.start(t, "notified", 0, "Initialize")
	s.sinkSays(t, "e2e-first", "DeliveryFailed", "127.0.0.1 is not allowed: it is the server's own machine; use a public one, or start the server "+
		"with its network in --notification-allowed-networks")
	s.options.ServerFlags = append(slices.Clone(flags), "--notification-allowed-networks=127.0.0.1/32")
	s.up(t)
	allowed := time.Now()

	r.setState(t, "notified", "Run")
	request := first.until(t, "a request for approval", isType("approval.requested"))
	if len(request.Data.Approvals) != 1 {
		t.Fatalf("the notification names no request: %s", request.body)
	}
	// What was delivered is written down, so that nothing but what is held back is to come twice.
	elapsed := first.until(t, "the end of the timed wait", isType("stage.waited"))
	s.awaitSink(t, "e2e-first", "delivered", strconv.Itoa(max(request.number(), elapsed.number())))
	first.hold(isType("approval.approved"))
	if _, err := s.run(t.Context(), "alice", request.Data.Approvals[0].Approve); err != nil {
		t.Fatalf("%s: %v", request.Data.Approvals[0].Approve, err)
	}
	held := first.until(t, "the approval", isType("approval.approved"))
	s.kill(t, serverProcess)
	first.hold(nil)
	s.up(t)
	back := time.Now()

	run := r.succeeds(t, "notified", "value1")
	history, _, err := unstructured.NestedSlice(run.object.Object, "status", "history")
	if err != nil {
		t.Fatal(err)
	}
	first.until(t, "the end", func(n notified) bool { return n.number() == len(history) })
	isToldInOrder(t, first.all(), history, string(run.object.GetUID()), held)
	for _, n := range first.all() {
		entryAt, err := time.Parse(time.RFC3339, fmt.Sprint(n.Data.Entry["time"]))
		if err != nil {
			t.Fatal(err)
		}
		// What happened right before the kill waits for the server.
		waits := entryAt.Before(allowed) || n.number() >= held.number() && entryAt.Before(back)
		if late := n.at.Sub(entryAt); !waits && late >= answerTimeout {
			t.Errorf("notification %d came after %s, as if it had waited for the endpoint that does not answer", n.number(), late)
		}
	}
	s.awaitSink(t, "e2e-first", "delivered", strconv.Itoa(len(history)))
	s.awaitSink(t, "e2e-first", "conditions[0].reason", "Ready")

	s.awaitSink(t, "e2e-silent", "lastError", `"the endpoint has not answered within 10s"`)
	s.sinkSays(t, "e2e-silent", "DeliveryFailed", "the endpoint has not answered within 10s")
	s.awaitSink(t, "e2e-silent", "pending", strconv.Itoa(len(history)))
	// Nothing overtakes what is not accepted.
	if got := numbersOf(silent.all()); len(got) == 0 || slices.Max(got) != 1 {
		t.Errorf("the endpoint that does not answer was sent the entries %v", got)
	}
	s.sinkSays(t, "e2e-spy", "Invalid", noSecret)
	if got := spied.all(); len(got) > 0 {
		t.Errorf("a sink without a Secret of its own was told: %s", got[0].body)
	}
}

const noSecret = "spec.hmacSecret: there is no Secret fleet-system/e2e-first with the label rollout.stagegate.dev/notification-sink=e2e-spy: " +
	"create it, or label it"

// readsNoOtherSecret makes a sink that names the Secret of another sink, after one that names the kubeconfig of a member, which is refused even
// where the Secret has the label.
func (s *suite) readsNoOtherSecret(t *testing.T, to *receiver) {
	t.Helper()
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl -n fleet-system label secret member-member1 rollout.stagegate.dev/notification-sink-")
	})
	s.mustRun(t, "kubectl -n fleet-system label secret member-member1 rollout.stagegate.dev/notification-sink=e2e-spy")
	for _, field := range []string{"urlSecret", "hmacSecret", "auth: {bearerTokenSecret"} {
		spec, end := ", "+field+": {name: member-member1, key: kubeconfig}", ""
		if strings.HasPrefix(field, "auth") {
			end = "}"
		}
		err := s.hub().create(t.Context(), to.sinkManifest("e2e-spy", spec+end))
		if err == nil || !strings.Contains(err.Error(), "the Secret is that of a member: make one for the sink") {
			t.Errorf("a sink with a member's Secret in %s: %v", field, err)
		}
	}
	s.hub().mustCreate(t, to.sinkManifest("e2e-spy", ", hmacSecret: {name: e2e-first, key: hmac}"))
	s.sinkSays(t, "e2e-spy", "Invalid", noSecret)
}

// isToldInOrder holds that each entry of a history came once and in its order, but for the one whose answer was held back, which came twice and as
// the same, and that all are signed.
func isToldInOrder(t *testing.T, got []notified, history []any, uid string, held notified) {
	t.Helper()
	var want []int
	for i := range history {
		if want = append(want, i+1); i+1 == held.number() {
			want = append(want, i+1)
		}
	}
	if diff := cmp.Diff(want, numbersOf(got)); diff != "" {
		t.Fatalf("numbers of the entries that were told of (-want +got):\n%s", diff)
	}
	for _, n := range got {
		if id := fmt.Sprintf("%s-%d", uid, n.number()); n.ID != id {
			t.Errorf("the id of notification %d is %s, want %s", n.number(), n.ID, id)
		}
		var entry map[string]any
		if err := decode(history[n.number()-1], &entry); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(entry, n.Data.Entry); diff != "" {
			t.Errorf("notification %d is not what the history has (-history +notification):\n%s", n.number(), diff)
		}
		mac := hmac.New(sha256.New, []byte(signingKey))
		_, _ = mac.Write(n.body)
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); n.signature != want {
			t.Errorf("the signature of notification %d is %q, want %q", n.number(), n.signature, want)
		}
	}
}
