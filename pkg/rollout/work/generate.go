// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// missingSnapshotError says that what a binding names is not there, at least not whole.
type missingSnapshotError struct{ message string }

func (e *missingSnapshotError) Error() string { return e.message }

// desired are the Works that a binding is to have: one for each part of its snapshot, so at least one.
func (c *Controller) desired(ctx context.Context, binding v1beta1.BindingObject, existing []*v1beta1.Work) ([]*v1beta1.Work, error) {
	parts, err := c.parts(binding)
	if err != nil {
		return nil, err
	}
	nameOf, err := c.naming(ctx, binding)
	if err != nil {
		return nil, err
	}
	works := make([]*v1beta1.Work, len(parts))
	for i, part := range parts {
		if err := c.checks.of(part); err != nil {
			return nil, err
		}
		subindex := ""
		if i > 0 {
			subindex = part.GetAnnotations()[wellknown.SubindexAnnotation]
		}
		works[i] = c.newWork(binding, nameOf(binding.GetNamespace(), placementOf(binding).Name, subindex), parts[0], part)
		works[i].Annotations[wellknown.NumberOfWorksAnnotation] = strconv.Itoa(len(parts))
		works[i].Annotations[wellknown.AcceptPlacementsAnnotation] = c.acceptance(binding)
		works[i].Annotations[wellknown.PruneAnnotation], works[i].Annotations[wellknown.PruneTimeAnnotation] = c.pruneOf(binding, existing, works[i].Name)
	}
	if isOverridden(binding.BindingSpec()) {
		if err := c.override(binding, existing, works); err != nil {
			return nil, err
		}
	}
	return works, nil
}

// naming is how the Works of a binding are named: as those are that its placement has on the cluster already, since a Work under another
// name would be another one, for the same objects.
func (c *Controller) naming(ctx context.Context, binding v1beta1.BindingObject) (func(namespace, placement, part string) string, error) {
	placement, cluster := placementOf(binding), wellknown.MemberNamespace(binding.BindingSpec().TargetCluster)
	if wellknown.WorkName(placement.Namespace, placement.Name, "") == wellknown.UpstreamWorkName(placement.Namespace, placement.Name, "") {
		return wellknown.WorkName, nil
	}
	selector := selectorOfPlacement(placement)
	works, err := c.fleet.Works.Lister().Works(cluster).List(selector)
	if err != nil {
		return nil, fmt.Errorf("listing the Works of placement %s: %w", placement, err)
	}
	if len(works) == 0 {
		// The cache may lack those of another server that had the turn before.
		list, err := c.fleet.Clientset.PlacementV1beta1().Works(cluster).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
		if err != nil {
			return nil, fmt.Errorf("listing the Works of placement %s: %w", placement, err)
		}
		for i := range list.Items {
			works = append(works, &list.Items[i])
		}
	}
	for _, work := range works {
		part, ok := wellknown.WorkPart(placement.Namespace, placement.Name, work.Name)
		name := ""
		if part >= 0 {
			name = strconv.Itoa(part)
		}
		if ok && work.Name == wellknown.UpstreamWorkName(placement.Namespace, placement.Name, name) {
			return wellknown.UpstreamWorkName, nil
		}
	}
	return wellknown.WorkName, nil
}

// acceptance is what Works of a binding say of the namespaces of its cluster: "true" where they take whatever placements in namespaces
// place, empty otherwise.
func (c *Controller) acceptance(binding v1beta1.BindingObject) string {
	member, err := c.fleet.MemberClusters.Lister().Get(binding.BindingSpec().TargetCluster)
	if err != nil || binding.GetNamespace() == "" || member.Labels[wellknown.AcceptPlacementsLabel] != "true" {
		return ""
	}
	return "true"
}

// parts are the snapshot that a binding names and what did not fit into it, in order.
func (c *Controller) parts(binding v1beta1.BindingObject) ([]v1beta1.ResourceSnapshotObject, error) {
	name := binding.BindingSpec().ResourceSnapshotName
	master, err := c.fleet.Snapshots.Get(reconcile.Key{Namespace: binding.GetNamespace(), Name: name})
	switch {
	case apierrors.IsNotFound(err):
		return nil, &missingSnapshotError{fmt.Sprintf("resource snapshot %q is not found", name)}
	case err != nil:
		return nil, err
	}
	parts, want, err := snapshotrules.Parts(master, c.fleet.Snapshots.ByIndex(fleet.ByPlacement, placementOf(master)))
	if err != nil {
		return nil, reconcile.Terminalf("%v", err)
	}
	if len(parts) != want {
		return nil, &missingSnapshotError{fmt.Sprintf("resource snapshot %q has %d of its %d parts", name, len(parts), want)}
	}
	return parts, nil
}

func (c *Controller) newWork(binding v1beta1.BindingObject, name string, master, part v1beta1.ResourceSnapshotObject) *v1beta1.Work {
	spec := binding.BindingSpec()
	labels := map[string]string{
		wellknown.ParentPlacementLabel:     placementOf(binding).Name,
		wellknown.ParentBindingLabel:       binding.GetName(),
		wellknown.ParentSnapshotIndexLabel: snapshotrules.Index(master),
	}
	if namespace := binding.GetNamespace(); namespace != "" {
		labels[wellknown.ParentNamespaceLabel] = namespace
	}
	work := &v1beta1.Work{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   wellknown.MemberNamespace(spec.TargetCluster),
			Name:        name,
			Labels:      labels,
			Annotations: versionOf(spec),
			// From the start, so that nothing can be applied for a Work that may go without it being removed.
			Finalizers: []string{wellknown.WorkCleanupFinalizer},
		},
		Spec: v1beta1.WorkSpec{
			Workload:      v1beta1.WorkloadTemplate{Manifests: make([]v1beta1.Manifest, len(part.SnapshotSpec().SelectedResources))},
			ApplyStrategy: spec.ApplyStrategy.DeepCopy(),
		},
	}
	// Empty where the snapshot does not say it, so that what an earlier one said goes.
	work.Annotations[wellknown.HubUIDAnnotation] = master.GetAnnotations()[wellknown.HubUIDAnnotation]
	work.Annotations[wellknown.LeftOutOverridesAnnotation] = ""
	for i, resource := range part.SnapshotSpec().SelectedResources {
		work.Spec.Workload.Manifests[i].Raw = resource.Raw
	}
	if placement, err := c.fleet.Placements.Get(placementOf(binding)); err == nil {
		work.Spec.ReportBackStrategy = placement.PlacementSpec().Strategy.ReportBackStrategy.DeepCopy()
	}
	return work
}

// versionOf are the annotations of a Work that say which version it holds.
func versionOf(spec *v1beta1.ResourceBindingSpec) map[string]string {
	return map[string]string{
		wellknown.ParentSnapshotNameAnnotation:  spec.ResourceSnapshotName,
		wellknown.ClusterOverrideHashAnnotation: hash(spec.ClusterResourceOverrideSnapshots),
		wellknown.OverrideHashAnnotation:        hash(spec.ResourceOverrideSnapshots),
	}
}

// holds reports whether a Work holds a version already.
func holds(work *v1beta1.Work, version map[string]string) bool {
	for annotation, value := range version {
		if work.Annotations[annotation] != value {
			return false
		}
	}
	return work.DeletionTimestamp == nil
}

// hash of the names of overrides, as other implementations write it.
func hash(names any) string {
	// Lists of strings can always be encoded.
	data, _ := json.Marshal(names)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// merged is a Work made what is desired, or nil where it is that already. Labels, annotations and finalizers of others stay.
func merged(existing, desired *v1beta1.Work) *v1beta1.Work {
	work := existing.DeepCopy()
	if work.Labels == nil {
		work.Labels = map[string]string{}
	}
	if work.Annotations == nil {
		work.Annotations = map[string]string{}
	}
	changed := put(work.Labels, desired.Labels)
	changed = put(work.Annotations, desired.Annotations) || changed
	if !sameManifests(work.Spec.Workload.Manifests, desired.Spec.Workload.Manifests) {
		work.Spec.Workload = desired.Spec.Workload
		changed = true
	}
	if !equality.Semantic.DeepEqual(work.Spec.ApplyStrategy, desired.Spec.ApplyStrategy) {
		work.Spec.ApplyStrategy = desired.Spec.ApplyStrategy
		changed = true
	}
	if !equality.Semantic.DeepEqual(work.Spec.ReportBackStrategy, desired.Spec.ReportBackStrategy) {
		work.Spec.ReportBackStrategy = desired.Spec.ReportBackStrategy
		changed = true
	}
	for _, finalizer := range desired.Finalizers {
		changed = reconcile.AddFinalizer(work, finalizer) || changed
	}
	if !changed {
		return nil
	}
	return work
}

// put reports whether it has changed anything. An empty value takes the key away.
func put(into, values map[string]string) bool {
	changed := false
	for k, v := range values {
		changed = changed || into[k] != v
		if into[k] = v; v == "" {
			delete(into, k)
		}
	}
	return changed
}

// sameManifests compares what manifests say, not how it is written.
func sameManifests(a, b []v1beta1.Manifest) bool {
	return slices.EqualFunc(a, b, func(x, y v1beta1.Manifest) bool {
		if bytes.Equal(x.Raw, y.Raw) {
			return true
		}
		var ox, oy any
		return json.Unmarshal(x.Raw, &ox) == nil && json.Unmarshal(y.Raw, &oy) == nil && equality.Semantic.DeepEqual(ox, oy)
	})
}
