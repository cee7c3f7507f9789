// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// TestTheServersControllersCannotBeImpersonated does what only the controllers may, as them and as a user who may impersonate everybody
// and claims all that an object or a log shows of them.
func TestTheServersControllersCannotBeImpersonated(t *testing.T) {
	s := testserver.Start(t)
	impostor := s.As(testserver.Alice)
	impostor.Impersonate = rest.ImpersonationConfig{
		UserName: user.APIServerUser,
		Groups:   []string{user.AllAuthenticated, user.SystemPrivilegedGroup},
	}
	// shown is what is recorded of the name, whoever has it.
	shown := map[string]any{"username": user.APIServerUser, "groups": []any{user.AllAuthenticated, user.SystemPrivilegedGroup}}
	for _, in := range []struct{ prefix, namespace string }{{"Cluster", ""}, {"", "test-namespace"}} {
		for _, who := range []struct {
			name   string
			config *rest.Config
			own    bool
		}{{"controllers", s.Controllers(), true}, {"impostor", impostor, false}} {
			t.Run(in.prefix+"StagedUpdateRun/"+who.name, func(t *testing.T) {
				client := dynamic.NewForConfigOrDie(who.config)
				of := func(resource string) dynamic.ResourceInterface {
					if in.namespace == "" {
						return client.Resource(v1beta1.SchemeGroupVersion.WithResource("cluster" + resource))
					}
					return client.Resource(v1beta1.SchemeGroupVersion.WithResource(resource)).Namespace(in.namespace)
				}
				object := func(kind, name string, content map[string]any) *unstructured.Unstructured {
					obj := &unstructured.Unstructured{Object: content}
					obj.SetGroupVersionKind(v1beta1.SchemeGroupVersion.WithKind(in.prefix + kind))
					obj.SetName(name)
					return obj
				}
				aRun := func(name string, status map[string]any) *unstructured.Unstructured {
					return object("StagedUpdateRun", name, map[string]any{
						"spec":   map[string]any{"placementName": "app", "stagedRolloutStrategyName": "s"},
						"status": status,
					})
				}
				runs, requests := of("stagedupdateruns"), of("approvalrequests")

				run := mustDo(runs.Create(t.Context(), aRun(who.name, map[string]any{
					"createdBy": map[string]any{"username": "bob"},
				}), metav1.CreateOptions{}))(t)
				want := shown
				if who.own {
					want = map[string]any{"username": "bob"}
				}
				expectCreator(t, run, want)
				expectCreator(t, mustDo(runs.Create(t.Context(), aRun(who.name+"-for-nobody", nil), metav1.CreateOptions{}))(t), shown)

				unstructured.SetNestedSlice(run.Object, []any{map[string]any{
					"number": int64(1), "time": "2026-03-01T12:00:00Z", "reason": "StopRequested", "user": "bob",
				}}, "status", "history")
				run = mustDo(runs.UpdateStatus(t.Context(), run, metav1.UpdateOptions{}))(t)
				if _, written, _ := unstructured.NestedSlice(run.Object, "status", "history"); written != who.own {
					t.Errorf("the history is written: %v, want %v", written, who.own)
				}

				spec := map[string]any{"parentStageRollout": "run", "targetStage": "canary"}
				owned := object("ApprovalRequest", who.name+"-owned", map[string]any{"spec": spec})
				owned.SetOwnerReferences([]metav1.OwnerReference{{
					APIVersion: v1beta1.SchemeGroupVersion.String(), Kind: in.prefix + "StagedUpdateRun", Name: "run", UID: "run",
				}})
				_, err := requests.Create(t.Context(), owned, metav1.CreateOptions{})
				if ok := err == nil; ok != who.own || !ok && !apierrors.IsInvalid(err) {
					t.Errorf("an approval request that belongs to a run: %v", err)
				}

				request := mustDo(requests.Create(t.Context(), object("ApprovalRequest", who.name, map[string]any{"spec": spec}), metav1.CreateOptions{}))(t)
				request.Object["status"] = map[string]any{"conditions": []any{map[string]any{
					"type": "ApprovalAccepted", "status": "True", "reason": "Tested", "message": "", "lastTransitionTime": "2026-03-01T12:00:00Z",
				}}}
				_, err = requests.UpdateStatus(t.Context(), request, metav1.UpdateOptions{})
				if ok := err == nil; ok != who.own || !ok && !apierrors.IsForbidden(err) {
					t.Errorf("the condition ApprovalAccepted: %v", err)
				}
			})
		}
	}
}

// mustDo returns what a request answers that a test takes for granted.
func mustDo[T any](answer T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func expectCreator(t *testing.T, run *unstructured.Unstructured, want map[string]any) {
	t.Helper()
	got, _, _ := unstructured.NestedMap(run.Object, "status", "createdBy")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("createdBy of %s (-want +got):\n%s", run.GetName(), diff)
	}
}
