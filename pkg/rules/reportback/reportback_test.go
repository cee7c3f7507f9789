// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reportback

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func TestOnlyWorkloadsAndCustomResourcesAreReported(t *testing.T) {
	for gk, want := range map[schema.GroupKind]bool{
		{Group: "apps", Kind: "Deployment"}:                                        true,
		{Group: "apps", Kind: "StatefulSet"}:                                       true,
		{Group: "apps", Kind: "DaemonSet"}:                                         true,
		{Group: "apps", Kind: "ReplicaSet"}:                                        false,
		{Group: "example.com", Kind: "Widget"}:                                     true,
		{Group: "cert-manager.io", Kind: "Certificate"}:                            true,
		{Group: "notk8s.io", Kind: "Widget"}:                                       true,
		{Kind: "Namespace"}:                                                        false,
		{Kind: "Service"}:                                                          false,
		{Kind: "PersistentVolume"}:                                                 false,
		{Kind: "PersistentVolumeClaim"}:                                            false,
		{Kind: "ResourceQuota"}:                                                    false,
		{Kind: "Node"}:                                                             false,
		{Kind: "Pod"}:                                                              false,
		{Group: "batch", Kind: "Job"}:                                              false,
		{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:                    false,
		{Group: "policy", Kind: "PodDisruptionBudget"}:                             false,
		{Group: "extensions", Kind: "Deployment"}:                                  false,
		{Group: "networking.k8s.io", Kind: "Ingress"}:                              false,
		{Group: "gateway.networking.k8s.io", Kind: "Gateway"}:                      false,
		{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}:          false,
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:          false,
		{Group: "apiregistration.k8s.io", Kind: "APIService"}:                      false,
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"}: false,
		{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                         false,
		{Group: "authentication.k8s.io", Kind: "TokenReview"}:                      false,
		{Group: "cluster.x-k8s.io", Kind: "Machine"}:                               false,
		{Group: "multicluster.x-k8s.io", Kind: "ClusterProfile"}:                   false,
		{Group: "policy.kubernetes.io", Kind: "Anything"}:                          false,
		{Group: "route.openshift.io", Kind: "Route"}:                               false,
		{Group: "placement.kubernetes-fleet.io", Kind: "ResourceEnvelope"}:         false,
		{Group: "cluster.kubernetes-fleet.io", Kind: "MemberCluster"}:              false,
		{Group: "rollout.stagegate.dev", Kind: "RolloutPolicy"}:                    false,
		{Group: "networking.fleet.azure.com", Kind: "ServiceExport"}:               false,
	} {
		if got := IsReported(gk); got != want {
			t.Errorf("%s is reported: %t, want %t", gk, got, want)
		}
	}
}

func TestAStrategyAsksForStatusesOnTheHub(t *testing.T) {
	original, works := v1beta1.ReportBackDestinationOriginalResource, v1beta1.ReportBackDestinationWorkAPI
	for name, test := range map[string]struct {
		strategy *v1beta1.ReportBackStrategy
		want     bool
	}{
		"none":           {},
		"no destination": {strategy: &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeMirror}},
		"disabled":       {strategy: &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeDisabled, Destination: &original}},
		"to the Work":    {strategy: &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeMirror, Destination: &works}},
		"to the hub":     {strategy: &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeMirror, Destination: &original}, want: true},
	} {
		if got := IsWanted(test.strategy); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

func TestAStatusIsThatOfOneCluster(t *testing.T) {
	const suffix = "; cannot back-report status to original resources: pick one cluster (PickFixed with one name, or PickN with numberOfClusters 1), or set the destination to WorkAPI"
	number := func(n int32) *v1beta1.PlacementPolicy {
		return &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType, NumberOfClusters: &n}
	}
	for name, test := range map[string]struct {
		policy *v1beta1.PlacementPolicy
		want   string
	}{
		"no policy":      {want: "no scheduling policy specified (the PickAll type is in use)"},
		"all":            {policy: &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType}, want: "the scheduling policy in use is of the PickAll type"},
		"all by default": {policy: &v1beta1.PlacementPolicy{}, want: "the scheduling policy in use is of the PickAll type"},
		"no name":        {policy: &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType}, want: "the scheduling policy in use is of the PickFixed type, but it names no target cluster"},
		"one name":       {policy: &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{"a"}}},
		"two names":      {policy: &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{"a", "b"}}, want: "the scheduling policy in use is of the PickFixed type, but it has more than one target cluster"},
		"no number":      {policy: &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType}, want: "the scheduling policy in use is of the PickN type, but no number of target clusters is specified"},
		"none of them":   {policy: number(0), want: "the scheduling policy in use is of the PickN type, but the number of target clusters is not set to 1"},
		"one of them":    {policy: number(1)},
		"two of them":    {policy: number(2), want: "the scheduling policy in use is of the PickN type, but the number of target clusters is not set to 1"},
	} {
		got := CheckPolicy(test.policy)
		switch {
		case test.want == "" && got != nil:
			t.Errorf("%s: refused with %q", name, got.Message)
		case test.want != "" && (got == nil || got.Reason != ReasonNotOneCluster || got.Message != test.want+suffix):
			t.Errorf("%s: %+v, want %q", name, got, test.want+suffix)
		}
	}
}

// id is group/kind/namespace/name in v1.
func id(s string) v1beta1.WorkResourceIdentifier {
	parts := strings.Split(s, "/")
	return v1beta1.WorkResourceIdentifier{Group: parts[0], Version: "v1", Kind: parts[1], Namespace: parts[2], Name: parts[3]}
}

func placementOf(namespace string, selectors ...v1beta1.ResourceSelectorTerm) v1beta1.PlacementObject {
	var p v1beta1.PlacementObject = &v1beta1.ClusterResourcePlacement{}
	if namespace != "" {
		p = &v1beta1.ResourcePlacement{}
		p.SetNamespace(namespace)
	}
	p.SetName("p")
	p.PlacementSpec().ResourceSelectors = selectors
	return p
}

func TestAPlacementReportsWhatItsSelectorsCover(t *testing.T) {
	deployment := v1beta1.ResourceSelectorTerm{Group: "apps", Version: "v1", Kind: "Deployment"}
	web := deployment
	web.Name = "web"
	namespace := func(name string, scope v1beta1.SelectionScope) v1beta1.ResourceSelectorTerm {
		return v1beta1.ResourceSelectorTerm{Version: "v1", Kind: "Namespace", Name: name, SelectionScope: scope}
	}
	gadget := v1beta1.ResourceSelectorTerm{Group: "example.com", Version: "v1", Kind: "Gadget"}
	for name, test := range map[string]struct {
		placement v1beta1.PlacementObject
		id        string
		want      bool
	}{
		"by name":                               {placementOf("app", web), "apps/Deployment/app/web", true},
		"another name":                          {placementOf("app", web), "apps/Deployment/app/other", false},
		"all of a kind":                         {placementOf("app", deployment), "apps/Deployment/app/other", true},
		"another kind":                          {placementOf("app", deployment), "apps/StatefulSet/app/web", false},
		"another group":                         {placementOf("app", deployment), "example.com/Deployment/app/web", false},
		"another namespace":                     {placementOf("app", deployment), "apps/Deployment/other/web", false},
		"what has no namespace, from one":       {placementOf("app", gadget), "example.com/Gadget//g", false},
		"a Namespace selected in a namespace":   {placementOf("app", namespace("app", "")), "apps/Deployment/app/web", false},
		"nothing":                               {placementOf("app"), "apps/Deployment/app/web", false},
		"cluster-scoped":                        {placementOf("", gadget), "example.com/Gadget//g", true},
		"a whole namespace":                     {placementOf("", namespace("app", "")), "apps/Deployment/app/web", true},
		"a whole namespace, in words":           {placementOf("", namespace("app", v1beta1.NamespaceWithResources)), "apps/Deployment/app/web", true},
		"another whole namespace":               {placementOf("", namespace("other", "")), "apps/Deployment/app/web", false},
		"every namespace":                       {placementOf("", namespace("", "")), "apps/Deployment/app/web", true},
		"every namespace, cluster-scoped":       {placementOf("", namespace("", "")), "example.com/Gadget//g", false},
		"a Namespace alone":                     {placementOf("", namespace("app", v1beta1.NamespaceOnly)), "apps/Deployment/app/web", false},
		"a Namespace with selectors":            {placementOf("", namespace("app", v1beta1.NamespaceWithResourceSelectors), web), "apps/Deployment/app/web", true},
		"a Namespace with other selectors":      {placementOf("", namespace("app", v1beta1.NamespaceWithResourceSelectors), web), "apps/Deployment/app/other", false},
		"selectors for another namespace":       {placementOf("", namespace("other", v1beta1.NamespaceWithResourceSelectors), web), "apps/Deployment/app/web", false},
		"selectors for a namespace by a label":  {placementOf("", namespace("", v1beta1.NamespaceWithResourceSelectors), web), "apps/Deployment/app/web", true},
		"selectors beside a namespace, cluster": {placementOf("", namespace("other", v1beta1.NamespaceWithResourceSelectors), gadget), "example.com/Gadget//g", true},
	} {
		if got := Covers(test.placement, id(test.id)); got != test.want {
			t.Errorf("%s: covered: %t, want %t", name, got, test.want)
		}
	}
}

func TestOfTwoPlacementsOneReports(t *testing.T) {
	at := func(p v1beta1.PlacementObject, name string, seconds int64) v1beta1.PlacementObject {
		p.SetName(name)
		p.SetCreationTimestamp(metav1.Unix(seconds, 0))
		return p
	}
	// From the first on, each precedes all that follow.
	order := []v1beta1.PlacementObject{
		at(placementOf(""), "b", 5), at(placementOf(""), "a", 6), at(placementOf(""), "c", 6),
		at(placementOf("x"), "z", 1), at(placementOf("x"), "a", 2), at(placementOf("x"), "b", 2), at(placementOf("y"), "a", 2),
	}
	for i, a := range order {
		for j, b := range order {
			if got := Precedes(a, b); got != (i < j) {
				t.Errorf("%s precedes %s: %t", Describe(a), Describe(b), got)
			}
		}
	}
}

// reporting is a Work with reports of the status of objects, all of them applied.
func reporting(ids ...string) *v1beta1.Work {
	destination := v1beta1.ReportBackDestinationOriginalResource
	work := &v1beta1.Work{Spec: v1beta1.WorkSpec{ReportBackStrategy: &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeMirror, Destination: &destination}}}
	for i, s := range ids {
		of := id(s)
		of.Ordinal = i
		work.Spec.Workload.Manifests = append(work.Spec.Workload.Manifests, manifest(of))
		work.Status.ManifestConditions = append(work.Status.ManifestConditions, v1beta1.ManifestCondition{
			Identifier: of, Conditions: []metav1.Condition{{Type: v1beta1.WorkApplied, Status: metav1.ConditionTrue}},
			BackReportedStatus: &v1beta1.BackReportedStatus{ObservationTime: metav1.Unix(1, 0)},
		})
	}
	return work
}

func manifest(of v1beta1.WorkResourceIdentifier) v1beta1.Manifest {
	return v1beta1.Manifest{RawExtension: runtime.RawExtension{Raw: fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"namespace":%q}}`,
		schema.GroupVersion{Group: of.Group, Version: of.Version}, of.Kind, of.Name, of.Namespace)}}
}

func TestAWorkReportsWhatIsAppliedAndHasAStatus(t *testing.T) {
	const web, db = "apps/Deployment/app/web", "apps/StatefulSet/app/db"
	for name, test := range map[string]struct {
		change func(*v1beta1.Work)
		want   int
	}{
		"both": {change: func(*v1beta1.Work) {}, want: 2},
		"a Work for the Work API": {change: func(w *v1beta1.Work) {
			destination := v1beta1.ReportBackDestinationWorkAPI
			w.Spec.ReportBackStrategy.Destination = &destination
		}},
		"a Work that goes":         {change: func(w *v1beta1.Work) { w.DeletionTimestamp = &metav1.Time{} }},
		"what an envelope carries": {change: func(w *v1beta1.Work) { w.Labels = map[string]string{wellknown.EnvelopeTypeLabel: "ResourceEnvelope"} }},
		"one without a status":     {change: func(w *v1beta1.Work) { w.Status.ManifestConditions[0].BackReportedStatus = nil }, want: 1},
		"one of another placement": {change: func(w *v1beta1.Work) {
			w.Status.ManifestConditions[0].Conditions[0].Status = metav1.ConditionFalse
		}, want: 1},
		"one that is compared": {change: func(w *v1beta1.Work) { w.Status.ManifestConditions[0].Conditions = nil }, want: 1},
		"one that is unknown":  {change: func(w *v1beta1.Work) { w.Status.ManifestConditions[0].Identifier.Kind = "" }, want: 1},
		"one that the Work does not carry": {change: func(w *v1beta1.Work) {
			w.Status.ManifestConditions[0].Identifier = id("apps/Deployment/kube-system/web")
		}, want: 1},
		"of another version":                 {change: func(w *v1beta1.Work) { w.Status.ManifestConditions[0].Identifier.Version = "v2" }, want: 1},
		"one that takes another's place":     {change: func(w *v1beta1.Work) { w.Status.ManifestConditions[0].Identifier.Ordinal = 1 }, want: 1},
		"beyond what the Work carries":       {change: func(w *v1beta1.Work) { w.Status.ManifestConditions[0].Identifier.Ordinal = 2 }, want: 1},
		"before what the Work carries":       {change: func(w *v1beta1.Work) { w.Status.ManifestConditions[0].Identifier.Ordinal = -1 }, want: 1},
		"in a manifest that nobody can read": {change: func(w *v1beta1.Work) { w.Spec.Workload.Manifests[0].Raw = []byte("{") }, want: 1},
	} {
		work := reporting(web, db)
		test.change(work)
		if got := Reports(work); len(got) != test.want {
			t.Errorf("%s: %d reports, want %d", name, len(got), test.want)
		}
	}
}

func TestOfTwoReportsTheNewerOneCounts(t *testing.T) {
	const web = "apps/Deployment/app/web"
	all := placementOf("", v1beta1.ResourceSelectorTerm{Version: "v1", Kind: "Namespace", Name: "app"})
	older, newer := Reports(reporting(web, "/Service/app/s"))[0], Reports(reporting(web))[0]
	newer.Reported.ObservationTime = metav1.Unix(2, 0)
	service := Reports(reporting("/Service/app/s"))[0]
	job, elsewhere := Reports(reporting("batch/Job/app/j"))[0], Reports(reporting("apps/Deployment/other/web"))[0]
	for _, reports := range [][]Report{{older, newer, service, job, elsewhere}, {elsewhere, job, service, newer, older}} {
		selected, leftOut := Select(all, reports)
		if len(selected) != 1 || selected[0].Reported != newer.Reported {
			t.Errorf("selected %+v", selected)
		}
		if diff := cmp.Diff([]string{"Job", "Service"}, leftOut); diff != "" {
			t.Errorf("left out (-want +got):\n%s", diff)
		}
	}
}

func TestOnlyAStatusIsTakenFromAMember(t *testing.T) {
	large := strings.Repeat("x", MaxStatus)
	for name, test := range map[string]struct{ raw, want, reason string }{
		"a status":         {raw: `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","finalizers":["x"]},"spec":{"replicas":9},"status":{"replicas":2}}`, want: "map[replicas:2]"},
		"an empty status":  {raw: `{"apiVersion":"apps/v1","kind":"Deployment","status":{}}`, want: "map[]"},
		"another kind":     {raw: `{"apiVersion":"apps/v1","kind":"StatefulSet","status":{}}`, reason: ReasonStatusRefused},
		"another version":  {raw: `{"apiVersion":"apps/v2","kind":"Deployment","status":{}}`, reason: ReasonStatusRefused},
		"no status":        {raw: `{"apiVersion":"apps/v1","kind":"Deployment"}`, reason: ReasonStatusRefused},
		"null":             {raw: `{"apiVersion":"apps/v1","kind":"Deployment","status":null}`, reason: ReasonStatusRefused},
		"a list":           {raw: `{"apiVersion":"apps/v1","kind":"Deployment","status":[]}`, reason: ReasonStatusRefused},
		"a text":           {raw: `{"apiVersion":"apps/v1","kind":"Deployment","status":"Ready"}`, reason: ReasonStatusRefused},
		"nothing":          {raw: ``, reason: ReasonStatusRefused},
		"what is no JSON":  {raw: `{`, reason: ReasonStatusRefused},
		"a status too big": {raw: `{"apiVersion":"apps/v1","kind":"Deployment","status":{"a":"` + large + `"}}`, reason: ReasonStatusTooLarge},
	} {
		r := Report{ID: id("apps/Deployment/app/web"), Reported: &v1beta1.BackReportedStatus{ObservedStatus: runtime.RawExtension{Raw: []byte(test.raw)}}}
		status, refused := r.Status()
		switch {
		case test.reason != "" && (refused == nil || refused.Reason != test.reason || !strings.HasPrefix(refused.Message, "Deployment app/web: ")):
			t.Errorf("%s: refused with %+v, want %s", name, refused, test.reason)
		case test.reason == "" && (refused != nil || fmt.Sprint(status) != test.want):
			t.Errorf("%s: %v, %+v, want %s", name, status, refused, test.want)
		}
	}
}

func TestAStatusHasOneWriter(t *testing.T) {
	entry := func(manager, fields string) metav1.ManagedFieldsEntry {
		e := metav1.ManagedFieldsEntry{Manager: manager, FieldsV1: &metav1.FieldsV1{}}
		e.FieldsV1.SetRawBytes([]byte(fields))
		return e
	}
	live := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{}}}
	if got := OtherWriters(live, "us"); len(got) != 0 {
		t.Errorf("without a status, written by %q", got)
	}
	live.Object["status"] = map[string]any{"replicas": 1}
	if got := OtherWriters(live, "us"); len(got) != 1 {
		t.Errorf("without managedFields, written by %q", got)
	}
	live.SetManagedFields([]metav1.ManagedFieldsEntry{
		entry("us", `{"f:status":{"f:replicas":{}}}`), entry("kubectl", `{"f:spec":{"f:status":{}}}`), entry("broken", `[]`),
		{Manager: "nothing"},
	})
	if got := OtherWriters(live, "us"); len(got) != 0 {
		t.Errorf("written by %q", got)
	}
	live.SetManagedFields([]metav1.ManagedFieldsEntry{
		entry("us", `{"f:status":{"f:replicas":{}}}`), entry("b", `{"f:status":{}}`), entry("a", `{"f:status":{"f:x":{}}}`), entry("a", `{"f:status":{"f:y":{}}}`),
		entry(strings.Repeat("n", 1000), `{"f:status":{}}`),
	})
	if got := OtherWriters(live, "us"); len(got) != 3 || got[0] != "a" || got[1] != "b" || len(got[2]) > 80 {
		t.Errorf("written by %q", got)
	}
}

func TestWhatBecameOfReportsIsOneCondition(t *testing.T) {
	refusal := func(n int) []Refusal {
		var all []Refusal
		for i := range n {
			all = append(all, Refusal{fmt.Sprintf("Reason%d", i), fmt.Sprintf("object %d", i)})
		}
		return all
	}
	for name, test := range map[string]struct {
		outcome Outcome
		want    string
	}{
		"nothing yet":    {Outcome{}, "Unknown StatusReportPending No cluster has reported the status of a selected object yet"},
		"one":            {Outcome{Cluster: "oslo", Reported: 1}, "True StatusReportedBack The status of 1 object on cluster oslo is on the hub"},
		"two, and kinds": {Outcome{Cluster: "oslo", Reported: 2, LeftOut: []string{"Job", "Namespace"}}, "True StatusReportedBack The status of 2 objects on cluster oslo is on the hub; never reported: Job, Namespace"},
		"kinds alone":    {Outcome{Cluster: "oslo", LeftOut: []string{"Job"}}, "False NothingToReport Only statuses of Deployments, StatefulSets, DaemonSets and custom resources are written to the hub; never reported: Job"},
		"one is refused": {Outcome{Cluster: "oslo", Reported: 2, Refusals: refusal(1)}, "False Reason0 object 0"},
		"many are":       {Outcome{Refusals: refusal(5)}, "False Reason0 object 0; object 1; object 2; and 2 more"},
	} {
		c := test.outcome.Condition()
		if got := fmt.Sprintf("%s %s %s", c.Status, c.Reason, c.Message); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestAMessageIsBounded(t *testing.T) {
	r := Report{ID: id("apps/Deployment/app/" + strings.Repeat("n", 250))}
	var o Outcome
	for range MaxObjects {
		o.Refusals = append(o.Refusals, *r.Refused(errors.New(strings.Repeat("x", 1<<20))))
	}
	if got := len(o.Condition().Message); got > 2<<10 {
		t.Errorf("a message of %d bytes", got)
	}
}

func TestReportsOfTheSameObjectHaveOneKey(t *testing.T) {
	a, b := id("apps/Deployment/app/web"), id("apps/Deployment/app/web")
	b.Version, b.Resource, b.Ordinal = "v2", "others", 7
	if Key(a) != Key(b) || Key(a) == Key(id("apps/Deployment/other/web")) || Key(a) == Key(id("apps/StatefulSet/app/web")) {
		t.Errorf("keys %q and %q", Key(a), Key(b))
	}
}
