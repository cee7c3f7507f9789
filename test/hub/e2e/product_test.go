// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/yaml"
)

const (
	// productPatience is for what takes a minute with all of it.
	productPatience = 5 * time.Minute
	// atATime is how many requests the test makes of a cluster at once.
	atATime = 8
)

// A product without objects that are added, changed and removed would show nothing.
func TestProductIsOne(t *testing.T) {
	versions := map[int]map[object]*unstructured.Unstructured{}
	for version := 1; version <= 2; version++ {
		objects, err := product(version)
		if err != nil {
			t.Fatal(err)
		}
		if versions[version] = byName(objects); len(versions[version]) != len(objects) || len(objects) < 390 {
			t.Errorf("version %d has %d objects with %d names, want 390 or more of each", version, len(objects), len(versions[version]))
		}
	}
	added, changed, removed := map[string]int{}, map[string]int{}, map[string]int{}
	for name, obj := range versions[1] {
		switch next := versions[2][name]; {
		case next == nil:
			removed[name.kind.Kind]++
		case !gocmp.Equal(obj.Object, next.Object):
			changed[name.kind.Kind]++
		}
	}
	for name := range versions[2] {
		if versions[1][name] == nil {
			added[name.kind.Kind]++
		}
	}
	for _, kind := range []string{
		"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "ValidatingWebhookConfiguration", "ServiceAccount", "Service", "Role", "Deployment",
		"PodDisruptionBudget", "ConfigMap",
	} {
		if added[kind] == 0 || changed[kind] == 0 || removed[kind] == 0 {
			t.Errorf("%s: %d are added, %d changed and %d removed, want some", kind, added[kind], changed[kind], removed[kind])
		}
	}
	large := 0
	for name, obj := range versions[1] {
		data, err := yaml.Marshal(obj.Object)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 256<<10 && name.kind == kindDefinition {
			large++
		}
	}
	if large != productLargeKinds {
		t.Errorf("%d definitions are beyond 256 KiB, want %d", large, productLargeKinds)
	}
}

// testProduct has a product of some four hundred objects rolled out over the members in stages, forward to its next version, back, and
// removed without a trace.
func testProduct(t *testing.T, s *suite) {
	s.withNodes(t)
	r := rollout{s, "product"}
	p := productRollout{r}
	first, err := product(1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := product(2)
	if err != nil {
		t.Fatal(err)
	}
	s.explain(t, "csur", "crb -l kubernetes-fleet.io/parent-CRP=product")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(contextAfter(t), productPatience)
		defer cancel()
		p.cleanUp(t)
		if err := errors.Join(p.remove(ctx, first), p.remove(ctx, second)); err != nil {
			t.Error(err)
		}
	})
	before := map[string][]string{}
	for _, member := range s.environment.Members() {
		before[member] = s.everything(t, member)
	}
	resident := func(when string, since time.Time) {
		t.Helper()
		bytes, err := s.environment.Resident(serverProcess)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s, the server has %d MiB", when, time.Since(since).Round(100*time.Millisecond), bytes>>20)
	}
	resident("before", time.Now())

	start := time.Now()
	p.create(t, first)
	s.hub().mustCreate(t, productPlacement)
	s.hub().mustCreate(t, `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: product}
spec:
  stages:`+stagingThenCanary)
	one := p.latest(t, first)
	resident(fmt.Sprintf("version 1 of %d objects is on the hub", len(first)), start)

	start = time.Now()
	p.rollOut(t, "product-first", one)
	p.isOn(t, first, second)
	resident("version 1 is on the members", start)

	start = time.Now()
	uids := p.uids(t, first, second)
	p.change(t, first, second)
	two := p.latest(t, second)
	resident(fmt.Sprintf("version 2 of %d objects is on the hub", len(second)), start)
	start = time.Now()
	p.rollOut(t, "product-second", two)
	p.isOn(t, second, first)
	if diff := gocmp.Diff(uids, p.uids(t, first, second)); diff != "" {
		t.Errorf("objects that both versions have were recreated (-before +now):\n%s", diff)
	}
	resident("version 2 is on the members", start)

	start = time.Now()
	p.rollOut(t, "product-back", one)
	p.isOn(t, first, second)
	if diff := gocmp.Diff(uids, p.uids(t, first, second)); diff != "" {
		t.Errorf("objects that both versions have were recreated on the way back (-before +now):\n%s", diff)
	}
	resident("version 1 is back", start)

	start = time.Now()
	s.mustRun(t, fmt.Sprintf("kubectl delete crp product --timeout=%s", productPatience))
	for _, member := range s.environment.Members() {
		s.eventually(t, func() error {
			if diff := gocmp.Diff(before[member], s.everything(t, member)); diff != "" {
				return fmt.Errorf("on %s (-before +left):\n%s", member, diff)
			}
			return nil
		})
	}
	resident("it is gone from the members", start)
}

// productRollout is the rollout of a product, whose cluster-scoped objects are placed as well.
type productRollout struct{ rollout }

// create creates objects on the hub. What needs another one waits for it.
func (p productRollout) create(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	// Namespaces and definitions are what others need.
	needed := func(obj *unstructured.Unstructured) bool {
		return obj.GetKind() == kindNamespace.Kind || obj.GetKind() == kindDefinition.Kind
	}
	for _, wave := range []bool{true, false} {
		creating := group(t.Context())
		for _, obj := range objects {
			if needed(obj) != wave {
				continue
			}
			creating.Go(func() error { return p.createWhenServed(t.Context(), obj) })
		}
		if err := creating.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

func group(ctx context.Context) *errgroup.Group {
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(atATime)
	return g
}

// createWhenServed creates an object, of a kind that may be served in a moment.
func (p productRollout) createWhenServed(ctx context.Context, obj *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		_, err := p.hub().of(obj.GroupVersionKind(), obj.GetNamespace()).Create(ctx, obj, metav1.CreateOptions{})
		if !isGone(err) || ctx.Err() != nil {
			if err != nil {
				return fmt.Errorf("creating %s %s: %w", obj.GetKind(), obj.GetName(), err)
			}
			return nil
		}
		// There is no event for when an API server has begun to serve a kind.
		select {
		case <-ctx.Done():
		case <-time.After(permissionInterval):
		}
	}
}

// change makes the hub have other objects.
func (p productRollout) change(t *testing.T, from, to []*unstructured.Unstructured) {
	t.Helper()
	old, wanted := byName(from), byName(to)
	var added, gone []*unstructured.Unstructured
	changing := group(t.Context())
	for name, obj := range wanted {
		before := old[name]
		if before == nil {
			added = append(added, obj)
			continue
		}
		if gocmp.Equal(before.Object, obj.Object) {
			continue
		}
		changing.Go(func() error {
			data, err := obj.MarshalJSON()
			if err != nil {
				return err
			}
			_, err = p.hub().of(name.kind, name.namespace).Patch(t.Context(), name.name, types.MergePatchType, data, metav1.PatchOptions{})
			return err
		})
	}
	for name, obj := range old {
		if wanted[name] == nil {
			gone = append(gone, obj)
		}
	}
	if err := changing.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := p.remove(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	p.create(t, added)
}

// remove removes objects from the hub.
func (p productRollout) remove(ctx context.Context, objects []*unstructured.Unstructured) error {
	removing := group(ctx)
	for _, obj := range objects {
		removing.Go(func() error {
			err := p.hub().of(obj.GroupVersionKind(), obj.GetNamespace()).Delete(ctx, obj.GetName(), metav1.DeleteOptions{})
			if isGone(err) {
				return nil
			}
			return err
		})
	}
	return removing.Wait()
}

// latest waits until the newest version of the placement has the objects and no others, and returns its index. It is in several parts.
func (p productRollout) latest(t *testing.T, objects []*unstructured.Unstructured) string {
	t.Helper()
	want := byName(objects)
	index := ""
	p.eventually(t, func() error {
		snapshots, err := p.hub().of(kindResourceSnapshot, "").List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes-fleet.io/parent-CRP=product"})
		if err != nil {
			return err
		}
		for i := range snapshots.Items {
			if snapshots.Items[i].GetLabels()["kubernetes-fleet.io/is-latest-snapshot"] == "true" {
				index = snapshots.Items[i].GetLabels()["kubernetes-fleet.io/resource-index"]
			}
		}
		parts, missing, more := 0, len(want), 0
		for i := range snapshots.Items {
			if snapshots.Items[i].GetLabels()["kubernetes-fleet.io/resource-index"] != index {
				continue
			}
			parts++
			var spec struct {
				SelectedResources []map[string]any `json:"selectedResources"`
			}
			if err := decode(snapshots.Items[i].Object["spec"], &spec); err != nil {
				return err
			}
			for _, content := range spec.SelectedResources {
				selected := &unstructured.Unstructured{Object: content}
				if known := want[nameOf(selected)]; known != nil && isWithin("", known.Object, selected.Object) == nil {
					missing--
				} else {
					more++
				}
			}
		}
		if missing != 0 || more != 0 || parts < 2 {
			return fmt.Errorf("the newest version %q lacks %d of %d objects and has %d others, in %d parts", index, missing, len(want), more, parts)
		}
		return nil
	})
	return index
}

// rollOut has a run bring a version to all members.
func (p productRollout) rollOut(t *testing.T, run, index string) {
	t.Helper()
	p.hub().mustCreate(t, fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateRun
metadata: {name: %s}
spec: {placementName: product, resourceSnapshotIndex: %q, stagedRolloutStrategyName: product, state: Run}
`, run, index))
	p.mustRun(t, fmt.Sprintf("kubectl wait csur/%s --for=jsonpath='{.status.outcome}' --timeout=%s", run, productPatience))
	p.awaitRun(t, run, has("Succeeded", "True", "UpdateRunSucceeded"))
}

// isOn holds that every member has the objects as they are to be, and none that only the other version has.
func (p productRollout) isOn(t *testing.T, objects, other []*unstructured.Unstructured) {
	t.Helper()
	wanted := byName(objects)
	for _, member := range p.environment.Members() {
		looking := group(t.Context())
		for name, want := range wanted {
			looking.Go(func() error {
				live, err := p.clusters[member].get(t.Context(), name.kind, name.namespace, name.name)
				if err != nil {
					return fmt.Errorf("on %s: %v: %w", member, name, err)
				}
				if err := isWithin("", want.Object, live.Object); err != nil {
					return fmt.Errorf("on %s: %v: %w", member, name, err)
				}
				return nil
			})
		}
		for name := range byName(other) {
			if wanted[name] != nil {
				continue
			}
			looking.Go(func() error {
				if live, err := p.clusters[member].get(t.Context(), name.kind, name.namespace, name.name); !isGone(err) {
					return fmt.Errorf("on %s: %v is still there: %v, %w", member, name, live.GetDeletionTimestamp(), err)
				}
				return nil
			})
		}
		if err := looking.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// uids of the objects that both versions have.
func (p productRollout) uids(t *testing.T, first, second []*unstructured.Unstructured) map[string]types.UID {
	t.Helper()
	var both []object
	other := byName(second)
	for name := range byName(first) {
		if other[name] != nil {
			both = append(both, name)
		}
	}
	found := map[string]types.UID{}
	for _, member := range p.environment.Members() {
		for _, o := range both {
			live, err := p.clusters[member].get(t.Context(), o.kind, o.namespace, o.name)
			if err != nil {
				t.Fatal(err)
			}
			found[fmt.Sprint(member, o)] = live.GetUID()
		}
	}
	return found
}

// everything returns the names of all objects of a cluster, but for those that come and go by themselves.
func (s *suite) everything(t *testing.T, cluster string) []string {
	t.Helper()
	config, err := s.environment.RESTConfig(cluster)
	if err != nil {
		t.Fatal(err)
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := client.ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || resource.Kind == "Event" || resource.Kind == "Lease" {
				continue
			}
			objects, err := s.clusters[cluster].Resource(gv.WithResource(resource.Name)).List(t.Context(), metav1.ListOptions{})
			if isGone(err) {
				// Its definition has just gone.
				continue
			}
			if err != nil {
				t.Fatalf("listing %s of %s: %v", resource.Name, cluster, err)
			}
			for i := range objects.Items {
				names = append(names, strings.Join([]string{resource.Kind, list.GroupVersion, objects.Items[i].GetNamespace(), objects.Items[i].GetName()}, " "))
			}
		}
	}
	slices.SortFunc(names, cmp.Compare)
	return names
}
