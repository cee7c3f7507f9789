// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/test/hub"
)

// testApprovalAudit follows the auditID of a decision to the hub's audit log, and holds what it is worth there: it leads to the request
// that approved, and to whatever else a client has given the same id.
func testApprovalAudit(t *testing.T, s *suite) {
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete careq -l e2e=permissions") })
	s.grant(t, "alice", "stagegate-approver")
	s.grant(t, "viewer", "stagegate-view")
	long := strings.Repeat("0123456789", 8)
	for name, tt := range map[string]struct {
		// chosen is what the clients send as Audit-ID, and recorded what becomes of it: empty for an id of the hub's.
		chosen, recorded string
		// events are those of the id in the log of the hub.
		events []string
	}{
		"audit-hub":    {events: []string{"alice patch"}},
		"audit-client": {chosen: "CHG-1042", recorded: "CHG-1042", events: []string{"alice patch", "viewer get"}},
		"audit-long":   {chosen: long, recorded: long[:64], events: []string{"alice patch", "viewer get"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.undecidedRequest(t, fleetScope, name)
			header := func(config *rest.Config) *rest.Config {
				if tt.chosen != "" {
					config.Wrap(func(next http.RoundTripper) http.RoundTripper { return withHeader{next, "Audit-ID", tt.chosen} })
				}
				return config
			}
			if _, err := s.with(t, "viewer", header).get(t.Context(), kindApproval, "", name); err != nil {
				t.Fatal(err)
			}
			s.with(t, "alice", header).mustPatch(t, kindApproval, "", name, `{"spec":{"comment":"CHG-1042"}}`, "approve")
			request, err := s.hub().get(t.Context(), kindApproval, "", name)
			if err != nil {
				t.Fatal(err)
			}
			var status recordedRequest
			if err := decode(request.Object["status"], &status); err != nil {
				t.Fatal(err)
			}
			if len(status.Decisions) != 1 {
				t.Fatalf("decisions are %+v", status.Decisions)
			}
			id := status.Decisions[0].AuditID
			if tt.recorded != "" && id != tt.recorded {
				t.Errorf("auditID is %q, want %q", id, tt.recorded)
			}
			events := s.awaitAudited(t, name, id, len(tt.events))
			var got []string
			for _, event := range events {
				got = append(got, event.User.Username+" "+event.Verb)
				if event.Verb == "patch" && (event.RequestURI != approvalsPath+name+"/approve" || event.ResponseStatus.Code != http.StatusOK) {
					t.Errorf("the event of the approval is %+v", event)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.events, got); diff != "" {
				t.Errorf("events of %q (-want +got):\n%s", id, diff)
			}
		})
	}
}

// awaitAudited waits until the hub has logged n events about a request under an id that begins as given. A log has no events to wait for.
func (s *suite) awaitAudited(t *testing.T, request, id string, n int) []auditEvent {
	t.Helper()
	var found []auditEvent
	err := wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(context.Context) (bool, error) {
		found = nil
		err := eachLine(s.environment.AuditLog(hub.HubName), func(line string) error {
			if !strings.Contains(line, id) {
				return nil
			}
			var event auditEvent
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				return err
			}
			if strings.HasPrefix(event.AuditID, id) && strings.HasPrefix(event.RequestURI, approvalsPath+request) && !event.StageTimestamp.Time.Before(s.since) {
				found = append(found, event)
			}
			return nil
		})
		return len(found) >= n, err
	})
	if err != nil {
		t.Fatalf("%s has %d events of %q about %s, want %d: %v", s.environment.AuditLog(hub.HubName), len(found), id, request, n, err)
	}
	return found
}

// withHeader adds a header to each request.
type withHeader struct {
	http.RoundTripper
	key, value string
}

func (w withHeader) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set(w.key, w.value)
	return w.RoundTripper.RoundTrip(request)
}
