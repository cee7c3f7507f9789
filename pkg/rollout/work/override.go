// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/envelope"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
)

// isOverridden reports whether a binding names overrides.
func isOverridden(spec *v1beta1.ResourceBindingSpec) bool {
	return len(spec.ClusterResourceOverrideSnapshots)+len(spec.ResourceOverrideSnapshots) > 0
}

// override makes the manifests of a binding's Works what they are on its cluster. That is decided when the cluster is moved: once all Works
// hold the version, each keeps its manifests, whatever labels the cluster has got since. Before, a Work may hold what had the same name. To apply
// what a cluster was compared with is a move. An override that does not fit what an envelope carries makes that envelope unusable, and keeps
// nothing else back.
func (c *Controller) override(binding v1beta1.BindingObject, existing []*v1beta1.Work, d *desired) error {
	var works []*v1beta1.Work
	var o *overrides.Patcher
	version := versionOf(binding.BindingSpec())
	staying := thatStay(existing)
	held, known := bindingrules.Synchronized(binding)
	isApplied := bindingrules.Compares(held.ApplyStrategy) && !bindingrules.Compares(binding.BindingSpec().ApplyStrategy)
	// Where some hold another version, the cluster is moved back from that.
	isBack := slices.ContainsFunc(staying, func(w *v1beta1.Work) bool { return !holds(w, version) })
	decided := bindingrules.HasContent(binding) && !isApplied && !isBack
	if !known {
		// A first version of which only a part was written may have named what something else is called by now.
		decided = holdAll(staying, version)
	}
	for i, work := range d.works {
		if held := slices.IndexFunc(existing, func(w *v1beta1.Work) bool { return w.Name == work.Name && holds(w, version) }); held >= 0 && decided {
			work.Spec.Workload = existing[held].Spec.Workload
			work.Annotations[wellknown.LeftOutOverridesAnnotation] = existing[held].Annotations[wellknown.LeftOutOverridesAnnotation]
			works = append(works, work)
			continue
		}
		if o == nil {
			var err error
			if o, err = c.overridesOf(binding); err != nil {
				return err
			}
		}
		culprit, err := overrideWork(work, o, i)
		id := envelopeOf(work)
		switch {
		case err == nil:
			works = append(works, work)
		case id == nil:
			return err
		default:
			in := ""
			if culprit.Namespace != "" {
				in = fmt.Sprintf(" in namespace %q", culprit.Namespace)
			}
			d.unusable = append(d.unusable, unusable{*id, culprit, overrideErrorf("failed to apply overrides to %s %q%s from envelope %s: %v",
				culprit.Kind, culprit.Name, in, envelope.Ref(*id), err)})
		}
	}
	d.works = works
	return nil
}

// overridesOf finds the overrides that a binding names: those without a namespace come first.
func (c *Controller) overridesOf(binding v1beta1.BindingObject) (*overrides.Patcher, error) {
	spec := binding.BindingSpec()
	member, err := c.fleet.MemberClusters.Lister().Get(spec.TargetCluster)
	if err != nil {
		return nil, fmt.Errorf("reading member cluster %s from the cache: %w", spec.TargetCluster, err)
	}
	var keys []reconcile.Key
	for _, name := range spec.ClusterResourceOverrideSnapshots {
		keys = append(keys, reconcile.Key{Name: name})
	}
	for _, name := range spec.ResourceOverrideSnapshots {
		keys = append(keys, reconcile.Key{Namespace: name.Namespace, Name: name.Name})
	}
	var versions []v1beta1.OverrideSnapshotObject
	for _, key := range keys {
		snapshot, err := c.fleet.OverrideSnapshots.Get(key)
		switch {
		case apierrors.IsNotFound(err):
			return nil, overrideErrorf("%s %q is not found", c.fleet.OverrideSnapshots.GroupVersionKind(key.Namespace).Kind,
				strings.TrimPrefix(key.String(), "/"))
		case err != nil:
			return nil, err
		}
		versions = append(versions, snapshot)
	}
	o, err := overrides.NewPatcher(binding.GetNamespace(), member.Name, member.Labels, versions)
	if err != nil {
		return nil, overrideErrorf("%v", err)
	}
	return o, nil
}

// overrideWork makes the manifests of the Work with a number what overrides want. It returns the object that an override does not fit with the error.
func overrideWork(work *v1beta1.Work, o *overrides.Patcher, number int) (*v1beta1.ResourceIdentifier, error) {
	var manifests []v1beta1.Manifest
	var leftOut []overrides.LeftOut
	for _, m := range work.Spec.Workload.Manifests {
		raw, unfit, err := o.Manifest(number, m.Raw)
		if err != nil {
			// Whether it can be identified is part of the error.
			id, _ := overrides.Identify(m.Raw)
			return &id, overrideErrorf("%v", err)
		}
		leftOut = append(leftOut, unfit...)
		if raw != nil {
			m.Raw = raw
			manifests = append(manifests, m)
		}
	}
	work.Spec.Workload.Manifests = manifests
	work.Annotations[wellknown.LeftOutOverridesAnnotation] = encodeLeftOut(leftOut)
	return nil, nil
}

// bindingsOfOverride are the bindings that wait for the version of an override.
func (c *Controller) bindingsOfOverride(oldObj, newObj any) []reconcile.Key {
	snapshot, ok := newObj.(v1beta1.OverrideSnapshotObject)
	if !ok || oldObj != nil {
		// What a version says never changes, and one that goes takes nothing along.
		return nil
	}
	key := v1beta1.NamespacedName{Namespace: snapshot.GetNamespace(), Name: snapshot.GetName()}
	var keys []reconcile.Key
	for _, b := range c.fleet.Bindings.All() {
		spec := b.BindingSpec()
		if slices.Contains(spec.ResourceOverrideSnapshots, key) ||
			key.Namespace == "" && slices.Contains(spec.ClusterResourceOverrideSnapshots, key.Name) {
			keys = append(keys, reconcile.KeyOf(b))
		}
	}
	return keys
}

// bindingsOfMember are the bindings whose overrides may fit a cluster now that its labels are others, those of which its namespaces take
// what they did not, or no longer do, and all of its bindings where it can be used again, or no more.
func (c *Controller) bindingsOfMember(oldObj, newObj any) []reconcile.Key {
	before, okBefore := oldObj.(*clusterv1beta1.MemberCluster)
	after, okAfter := newObj.(*clusterv1beta1.MemberCluster)
	if !okBefore || !okAfter {
		return nil
	}
	all := unreachable(before) != unreachable(after)
	if !all && maps.Equal(before.Labels, after.Labels) {
		return nil
	}
	accepts := before.Labels[wellknown.AcceptPlacementsLabel] != after.Labels[wellknown.AcceptPlacementsLabel]
	var keys []reconcile.Key
	for _, b := range c.fleet.Bindings.All() {
		if spec := b.BindingSpec(); spec.TargetCluster == after.Name && (all || isOverridden(spec) || accepts && b.GetNamespace() != "") {
			keys = append(keys, reconcile.KeyOf(b))
		}
	}
	return keys
}
