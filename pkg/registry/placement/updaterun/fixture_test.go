// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

// testClock stands still: everything in these tests happens at once.
var testClock = clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

var (
	alice = &user.DefaultInfo{Name: "alice", UID: "1", Groups: []string{"team"}}
	bob   = &user.DefaultInfo{Name: "bob", UID: "2", Groups: []string{"team"}}
	// admin is an administrator of the hub, controllers the server's own controllers.
	admin       = &user.DefaultInfo{Name: "kubernetes-admin", Groups: []string{user.SystemPrivilegedGroup}}
	controllers = registry.Controllers()
)

// service serves the runs of one scope from an etcd.
type service struct {
	t        *testing.T
	resource store.Resource
	storage  *store.Storage
	paths    map[string]rest.Storage

	// allowed says what the authorizer allows beyond what the handlers ask, nil everything; asked is what it was asked.
	allowed func(authorizer.Attributes) bool
	asked   []authorizer.AttributesRecord
}

// bothScopes runs a test for each scope.
func bothScopes(t *testing.T, test func(t *testing.T, s *service)) {
	etcd := storetest.Etcd(t)
	for _, r := range Resources(testClock) {
		t.Run(r.Plural, func(t *testing.T) { test(t, newService(t, etcd, r)) })
	}
}

func newService(t *testing.T, etcd generic.RESTOptionsGetter, r store.Resource) *service {
	t.Helper()
	storage, err := store.NewStorage(r, etcd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(storage.REST.Destroy)
	s := &service{t: t, resource: r, storage: storage}
	s.paths = Paths(storage, nil, authorizer.AuthorizerFunc(s.authorize), testClock)
	return s
}

func (s *service) authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	s.asked = append(s.asked, a.(authorizer.AttributesRecord))
	if s.allowed == nil || s.allowed(a) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "no rule allows it", nil
}

// as is the context of a user's request, audited as audit-1.
func (s *service) as(who user.Info, subresource string) context.Context {
	ctx := genericapirequest.WithUser(storetest.Request(s.t.Context(), s.resource, "v1", subresource), who)
	ctx = audit.WithAuditContext(ctx)
	audit.WithAuditID(ctx, "audit-1")
	return ctx
}

// run stores a run in a state and with a status.
func (s *service) run(name string, state v1beta1.State, status v1beta1.UpdateRunStatus) v1beta1.UpdateRunObject {
	s.t.Helper()
	run := newRun(s.resource)
	run.SetName(name)
	run.SetLabels(map[string]string{"team": "a"})
	run.SetManagedFields([]metav1.ManagedFieldsEntry{{
		Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, APIVersion: "placement.kubernetes-fleet.io/v1",
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:state":{}}}`),
	}})
	run.RunSpec().State = state
	if _, err := s.storage.REST.Create(s.as(alice, ""), run, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	return s.update(controllers, "status", name, func(run v1beta1.UpdateRunObject) { *run.RunStatus() = status })
}

// update writes a run, or its status, the way a PUT does.
func (s *service) update(who user.Info, subresource, name string, change func(v1beta1.UpdateRunObject)) v1beta1.UpdateRunObject {
	s.t.Helper()
	out, _, err := s.paths[subresource].(rest.Updater).Update(s.as(who, subresource), name, changed(change),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		s.t.Fatalf("update of %s: %v", name, err)
	}
	return out.(v1beta1.UpdateRunObject)
}

func (s *service) get(name string) v1beta1.UpdateRunObject {
	s.t.Helper()
	out, err := s.storage.REST.Get(s.as(alice, ""), name, &metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.(v1beta1.UpdateRunObject)
}

// changed is what a PATCH sends: a change of what is there.
func changed[O runtime.Object](change func(O)) rest.UpdatedObjectInfo {
	return rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		obj := old.DeepCopyObject().(O)
		change(obj)
		return obj, nil
	})
}

// ask posts an operation.
func (s *service) ask(ctx context.Context, subresource, name string, spec v1beta1.UpdateRunOperationSpec) (*v1beta1.UpdateRunOperation, error) {
	out, err := s.paths[subresource].(rest.NamedCreater).Create(ctx, name, &v1beta1.UpdateRunOperation{Spec: spec}, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return out.(*v1beta1.UpdateRunOperation), nil
}

// mustAsk is ask for what a test takes for granted.
func (s *service) mustAsk(who user.Info, subresource, name string, spec v1beta1.UpdateRunOperationSpec) *v1beta1.UpdateRunOperation {
	s.t.Helper()
	answer, err := s.ask(s.as(who, subresource), subresource, name, spec)
	if err != nil {
		s.t.Fatalf("%s of %s: %v", subresource, name, err)
	}
	return answer
}

// underWay is the status of a run whose first stage is over, and in whose second one cluster has failed and another is in flight.
func underWay() v1beta1.UpdateRunStatus {
	started := condition(v1beta1.ClusterStarted, metav1.ConditionTrue)
	before := "1"
	s := planned()
	s.ResourceSnapshotIndexUsed = "2"
	s.StagesStatus[0].Conditions = []metav1.Condition{condition(v1beta1.StageSucceeded, metav1.ConditionTrue)}
	s.StagesStatus[0].Clusters[0].Conditions = []metav1.Condition{started, condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue)}
	s.StagesStatus[0].Clusters[0].PreviousResourceSnapshotIndex = &before
	s.StagesStatus[1].Clusters[0].Conditions = []metav1.Condition{started, withReason(v1beta1.ClusterSucceeded, metav1.ConditionFalse, "ClusterUpdatingFailed")}
	s.StagesStatus[1].Clusters[1].Conditions = []metav1.Condition{started}
	s.StagesStatus[1].AfterStageTaskStatus = []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeTimedWait}}
	return s
}

// entry is what stands in the history once somebody has asked.
func entry(number int64, operation v1beta1.OperationType, who, message string) v1beta1.UpdateRunHistoryEntry {
	return v1beta1.UpdateRunHistoryEntry{
		Number: number, Time: metav1.NewTime(testClock.Now()), Reason: string(operation) + "Requested", Operation: operation, User: who,
		Message: message, AuditID: "audit-1",
	}
}

// delete removes a run.
func (s *service) delete(name string) {
	s.t.Helper()
	if _, _, err := s.storage.REST.Delete(s.as(alice, ""), name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}
