// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package act

import (
	"errors"
	"fmt"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	hubfake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestAPreconditionThatDoesNotHoldIsNoRefusal(t *testing.T) {
	conflict := func(text string) error {
		return fmt.Errorf("sent: %w", apierrors.NewConflict(schema.GroupResource{Resource: "approvalrequests"}, "a", errors.New(text)))
	}
	for name, tc := range map[string]struct {
		err   error
		stale bool
	}{
		"nothing":                    {},
		"another uid":                {conflict("the uid in the precondition (1) does not match the uid in record (2)"), true},
		"a patch of another uid":     {conflict("Precondition failed: UID in precondition: 1, UID in object meta: 2"), true},
		"a patch of another version": {conflict("the object has been modified; please apply your changes to the latest version and try again"), true},
		"the state":                  {conflict("the run is over"), false},
		"no conflict":                {apierrors.NewBadRequest("in the precondition"), false},
	} {
		got := orStale(tc.err, "areq/a -n team", "decided")
		var stale *StaleError
		if errors.As(got, &stale) != tc.stale || !errors.Is(got, tc.err) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// reviews is a hub that allows what a function does, and counts how often it is asked.
func reviews(allows func(*authorizationv1.ResourceAttributes) bool) (*hubfake.Clientset, *int) {
	hub, asked := hubfake.NewClientset(), 0
	hub.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		asked++
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
		review.Status.Allowed = allows(review.Spec.ResourceAttributes)
		return true, review, nil
	})
	return hub, &asked
}

func TestTheHubIsAskedOnceInAWhile(t *testing.T) {
	allowed := true
	hub, asked := reviews(func(*authorizationv1.ResourceAttributes) bool { return allowed })
	clock := clocktesting.NewFakePassiveClock(time.Now())
	access := NewAccess(hub, clock)
	may := func(name string) bool {
		ok, err := access.MayAct(t.Context(), Runs, "stop", "team", name)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	// Who may on all of a namespace is not asked for each run.
	if !may("a") || !may("b") || !may("a") || *asked != 2 {
		t.Errorf("the hub was asked %d times", *asked)
	}
	allowed = false
	if !may("a") {
		t.Error("an answer is kept for no time at all")
	}
	clock.SetTime(clock.Now().Add(keepAccess))
	if may("a") || *asked == 2 {
		t.Error("an answer is kept for ever")
	}
}

func TestMayActByName(t *testing.T) {
	hub, _ := reviews(func(a *authorizationv1.ResourceAttributes) bool {
		return a.Name == "mine" && a.Resource == "approvalrequests" && a.Subresource == "approve"
	})
	access := NewAccess(hub, clocktesting.NewFakePassiveClock(time.Now()))
	for name, want := range map[string]bool{"mine": true, "theirs": false, "": false} {
		if got, err := access.MayAct(t.Context(), Requests, "approve", "team", name); err != nil || got != want {
			t.Errorf("%q: got %t, %v", name, got, err)
		}
	}
}

func TestWhoseApprovalCounts(t *testing.T) {
	hub, _ := reviews(func(a *authorizationv1.ResourceAttributes) bool { return a.Namespace == "team" })
	access := NewAccess(hub, clocktesting.NewFakePassiveClock(time.Now()))
	no := false
	request := func(namespace string, by ...string) *v1beta1.ApprovalRequest {
		r := &v1beta1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "r", UID: "uid"}}
		r.Spec.Policy = &v1beta1.ApprovalPolicy{Required: 2, AllowRequester: &no}
		r.Spec.Requester = &v1beta1.DecisionUser{Username: "erin", UID: "e"}
		for _, name := range by {
			r.Status.Decisions = append(r.Status.Decisions, v1beta1.ApprovalDecision{Decision: v1beta1.DecisionApproved, User: v1beta1.DecisionUser{Username: name, UID: name}, RequestUID: "uid"})
		}
		return r
	}
	for name, tc := range map[string]struct {
		user    string
		request *v1beta1.ApprovalRequest
		want    string
	}{
		"yes":                    {"frank", request("team"), ""},
		"the second one":         {"frank", request("team", "jo"), ""},
		"who has approved":       {"frank", request("team", "frank"), "you have approved it already"},
		"who has created it":     {"erin", request("team"), `user "erin" has created the run, and the approval must be by others`},
		"who lacks a permission": {"frank", request("other"), "you lack create and update on approvalrequests/approve in namespace other"},
	} {
		uid := tc.user
		if uid == "erin" {
			uid = "e"
		}
		got, err := access.Counts(t.Context(), v1beta1.DecisionUser{Username: tc.user, UID: uid}, tc.request)
		if err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tc.want)
		}
	}
}

func TestStartable(t *testing.T) {
	run := &v1beta1.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "r"}}
	for state, want := range map[v1beta1.State]string{
		v1beta1.StateInitialize: "<nil>", v1beta1.StateRun: "sur/r -n team is started already", v1beta1.StateStop: "sur/r -n team is stopped: kubectl stagegate resume sur/r -n team",
	} {
		run.Spec.State = state
		if got := fmt.Sprint(Startable(run)); got != want {
			t.Errorf("%s: got %s, want %s", state, got, want)
		}
	}
}

func TestNouns(t *testing.T) {
	for name, tc := range map[string]struct{ got, want string }{
		"cluster":    {Runs.Name(types.NamespacedName{Name: "a"}), "csur/a"},
		"namespaced": {Requests.Name(types.NamespacedName{Namespace: "n", Name: "a"}), "areq/a -n n"},
		"resource":   {Placements.Resource(""), "clusterresourceplacements"},
		"of one":     {Placements.Resource("n"), "resourceplacements"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %s, want %s", name, tc.got, tc.want)
		}
	}
}
