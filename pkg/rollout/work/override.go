// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/overrides"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// overriding is what the overrides that a binding names come to on its cluster.
type overriding struct {
	cluster cluster
	// versions in the order in which they are applied.
	versions []version
}

// cluster is the member that manifests are made for.
type cluster struct {
	name   string
	labels labels.Set
}

// version of an override with those of its rules that are for the cluster.
type version struct {
	snapshot v1beta1.OverrideSnapshotObject
	rules    []*v1beta1.OverrideRule
}

// isOverridden says whether a binding names overrides.
func isOverridden(spec *v1beta1.ResourceBindingSpec) bool {
	return len(spec.ClusterResourceOverrideSnapshots)+len(spec.ResourceOverrideSnapshots) > 0
}

// overridesOf finds the overrides that a binding names: those without a namespace come first.
func (c *Controller) overridesOf(binding v1beta1.BindingObject) (*overriding, error) {
	spec := binding.BindingSpec()
	member, err := c.fleet.MemberClusters.Lister().Get(spec.TargetCluster)
	if err != nil {
		return nil, fmt.Errorf("reading member cluster %s from the cache: %w", spec.TargetCluster, err)
	}
	o := &overriding{cluster: cluster{name: member.Name, labels: member.Labels}}
	for _, name := range spec.ClusterResourceOverrideSnapshots {
		if err := c.addOverride(o, reconcile.Key{Name: name}); err != nil {
			return nil, err
		}
	}
	for _, name := range spec.ResourceOverrideSnapshots {
		if err := c.addOverride(o, reconcile.Key{Namespace: name.Namespace, Name: name.Name}); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (c *Controller) addOverride(o *overriding, key reconcile.Key) error {
	snapshot, err := c.fleet.OverrideSnapshots.Get(key)
	switch {
	case apierrors.IsNotFound(err):
		return overrideErrorf("%s %q is not found", c.fleet.OverrideSnapshots.GroupVersionKind(key.Namespace).Kind, name(key))
	case err != nil:
		return err
	}
	v := version{snapshot: snapshot}
	if policy := snapshot.OverridePolicy(); policy != nil {
		for i := range policy.OverrideRules {
			rule := &policy.OverrideRules[i]
			selected, err := overrides.Selects(rule, o.cluster.labels)
			if err != nil {
				return overrideErrorf("%s: rule %d: %v", describe(snapshot), i, err)
			}
			if selected {
				v.rules = append(v.rules, rule)
			}
		}
	}
	o.versions = append(o.versions, v)
	return nil
}

// apply overrides the manifests of a Work.
func (o *overriding) apply(work *v1beta1.Work) error {
	var manifests []v1beta1.Manifest
	for _, m := range work.Spec.Workload.Manifests {
		raw, err := o.manifest(m.Raw)
		if err != nil {
			return err
		}
		if raw != nil {
			m.Raw = raw
			manifests = append(manifests, m)
		}
	}
	work.Spec.Workload.Manifests = manifests
	return nil
}

// manifest is one as it is on the cluster, nil where it is left out there.
func (o *overriding) manifest(raw []byte) ([]byte, error) {
	id, err := identify(raw)
	if err != nil {
		return nil, userErrorf("a manifest cannot be read: %v", err)
	}
	for _, v := range o.versions {
		if len(v.rules) == 0 || !overrides.Changes(v.snapshot, id) {
			continue
		}
		for _, rule := range v.rules {
			if rule.OverrideType == v1beta1.DeleteOverrideType {
				return nil, nil
			}
			if raw, err = o.cluster.patch(raw, rule.JSONPatchOverrides); err != nil {
				return nil, overrideErrorf("%s on %s in cluster %s: %v", describe(v.snapshot), object(id), o.cluster.name, err)
			}
		}
		// Validation keeps patches away from what an object is; nothing here relies on that.
		if patched, err := identify(raw); err != nil || patched != id {
			return nil, overrideErrorf("%s makes another object of %s", describe(v.snapshot), object(id))
		}
	}
	return raw, nil
}

func describe(snapshot v1beta1.OverrideSnapshotObject) string {
	kind := "ResourceOverrideSnapshot"
	if snapshot.GetNamespace() == "" {
		kind = "ClusterResourceOverrideSnapshot"
	}
	return fmt.Sprintf("%s %q", kind, name(reconcile.KeyOf(snapshot)))
}

func object(id v1beta1.ResourceIdentifier) string {
	return fmt.Sprintf("%s %q", id.Kind, name(reconcile.Key{Namespace: id.Namespace, Name: id.Name}))
}

// name is how users write it.
func name(key reconcile.Key) string {
	if key.Namespace == "" {
		return key.Name
	}
	return key.Namespace + "/" + key.Name
}

// bindingsOfOverride are the bindings that wait for the version of an override.
func (c *Controller) bindingsOfOverride(old, new any) []reconcile.Key {
	snapshot, ok := new.(v1beta1.OverrideSnapshotObject)
	if !ok || old != nil {
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

// identify says which object a manifest is.
func identify(raw []byte) (v1beta1.ResourceIdentifier, error) {
	object, err := decode(raw)
	if err != nil {
		return v1beta1.ResourceIdentifier{}, err
	}
	kind := object.GroupVersionKind()
	return v1beta1.ResourceIdentifier{Group: kind.Group, Version: kind.Version, Kind: kind.Kind, Namespace: object.Namespace, Name: object.Name}, nil
}
