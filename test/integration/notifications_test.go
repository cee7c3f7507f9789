// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
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
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/pkg/rollout"
	"github.com/stagegate/stagegate/pkg/rollout/notify"
	"github.com/stagegate/stagegate/pkg/rollout/scheduling"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// told is an endpoint that keeps what it is told.
type told struct {
	*httptest.Server
	mu     sync.Mutex
	events []toldEvent
	came   chan struct{}
}

type toldEvent struct {
	ID, Type, Subject string
	Data              struct {
		Entry struct{ Number int }
		Run   struct{ Name, UID string }
		// Approvals are what the run waits for.
		Approvals []struct{ Name, UID, Approve string }
	}
}

func newTold(t *testing.T) *told {
	t.Helper()
	e := &told{came: make(chan struct{}, 1)}
	e.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var event toldEvent
		if err := json.Unmarshal(body, &event); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		e.mu.Lock()
		e.events = append(e.events, event)
		e.mu.Unlock()
		select {
		case e.came <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *told) got() []toldEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.events)
}

// until waits for an event of a type, and returns it.
func (e *told) until(t *testing.T, eventType string) toldEvent {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		for _, event := range e.got() {
			if event.Type == eventType {
				return event
			}
		}
		select {
		case <-e.came:
		case <-deadline.C:
			t.Fatalf("nobody tells of %s; what came: %+v", eventType, e.got())
		}
	}
}

// TestARunIsToldOf has a real server tell a real endpoint of a run that users create, approve and stop.
func TestARunIsToldOf(t *testing.T) {
	p := newPoliced(t, testserver.WithConfig(func(c *apiserver.Config) {
		c.Extra.NewManager = func(api, hub *rest.Config, options rollout.Options) (apiserver.Manager, error) {
			return rollout.New(api, hub, rollout.Options{
				Controllers: []string{scheduling.Name, updaterun.Name, notify.Name}, StoreID: testserver.HubStoreID, HubRecord: options.HubRecord,
				Namespaces: options.Namespaces, NotificationNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
			})
		}
	}))
	endpoint := newTold(t)
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: endpoint.Certificate().Raw}))
	p.write(fmt.Sprintf(`{apiVersion: rollout.stagegate.dev/v1alpha1, kind: NotificationSink, metadata: {name: pipeline}, spec: {url: %q, caBundle: %s}}`, endpoint.URL, ca))
	p.alice.run("wait", "--timeout=60s", "--for=condition=Ready", "notificationsinks/pipeline")

	s := policedScopes["cluster-scoped"]
	p.place(s)
	p.write(`{apiVersion: placement.kubernetes-fleet.io/v1, kind: ClusterStagedUpdateStrategy, metadata: {name: asked}, spec: {stages: [
		{name: canary, labelSelector: {matchLabels: {env: canary}}, beforeStageTasks: [{type: Approval}]},
		{name: prod, labelSelector: {matchLabels: {env: prod}}, maxConcurrency: 1}]}}`)
	p.write(s.run("told", "asked", ", state: Run"))
	asked := endpoint.until(t, "dev.stagegate.approval.requested.v1")
	if len(asked.Data.Approvals) != 1 || asked.Data.Approvals[0].UID == "" || asked.Subject != "canary" {
		t.Fatalf("the event of an approval that is waited for: %+v", asked)
	}
	// The command is one to be typed as it is.
	args := strings.Fields(strings.ReplaceAll(asked.Data.Approvals[0].Approve, "'", ""))
	p.alice.run(args[1:]...)
	endpoint.until(t, "dev.stagegate.stage.started.v1")
	p.alice.run("patch", "csur", "told", "--subresource=stop", "--type=merge", "-p", `{"spec":{"reason":"INC-7"}}`)
	endpoint.until(t, "dev.stagegate.operation.stop.v1")
	endpoint.until(t, "dev.stagegate.run.stopping.v1")

	uid := p.alice.run("get", "csur", "told", "-o", "jsonpath={.metadata.uid}")
	var types []string
	for i, event := range endpoint.got() {
		types = append(types, strings.TrimSuffix(strings.TrimPrefix(event.Type, "dev.stagegate."), ".v1"))
		if want := fmt.Sprintf("%s-%d", uid, i+1); event.ID != want || event.Data.Run.Name != "told" {
			t.Errorf("event %d is %s of run %s, want %s", i+1, event.ID, event.Data.Run.Name, want)
		}
	}
	want := []string{"run.planned", "approval.requested", "approval.approved", "run.started", "stage.started", "operation.stop", "run.stopping"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	p.until("7", "", "get", "notificationsinks", "pipeline", "-o", "jsonpath={.status.delivered}")
}

// TestSinksThatAreUnclear are refused, and say why without repeating what may be a credential.
func TestSinksThatAreUnclear(t *testing.T) {
	s := testserver.Start(t)
	k := newKubectl(t, s.As(testserver.Alice))
	for name, tc := range map[string]struct{ spec, want string }{
		"nowhere":          {`{}`, "say where notifications go"},
		"twice":            {`{url: "https://a.example", urlSecret: {name: a, key: b}}`, "set either url or urlSecret"},
		"without TLS":      {`{url: "http://a.example/s3cret"}`, "must begin with https://"},
		"with a password":  {`{url: "https://u:s3cret@a.example/"}`, "must have no user or password"},
		"a member's":       {`{urlSecret: {name: member-paris, key: kubeconfig}}`, "the Secret is that of a member"},
		"of no such type":  {`{url: "https://a.example", types: [run.exploded]}`, "there is no such notification"},
		"no certificate":   {`{url: "https://a.example", caBundle: YQ==}`, "must have a certificate in PEM"},
		"an odd selector":  {`{url: "https://a.example", match: {namespaceSelector: {matchLabels: {"/": x}}}}`, "the selector of namespaces is invalid"},
		"of another shape": {`{url: "https://a.example", format: Teams}`, "Unsupported value"},
	} {
		out, err := k.try(`{apiVersion: rollout.stagegate.dev/v1alpha1, kind: NotificationSink, metadata: {name: s}, spec: `+tc.spec+`}`, "create", "-f", "-")
		if err == nil || !strings.Contains(out, tc.want) || strings.Contains(out, "s3cret") {
			t.Errorf("%s: got %q, want %q", name, out, tc.want)
		}
	}
	out, err := k.try(`{apiVersion: rollout.stagegate.dev/v1alpha1, kind: NotificationSink, metadata: {name: s}, spec: {url: "https://hooks.slack.com/services/x"}}`, "create", "-f", "-")
	if err != nil || !strings.Contains(out, "Warning: spec.url: everybody who reads sinks can read the URL") {
		t.Errorf("%v: %s", err, out)
	}
}
