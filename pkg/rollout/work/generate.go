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
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/envelope"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// missingSnapshotError says that what a binding names is not there, at least not whole.
type missingSnapshotError struct{ message string }

func (e *missingSnapshotError) Error() string { return e.message }

// desired is what the Works of a binding are to be.
type desired struct {
	// works are one for each part of its snapshot, so at least one, and one for each envelope that can be used.
	works []*v1beta1.Work
	// names are those of all Works of the version, with those of envelopes that cannot be used.
	names sets.Set[string]
	// unusable are the envelopes of which there are no Works.
	unusable []unusable
}

func (c *Controller) desired(ctx context.Context, binding v1beta1.BindingObject, existing []*v1beta1.Work) (desired, error) {
	parts, err := c.parts(binding)
	if err != nil {
		return desired{}, err
	}
	nameOf, err := c.naming(ctx, binding)
	if err != nil {
		return desired{}, err
	}
	placement := placementOf(binding)
	d := desired{names: sets.New[string]()}
	var envelopes []envelope.Envelope
	for i, part := range parts {
		if err := c.checks.of(part); err != nil {
			return desired{}, err
		}
		subindex := ""
		if i > 0 {
			subindex = part.GetAnnotations()[wellknown.SubindexAnnotation]
		}
		content := c.checks.open(part)
		work := c.newWork(binding, nameOf(placement.Namespace, placement.Name, subindex), parts[0], content.plain)
		d.works = append(d.works, work)
		d.names.Insert(work.Name)
		envelopes = append(envelopes, content.envelopes...)
	}
	if len(envelopes) > envelope.Max {
		return desired{}, reconcile.Terminalf("resource snapshot %q has %d envelopes, and no version may have more than %d: divide them among several placements",
			parts[0].GetName(), len(envelopes), envelope.Max)
	}
	for i := range envelopes {
		e := &envelopes[i]
		// Whatever the other Works of the placement are called, this name is no other placement's.
		name := wellknown.WorkName(placement.Namespace, placement.Name, wellknown.EnvelopePart(string(e.ID.Type), e.ID.Namespace, e.ID.Name))
		switch {
		case d.names.Has(name):
			// It is selected in several versions of its kind.
			continue
		case e.Err != nil:
			d.unusable = append(d.unusable, unusable{e.ID, e.Culprit, e.Err})
		default:
			work := c.newWork(binding, name, parts[0], manifestsOf(e))
			label(work, e.ID)
			d.works = append(d.works, work)
		}
		d.names.Insert(name)
	}
	for i, work := range d.works {
		work.Annotations[wellknown.NumberOfWorksAnnotation] = strconv.Itoa(len(d.names))
		work.Annotations[wellknown.AcceptPlacementsAnnotation] = c.acceptance(binding)
		work.Annotations[wellknown.PruneAnnotation], work.Annotations[wellknown.PruneTimeAnnotation] = c.pruneOf(binding, existing, work.Name)
		work.Annotations[wellknown.EnvelopeWorksAnnotation] = ""
		if i == 0 {
			work.Annotations[wellknown.EnvelopeWorksAnnotation] = hashesOf(placement, sets.List(d.names))
		}
	}
	if isOverridden(binding.BindingSpec()) {
		err = c.override(binding, existing, &d)
	}
	return d, err
}

// naming is how the Works of a binding are named: as those are that its placement has on the cluster already, since a Work under another
// name would be another one, for the same objects.
func (c *Controller) naming(ctx context.Context, binding v1beta1.BindingObject) (func(namespace, placement, part string) string, error) {
	placement, cluster := placementOf(binding), binding.BindingSpec().TargetCluster
	if wellknown.WorkName(placement.Namespace, placement.Name, "") == wellknown.UpstreamWorkName(placement.Namespace, placement.Name, "") {
		return wellknown.WorkName, nil
	}
	works := c.fleet.WorksOn(placement, cluster)
	if len(works) == 0 {
		// The cache may lack those of another server that had the turn before.
		list, err := c.fleet.Clientset.PlacementV1beta1().Works(wellknown.MemberNamespace(cluster)).List(ctx, metav1.ListOptions{
			LabelSelector: selectorOfPlacement(placement).String(),
		})
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

func (c *Controller) newWork(binding v1beta1.BindingObject, name string, master v1beta1.ResourceSnapshotObject, manifests []v1beta1.Manifest) *v1beta1.Work {
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
			Workload:      v1beta1.WorkloadTemplate{Manifests: slices.Clone(manifests)},
			ApplyStrategy: spec.ApplyStrategy.DeepCopy(),
		},
	}
	// Empty where the snapshot does not say it, so that what an earlier one said goes.
	work.Annotations[wellknown.HubUIDAnnotation] = master.GetAnnotations()[wellknown.HubUIDAnnotation]
	work.Annotations[wellknown.LeftOutOverridesAnnotation] = ""
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
