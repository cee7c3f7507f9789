// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// manifest is one manifest of a Work, decoded.
type manifest struct {
	ordinal int
	// object is what the manifest says, without what belongs to one cluster alone.
	object *unstructured.Unstructured
	// hash of the object. Finalizers and the ttlSecondsAfterFinished of a Job count, though they are not placed: what an earlier version has
	// applied with them is not taken for something else, over which drifts would be forgotten.
	hash string
	key  types.NamespacedName
	// resource is empty as long as the member does not know the kind.
	resource schema.GroupVersionResource
	// unknown is why it is empty.
	unknown error
	// refused is why it is never applied as it stands.
	refused *verdict
	// quotable are objects that what a member says of a Secret may quote. It is empty between two passes.
	quotable []*unstructured.Unstructured
}

// decode reads the manifests of a Work. What is wrong with one of them is kept in it.
func decode(raw []v1beta1.Manifest) []*manifest {
	manifests := make([]*manifest, len(raw))
	seen := map[identity]int{}
	for i := range raw {
		m := &manifest{ordinal: i, object: &unstructured.Unstructured{}}
		manifests[i] = m
		if err := m.object.UnmarshalJSON(raw[i].Raw); err != nil {
			m.object = &unstructured.Unstructured{}
			m.refuse(reasonDecodingFailed, fmt.Sprintf("Failed to decode the manifest: %v", err))
			continue
		}
		m.clean()
		m.key = types.NamespacedName{Namespace: m.object.GetNamespace(), Name: m.object.GetName()}
		switch {
		case m.object.GetGenerateName() != "":
			m.refuse(reasonFoundGenerateName, "The manifest has a generateName, with which each apply would make another object; give it a name")
			continue
		case m.key.Name == "":
			m.refuse(reasonDecodingFailed, "The manifest has no name")
			continue
		}
		id := identityOf(m.identifier())
		if first, dup := seen[id]; dup {
			m.refuse(reasonDuplicated, fmt.Sprintf("The object is in the Work already, as manifest %d: take one of the two out of the envelope that has both", first))
			continue
		}
		seen[id] = i
	}
	return manifests
}

func (m *manifest) refuse(reason, message string) {
	m.refused = &verdict{reason: reason, message: message}
}

// clean takes away what the member's API server sets by itself or what another cluster has said.
func (m *manifest) clean() {
	for _, field := range []string{
		"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
		"managedFields", "ownerReferences", "selfLink",
	} {
		unstructured.RemoveNestedField(m.object.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(m.object.Object, "status")
	// Marshaling what was just unmarshaled does not fail, and a map's keys are sorted.
	data, _ := json.Marshal(m.object.Object)
	sum := sha256.Sum256(data)
	m.hash = hex.EncodeToString(sum[:])
	withoutFinalizers(m.object.Object)
	withoutTTL(m.object)
	withoutMarks(m.object)
}

// resolved takes note of what the member calls the kind.
func (m *manifest) resolved(mapping *meta.RESTMapping) {
	m.resource = mapping.Resource
	namespaced := mapping.Scope.Name() == meta.RESTScopeNameNamespace
	switch {
	case namespaced && m.key.Namespace == "":
		m.refuse(reasonApplyFailed, failedToApply(fmt.Errorf("%s is a namespaced kind and the manifest names no namespace", m.object.GetKind())))
	case !namespaced && m.key.Namespace != "":
		m.refuse(reasonApplyFailed, failedToApply(fmt.Errorf("%s is a cluster-scoped kind and the manifest names a namespace", m.object.GetKind())))
	}
}

// isListed reports whether the AppliedWork lists the object. It does not matter whether the manifest is refused: an earlier one of the object may have been
// applied, and another Work of the placement may hand it over.
func (m *manifest) isListed() bool {
	return (m.refused == nil || m.refused.reason != reasonDuplicated) && isPossible(m.identifier())
}

// readable reports whether the manifest says which object it is.
func (m *manifest) readable() bool { return m.object.GetKind() != "" }

func (m *manifest) isResolved() bool { return m.resource.Resource != "" }

func keyOf(name string) types.NamespacedName { return types.NamespacedName{Name: name} }

// identifier names the manifest in statuses.
func (m *manifest) identifier() v1beta1.WorkResourceIdentifier {
	gvk := m.object.GroupVersionKind()
	return v1beta1.WorkResourceIdentifier{
		Ordinal:   m.ordinal,
		Group:     gvk.Group,
		Version:   gvk.Version,
		Kind:      gvk.Kind,
		Resource:  m.resource.Resource,
		Namespace: m.key.Namespace,
		Name:      m.key.Name,
	}
}

// identity tells objects apart. The version does not: it is the same object in all of them.
type identity struct{ group, kind, namespace, name string }

func identityOf(id v1beta1.WorkResourceIdentifier) identity {
	return identity{id.Group, id.Kind, id.Namespace, id.Name}
}
