// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/test/hub"
)

var (
	kindBinding     = placementV1beta1.WithKind("ClusterResourceBinding")
	kindAppliedWork = placementV1beta1.WithKind("AppliedWork")
	kindJob         = schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"}
	kindWidget      = schema.GroupVersionKind{Group: "applying.example.com", Version: "v1", Kind: "Widget"}
)

// testApplying holds against real API servers what the tests of the applier hold against one that they imitate: defaults, lists that are
// merged, conflicts, managed fields, and objects that others own.
func testApplying(t *testing.T, s *suite) {
	t.Run("ReportDiff", func(t *testing.T) { reportsDiff(t, s) })
	t.Run("Ways", func(t *testing.T) { waysToApply(t, s) })
	t.Run("Large", func(t *testing.T) { appliesWhatIsLarge(t, s) })
	t.Run("Kinds", func(t *testing.T) { appliesNewKinds(t, s) })
	t.Run("Job", func(t *testing.T) { runsAJobOnce(t, s) })
	t.Run("NamespaceGone", func(t *testing.T) { recoversANamespace(t, s) })
	t.Run("Pace", func(t *testing.T) { keepsItsPace(t, s) })
}

// placed is a placement of a namespace onto member1, of the same name.
type placed struct {
	*suite
	name   string
	member cluster
}

// place makes a placement of the objects, with what the member has before. Both name the namespace with %[1]s.
func (s *suite) place(t *testing.T, name, objects, before, spec string) placed {
	t.Helper()
	p := placed{s, name, s.clusters["member1"]}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if _, err := s.run(ctx, hub.HubName, "kubectl delete --ignore-not-found crp/"+name+"; kubectl delete --ignore-not-found ns/"+name); err != nil {
			t.Error(err)
		}
		if _, err := s.run(ctx, "member1", "kubectl delete --ignore-not-found ns/"+name); err != nil {
			t.Error(err)
		}
	})
	s.explain(t, "crp/"+name+" -o yaml", "works -n fleet-member-member1 -o yaml -l kubernetes-fleet.io/parent-CRP="+name)
	namespace := "apiVersion: v1\nkind: Namespace\nmetadata: {name: %[1]s}\n"
	if before != "" {
		p.member.mustCreate(t, fmt.Sprintf(namespace+"---\n"+before, name))
	}
	s.hub().mustCreate(t, fmt.Sprintf(namespace+"---\n"+objects, name))
	s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s}]
  policy: {placementType: PickFixed, clusterNames: [member1]}
%[2]s`, name, spec))
	return p
}

// applyBy replaces the apply strategy.
func (p placed) applyBy(t *testing.T, strategy string) {
	t.Helper()
	patch := fmt.Sprintf(`[{"op":"add","path":"/spec/strategy/applyStrategy","value":{%s}}]`, strategy)
	if _, err := p.hub().of(kindPlacement, "").Patch(t.Context(), p.name, types.JSONPatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatalf("%s: %v", strategy, err)
	}
}

// work is what the Work on a member reports.
type work struct {
	Conditions         []metav1.Condition `json:"conditions"`
	ManifestConditions []struct {
		Identifier   struct{ Kind, Name string } `json:"identifier"`
		Conditions   []metav1.Condition          `json:"conditions"`
		DriftDetails struct {
			ObservedDrifts []struct{ Path string } `json:"observedDrifts"`
		} `json:"driftDetails"`
		DiffDetails struct {
			ObservedDiffs []struct{ Path string } `json:"observedDiffs"`
		} `json:"diffDetails"`
	} `json:"manifestConditions"`
}

// reports waits until the Work on member1 reports of an object, given as Kind/name, a condition as "Type Status Reason", and where it drifts or
// differs, if a path is given.
func (s *suite) reports(t *testing.T, placement, object, want, path string) {
	t.Helper()
	s.eventually(t, func() error {
		obj, err := s.hub().get(t.Context(), kindWork, "fleet-member-member1", placement+"-work")
		if err != nil {
			return err
		}
		var status work
		if err := decode(obj.Object["status"], &status); err != nil {
			return err
		}
		for _, m := range status.ManifestConditions {
			if m.Identifier.Kind+"/"+m.Identifier.Name != object {
				continue
			}
			var told, paths []string
			for _, c := range m.Conditions {
				told = append(told, c.Type+" "+string(c.Status)+" "+c.Reason)
			}
			for _, d := range append(m.DriftDetails.ObservedDrifts, m.DiffDetails.ObservedDiffs...) {
				paths = append(paths, d.Path)
			}
			if !slices.Contains(told, want) || path != "" && !slices.Contains(paths, path) || path == "" && len(paths) > 0 {
				return fmt.Errorf("%s reports %q at %q, want %q at %q: %+v", object, told, paths, want, path, m.Conditions)
			}
			return nil
		}
		return fmt.Errorf("nothing is reported of %s", object)
	})
}

// ownersOf are the owners of an object, as Kind/name.
func (c cluster) ownersOf(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) (string, error) {
	obj, err := c.get(ctx, kind, namespace, name)
	if err != nil {
		return "", err
	}
	var owners []string
	for _, ref := range obj.GetOwnerReferences() {
		owners = append(owners, ref.Kind+"/"+ref.Name)
	}
	slices.Sort(owners)
	return strings.Join(owners, " "), nil
}

func (p placed) owned(t *testing.T, kind schema.GroupVersionKind, name, want string) {
	t.Helper()
	p.eventually(t, func() error {
		got, err := p.member.ownersOf(t.Context(), kind, p.name, name)
		if err == nil && got != want {
			err = fmt.Errorf("%s %s is owned by %q, want %q", kind.Kind, name, got, want)
		}
		return err
	})
}

// has waits until a ConfigMap on the member has data, as kubectl prints it.
func (p placed) has(t *testing.T, name, want string) {
	t.Helper()
	p.eventually(t, func() error {
		obj, err := p.member.get(t.Context(), kindConfigMap, p.name, name)
		if err != nil {
			return err
		}
		if got := fmt.Sprint(obj.Object["data"]); got != want {
			return fmt.Errorf("ConfigMap %s has %s, want %s", name, got, want)
		}
		return nil
	})
}

const (
	comparedDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  replicas: 0
  selector: {matchLabels: {app: %[3]s}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: web, image: "pause:3.10"}]}
`
	comparedService = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: %[1]s}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80}%[2]s]
`
)

// compared are objects of the hub in the namespace %[1]s, or those that the member has before, with a Service that has a port more, a ConfigMap of another value, and
// a Deployment whose selector cannot become that of the hub.
func compared(onMember bool) string {
	const namespace = "%[1]s"
	value, selector, ports := "hub", "web", ""
	if onMember {
		value, selector, ports = "member", "web, tier: front", ", {name: more, port: 81}"
	}
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: %s}\ndata: {key: %s}\n", namespace, value) + "---\n" +
		fmt.Sprintf(comparedDeployment, namespace, "web", "web") + "---\n" + fmt.Sprintf(comparedDeployment, namespace, "fixed", selector) + "---\n" +
		fmt.Sprintf(comparedService, namespace, ports)
}

// reportsDiff has a run end by comparing alone. It writes nothing on members, whatever their API servers make of the manifests, tells of
// each change there, and removes nothing.
func reportsDiff(t *testing.T, s *suite) {
	const name = "applying-diff"
	member := s.clusters["member1"]
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if _, err := s.run(ctx, "member1", "kubectl delete --ignore-not-found ns/"+name); err != nil {
			t.Error(err)
		}
	})
	member.mustCreate(t, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %[1]s}\n---\n"+compared(true), name))
	r := s.newRollout(t, name, "\n  - {name: all, labelSelector: {}, maxConcurrency: 100%}\n", strings.Split(compared(false), "---\n")...)
	s.explain(t, "works -n fleet-member-member1 -o yaml -l kubernetes-fleet.io/parent-CRP="+name)
	s.hub().mustPatch(t, kindPlacement, "", name, `{"spec":{"strategy":{"applyStrategy":{"type":"ReportDiff"}}}}`)
	r.start(t, name, 0, "Run")
	r.awaitRun(t, name, has("Succeeded", "True", "UpdateRunSucceeded"))
	// The other members have nothing of it.
	const result = "3 clusters compared, 3 with differences: member1, member2, member3"
	if told := s.mustRun(t, "kubectl get csur "+name+" -o jsonpath='{.status.conditions[*].message} {.status.stagesStatus[*].conditions[*].message}'"); strings.Count(told, result) != 2 {
		t.Errorf("the run says %q, want twice %q", told, result)
	}
	if wide := s.mustRun(t, "kubectl get csur "+name+" -o wide"); !strings.HasSuffix(strings.TrimSpace(wide), " 3/3") {
		t.Errorf("the table does not tell how many clusters differ:\n%s", wide)
	}

	s.reports(t, name, "Deployment/web", "DiffReported True NoDiffFound", "")
	s.reports(t, name, "Service/web", "DiffReported True NoDiffFound", "")
	s.reports(t, name, "ConfigMap/other", "DiffReported True FoundDiff", "/data/key")
	s.reports(t, name, "ConfigMap/settings", "DiffReported True FoundDiff", "/")
	s.reports(t, name, "Deployment/fixed", "DiffReported True FoundDiffInDegradedMode", "/spec/selector/matchLabels/tier")
	member.mustPatch(t, kindConfigMap, name, "other", `{"data":{"key":"hub"}}`)
	s.reports(t, name, "ConfigMap/other", "DiffReported True NoDiffFound", "")
	member.mustPatch(t, kindConfigMap, name, "other", `{"data":{"key":"member"}}`)
	s.reports(t, name, "ConfigMap/other", "DiffReported True FoundDiff", "/data/key")

	s.mustRun(t, "kubectl delete crp "+name)
	for kind, object := range map[schema.GroupVersionKind]string{kindConfigMap: "other", kindDeployment: "web", kindService: "web"} {
		if owners, err := member.ownersOf(t.Context(), kind, name, object); err != nil || owners != "" {
			t.Errorf("%s %s: owners %q, %v", kind.Kind, object, owners, err)
		}
	}
	for _, other := range []string{"member2", "member3"} {
		if _, err := s.clusters[other].get(t.Context(), kindNamespace, "", name); !isGone(err) {
			t.Errorf("on %s the namespace was written: %v", other, err)
		}
	}
	for _, each := range s.environment.Members() {
		if _, err := s.clusters[each].get(t.Context(), kindAppliedWork, "", name+"-work"); !isGone(err) {
			t.Errorf("on %s there is an AppliedWork: %v", each, err)
		}
	}
}

// waysToApply walks one placement through the ways to take objects over and to apply them.
func waysToApply(t *testing.T, s *suite) {
	const name = "applying-ways"
	p := s.place(t, name, strings.Replace(compared(false), "key: hub", "key: hub, dropped: x", 1), compared(true),
		"  strategy: {applyStrategy: {whenToTakeOver: Never}, deleteStrategy: {propagationPolicy: Abandon}}\n")
	owner := "AppliedWork/" + name + "-work"
	const applied = "Applied True Applied"

	s.reports(t, name, "ConfigMap/other", "Applied False NotTakenOver", "")
	s.reports(t, name, "Deployment/web", "Applied False NotTakenOver", "")
	p.owned(t, kindDeployment, "web", "")

	p.applyBy(t, `"whenToTakeOver":"IfNoDiff"`)
	s.reports(t, name, "Deployment/web", applied, "")
	s.reports(t, name, "Service/web", applied, "")
	s.reports(t, name, "ConfigMap/other", "Applied False FailedToTakeOver", "/data/key")
	s.reports(t, name, "Deployment/fixed", "Applied False FailedToTakeOver", "/spec/selector/matchLabels/tier")
	p.owned(t, kindService, "web", owner)
	p.owned(t, kindConfigMap, "other", "")
	p.has(t, "other", "map[key:member]")

	p.applyBy(t, `"whenToTakeOver":"Always"`)
	s.reports(t, name, "ConfigMap/other", applied, "")
	p.has(t, "other", "map[dropped:x key:hub]")
	// A three-way merge keeps the label that the member's selector has more.
	s.reports(t, name, "Deployment/fixed", applied, "")

	p.applyBy(t, `"whenToApply":"IfNotDrifted"`)
	s.reports(t, name, "Deployment/fixed", "Applied False FoundDriftsInDegradedMode", "/spec/selector/matchLabels/tier")
	if err := p.member.of(kindDeployment, name).Delete(t.Context(), "fixed", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.reports(t, name, "Deployment/fixed", applied, "")
	s.reports(t, name, "Deployment/web", applied, "")
	p.member.mustPatch(t, kindConfigMap, name, "other", `{"data":{"key":"drifted"}}`)
	s.reports(t, name, "ConfigMap/other", "Applied False FoundDrifts", "/data/key")
	p.has(t, "other", "map[dropped:x key:drifted]")
	p.applyBy(t, `"comparisonOption":"FullComparison"`)
	p.has(t, "other", "map[dropped:x key:hub]")
	p.member.mustPatch(t, kindConfigMap, name, "other", `{"data":{"more":"y"}}`)
	s.reports(t, name, "ConfigMap/other", applied, "/data/more")
	p.has(t, "other", "map[dropped:x key:hub more:y]")
	p.applyBy(t, "")
	s.reports(t, name, "ConfigMap/other", applied, "")

	// Server-side: what a client-side apply had is taken over, and goes when the manifest lacks it.
	p.applyBy(t, `"type":"ServerSideApply"`)
	p.awaitStrategy(t, "ServerSideApply")
	s.reports(t, name, "ConfigMap/other", applied, "")
	s.hub().mustPatch(t, kindConfigMap, name, "other", `{"data":{"dropped":null}}`)
	p.has(t, "other", "map[key:hub more:y]")
	obj, err := p.member.get(t.Context(), kindConfigMap, name, "other")
	if err != nil {
		t.Fatal(err)
	}
	for _, fields := range obj.GetManagedFields() {
		if fields.Manager == "work-api-agent" && fields.Operation == metav1.ManagedFieldsOperationUpdate {
			t.Errorf("fields of a client-side apply are left: %s", fields.FieldsV1)
		}
	}
	rival := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "other", "namespace": name}, "data": map[string]any{"key": "rival"},
	}}
	if _, err := p.member.of(kindConfigMap, name).Apply(t.Context(), "other", rival, metav1.ApplyOptions{FieldManager: "rival", Force: true}); err != nil {
		t.Fatal(err)
	}
	s.reports(t, name, "ConfigMap/other", "Applied False ManifestRefused", "")
	p.has(t, "other", "map[key:rival more:y]")
	p.applyBy(t, `"type":"ServerSideApply","serverSideApplyConfig":{"force":true}`)
	p.has(t, "other", "map[key:hub more:y]")
	s.reports(t, name, "ConfigMap/other", applied, "")

	// Somebody else owns it too.
	p.member.mustCreate(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owner, namespace: "+name+"}\n")
	obj, err = p.member.get(t.Context(), kindConfigMap, name, "owner")
	if err != nil {
		t.Fatal(err)
	}
	add := fmt.Sprintf(`[{"op":"add","path":"/metadata/ownerReferences/-","value":{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":%q}}]`, obj.GetUID())
	if _, err := p.member.of(kindConfigMap, name).Patch(t.Context(), "other", types.JSONPatchType, []byte(add), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.reports(t, name, "ConfigMap/other", "Applied False ManifestApplyFailed", "")
	p.applyBy(t, `"allowCoOwnership":true`)
	s.reports(t, name, "ConfigMap/other", applied, "")
	p.owned(t, kindConfigMap, "other", owner+" ConfigMap/owner")
	if err := s.hub().of(kindConfigMap, name).Delete(t.Context(), "other", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.owned(t, kindConfigMap, "other", "ConfigMap/owner")

	// Abandoned.
	p.owned(t, kindDeployment, "web", owner)
	s.mustRun(t, "kubectl delete crp "+name)
	p.owned(t, kindDeployment, "web", "")
	if _, err := p.member.get(t.Context(), kindAppliedWork, "", name+"-work"); !isGone(err) {
		t.Errorf("the AppliedWork is there: %v", err)
	}
}

// awaitStrategy waits until the Work on the member is applied by a strategy that has a word in it.
func (p placed) awaitStrategy(t *testing.T, word string) {
	t.Helper()
	p.eventually(t, func() error {
		obj, err := p.hub().get(t.Context(), kindWork, "fleet-member-member1", p.name+"-work")
		if err != nil {
			return err
		}
		strategy, _, _ := unstructured.NestedMap(obj.Object, "spec", "applyStrategy")
		if !strings.Contains(fmt.Sprint(strategy), word) {
			return fmt.Errorf("the Work is applied by %v", strategy)
		}
		return condition(obj, "Applied", "True", "")
	})
}

// appliesWhatIsLarge has no room for a record of what was applied, and drops fields all the same.
func appliesWhatIsLarge(t *testing.T, s *suite) {
	const name = "applying-large"
	half := strings.Repeat("x", 150<<10)
	p := s.place(t, name, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large, namespace: "+name+"}\ndata: {a: "+half+", b: "+half+"}\n", "", "  strategy: {}\n")
	s.reports(t, name, "ConfigMap/large", "Applied True Applied", "")
	obj, err := p.member.get(t.Context(), kindConfigMap, name, "large")
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range obj.GetAnnotations() {
		if len(value) > 1<<10 {
			t.Errorf("annotation %s has %d bytes", key, len(value))
		}
	}
	s.hub().mustPatch(t, kindConfigMap, name, "large", `{"data":{"b":null}}`)
	p.has(t, "large", "map[a:"+half+"]")
}

// appliesNewKinds places a definition and an object of it together, and waits for the object's own word.
func appliesNewKinds(t *testing.T, s *suite) {
	const name = "applying-kinds"
	definition := `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.applying.example.com}
spec:
  group: applying.example.com
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		for _, cluster := range []string{hub.HubName, "member1"} {
			if _, err := s.run(ctx, cluster, "kubectl delete --ignore-not-found crd/widgets.applying.example.com"); err != nil {
				t.Error(err)
			}
		}
	})
	s.hub().mustCreate(t, definition)
	s.mustRun(t, "kubectl wait --for=condition=Established crd/widgets.applying.example.com")
	p := s.place(t, name, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: %[1]s}\n", "", "  strategy: {}\n")
	s.eventually(t, func() error {
		return s.hub().create(t.Context(), "apiVersion: applying.example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: "+name+"}\nspec: {size: 1}\n")
	})
	s.mustRun(t, `kubectl patch crp `+name+` --type=json -p '[{"op":"add","path":"/spec/resourceSelectors/-",`+
		`"value":{"group":"apiextensions.k8s.io","version":"v1","kind":"CustomResourceDefinition","name":"widgets.applying.example.com"}}]'`)
	s.reports(t, name, "Widget/w", "Available True NotTrackable", "")
	for status, want := range map[string]string{"False": "Available False ManifestNotAvailableYet", "True": "Available True Available"} {
		p.member.mustPatch(t, kindWidget, name, "w", fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q}]}}`, status), "status")
		s.reports(t, name, "Widget/w", want, "")
	}
}

// runsAJobOnce has a Job complete, be deleted, and stay so.
func runsAJobOnce(t *testing.T, s *suite) {
	const name = "applying-job"
	p := s.place(t, name, `apiVersion: batch/v1
kind: Job
metadata: {name: migrate, namespace: %[1]s}
spec:
  managedBy: applying.example.com/test
  ttlSecondsAfterFinished: 0
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: "pause:3.10"}]}}
`, "", "  strategy: {}\n")
	s.reports(t, name, "Job/migrate", "Available False ManifestNotAvailableYet", "")
	p.member.mustPatch(t, kindJob, name, "migrate", `{"status":{"succeeded":1,"startTime":"2026-01-01T00:00:00Z","completionTime":"2026-01-01T00:00:01Z","conditions":[
		{"type":"SuccessCriteriaMet","status":"True","lastTransitionTime":"2026-01-01T00:00:01Z"},{"type":"Complete","status":"True","lastTransitionTime":"2026-01-01T00:00:01Z"}]}}`, "status")
	s.reports(t, name, "Job/migrate", "Available True Available", "")
	obj, err := p.member.get(t.Context(), kindJob, name, "migrate")
	if err != nil {
		t.Fatal(err)
	}
	if ttl, has, _ := unstructured.NestedInt64(obj.Object, "spec", "ttlSecondsAfterFinished"); has {
		t.Errorf("the Job is placed with ttlSecondsAfterFinished %d", ttl)
	}
	if err := p.member.of(kindJob, name).Delete(t.Context(), "migrate", metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, func() error {
		obj, err := s.hub().get(t.Context(), kindWork, "fleet-member-member1", name+"-work")
		if err != nil {
			return err
		}
		if !strings.Contains(fmt.Sprint(obj.Object["status"]), "is not run again") {
			return errors.New("nothing says that the Job is not run again")
		}
		return condition(obj, "Available", "True", "")
	})
	if _, err := p.member.get(t.Context(), kindJob, name, "migrate"); !isGone(err) {
		t.Errorf("the Job is there: %v", err)
	}
}

// recoversANamespace has the namespace of a placement be deleted on the member, slowly.
func recoversANamespace(t *testing.T, s *suite) {
	const name = "applying-gone"
	p := s.place(t, name, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: %[1]s}\ndata: {key: value}\n", "", "  strategy: {}\n")
	s.reports(t, name, "ConfigMap/settings", "Applied True Applied", "")
	p.member.mustCreate(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: holds, namespace: "+name+", finalizers: [example.com/holds]}\n")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		_, _ = s.run(ctx, "member1", fmt.Sprintf(`kubectl patch cm holds -n %s --type=merge -p '{"metadata":{"finalizers":null}}'`, name))
	})
	if err := p.member.of(kindNamespace, "").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.reports(t, name, "Namespace/"+name, "Applied False ManifestApplyFailed", "")
	s.reports(t, name, "ConfigMap/settings", "Applied False ManifestApplyFailed", "")
	p.member.mustPatch(t, kindConfigMap, name, "holds", `{"metadata":{"finalizers":null}}`)
	s.reports(t, name, "ConfigMap/settings", "Applied True Applied", "")
	p.has(t, "settings", "map[key:value]")
}

// keepsItsPace has a version wait on two members until it is available on another one; what only restrains does not wait.
func keepsItsPace(t *testing.T, s *suite) {
	const name = "applying-pace"
	s.place(t, name, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: %[1]s}\ndata: {key: value1}\n", "",
		"  strategy: {rollingUpdate: {maxUnavailable: 1}}\n")
	s.explain(t, "crb -l kubernetes-fleet.io/parent-CRP="+name+" -o yaml")
	r := rollout{s, name}
	patch := `[{"op":"replace","path":"/spec/policy/clusterNames","value":["member1","member2","member3"]}]`
	if _, err := s.hub().of(kindPlacement, "").Patch(t.Context(), name, types.JSONPatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, func() error { return s.values(t.Context(), name, "settings", onAll("value1")) })
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/%s --for=jsonpath='{.status.placementStatuses[2].conditions[?(@.type==\"Available\")].status}'=True --timeout=%s", name, patience))

	s.hub().mustCreate(t, "apiVersion: v1\nkind: Service\nmetadata: {name: gate, namespace: "+name+"}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n")
	r.awaitSnapshot(t, 1)
	// moves waits until so many members are to have the version, one of which waits for its gate, and returns that.
	moves := func(n int) (waiting string) {
		t.Helper()
		s.eventually(t, func() error {
			var moved []string
			waiting = ""
			for member, b := range s.bindingsOf(t, name) {
				if b.snapshot != name+"-1-snapshot" || b.strategy != "ClientSideApply" {
					continue
				}
				moved = append(moved, member)
				if err := condition(b.object, "Available", "False", ""); err == nil {
					waiting = member
				}
			}
			if len(moved) > n {
				t.Fatalf("%v are to have the version, and only %d may", moved, n)
			}
			if len(moved) < n || waiting == "" {
				return fmt.Errorf("%v are to have the version, waiting %q", moved, waiting)
			}
			return nil
		})
		return waiting
	}
	moves(1)
	s.hub().mustPatch(t, kindPlacement, "", name, `{"spec":{"strategy":{"applyStrategy":{"type":"ReportDiff"}}}}`)
	s.eventually(t, func() error {
		for member, b := range s.bindingsOf(t, name) {
			if err := condition(b.object, "DiffReported", "True", ""); b.strategy != "ReportDiff" || b.snapshot != name+"-1-snapshot" || err != nil {
				return fmt.Errorf("%s has %s by %s: %w", member, b.snapshot, b.strategy, err)
			}
		}
		return nil
	})
	with := 0
	for _, member := range s.environment.Members() {
		if _, err := s.clusters[member].get(t.Context(), kindService, name, "gate"); err == nil {
			with++
		}
	}
	if with != 1 {
		t.Errorf("%d members have the Service, want 1", with)
	}
	s.hub().mustPatch(t, kindPlacement, "", name, `{"spec":{"strategy":{"applyStrategy":{"type":"ClientSideApply"}}}}`)
	for n := 1; n <= 3; n++ {
		r.release(t, moves(n))
	}
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/%s --for=condition=ClusterResourcePlacementAvailable --timeout=%s", name, patience))
}

type bindingOf struct {
	object             *unstructured.Unstructured
	snapshot, strategy string
}

// bindingsOf are the bindings of a placement by their member.
func (s *suite) bindingsOf(t *testing.T, placement string) map[string]bindingOf {
	t.Helper()
	list, err := s.hub().of(kindBinding, "").List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes-fleet.io/parent-CRP=" + placement})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bindingOf{}
	for i := range list.Items {
		b := bindingOf{object: &list.Items[i]}
		cluster, _, _ := unstructured.NestedString(b.object.Object, "spec", "targetCluster")
		b.snapshot, _, _ = unstructured.NestedString(b.object.Object, "spec", "resourceSnapshotName")
		b.strategy, _, _ = unstructured.NestedString(b.object.Object, "spec", "applyStrategy", "type")
		found[cluster] = b
	}
	return found
}
