// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// noon is when users of these tests ask. Clusters have kept objects since an hour before.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var (
	alice       = &user.DefaultInfo{Name: "alice", UID: "1", Groups: []string{"platform"}}
	bob         = &user.DefaultInfo{Name: "bob", UID: "2"}
	controllers = registry.Controllers()
)

// service serves the placements of one scope from an etcd.
type service struct {
	t        *testing.T
	resource store.Resource
	storage  *store.Storage
	paths    map[string]rest.Storage
	clock    *clocktesting.FakePassiveClock
	// denied has the authorizer refuse what the storage asks; asked is what it was asked last.
	denied bool
	asked  authorizer.AttributesRecord
}

// services serve both scopes.
type services []*service

func serve(t *testing.T) services {
	t.Helper()
	etcd := storetest.Etcd(t)
	var all services
	for _, r := range Resources() {
		all = append(all, newService(t, etcd, r))
	}
	return all
}

// each runs a test for each scope.
func (all services) each(t *testing.T, test func(t *testing.T, s *service)) {
	for _, s := range all {
		t.Run(s.resource.Plural, func(t *testing.T) {
			s.t, s.denied = t, false
			test(t, s)
		})
	}
}

func newService(t *testing.T, etcd generic.RESTOptionsGetter, r store.Resource) *service {
	t.Helper()
	storage, err := store.NewStorage(r, etcd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(storage.REST.Destroy)
	s := &service{t: t, resource: r, storage: storage, clock: clocktesting.NewFakePassiveClock(noon)}
	s.paths = Paths(storage, authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		s.asked = a.(authorizer.AttributesRecord)
		if s.denied {
			return authorizer.DecisionNoOpinion, "no rule allows it", nil
		}
		return authorizer.DecisionAllow, "", nil
	}), s.clock)
	return s
}

// as is the context of a user's request.
func (s *service) as(who user.Info, subresource string) context.Context {
	return audit.WithAuditContext(genericapirequest.WithUser(storetest.Request(s.t.Context(), s.resource, "v1", subresource), who))
}

// place stores the placement web with the status of its clusters, in place of the one that there is.
func (s *service) place(clusters ...v1beta1.PerClusterPlacementStatus) v1beta1.PlacementObject {
	s.t.Helper()
	if _, err := s.storage.REST.Get(s.as(alice, ""), "web", &metav1.GetOptions{}); err == nil {
		s.delete()
		s.update(alice, "", func(o v1beta1.PlacementObject) { o.SetFinalizers(nil) })
	}
	s.clock.SetTime(noon)
	o := s.newPlacement()
	if _, err := s.storage.REST.Create(s.as(alice, ""), o, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	return s.update(controllers, "status", func(o v1beta1.PlacementObject) { o.PlacementStatus().PerClusterPlacementStatuses = clusters })
}

func (s *service) newPlacement() v1beta1.PlacementObject {
	o := s.resource.New().(v1beta1.PlacementObject)
	o.SetName("web")
	o.SetLabels(map[string]string{"team": "a"})
	o.SetFinalizers([]string{"kubernetes-fleet.io/test"})
	limit := int32(10)
	*o.PlacementSpec() = v1beta1.PlacementSpec{
		ResourceSelectors: []v1beta1.ResourceSelectorTerm{{
			Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "c", SelectionScope: v1beta1.NamespaceWithResources,
		}},
		Strategy:             v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType},
		RevisionHistoryLimit: &limit,
		StatusReportingScope: v1beta1.ClusterScopeOnly,
	}
	return o
}

// delete marks the placement as one that goes.
func (s *service) delete() {
	s.t.Helper()
	if _, _, err := s.storage.REST.Delete(s.as(alice, ""), "web", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// cluster has a version and keeps objects since a time; the zero time means that it keeps none.
func cluster(name, index string, since time.Time) v1beta1.PerClusterPlacementStatus {
	status := v1beta1.PerClusterPlacementStatus{ClusterName: name, ObservedResourceIndex: index}
	condition := func(conditionType string, when time.Time) {
		status.Conditions = append(status.Conditions, metav1.Condition{
			Type: conditionType, Status: metav1.ConditionTrue, Reason: "Tested", LastTransitionTime: metav1.NewTime(when),
		})
	}
	condition(v1beta1.PlacementApplied, noon.Add(-time.Hour))
	if !since.IsZero() {
		condition(v1beta1.PlacementObjectsKept, since)
	}
	return status
}

func keeps(name, index string) v1beta1.PerClusterPlacementStatus {
	return cluster(name, index, noon.Add(-time.Hour))
}

// update writes a placement, or its status, the way a PUT does.
func (s *service) update(who user.Info, subresource string, change func(v1beta1.PlacementObject)) v1beta1.PlacementObject {
	s.t.Helper()
	changed := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		o := old.DeepCopyObject().(v1beta1.PlacementObject)
		change(o)
		return o, nil
	})
	out, _, err := s.paths[subresource].(rest.Updater).Update(s.as(who, subresource), "web", changed,
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		s.t.Fatalf("update: %v", err)
	}
	return out.(v1beta1.PlacementObject)
}

func (s *service) get() v1beta1.PlacementObject {
	s.t.Helper()
	out, err := s.storage.REST.Get(s.as(alice, ""), "web", &metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.(v1beta1.PlacementObject)
}

// read is what GET answers.
func (s *service) read() *v1beta1.PlacementPrune {
	s.t.Helper()
	out, err := s.paths["prune"].(rest.Getter).Get(s.as(bob, "prune"), "web", &metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.(*v1beta1.PlacementPrune)
}

// ask posts a request.
func (s *service) ask(ctx context.Context, reason, snapshot string, dryRun ...string) (*v1beta1.PlacementPrune, error) {
	body := &v1beta1.PlacementPrune{
		Spec:   v1beta1.PlacementPruneSpec{Reason: reason, ResourceSnapshotName: snapshot},
		Status: v1beta1.PlacementPruneStatus{User: &v1beta1.DecisionUser{Username: "forged"}, Time: &metav1.Time{Time: noon.Add(-time.Minute)}},
	}
	out, err := s.paths["prune"].(rest.NamedCreater).Create(ctx, "web", body, rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: dryRun})
	if err != nil {
		return nil, err
	}
	return out.(*v1beta1.PlacementPrune), nil
}

// mustAsk is ask for what a test takes for granted.
func (s *service) mustAsk(who user.Info, reason, snapshot string) *v1beta1.PlacementPrune {
	s.t.Helper()
	answer, err := s.ask(s.as(who, "prune"), reason, snapshot)
	if err != nil {
		s.t.Fatalf("prune: %v", err)
	}
	return answer
}

// prunedBy is who the audit event of a request names.
func prunedBy(ctx context.Context) string {
	who, _ := audit.AuditContextFrom(ctx).GetEventAnnotation("placement.kubernetes-fleet.io/pruned-by")
	return who
}

func record(who v1beta1.DecisionUser, when time.Time, reason, snapshot string) *v1beta1.PlacementPruneRecord {
	return &v1beta1.PlacementPruneRecord{ResourceSnapshotName: snapshot, Reason: reason, User: who, Time: metav1.NewTime(when)}
}

var (
	recordedAlice = v1beta1.DecisionUser{Username: "alice", UID: "1", Groups: []string{"platform"}}
	recordedBob   = v1beta1.DecisionUser{Username: "bob", UID: "2"}
)

func TestPruningIsRecordedAndNothingElseChanges(t *testing.T) {
	all := serve(t)
	spec := v1beta1.PlacementPruneSpec{Reason: "INC-7", ResourceSnapshotName: "web-4-snapshot"}
	for way, write := range map[string]func(s *service, ctx context.Context) (runtime.Object, error){
		"post": func(s *service, ctx context.Context) (runtime.Object, error) {
			return s.ask(ctx, spec.Reason, spec.ResourceSnapshotName)
		},
		"put": func(s *service, ctx context.Context) (runtime.Object, error) {
			put := rest.DefaultUpdatedObjectInfo(&v1beta1.PlacementPrune{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: spec})
			out, _, err := s.paths["prune"].(rest.Updater).Update(ctx, "web", put, nil, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			return out, err
		},
		"patch": func(s *service, ctx context.Context) (runtime.Object, error) {
			patch := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
				o := old.DeepCopyObject().(*v1beta1.PlacementPrune)
				o.Spec = spec
				return o, nil
			})
			out, _, err := s.paths["prune"].(rest.Updater).Update(ctx, "web", patch, nil, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			return out, err
		},
	} {
		t.Run(way, func(t *testing.T) {
			all.each(t, func(t *testing.T, s *service) {
				want := s.place(keeps("oslo", "4"), cluster("rome", "4", time.Time{}))
				meta := metav1.ObjectMeta{Name: "web", Namespace: want.GetNamespace(), UID: want.GetUID(), ResourceVersion: want.GetResourceVersion()}
				if diff := cmp.Diff(&v1beta1.PlacementPrune{ObjectMeta: meta}, s.read()); diff != "" {
					t.Errorf("read before (-want +got):\n%s", diff)
				}

				ctx := s.as(alice, "prune")
				answer, err := write(s, ctx)
				if err != nil {
					t.Fatal(err)
				}
				got := s.get()
				meta.ResourceVersion = got.GetResourceVersion()
				want.SetResourceVersion(got.GetResourceVersion())
				want.PlacementStatus().Prune = record(recordedAlice, noon, "INC-7", "web-4-snapshot")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("placement (-want +got):\n%s", diff)
				}
				stamped := v1beta1.PlacementPruneStatus{User: &recordedAlice, Time: &metav1.Time{Time: noon}}
				if diff := cmp.Diff(runtime.Object(&v1beta1.PlacementPrune{ObjectMeta: meta, Spec: spec, Status: stamped}), answer); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(&v1beta1.PlacementPrune{ObjectMeta: meta, Spec: spec, Status: stamped}, s.read()); diff != "" {
					t.Errorf("read after (-want +got):\n%s", diff)
				}
				if who := prunedBy(ctx); who != "alice" {
					t.Errorf("audited as pruned by %q", who)
				}
			})
		})
	}
}

// TestAPruneThatIsWrittenBackAsItWasReadIsNotAskedAgain has a cluster that keeps something only since the prune.
func TestAPruneThatIsWrittenBackAsItWasReadIsNotAskedAgain(t *testing.T) {
	all := serve(t)
	all.each(t, func(t *testing.T, s *service) {
		s.place(keeps("oslo", "4"))
		s.mustAsk(alice, "INC-7", "web-4-snapshot")
		s.clock.SetTime(noon.Add(2 * time.Hour))
		s.update(controllers, "status", func(o v1beta1.PlacementObject) {
			o.PlacementStatus().PerClusterPlacementStatuses = []v1beta1.PerClusterPlacementStatus{cluster("rome", "4", noon.Add(time.Hour))}
		})
		before, read := s.get(), s.read()
		out, _, err := s.paths["prune"].(rest.Updater).Update(s.as(bob, "prune"), "web", rest.DefaultUpdatedObjectInfo(read), nil, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(runtime.Object(read), out); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, s.get()); diff != "" {
			t.Errorf("placement, -before +after:\n%s", diff)
		}
	})
}

func TestPruningIsRefused(t *testing.T) {
	all := serve(t)
	for name, tc := range map[string]struct {
		clusters         []v1beta1.PerClusterPlacementStatus
		reason, snapshot string
		deleted, denied  bool
		// want has RESOURCE for that of the scope.
		want string
	}{
		"without a reason": {
			clusters: []v1beta1.PerClusterPlacementStatus{keeps("oslo", "4")}, snapshot: "web-4-snapshot",
			want: `PlacementPrune.placement.kubernetes-fleet.io "web" is invalid: spec.reason: Required value`,
		},
		"with a reason that is too long": {
			clusters: []v1beta1.PerClusterPlacementStatus{keeps("oslo", "4")}, reason: strings.Repeat("x", 1025), snapshot: "web-4-snapshot",
			want: `PlacementPrune.placement.kubernetes-fleet.io "web" is invalid: spec.reason: Too long: may not be more than 1024 characters`,
		},
		"without a version": {
			clusters: []v1beta1.PerClusterPlacementStatus{keeps("oslo", "4")}, reason: "INC-7",
			want: `PlacementPrune.placement.kubernetes-fleet.io "web" is invalid: spec.resourceSnapshotName: Required value`,
		},
		"by who may not": {
			clusters: []v1beta1.PerClusterPlacementStatus{keeps("oslo", "4")}, reason: "INC-7", snapshot: "web-4-snapshot", denied: true,
			want: `RESOURCE "web" is forbidden: user "alice" needs the permission to update RESOURCE/prune: no rule allows it`,
		},
		"of a placement that goes": {
			clusters: []v1beta1.PerClusterPlacementStatus{keeps("oslo", "4")}, reason: "INC-7", snapshot: "web-4-snapshot", deleted: true,
			want: `Operation cannot be fulfilled on RESOURCE "web": the placement is being deleted`,
		},
		"where nothing is kept": {
			clusters: []v1beta1.PerClusterPlacementStatus{cluster("oslo", "4", time.Time{})}, reason: "INC-7", snapshot: "web-4-snapshot",
			want: `Operation cannot be fulfilled on RESOURCE "web": no cluster keeps objects since an adoption: there is nothing to let go of`,
		},
		"for a version of clusters that keep nothing": {
			clusters: []v1beta1.PerClusterPlacementStatus{keeps("bonn", "5"), keeps("oslo", "4"), keeps("rome", "4"), cluster("wien", "3", time.Time{})},
			reason:   "INC-7", snapshot: "web-3-snapshot",
			want: `Operation cannot be fulfilled on RESOURCE "web": no cluster that keeps objects has resource snapshot "web-3-snapshot": ` +
				`look at what they keep, and name the version that they have: web-4-snapshot, web-5-snapshot`,
		},
		"of another placement's version": {
			clusters: []v1beta1.PerClusterPlacementStatus{keeps("oslo", "4")}, reason: "INC-7", snapshot: "other-4-snapshot",
			want: `Operation cannot be fulfilled on RESOURCE "web": no cluster that keeps objects has resource snapshot "other-4-snapshot": ` +
				`look at what they keep, and name the version that they have: web-4-snapshot`,
		},
		"where the version is not known": {
			clusters: []v1beta1.PerClusterPlacementStatus{keeps("oslo", "")}, reason: "INC-7", snapshot: "web-4-snapshot",
			want: `Operation cannot be fulfilled on RESOURCE "web": no cluster that keeps objects has resource snapshot "web-4-snapshot": ` +
				`wait until the status shows the version of those that do`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			all.each(t, func(t *testing.T, s *service) {
				placed := s.place(tc.clusters...)
				if tc.deleted {
					s.delete()
					placed = s.get()
				}
				s.denied = tc.denied
				ctx := s.as(alice, "prune")
				_, err := s.ask(ctx, tc.reason, tc.snapshot)
				got := ""
				if err != nil {
					got = err.Error()
				}
				want := strings.ReplaceAll(tc.want, "RESOURCE", s.resource.GroupResource().String())
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if strings.HasPrefix(want, "Operation") && !apierrors.IsConflict(err) {
					t.Errorf("not a conflict: %v", err)
				}
				if diff := cmp.Diff(placed, s.get()); diff != "" {
					t.Errorf("placement (-before +after):\n%s", diff)
				}
				if who := prunedBy(ctx); who != "" {
					t.Errorf("audited as pruned by %q", who)
				}
			})
		})
	}
}

func TestPruningAsksForItsOwnPermission(t *testing.T) {
	all := serve(t)
	all.each(t, func(t *testing.T, s *service) {
		placed := s.place(keeps("oslo", "4"))
		s.mustAsk(bob, "INC-7", "web-4-snapshot")
		a := s.asked
		got := []string{a.User.GetName(), a.Verb, a.APIGroup, a.Resource, a.Subresource, a.Namespace, a.Name}
		want := []string{"bob", "update", "placement.kubernetes-fleet.io", s.resource.Plural, "prune", placed.GetNamespace(), "web"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("asks (-want +got):\n%s", diff)
		}
	})
}

// TestARequestStandsForWhatWasShown has alice ask at noon, and bob an hour later.
func TestARequestStandsForWhatWasShown(t *testing.T) {
	all := serve(t)
	first := record(recordedAlice, noon, "INC-7", "web-4-snapshot")
	for name, tc := range map[string]struct {
		// clusters are those of bob's time.
		clusters []v1beta1.PerClusterPlacementStatus
		snapshot string
		want     *v1beta1.PlacementPruneRecord
	}{
		"which a repetition leaves as it is": {
			[]v1beta1.PerClusterPlacementStatus{keeps("oslo", "4")}, "web-4-snapshot", first,
		},
		"also once it is done": {
			[]v1beta1.PerClusterPlacementStatus{cluster("oslo", "4", time.Time{})}, "web-4-snapshot", first,
		},
		"also where a cluster has another version by now": {
			[]v1beta1.PerClusterPlacementStatus{keeps("oslo", "4"), cluster("rome", "5", noon.Add(time.Minute))}, "web-4-snapshot", first,
		},
		"and not for what is kept since then": {
			[]v1beta1.PerClusterPlacementStatus{keeps("oslo", "4"), cluster("rome", "4", noon.Add(time.Minute))}, "web-4-snapshot",
			record(recordedBob, noon.Add(time.Hour), "INC-8", "web-4-snapshot"),
		},
		"and not for another version": {
			[]v1beta1.PerClusterPlacementStatus{keeps("oslo", "4"), keeps("rome", "5")}, "web-5-snapshot",
			record(recordedBob, noon.Add(time.Hour), "INC-8", "web-5-snapshot"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			all.each(t, func(t *testing.T, s *service) {
				s.place(keeps("oslo", "4"))
				s.mustAsk(alice, "INC-7", "web-4-snapshot")
				before := s.update(controllers, "status", func(o v1beta1.PlacementObject) {
					o.PlacementStatus().PerClusterPlacementStatuses = tc.clusters
				})
				s.clock.SetTime(noon.Add(time.Hour))
				ctx := s.as(bob, "prune")
				answer, err := s.ask(ctx, "INC-8", tc.snapshot)
				if err != nil {
					t.Fatal(err)
				}
				after := s.get()
				if diff := cmp.Diff(tc.want, after.PlacementStatus().Prune); diff != "" {
					t.Errorf("record (-want +got):\n%s", diff)
				}
				answered := record(*answer.Status.User, answer.Status.Time.Time, answer.Spec.Reason, answer.Spec.ResourceSnapshotName)
				if diff := cmp.Diff(tc.want, answered); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
				who := "bob"
				if tc.want == first {
					who = ""
					if diff := cmp.Diff(before, after); diff != "" {
						t.Errorf("placement (-before +after):\n%s", diff)
					}
				}
				if got := prunedBy(ctx); got != who {
					t.Errorf("audited as pruned by %q, want %q", got, who)
				}
			})
		})
	}
}

func TestADryRunPrunesNothing(t *testing.T) {
	all := serve(t)
	all.each(t, func(t *testing.T, s *service) {
		before := s.place(keeps("oslo", "4"))
		ctx := s.as(alice, "prune")
		answer, err := s.ask(ctx, "INC-7", "web-4-snapshot", metav1.DryRunAll)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.Status.User.Username; got != "alice" {
			t.Errorf("the answer names %q", got)
		}
		if diff := cmp.Diff(before, s.get()); diff != "" {
			t.Errorf("placement (-before +after):\n%s", diff)
		}
		if who := prunedBy(ctx); who != "" {
			t.Errorf("audited as pruned by %q", who)
		}
	})
}

func TestNobodyElseWritesTheRecordOfPruning(t *testing.T) {
	all := serve(t)
	forged := record(v1beta1.DecisionUser{Username: "alice"}, noon, "forged", "web-9-snapshot")
	for name, tc := range map[string]struct {
		// recorded is whether somebody has asked before.
		recorded bool
		write    *v1beta1.PlacementPruneRecord
	}{
		"forged":  {false, forged},
		"changed": {true, forged},
		"dropped": {true, nil},
	} {
		for _, who := range []user.Info{bob, controllers} {
			for _, subresource := range []string{"", "status"} {
				t.Run(name+"/"+who.GetName()+"/"+subresource, func(t *testing.T) {
					all.each(t, func(t *testing.T, s *service) {
						s.place(keeps("oslo", "4"))
						var want *v1beta1.PlacementPruneRecord
						if tc.recorded {
							s.mustAsk(alice, "INC-7", "web-4-snapshot")
							want = record(recordedAlice, noon, "INC-7", "web-4-snapshot")
						}
						got := s.update(who, subresource, func(o v1beta1.PlacementObject) {
							o.PlacementStatus().Prune = tc.write
							o.PlacementStatus().ObservedResourceIndex = "4"
						})
						if diff := cmp.Diff(want, got.PlacementStatus().Prune); diff != "" {
							t.Errorf("record (-want +got):\n%s", diff)
						}
						if index := got.PlacementStatus().ObservedResourceIndex; (index == "4") != (subresource == "status") {
							t.Errorf("the rest of the status: index %q", index)
						}
					})
				})
			}
		}
	}
}

func TestAPlacementIsCreatedWithoutARecordOfPruning(t *testing.T) {
	all := serve(t)
	all.each(t, func(t *testing.T, s *service) {
		o := s.newPlacement()
		o.PlacementStatus().Prune = record(recordedAlice, noon, "forged", "web-9-snapshot")
		out, err := s.storage.REST.Create(s.as(controllers, ""), o, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.(v1beta1.PlacementObject).PlacementStatus().Prune; got != nil {
			t.Errorf("created with the record %v", got)
		}
	})
}
