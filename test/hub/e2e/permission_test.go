// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/test/hub"
)

// outcome is what comes of an attempt to decide on an approval request.
type outcome string

const (
	approved outcome = "approved"           // and recorded as what the user has done, now
	rejected outcome = "rejected"           // likewise
	ignored  outcome = "ignored"            // answered with success, and nothing is decided
	refused  outcome = "refused (403)"      // the user may use the path, and not decide
	closed   outcome = "forbidden (403)"    // the user may not use the path
	stranger outcome = "unauthorized (401)" // the hub does not know the user
	granted  outcome = "granted"            // there is only nothing to do it to
)

// permissions say who can decide in which way. The ways are those of waysToTry: approve by merge patch, PUT and POST, reject by
// merge patch; the condition Approved True in the status by merge patch, PUT and server-side apply; an approval among the decisions of the
// status by merge patch; and an approved status by PUT of the whole request. All of them claim, wherever there is a field for it, that
// somebody else has decided long ago.
var permissions = []struct {
	who  string
	at   []requestScope
	want [9]outcome
}{
	//                                           approve                       reject    status                        decisions whole
	//                                           patch     put       post      patch     patch     put       apply     patch     put
	{"cluster-admin", bothScopes, [...]outcome{approved, approved, approved, rejected, approved, approved, approved, ignored, ignored}},
	{"fleet-approver", bothScopes, [...]outcome{approved, approved, approved, rejected, approved, approved, approved, ignored, closed}},
	{"team-approver", ofTheTeam, [...]outcome{approved, approved, approved, rejected, approved, approved, approved, ignored, closed}},
	{"team-approver", ofTheFleet, always(closed)},
	{"neighbor-approver", bothScopes, always(closed)},
	{"editor", bothScopes, always(closed)},
	{"viewer", bothScopes, always(closed)},
	// Who may write the status, and who may do everything there is with requests, only not update .../approve and .../reject.
	{"status-writer", bothScopes, [...]outcome{closed, closed, closed, closed, refused, refused, refused, ignored, closed}},
	{"all-but-approver", bothScopes, [...]outcome{refused, closed, refused, refused, refused, refused, refused, ignored, ignored}},
	// Impersonation is the hub's to allow. What is done under it is done by the user who is spoken for.
	{"cluster-admin as fleet-approver", bothScopes, [...]outcome{approved, approved, approved, rejected, approved, approved, approved, ignored, closed}},
	{"cluster-admin as editor", bothScopes, always(closed)},
	{"editor as fleet-approver", bothScopes, always(closed)},
	// The name of the server's own controllers gives an administrator nothing.
	{"cluster-admin as system:apiserver", bothScopes, [...]outcome{approved, approved, approved, rejected, approved, approved, approved, ignored, ignored}},
	// Who is on call reads requests.
	{"operator", bothScopes, always(closed)},
	// Without credentials, and with some that are nobody's.
	{"anonymous", bothScopes, always(closed)},
	{"nobody", bothScopes, always(stranger)},
}

// prunePermissions say who can prune a placement: by merge patch, PUT and POST.
var prunePermissions = []struct {
	who  string
	at   []requestScope
	want [3]outcome
}{
	{"cluster-admin", bothPlacements, [...]outcome{granted, granted, granted}},
	{"fleet-pruner", bothPlacements, [...]outcome{granted, granted, granted}},
	{"team-pruner", bothPlacements[1:], [...]outcome{granted, granted, granted}},
	{"team-pruner", bothPlacements[:1], [...]outcome{closed, closed, closed}},
	{"fleet-approver", bothPlacements, [...]outcome{closed, closed, closed}},
	{"editor", bothPlacements, [...]outcome{closed, closed, closed}},
	{"viewer", bothPlacements, [...]outcome{closed, closed, closed}},
	// Who may do everything there is with placements, only not update .../prune.
	{"all-but-pruner", bothPlacements, [...]outcome{refused, closed, refused}},
	{"anonymous", bothPlacements, [...]outcome{closed, closed, closed}},
	{"nobody", bothPlacements, [...]outcome{stranger, stranger, stranger}},
}

func always(o outcome) [9]outcome { return [...]outcome{o, o, o, o, o, o, o, o, o} }

const (
	// permissionsNamespace is where the namespaced requests are, and the rights of the team.
	permissionsNamespace = "permissions"

	// permissionsManifest makes the users what they are called. It is deleted by its label.
	permissionsManifest = `apiVersion: v1
kind: Namespace
metadata: {name: permissions, labels: {e2e: permissions}}
---
apiVersion: v1
kind: Namespace
metadata: {name: permissions-neighbor, labels: {e2e: permissions}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-status-writer, labels: {e2e: permissions}}
rules:
- apiGroups: [placement.kubernetes-fleet.io]
  resources: [clusterapprovalrequests/status, approvalrequests/status]
  verbs: [get, update, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-all-but-approver, labels: {e2e: permissions}}
rules:
- apiGroups: [placement.kubernetes-fleet.io]
  resources: [clusterapprovalrequests, approvalrequests, clusterapprovalrequests/status, approvalrequests/status]
  verbs: ["*"]
- apiGroups: [placement.kubernetes-fleet.io]
  resources: [clusterapprovalrequests/approve, approvalrequests/approve, clusterapprovalrequests/reject, approvalrequests/reject]
  verbs: [get, create, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-all-but-pruner, labels: {e2e: permissions}}
rules:
- apiGroups: [placement.kubernetes-fleet.io]
  resources: [clusterresourceplacements, resourceplacements, clusterresourceplacements/status, resourceplacements/status]
  verbs: ["*"]
- apiGroups: [placement.kubernetes-fleet.io]
  resources: [clusterresourceplacements/prune, resourceplacements/prune]
  verbs: [get, create, patch]
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: permissions, labels: {e2e: permissions}}
spec:
  resourceSelectors: [{group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole, name: e2e-all-but-pruner}]
  strategy: {type: External}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: permissions, namespace: permissions, labels: {e2e: permissions}}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: none}]
  strategy: {type: External}
`
)

// requestScope is one of the two kinds of approval request or of placement, and where the objects are.
type requestScope struct {
	kind      schema.GroupVersionKind
	namespace string
}

var (
	fleetScope = requestScope{kind: kindApproval}
	teamScope  = requestScope{kind: placementV1beta1.WithKind("ApprovalRequest"), namespace: permissionsNamespace}

	bothScopes = []requestScope{fleetScope, teamScope}
	ofTheFleet = []requestScope{fleetScope}
	ofTheTeam  = []requestScope{teamScope}

	bothPlacements = []requestScope{
		{kind: placementV1beta1.WithKind("ClusterResourcePlacement")},
		{kind: placementV1beta1.WithKind("ResourcePlacement"), namespace: permissionsNamespace},
	}
)

const (
	// longAgo and forger are what every attempt claims.
	longAgo = "2001-01-01T00:00:00Z"
	forger  = "mallory"
)

// waysToTry are what a user does to a request that is undecided.
var waysToTry = [...]struct {
	name string
	try  func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error
}{
	{"patch of approve", func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error {
		return mergePatch(ctx, requests, request, forgedApproval(request), "approve")
	}},
	{"put to approve", func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error {
		_, err := requests.Update(ctx, forgedApproval(request), metav1.UpdateOptions{}, "approve")
		return err
	}},
	{"post to approve", func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error {
		_, err := requests.Create(ctx, forgedApproval(request), metav1.CreateOptions{}, "approve")
		return err
	}},
	{"patch of reject", func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error {
		return mergePatch(ctx, requests, request, forgedApproval(request), "reject")
	}},
	{"patch of the status", func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error {
		return mergePatch(ctx, requests, request, forgedStatus(request), "status")
	}},
	{"put to the status", func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error {
		_, err := requests.UpdateStatus(ctx, forgedStatus(request), metav1.UpdateOptions{})
		return err
	}},
	{"apply of the status", func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error {
		forged := forgedStatus(request)
		forged.Object["metadata"] = map[string]any{"name": request.GetName()}
		delete(forged.Object, "spec")
		_, err := requests.ApplyStatus(ctx, request.GetName(), forged, metav1.ApplyOptions{FieldManager: "e2e", Force: true})
		return err
	}},
	{"patch of the decisions", func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error {
		forged := forgedStatus(request)
		unstructured.RemoveNestedField(forged.Object, "status", "conditions")
		return mergePatch(ctx, requests, request, forged, "status")
	}},
	{"put of the whole", func(ctx context.Context, requests dynamic.ResourceInterface, request *unstructured.Unstructured) error {
		_, err := requests.Update(ctx, forgedStatus(request), metav1.UpdateOptions{})
		return err
	}},
}

// testPermissions tries every way as every user. Whatever is refused or ignored leaves the request undecided for the next.
func testPermissions(t *testing.T, s *suite) {
	clients := s.permissionsClients(t)
	t.Run("Prune", func(t *testing.T) { testPrunePermissions(t, clients) })
	for _, row := range permissions {
		for _, at := range row.at {
			t.Run(at.kind.Kind+"/"+row.who, func(t *testing.T) {
				var request *unstructured.Unstructured
				for i, way := range waysToTry {
					if request == nil {
						request = s.undecidedRequest(t, at, fmt.Sprintf("%s-%d", strings.NewReplacer(" ", "-", ":", "-").Replace(row.who), i))
					}
					began := time.Now().Add(-time.Second)
					err := way.try(t.Context(), clients[row.who].of(at.kind, at.namespace), request)
					after, getErr := s.hub().get(t.Context(), at.kind, at.namespace, request.GetName())
					if getErr != nil {
						t.Fatal(getErr)
					}
					got := outcomeOf(err)
					if got == ignored && isDecided(after) {
						_, who, _ := strings.Cut(row.who, " as ")
						if who == "" {
							who = row.who
						}
						got = recordedAs(t, after, who, began)
					} else if diff := cmp.Diff(request.Object["status"], after.Object["status"]); diff != "" {
						t.Errorf("%s: nothing is decided, but the status is another (-before +after):\n%s", way.name, diff)
					}
					if got != row.want[i] {
						t.Errorf("%s: %s, want %s: %v", way.name, got, row.want[i], err)
					}
					if request = after; isDecided(after) {
						request = nil
					}
				}
			})
		}
	}
}

// waysToPrune are what a user does to a placement whose clusters keep nothing.
var waysToPrune = [...]struct {
	name string
	try  func(ctx context.Context, placements dynamic.ResourceInterface, prune *unstructured.Unstructured) error
}{
	{"patch of prune", func(ctx context.Context, placements dynamic.ResourceInterface, prune *unstructured.Unstructured) error {
		return mergePatch(ctx, placements, prune, prune, "prune")
	}},
	{"put to prune", func(ctx context.Context, placements dynamic.ResourceInterface, prune *unstructured.Unstructured) error {
		_, err := placements.Update(ctx, prune, metav1.UpdateOptions{}, "prune")
		return err
	}},
	{"post to prune", func(ctx context.Context, placements dynamic.ResourceInterface, prune *unstructured.Unstructured) error {
		_, err := placements.Create(ctx, prune, metav1.CreateOptions{}, "prune")
		return err
	}},
}

func testPrunePermissions(t *testing.T, clients map[string]cluster) {
	for _, row := range prunePermissions {
		for _, at := range row.at {
			t.Run(at.kind.Kind+"/"+row.who, func(t *testing.T) {
				prune := &unstructured.Unstructured{Object: map[string]any{
					"metadata": map[string]any{"name": "permissions"},
					"spec":     map[string]any{"reason": "INC-7", "resourceSnapshotName": "permissions-0-snapshot"},
				}}
				prune.SetGroupVersionKind(placementV1beta1.WithKind("PlacementPrune"))
				for i, way := range waysToPrune {
					err := way.try(t.Context(), clients[row.who].of(at.kind, at.namespace), prune)
					got := outcomeOf(err)
					if apierrors.IsConflict(err) && strings.Contains(err.Error(), "there is nothing to let go of") {
						got = granted
					}
					if got != row.want[i] {
						t.Errorf("%s: %s, want %s: %v", way.name, got, row.want[i], err)
					}
				}
			})
		}
	}
}

// permissionsClients are the users of the tables.
func (s *suite) permissionsClients(t *testing.T) map[string]cluster {
	t.Helper()
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete crp,careq,clusterrolebindings,clusterroles,namespaces -l e2e=permissions --wait=false")
	})
	s.hub().mustCreate(t, permissionsManifest)
	clients := map[string]cluster{"cluster-admin": s.hub()}
	for _, user := range []struct{ name, role, namespace, verb, resource string }{
		{"fleet-approver", "stagegate-approver", "", "update", "clusterapprovalrequests/approve"},
		{"team-approver", "stagegate-approver", "permissions", "update", "approvalrequests/approve"},
		{"neighbor-approver", "stagegate-approver", "permissions-neighbor", "update", "approvalrequests/approve"},
		{"fleet-pruner", "stagegate-pruner", "", "update", "clusterresourceplacements/prune"},
		{"team-pruner", "stagegate-pruner", "permissions", "update", "resourceplacements/prune"},
		{"operator", "stagegate-operator", "", "update", "clusterstagedupdateruns/skip"},
		{"editor", "edit", "", "update", "clusterstagedupdateruns"},
		{"viewer", "view", "", "get", "clusterapprovalrequests"},
		{"status-writer", "e2e-status-writer", "", "update", "clusterapprovalrequests/status"},
		{"all-but-approver", "e2e-all-but-approver", "", "update", "clusterapprovalrequests/status"},
		{"all-but-pruner", "e2e-all-but-pruner", "", "update", "clusterresourceplacements/status"},
	} {
		if _, err := s.environment.User(user.name); err != nil {
			t.Fatal(err)
		}
		kind, namespace := "ClusterRoleBinding", ""
		if user.namespace != "" {
			kind, namespace = "RoleBinding", ", namespace: "+user.namespace
		}
		s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: %s
metadata: {name: e2e-permissions-%s, labels: {e2e: permissions}%s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[2]s}]
`, kind, user.name, namespace, user.role))
		s.awaitPermission(t, user.name, user.namespace, user.verb, user.resource)
		clients[user.name] = s.as(t, user.name)
	}
	for who, kubeconfig := range map[string]string{"cluster-admin as fleet-approver": hub.HubName, "cluster-admin as editor": hub.HubName, "cluster-admin as system:apiserver": hub.HubName, "editor as fleet-approver": "editor"} {
		_, spokenFor, _ := strings.Cut(who, " as ")
		clients[who] = s.with(t, kubeconfig, func(config *rest.Config) *rest.Config {
			config.Impersonate.UserName = spokenFor
			if spokenFor == user.APIServerUser {
				config.Impersonate.Groups = []string{user.SystemPrivilegedGroup, user.AllAuthenticated}
			}
			return config
		})
	}
	clients["anonymous"] = s.with(t, hub.HubName, rest.AnonymousClientConfig)
	clients["nobody"] = s.with(t, hub.HubName, func(config *rest.Config) *rest.Config {
		config = rest.AnonymousClientConfig(config)
		config.BearerToken = "nobody's"
		return config
	})
	return clients
}

// with is the cluster as who a kubeconfig becomes sees it.
func (s *suite) with(t *testing.T, kubeconfig string, become func(*rest.Config) *rest.Config) cluster {
	t.Helper()
	config, err := s.environment.RESTConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(become(config))
	if err != nil {
		t.Fatal(err)
	}
	return cluster{client}
}

// undecidedRequest makes a request of no run, whose status is as the clients send it back: there, and empty of decisions.
func (s *suite) undecidedRequest(t *testing.T, at requestScope, name string) *unstructured.Unstructured {
	t.Helper()
	request := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": name, "labels": map[string]any{"e2e": "permissions"}},
		"spec":     map[string]any{"parentStageRollout": "none", "targetStage": "none"},
	}}
	request.SetGroupVersionKind(at.kind)
	request, err := s.hub().of(at.kind, at.namespace).Create(t.Context(), request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func mergePatch(ctx context.Context, requests dynamic.ResourceInterface, request, patch *unstructured.Unstructured, subresource string) error {
	content := map[string]any{}
	for _, field := range []string{"spec", "status"} {
		if value, found := patch.Object[field]; found && !(field == "spec" && subresource == "status") {
			content[field] = value
		}
	}
	data, err := json.Marshal(content)
	if err != nil {
		return err
	}
	_, err = requests.Patch(ctx, request.GetName(), types.MergePatchType, data, metav1.PatchOptions{}, subresource)
	return err
}

// forgedApproval is the body of approve and reject.
func forgedApproval(request *unstructured.Unstructured) *unstructured.Unstructured {
	approval := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"comment": "lgtm"},
		"status": map[string]any{
			"decision": "Approved", "decidedBy": map[string]any{"username": forger}, "decidedAt": longAgo, "auditID": "forged",
		},
	}}
	approval.SetAPIVersion(request.GetAPIVersion())
	approval.SetKind("Approval")
	approval.SetName(request.GetName())
	return approval
}

// forgedStatus is a request that was approved.
func forgedStatus(request *unstructured.Unstructured) *unstructured.Unstructured {
	forged := request.DeepCopy()
	forged.Object["status"] = map[string]any{
		"decisions": []any{map[string]any{
			"decision": "Approved", "user": map[string]any{"username": forger}, "time": longAgo, "requestUID": string(request.GetUID()),
		}},
		"conditions": []any{map[string]any{
			"type": "Approved", "status": "True", "reason": "testPassed", "message": "lgtm", "lastTransitionTime": longAgo, "observedGeneration": int64(7),
		}},
	}
	return forged
}

// outcomeOf is what an answer says. Whether anything was decided is in the request.
func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return ignored
	case apierrors.IsUnauthorized(err):
		return stranger
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "needs the permission to update"):
		return refused
	case apierrors.IsForbidden(err):
		return closed
	}
	return outcome(err.Error())
}

// recordedRequest is what the tests read of the status of a request.
type recordedRequest struct {
	Decisions []struct {
		Decision   string      `json:"decision"`
		Comment    string      `json:"comment"`
		Time       metav1.Time `json:"time"`
		RequestUID types.UID   `json:"requestUID"`
		AuditID    string      `json:"auditID"`
		User       struct {
			Username string   `json:"username"`
			Groups   []string `json:"groups"`
		} `json:"user"`
	} `json:"decisions"`
	Conditions []metav1.Condition `json:"conditions"`
}

func isDecided(request *unstructured.Unstructured) bool {
	_, found, _ := unstructured.NestedSlice(request.Object, "status", "decisions")
	return found
}

// recordedAs returns what was decided, and holds that who and when are the server's.
func recordedAs(t *testing.T, request *unstructured.Unstructured, who string, since time.Time) outcome {
	t.Helper()
	var status recordedRequest
	if err := decode(request.Object["status"], &status); err != nil {
		t.Fatal(err)
	}
	if len(status.Decisions) != 1 {
		t.Fatalf("%d decisions: %v", len(status.Decisions), status.Decisions)
	}
	d := status.Decisions[0]
	groups := []string{"system:authenticated"}
	switch who {
	case "cluster-admin":
		who, groups = "admin", []string{"system:masters", "system:authenticated"}
	case user.APIServerUser:
		groups = []string{"system:masters", "system:authenticated"}
	}
	if d.User.Username != who || !cmp.Equal(d.User.Groups, groups) || d.Comment != "lgtm" || d.RequestUID != request.GetUID() ||
		d.Time.Time.Before(since) || d.Time.After(time.Now()) || d.AuditID == "" || d.AuditID == "forged" {
		t.Errorf("it is not recorded that %s of %v decided since %s: %+v", who, groups, since.Format(time.RFC3339), d)
	}
	want := metav1.Condition{Type: "Approved", Status: metav1.ConditionTrue, ObservedGeneration: 1, LastTransitionTime: d.Time, Message: "lgtm"}
	if d.Decision == "Rejected" {
		want.Status = metav1.ConditionFalse
	}
	for i := range status.Conditions {
		// The reason is the client's to choose.
		want.Reason = status.Conditions[i].Reason
	}
	if diff := cmp.Diff([]metav1.Condition{want}, status.Conditions); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	return outcome(strings.ToLower(d.Decision))
}
