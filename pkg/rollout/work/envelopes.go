// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/envelope"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// What an envelope carries is in a Work of its own. An envelope that cannot be used keeps nothing else from being placed: its Work is not
// written, so that the version never has all its Works, and then the applier removes nothing that the version lacks: any of that may be
// what the envelope was to carry. Works of earlier versions stay as they are for the same reason, but let go of what the others have.

// maxUnusable is how many bytes are said of one envelope that cannot be used.
const maxUnusable = 1 << 10

// opened is what is in a part of a version.
type opened struct {
	// plain are the objects that are placed as they are.
	plain     []v1beta1.Manifest
	envelopes []envelope.Envelope
}

// open returns what is in a part of a version. What cannot be identified is plain: check refuses it.
func open(snapshot v1beta1.ResourceSnapshotObject, limits *placeable.Limits) opened {
	var o opened
	for _, resource := range snapshot.SnapshotSpec().SelectedResources {
		id, err := overrides.Identify(resource.Raw)
		if err == nil && envelope.Is(id) {
			o.envelopes = append(o.envelopes, envelope.Open(id, resource.Raw).Within(limits))
			continue
		}
		manifest := v1beta1.Manifest{}
		manifest.Raw = resource.Raw
		o.plain = append(o.plain, manifest)
	}
	return o
}

// unusable is an envelope of a version of which there is no Work, and why.
type unusable struct {
	id v1beta1.EnvelopeIdentifier
	// culprit is the object that it is about, nil where it is not known which that is.
	culprit *v1beta1.ResourceIdentifier
	err     error
}

func (u unusable) isOverridden() bool {
	var override *overrideError
	return errors.As(u.err, &override)
}

func (u unusable) message() string { return wording.Shorten(u.err.Error(), maxUnusable) }

// manifestsOf are what an envelope carries, as a Work has it.
func manifestsOf(e *envelope.Envelope) []v1beta1.Manifest {
	manifests := make([]v1beta1.Manifest, len(e.Contents))
	for i := range e.Contents {
		manifests[i].Raw = e.Contents[i].Manifest
	}
	return manifests
}

// label makes a Work say whose contents it has.
func label(work *v1beta1.Work, id v1beta1.EnvelopeIdentifier) {
	work.Labels[wellknown.EnvelopeTypeLabel] = string(id.Type)
	if id.Namespace != "" {
		work.Labels[wellknown.EnvelopeNamespaceLabel] = id.Namespace
	}
	if len(id.Name) <= maxLabel {
		work.Labels[wellknown.EnvelopeNameLabel] = id.Name
	} else {
		work.Annotations[wellknown.EnvelopeNameAnnotation] = id.Name
	}
}

// maxLabel is how long the value of a label may be.
const maxLabel = 63

// envelopeOf is the envelope whose contents a Work has, nil for none.
func envelopeOf(work *v1beta1.Work) *v1beta1.EnvelopeIdentifier {
	kind := work.Labels[wellknown.EnvelopeTypeLabel]
	if kind == "" {
		return nil
	}
	id := &v1beta1.EnvelopeIdentifier{
		Name: work.Labels[wellknown.EnvelopeNameLabel], Namespace: work.Labels[wellknown.EnvelopeNamespaceLabel], Type: v1beta1.EnvelopeType(kind),
	}
	if id.Name == "" {
		id.Name = work.Annotations[wellknown.EnvelopeNameAnnotation]
	}
	return id
}

// identity tells objects apart on a member. The version of a kind does not.
type identity struct {
	kind schema.GroupKind
	name types.NamespacedName
}

func identityOf(manifest []byte) (identity, bool) {
	id, err := overrides.Identify(manifest)
	return identity{schema.GroupKind{Group: id.Group, Kind: id.Kind}, types.NamespacedName{Namespace: id.Namespace, Name: id.Name}}, err == nil
}

// letGo has the Works that are left of an earlier version hold nothing that those of the version hold: two Works that hold an object both
// wait for each other. What is left of a version is not that version any more: who goes back to it gets the object back.
func (c *Controller) letGo(ctx context.Context, binding v1beta1.BindingObject, existing, written []*v1beta1.Work) error {
	held, names := sets.New[identity](), sets.New[string]()
	for _, work := range written {
		names.Insert(work.Name)
		for _, m := range work.Spec.Workload.Manifests {
			if id, ok := identityOf(m.Raw); ok {
				held.Insert(id)
			}
		}
	}
	for _, work := range existing {
		if names.Has(work.Name) {
			continue
		}
		changed := work.DeepCopy()
		changed.Spec.Workload.Manifests = slices.DeleteFunc(changed.Spec.Workload.Manifests, func(m v1beta1.Manifest) bool {
			id, ok := identityOf(m.Raw)
			return ok && held.Has(id)
		})
		if len(changed.Spec.Workload.Manifests) == len(work.Spec.Workload.Manifests) {
			continue
		}
		// The snapshot is still one of those whose objects the cluster has.
		delete(changed.Annotations, wellknown.OverrideHashAnnotation)
		delete(changed.Annotations, wellknown.ClusterOverrideHashAnnotation)
		updated, err := c.fleet.Clientset.PlacementV1beta1().Works(work.Namespace).Update(ctx, changed, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("having Work %s hold no more what others hold: %w", reconcile.KeyOf(work), err)
		}
		c.wrote(ctx, binding, updated)
	}
	return nil
}

// unusableConditions say in a binding why there is no Work of some envelopes: in Overridden where an override is the reason, which only
// goes wrong on this cluster perhaps, and in WorkSynchronized otherwise.
func unusableConditions(overridden metav1.Condition, all []unusable) []metav1.Condition {
	first := all[0]
	if i := slices.IndexFunc(all, unusable.isOverridden); i >= 0 {
		return []metav1.Condition{isFalse(v1beta1.BindingOverridden, reasonOverriddenFailed,
			"Failed to apply the override rules on the resources: %s%s", all[i].message(), others(all))}
	}
	return []metav1.Condition{overridden, isFalse(v1beta1.BindingWorkSynchronized, reasonSyncFailed,
		"Failed to synchronize the work to the latest: %s%s", first.message(), others(all))}
}

// others counts the envelopes of which a message does not tell, and says what becomes of everything else.
func others(all []unusable) string {
	var more string
	if len(all) > 1 {
		more = fmt.Sprintf(" (and %s)", wording.Count(len(all)-1, "more envelope"))
	}
	return more + ". All else is placed, and nothing is removed from the cluster until the envelope can be used"
}

// failedPlacement is how the lists of a status have an envelope that cannot be used: by the object that it is about, or by itself.
func (u unusable) failedPlacement(since metav1.Time, generation int64) v1beta1.FailedResourcePlacement {
	id := v1beta1.ResourceIdentifier{Group: v1beta1.GroupName, Version: v1beta1.SchemeGroupVersion.Version, Kind: string(u.id.Type), Namespace: u.id.Namespace, Name: u.id.Name}
	if u.culprit != nil {
		id = *u.culprit
	}
	id.Envelope = u.id.DeepCopy()
	return v1beta1.FailedResourcePlacement{ResourceIdentifier: id, Condition: metav1.Condition{
		Type: v1beta1.WorkApplied, Status: metav1.ConditionFalse, Reason: wellknown.ReasonEnvelopeUnusable, Message: u.message(),
		ObservedGeneration: generation, LastTransitionTime: since,
	}}
}

// hashesOf lists the Works of envelopes among all of a version, for the first of them.
func hashesOf(placement reconcile.Key, names []string) string {
	var hashes []string
	for _, name := range names {
		if hash := wellknown.EnvelopeHash(placement.Namespace, placement.Name, name); hash != "" {
			hashes = append(hashes, hash)
		}
	}
	return strings.Join(hashes, ",")
}
