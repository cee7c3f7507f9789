// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// Patcher changes manifests as versions of overrides want them on a cluster.
type Patcher struct {
	cluster cluster
	// namespace of the placement, empty for a cluster-scoped one.
	namespace string
	versions  []changes
	// added is by how many bytes they have made the manifests of each Work larger.
	added map[int]int
	// tried is how many bytes of manifests and values overrides have worked on.
	tried int
}

// cluster is the member that manifests are made for.
type cluster struct {
	name   string
	labels labels.Set
}

// changes are those of the rules of a version that are for the cluster.
type changes struct {
	snapshot v1beta1.OverrideSnapshotObject
	rules    []*v1beta1.OverrideRule
}

// maxAdded is by how many bytes overrides may make the manifests of a Work larger in all. A part of a snapshot with that much more can be stored as a
// Work, whatever is in it: otherwise a namespace could keep the platform from rolling anything out, or have the server hold more than its memory.
const maxAdded = 512 << 10

// maxTried bounds the work of overrides on a version, in bytes of its manifests and of the values for them: a namespace could take all the time that plans
// have.
const maxTried = 32 << 20

// maxMessage is how many bytes are told of one override that is left out.
const maxMessage = 512

// NewPatcher takes the namespace of the placement, empty for a cluster-scoped one, the name and the labels of the cluster, and versions in the
// order in which they are applied. It fails for a label selector that the API does not take.
func NewPatcher(placementNamespace, name string, set labels.Set, versions []v1beta1.OverrideSnapshotObject) (*Patcher, error) {
	p := &Patcher{cluster: cluster{name: name, labels: set}, namespace: placementNamespace, added: map[int]int{}}
	for _, snapshot := range versions {
		v := changes{snapshot: snapshot}
		if policy := snapshot.OverridePolicy(); policy != nil {
			for i := range policy.OverrideRules {
				rule := &policy.OverrideRules[i]
				selected, err := Selects(rule, set)
				if err != nil {
					return nil, fmt.Errorf("%s: rule %d: %w", describe(snapshot), i, err)
				}
				if selected {
					v.rules = append(v.rules, rule)
				}
			}
		}
		p.versions = append(p.versions, v)
	}
	return p, nil
}

// Likeness returns a string that two patchers have in common if they make the same of every manifest. It is empty where that depends on the name or the
// labels of the cluster, which a rule has variables for.
func (p *Patcher) Likeness() string {
	var rules []string
	for _, v := range p.versions {
		for _, rule := range v.rules {
			if slices.ContainsFunc(rule.JSONPatchOverrides, func(step v1beta1.JSONPatchOverride) bool {
				// A variable may be written with escapes.
				return bytes.Contains(step.Value.Raw, []byte("${")) || bytes.Contains(step.Value.Raw, []byte(`\u`))
			}) {
				return ""
			}
			// Versions are never changed.
			rules = append(rules, fmt.Sprintf("%s %p", name(v.snapshot.GetNamespace(), v.snapshot.GetName()), rule))
		}
	}
	return p.namespace + ": " + strings.Join(rules, ", ")
}

// Manifest returns a manifest of a Work as it is on the cluster, nil where it is left out there, and the versions that do not fit it and have no say in
// that. An error is of a version that has: it names the override, the object, the cluster and the step that does not fit. The manifests of a Work have
// one number, and are given in the order in which the Work has them: overrides may make them larger by 512 KiB together.
func (p *Patcher) Manifest(work int, raw []byte) ([]byte, []LeftOut, error) {
	id, err := Identify(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("a manifest cannot be read: %w", err)
	}
	var leftOut []LeftOut
	for _, v := range p.versions {
		if len(v.rules) == 0 || !Changes(v.snapshot, id) {
			continue
		}
		vetoes := Vetoes(v.snapshot, p.namespace)
		var changed []byte
		if p.tried += len(raw) + v.size(); p.tried > maxTried {
			err = fmt.Errorf("%s is not tried on %s in cluster %s: overrides may work on %d bytes of the objects of a version and of the values for them", describe(v.snapshot),
				object(id), p.cluster.name, maxTried)
		} else {
			changed, err = v.apply(raw, id, p.cluster)
		}
		if added, room := len(changed)-len(raw), maxAdded-p.added[work]; err == nil && added > 0 {
			if added > room {
				err = fmt.Errorf("%s makes %s in cluster %s larger by %d bytes, and overrides may add %d more to the Work that has it, %d in all",
					describe(v.snapshot), object(id), p.cluster.name, added, room, maxAdded)
			} else {
				p.added[work] += added
			}
		}
		switch {
		case err == nil:
			raw = changed
		case vetoes:
			return nil, nil, err
		default:
			leftOut = append(leftOut, LeftOut{
				Version: v1beta1.NamespacedName{Namespace: v.snapshot.GetNamespace(), Name: v.snapshot.GetName()},
				Message: wording.Shorten(err.Error(), maxMessage),
			})
		}
		if raw == nil {
			break
		}
	}
	return raw, leftOut, nil
}

// size returns how many bytes the values of the rules have.
func (v *changes) size() (size int) {
	for _, rule := range v.rules {
		for i := range rule.JSONPatchOverrides {
			size += len(rule.JSONPatchOverrides[i].Value.Raw)
		}
	}
	return size
}

// apply returns a manifest as all rules of a version make it, nil where one of them leaves it out.
func (v *changes) apply(raw []byte, id v1beta1.ResourceIdentifier, c cluster) (_ []byte, err error) {
	for _, rule := range v.rules {
		if rule.OverrideType == v1beta1.DeleteOverrideType {
			return nil, nil
		}
		if raw, err = c.patch(raw, rule.JSONPatchOverrides); err != nil {
			return nil, fmt.Errorf("%s on %s in cluster %s: %w", describe(v.snapshot), object(id), c.name, err)
		}
	}
	// Validation keeps patches away from what an object is; nothing here relies on that.
	if patched, err := Identify(raw); err != nil || patched != id {
		return nil, fmt.Errorf("%s makes another object of %s", describe(v.snapshot), object(id))
	}
	return raw, nil
}

// Identify returns which object a manifest is. It reads the manifest as the member's side does: keys that differ in case are different
// keys, and of equal ones the last counts as a whole. Otherwise a manifest could be one object here and another one there.
func Identify(raw []byte) (v1beta1.ResourceIdentifier, error) {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(raw); err != nil {
		return v1beta1.ResourceIdentifier{}, err
	}
	kind := object.GroupVersionKind()
	return v1beta1.ResourceIdentifier{Group: kind.Group, Version: kind.Version, Kind: kind.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}, nil
}

func describe(snapshot v1beta1.OverrideSnapshotObject) string {
	kind := "ResourceOverrideSnapshot"
	if snapshot.GetNamespace() == "" {
		kind = "ClusterResourceOverrideSnapshot"
	}
	return fmt.Sprintf("%s %q", kind, name(snapshot.GetNamespace(), snapshot.GetName()))
}

func object(id v1beta1.ResourceIdentifier) string {
	return fmt.Sprintf("%s %q", id.Kind, name(id.Namespace, id.Name))
}

// name is how users write it.
func name(namespace, name string) string { return strings.TrimPrefix(namespace+"/"+name, "/") }

// LeftOut is a version of an override that does not fit an object, and without which the object is rolled out.
type LeftOut struct {
	// Version of the override, by the name of its snapshot.
	Version v1beta1.NamespacedName `json:"version"`
	// Message names the version, the object, the cluster and the step that does not fit. It is cut where it is long.
	Message string `json:"message"`
}

// Vetoes reports whether a rollout stops at an override that does not fit, in which case the cluster keeps what it has. One that a
// namespace has stops what is placed from that namespace, and not what the platform places: it is left out there. One without a
// namespace stops both, since whoever owns the object could get rid of it otherwise.
func Vetoes(o v1beta1.Override, placementNamespace string) bool {
	return o.GetNamespace() == placementNamespace || o.GetNamespace() == ""
}
