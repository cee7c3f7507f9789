// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reportback

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	fakediscovery "k8s.io/client-go/discovery/fake"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rules/reportback"
)

var (
	start       = time.Date(2025, 7, 22, 21, 28, 8, 0, time.UTC)
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	widgets     = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
	secrets     = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
)

// world is a hub with objects in the namespace team, and a fleet.
type world struct {
	*fleettest.World
	*Controller
	hub    *dynamicfake.FakeDynamicClient
	clock  *clocktesting.FakeClock
	events chan string
}

func inBothScopes(t *testing.T, test func(w *world)) {
	fleettest.InBothScopes(t, func(fleet *fleettest.World) { test(newWorld(fleet)) })
}

func newWorld(of *fleettest.World) *world {
	w := &world{World: of, clock: clocktesting.NewFakeClock(start)}
	w.hub = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		deployments: "DeploymentList", widgets: "WidgetList", secrets: "SecretList",
	}, onHub("apps/v1", "Deployment", "web"), onHub("example.com/v1", "Widget", "w"), onHub("v1", "Secret", "web"))
	// The fake keeps no account of who writes what, as a server does.
	w.hub.PrependReactor("update", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() == "status" {
			entry := metav1.ManagedFieldsEntry{Manager: fieldManager, FieldsV1: &metav1.FieldsV1{}}
			entry.FieldsV1.SetRawBytes([]byte(`{"f:status":{}}`))
			written := action.(clienttesting.UpdateAction).GetObject().(*unstructured.Unstructured)
			written.SetManagedFields(append(written.GetManagedFields(), entry))
		}
		return false, nil, nil
	})
	kinds := &fakediscovery.FakeDiscovery{Fake: &clienttesting.Fake{Resources: []*metav1.APIResourceList{
		{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{
			{Name: "deployments", Kind: "Deployment", Namespaced: true}, {Name: "deployments/status", Kind: "Deployment", Namespaced: true},
		}},
		{GroupVersion: "example.com/v1", APIResources: []metav1.APIResource{
			{Name: "widgets", Kind: "Widget", Namespaced: true}, {Name: "widgets/status", Kind: "Widget", Namespaced: true},
			{Name: "plains", Kind: "Plain", Namespaced: true},
		}},
	}}}
	recorder := record.NewFakeRecorder(100)
	w.events = recorder.Events
	w.Controller = New(w.Fleet, w.hub, kinds, recorder, w.clock)
	return w
}

func onHub(apiVersion, kind, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name, "namespace": "team"}, "spec": map[string]any{"replicas": int64(3)},
	}}
}

func toTheHub() *v1beta1.ReportBackStrategy {
	destination := v1beta1.ReportBackDestinationOriginalResource
	return &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeMirror, Destination: &destination}
}

var workloadsAndWidgets = []v1beta1.ResourceSelectorTerm{
	{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "example.com", Version: "v1", Kind: "Widget"}, {Group: "example.com", Version: "v1", Kind: "Plain"},
}

// place makes a placement that picks a cluster.
func (w *world) place(name, cluster string, changes ...func(v1beta1.PlacementObject)) {
	w.Helper()
	fleettest.Create(w.World, w.Fleet.Placements, name, func(p v1beta1.PlacementObject) {
		p.PlacementSpec().ResourceSelectors = workloadsAndWidgets
		p.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{cluster}}
		p.PlacementSpec().Strategy.ReportBackStrategy = toTheHub()
		for _, change := range changes {
			change(p)
		}
	})
	w.pick(name, cluster)
}

func (w *world) pick(placement, cluster string) {
	w.Helper()
	fleettest.Create(w.World, w.Fleet.Bindings, placement+"-"+cluster, func(b v1beta1.BindingObject) {
		b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: placement})
		b.BindingSpec().TargetCluster, b.BindingSpec().State = cluster, v1beta1.BindingStateBound
	})
}

// report is what a member reports of an object: apiVersion/kind/namespace/name.
type report struct{ object, status string }

func (r report) condition() v1beta1.ManifestCondition {
	parts := strings.Split(r.object, " ")
	gv, _ := schema.ParseGroupVersion(parts[0])
	namespace, name, _ := strings.Cut(parts[2], "/")
	return v1beta1.ManifestCondition{
		// What the member calls the kind is whatever it likes.
		Identifier: v1beta1.WorkResourceIdentifier{Group: gv.Group, Version: gv.Version, Kind: parts[1], Resource: "secrets", Namespace: namespace, Name: name},
		Conditions: []metav1.Condition{{Type: v1beta1.WorkApplied, Status: metav1.ConditionTrue, Reason: "Applied"}},
		BackReportedStatus: &v1beta1.BackReportedStatus{ObservationTime: metav1.NewTime(start), ObservedStatus: runtime.RawExtension{
			Raw: fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"namespace":%q,"labels":{"from":"the member"}},"status":%s}`, parts[0], parts[1], name, namespace, r.status),
		}},
	}
}

// works has the Work of a placement on a cluster report.
func (w *world) works(placement, cluster string, reports ...report) {
	w.Helper()
	works := w.Client.PlacementV1beta1().Works("fleet-member-" + cluster)
	work, err := works.Get(w.Context(), placement+"-work", metav1.GetOptions{})
	exists := err == nil
	if !exists {
		work = &v1beta1.Work{}
		work.Name, work.Namespace = placement+"-work", "fleet-member-"+cluster
	}
	work.Labels = map[string]string{wellknown.ParentPlacementLabel: placement}
	if w.Namespace != "" {
		work.Labels[wellknown.ParentNamespaceLabel] = w.Namespace
	}
	work.Spec.ReportBackStrategy = toTheHub()
	work.Spec.Workload.Manifests, work.Status.ManifestConditions = nil, nil
	for i, r := range reports {
		condition := r.condition()
		condition.Identifier.Ordinal = i
		work.Spec.Workload.Manifests = append(work.Spec.Workload.Manifests, v1beta1.Manifest{RawExtension: condition.BackReportedStatus.ObservedStatus})
		work.Status.ManifestConditions = append(work.Status.ManifestConditions, condition)
	}
	if exists {
		work, err = works.Update(w.Context(), work, metav1.UpdateOptions{})
	} else {
		work, err = works.Create(w.Context(), work, metav1.CreateOptions{})
	}
	w.Must(err)
	w.Eventually("the Work is in the cache", func() bool {
		cached, err := w.Fleet.Works.Lister().Works(work.Namespace).Get(work.Name)
		return err == nil && cached.ResourceVersion == work.ResourceVersion
	})
}

// look reconciles a placement once, and waits until its status is in the cache.
func (w *world) look(placement string) time.Duration {
	w.Helper()
	after, err := w.reconcile(w.Context(), w.Key(placement))
	w.Must(err)
	w.Eventually("the status is in the cache", func() bool { return w.written.Ready(w.Key(placement)) })
	return after
}

func (w *world) statusOf(resource schema.GroupVersionResource, name string) string {
	w.Helper()
	object, err := w.hub.Resource(resource).Namespace("team").Get(w.Context(), name, metav1.GetOptions{})
	w.Must(err)
	status, has := object.Object["status"]
	if !has {
		return "none"
	}
	return fmt.Sprint(status)
}

func (w *world) want(resource schema.GroupVersionResource, name, status string) {
	w.Helper()
	if got := w.statusOf(resource, name); got != status {
		w.Errorf("%s %s has the status %s, want %s", resource.Resource, name, got, status)
	}
}

// said is the condition of a placement, empty for none.
func (w *world) said(placement string) string {
	w.Helper()
	p, err := w.Fleet.Placements.Get(w.Key(placement))
	w.Must(err)
	c := meta.FindStatusCondition(p.PlacementStatus().Conditions, v1beta1.PlacementConditionType(w.Namespace, "StatusReportedBack"))
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

func (w *world) wantSaid(placement, want string) {
	w.Helper()
	if got := w.said(placement); got != want && (want == "" || !strings.HasPrefix(got, want)) {
		w.Errorf("%s says\n%s\nwant\n%s", placement, got, want)
	}
}

// asked is what the hub was asked since the last time.
func (w *world) asked() []string {
	var asked []string
	for _, action := range w.hub.Actions() {
		what := action.GetVerb() + " " + action.GetResource().Resource
		if action.GetSubresource() != "" {
			what += "/" + action.GetSubresource()
		}
		asked = append(asked, what)
	}
	w.hub.ClearActions()
	return asked
}

func (w *world) wantAsked(want ...string) {
	w.Helper()
	if diff := cmp.Diff(want, w.asked()); diff != "" {
		w.Errorf("the hub was asked (-want +got):\n%s", diff)
	}
}

var ready = report{"apps/v1 Deployment team/web", `{"replicas":3,"readyReplicas":3}`}

const readyOnHub = "map[readyReplicas:3 replicas:3]"

func TestTheObjectOnTheHubHasTheStatusOfTheCluster(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo")
		w.works("p", "oslo", ready, report{"example.com/v1 Widget team/w", `{"phase":"Ready"}`}, report{"v1 Service team/web", `{"loadBalancer":{}}`})
		if after := w.look("p"); after != again {
			t.Errorf("looks again after %s", after)
		}
		w.wantAsked("get deployments", "update deployments/status", "get widgets", "update widgets/status")
		w.want(deployments, "web", readyOnHub)
		w.want(widgets, "w", "map[phase:Ready]")
		w.wantSaid("p", "True StatusReportedBack: The status of 2 objects on cluster oslo is on the hub; never reported: Service")
		object, err := w.hub.Resource(deployments).Namespace("team").Get(t.Context(), "web", metav1.GetOptions{})
		w.Must(err)
		if replicas, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas"); replicas != 3 || len(object.GetLabels()) != 0 {
			t.Errorf("more than the status was written: %v", object.Object)
		}
		if len(w.events) != 0 {
			t.Errorf("an Event of a success: %s", <-w.events)
		}
	})
}

func TestAStatusThatIsThereIsNotWrittenAgain(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo")
		w.works("p", "oslo", ready)
		w.look("p")
		w.asked()
		w.clock.Step(rest)
		w.look("p")
		w.wantAsked()
		// Another server, which does not know what was written, asks the hub.
		w.forget(w.Key("p"))
		w.look("p")
		w.wantAsked("get deployments")
	})
}

func TestAnObjectThatIsRecreatedGetsItsStatusInTime(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo")
		w.works("p", "oslo", ready)
		w.look("p")
		objects := w.hub.Resource(deployments).Namespace("team")
		w.Must(objects.Delete(t.Context(), "web", metav1.DeleteOptions{}))
		w.clock.Step(again)
		// What is not on the hub has no status, and is no failure.
		if after := w.look("p"); after != again {
			t.Errorf("looks again after %s", after)
		}
		_, err := objects.Create(t.Context(), onHub("apps/v1", "Deployment", "web"), metav1.CreateOptions{})
		w.Must(err)
		w.clock.Step(again)
		w.look("p")
		w.want(deployments, "web", readyOnHub)
	})
}

func TestAStatusThatNeverStandsStillIsWrittenOnceInAWhile(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo")
		for i := range 10 {
			w.works("p", "oslo", report{ready.object, fmt.Sprintf(`{"replicas":%d}`, i)})
			w.look("p")
			w.clock.Step(rest / 20)
		}
		w.wantAsked("get deployments", "update deployments/status")
		w.want(deployments, "web", "map[replicas:0]")
		if after := w.look("p"); after <= 0 || after > rest {
			t.Errorf("looks again after %s", after)
		}
		w.clock.Step(rest)
		w.look("p")
		w.want(deployments, "web", "map[replicas:9]")
	})
}

// written has somebody else write the status of the Deployment.
func (w *world) writtenBy(manager string) {
	w.Helper()
	objects := w.hub.Resource(deployments).Namespace("team")
	object, err := objects.Get(w.Context(), "web", metav1.GetOptions{})
	w.Must(err)
	entry := metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: "status", FieldsV1: &metav1.FieldsV1{}}
	entry.FieldsV1.SetRawBytes([]byte(`{"f:status":{"f:replicas":{}}}`))
	object.SetManagedFields([]metav1.ManagedFieldsEntry{entry})
	w.Must(unstructured.SetNestedField(object.Object, int64(7), "status", "replicas"))
	_, err = objects.Update(w.Context(), object, metav1.UpdateOptions{})
	w.Must(err)
	w.asked()
}

func TestAStatusOfSomebodyElseStays(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.writtenBy("kube-controller-manager")
		w.place("p", "oslo")
		w.works("p", "oslo", ready)
		if after := w.look("p"); after != retry {
			t.Errorf("tries again after %s", after)
		}
		w.wantAsked("get deployments")
		w.want(deployments, "web", "map[replicas:7]")
		const said = "False StatusWrittenByOther: Deployment team/web: its status on the hub is written by kube-controller-manager: stop that and remove the status, or set the destination to WorkAPI"
		w.wantSaid("p", said)
		if event := <-w.events; !strings.HasPrefix(event, "Warning StatusWrittenByOther Deployment team/web: ") {
			t.Errorf("told %q", event)
		}
		// Once is enough.
		w.clock.Step(retry)
		w.look("p")
		if len(w.events) != 0 {
			t.Errorf("told again: %s", <-w.events)
		}
		w.writtenBy(fieldManager)
		w.clock.Step(retry)
		w.look("p")
		w.want(deployments, "web", readyOnHub)
	})
}

func TestAConflictIsReadAgain(t *testing.T) {
	inBothScopes(t, func(w *world) {
		conflicts := 2
		w.hub.PrependReactor("update", "deployments", func(clienttesting.Action) (bool, runtime.Object, error) {
			conflicts--
			return conflicts >= 0, nil, apierrors.NewConflict(deployments.GroupResource(), "web", errors.New("it was changed"))
		})
		w.place("p", "oslo")
		w.works("p", "oslo", ready)
		w.look("p")
		w.want(deployments, "web", readyOnHub)
		w.wantSaid("p", "True")
	})
}

func TestWhatKeepsAStatusOutIsSaid(t *testing.T) {
	forbidden := apierrors.NewForbidden(deployments.GroupResource(), "web", errors.New(`User "stagegate" cannot update resource "deployments/status"`))
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "web", nil)
	for name, test := range map[string]struct {
		verb   string
		err    error
		report report
		want   string
	}{
		"no permission":            {"update", forbidden, ready, `False StatusForbidden: Deployment team/web: give the server's ServiceAccount the permission (artifacts/deploy/report-back): deployments.apps "web" is forbidden: User "stagegate" cannot update`},
		"no permission to read":    {"get", forbidden, ready, "False StatusForbidden: Deployment team/web: give"},
		"a hub that refuses":       {"update", invalid, ready, "False StatusRefused: Deployment team/web: the hub refuses the status: "},
		"a hub that is down":       {"get", errors.New("connection refused"), ready, "False StatusNotWritten: Deployment team/web: connection refused"},
		"a conflict that stays":    {"update", apierrors.NewConflict(deployments.GroupResource(), "web", errors.New("changed")), ready, "False StatusNotWritten: Deployment team/web: "},
		"a status that is none":    {"", nil, report{ready.object, `"Ready"`}, "False StatusRefused: Deployment team/web: the status on the member is no object"},
		"a kind without a status":  {"", nil, report{"example.com/v1 Plain team/p", "{}"}, "False NoStatusOnHub: Plain team/p: the hub serves no status of Plain in example.com/v1"},
		"a version without it":     {"", nil, report{"apps/v2 Deployment team/web", "{}"}, "False NoStatusOnHub: Deployment team/web: the hub serves no status of Deployment in apps/v2"},
		"nothing that is reported": {"", nil, report{"batch/v1 Job team/j", "{}"}, "False NothingToReport"},
	} {
		t.Run(name, func(t *testing.T) {
			inBothScopes(t, func(w *world) {
				if test.err != nil {
					w.hub.PrependReactor(test.verb, "deployments", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, test.err })
				}
				w.place("p", "oslo")
				w.works("p", "oslo", test.report)
				w.look("p")
				w.wantSaid("p", test.want)
				if slices.Contains(w.asked(), "update secrets/status") {
					t.Error("the member tells which resource is written")
				}
			})
		})
	}
}

func TestAStatusOfTwoClustersIsNone(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo", func(p v1beta1.PlacementObject) { p.PlacementSpec().Policy = nil })
		w.works("p", "oslo", ready)
		w.look("p")
		w.wantSaid("p", "False NotOneCluster: no scheduling policy specified (the PickAll type is in use); cannot back-report status to original resources: ")

		// While a placement moves, both clusters are picked for a moment.
		w.place("q", "oslo")
		w.works("q", "oslo", ready)
		w.pick("q", "rome")
		w.look("q")
		w.wantSaid("q", "Unknown StatusReportPending: ")
		w.wantAsked()
	})
}

func TestAClusterThatIsNotPickedAnyMoreReportsNothing(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo")
		w.works("p", "oslo", ready)
		w.look("p")
		fleettest.Update(w.World, w.Fleet.Bindings, "p-oslo", func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateUnscheduled })
		w.pick("p", "rome")
		w.works("p", "oslo", report{ready.object, `{"replicas":0}`})
		w.Eventually("the binding is in the cache", func() bool {
			b, err := w.Fleet.Bindings.Get(w.Key("p-oslo"))
			return err == nil && b.BindingSpec().State == v1beta1.BindingStateUnscheduled
		})
		w.clock.Step(rest)
		w.look("p")
		w.want(deployments, "web", readyOnHub)
		w.wantSaid("p", "Unknown StatusReportPending: ")
	})
}

func TestAStatusStaysWhenNobodyReportsItAnyMore(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"disabled": func(w *world) {
			fleettest.Update(w.World, w.Fleet.Placements, "p", func(p v1beta1.PlacementObject) {
				p.PlacementSpec().Strategy.ReportBackStrategy.Type = v1beta1.ReportBackStrategyTypeDisabled
			})
			w.Eventually("that is in the cache", func() bool {
				p, err := w.Fleet.Placements.Get(w.Key("p"))
				return err == nil && !reportback.IsWanted(p.PlacementSpec().Strategy.ReportBackStrategy)
			})
			w.look("p")
			w.wantSaid("p", "")
		},
		"deleted": func(w *world) {
			w.Must(w.Fleet.Placements.Client(w.Namespace).Delete(w.Context(), "p", metav1.DeleteOptions{}))
			w.Eventually("it is gone from the cache", func() bool { _, err := w.Fleet.Placements.Get(w.Key("p")); return err != nil })
			w.look("p")
		},
		"being deleted": func(w *world) {
			fleettest.Update(w.World, w.Fleet.Placements, "p", func(p v1beta1.PlacementObject) { p.SetDeletionTimestamp(&metav1.Time{Time: start}) })
			w.Eventually("that is in the cache", func() bool {
				p, err := w.Fleet.Placements.Get(w.Key("p"))
				return err == nil && p.GetDeletionTimestamp() != nil
			})
			w.works("p", "oslo", report{ready.object, `{"replicas":0}`})
			w.look("p")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBothScopes(t, func(w *world) {
				w.place("p", "oslo")
				w.works("p", "oslo", ready)
				w.look("p")
				w.asked()
				w.clock.Step(rest)
				end(w)
				w.wantAsked()
				w.want(deployments, "web", readyOnHub)
			})
		})
	}
}

// TestAReportReachesNoFurtherThanTheSelectors has a cluster that still has what the placement selected before somebody else edited it.
func TestAReportReachesNoFurtherThanTheSelectors(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo", func(p v1beta1.PlacementObject) { p.PlacementSpec().ResourceSelectors = workloadsAndWidgets[1:] })
		w.works("p", "oslo", ready, report{"example.com/v1 Widget team/w", `{"phase":"Ready"}`})
		w.look("p")
		w.wantAsked("get widgets", "update widgets/status")
		w.want(deployments, "web", "none")
	})
}

func TestAPlacementOfANamespaceWritesNowhereElse(t *testing.T) {
	w := newWorld(fleettest.New(t, "other"))
	w.place("p", "oslo")
	w.works("p", "oslo", ready)
	w.look("p")
	w.wantAsked()
}

func TestOfTwoPlacementsTheOlderReports(t *testing.T) {
	inBothScopes(t, func(w *world) {
		created := func(seconds int64) func(v1beta1.PlacementObject) {
			return func(p v1beta1.PlacementObject) { p.SetCreationTimestamp(metav1.Unix(seconds, 0)) }
		}
		w.place("older", "oslo")
		w.place("newer", "rome")
		for name, seconds := range map[string]int64{"older": 1, "newer": 2} {
			fleettest.Update(w.World, w.Fleet.Placements, name, created(seconds))
		}
		w.Eventually("both are in the cache", func() bool {
			older, _ := w.Fleet.Placements.Get(w.Key("older"))
			newer, _ := w.Fleet.Placements.Get(w.Key("newer"))
			return older.GetCreationTimestamp().Unix() == 1 && newer.GetCreationTimestamp().Unix() == 2
		})
		w.works("newer", "rome", report{ready.object, `{"replicas":1}`})
		w.look("newer")
		w.want(deployments, "web", "map[replicas:1]")
		w.works("older", "oslo", ready)
		w.look("older")
		w.want(deployments, "web", readyOnHub)

		w.clock.Step(again)
		w.asked()
		if after := w.look("newer"); after != retry {
			t.Errorf("tries again after %s", after)
		}
		w.wantAsked()
		w.want(deployments, "web", readyOnHub)
		older, err := w.Fleet.Placements.Get(w.Key("older"))
		w.Must(err)
		w.wantSaid("newer", "False StatusReportedByOtherPlacement: Deployment team/web: "+reportback.Describe(older)+" reports the status of the object: have one of the two report")
		w.wantSaid("older", "True")

		// It is the other one's turn once the first has not the object, or no longer reports.
		w.works("older", "oslo")
		w.clock.Step(retry)
		w.look("newer")
		w.want(deployments, "web", "map[replicas:1]")
	})
}

func TestWhatIsTooMuchIsLeftOutAndSaid(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo")
		var reports []report
		for i := range reportback.MaxObjects + 5 {
			reports = append(reports, report{fmt.Sprintf("apps/v1 Deployment team/d%03d", i), "{}"})
		}
		w.works("p", "oslo", reports...)
		w.look("p")
		if got := len(w.asked()); got != reportback.MaxObjects {
			t.Errorf("the hub was asked %d times", got)
		}
		w.wantSaid("p", "False TooManyObjects: 105 objects have a status on the cluster, and no more than 100 are written to the hub: ")
	})
}

func TestAWorkWithoutRoomForStatusesIsNamed(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo")
		w.works("p", "oslo")
		works := w.Client.PlacementV1beta1().Works("fleet-member-oslo")
		work, err := works.Get(t.Context(), "p-work", metav1.GetOptions{})
		w.Must(err)
		work.Status.Conditions = []metav1.Condition{{Type: v1beta1.WorkStatusTrimmed, Status: metav1.ConditionTrue}}
		work, err = works.Update(t.Context(), work, metav1.UpdateOptions{})
		w.Must(err)
		w.Eventually("that is in the cache", func() bool {
			cached, err := w.Fleet.Works.Lister().Works(work.Namespace).Get(work.Name)
			return err == nil && cached.ResourceVersion == work.ResourceVersion
		})
		w.look("p")
		w.wantSaid("p", "False StatusTooLarge: Work p-work has no room for all statuses")
	})
}

func TestNothingIsDoneOnACacheOlderThanTheLastWrite(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo")
		w.works("p", "oslo", ready)
		placement, err := w.Fleet.Placements.Get(w.Key("p"))
		w.Must(err)
		newer := fleet.Copy(placement)
		newer.SetResourceVersion("99999999")
		w.Controller.written.Wrote(w.Key("p"), w.Fleet.Placements.Cache(w.Namespace), newer)
		_, err = w.reconcile(t.Context(), w.Key("p"))
		w.Must(err)
		w.wantAsked()
	})
}

func TestAPlacementFollowsTheReportsOfItsCluster(t *testing.T) {
	inBothScopes(t, func(w *world) {
		w.place("p", "oslo")
		w.World.Run(w.Controller.Run)
		w.works("p", "oslo", ready)
		w.Eventually("the status is on the hub", func() bool { return strings.HasPrefix(w.said("p"), "True ") })
		w.want(deployments, "web", readyOnHub)
	})
}
