// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// maxAnnotations is how many bytes the annotations of an object may have in all, keys included.
const maxAnnotations = 256 << 10

// noVersion is a resourceVersion that no object has. A server-side apply of it makes an object, and changes none that is there: API servers
// compare the version with that of an object, and set their own for one that they create.
const noVersion = "9223372036854775807"

// write brings an object to what the manifest says, the way the strategy wants, and returns it as it then is. live is nil where the
// object does not exist. Nothing is written to another object than the one that was looked at, which one that was made meanwhile is too.
func (p *pass) write(ctx context.Context, m *manifest, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if p.strategy.Type == v1beta1.ApplyStrategyTypeServerSideApply {
		return p.writeServerSide(ctx, m, live, p.strategy.force())
	}
	desired, fits := m.clientSide(p.record.owner, live)
	if !fits {
		// There is no room for a record of what was last applied, so the member's server must keep it. Force, since a client-side apply wins
		// over other managers too.
		return p.writeServerSide(ctx, m, live, true)
	}
	if isRecordedServerSide(live) {
		// A merge knows only the record in the annotation: what the manifest has no more goes by the record that there is, before one is made.
		var err error
		if live, err = p.writeServerSide(ctx, m, live, true); err != nil {
			return nil, err
		}
		desired, _ = m.clientSide(p.record.owner, live)
	}
	client := p.member.client(m)
	if live == nil {
		if err := p.open(ctx); err != nil {
			return nil, err
		}
		created, err := client.Create(ctx, desired, metav1.CreateOptions{FieldManager: wellknown.FieldManager})
		return created, answered(err)
	}
	patchType, patch, err := threeWay(desired, live)
	if err != nil {
		return nil, fmt.Errorf("merging the manifest into the object: %w", err)
	}
	if patch == nil {
		return live, nil
	}
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	patched, err := client.Patch(ctx, m.key.Name, patchType, patch, metav1.PatchOptions{FieldManager: wellknown.FieldManager})
	return patched, answered(err)
}

func (p *pass) writeServerSide(ctx context.Context, m *manifest, live *unstructured.Unstructured, force bool) (*unstructured.Unstructured, error) {
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	client, desired := p.member.client(m), m.serverSide(p.record.owner, live)
	if live == nil {
		desired.SetResourceVersion(noVersion)
		created, err := client.Apply(ctx, m.key.Name, desired, metav1.ApplyOptions{FieldManager: wellknown.FieldManager, Force: force})
		if !apierrors.IsConflict(err) {
			return created, answered(err)
		}
		// Somebody has made the object since the look, or the API server makes none that is to have a version. A creation tells.
		desired.SetResourceVersion("")
		if live, err = client.Create(ctx, desired, metav1.CreateOptions{FieldManager: wellknown.FieldManager}); err != nil {
			return nil, answered(err)
		}
	}
	// The fields of an update, such as the creation above, become those of an apply.
	upgrade, err := managedPatch(live)
	if err != nil {
		return nil, fmt.Errorf("reading the managed fields: %w", err)
	}
	if upgrade != nil {
		if live, err = client.Patch(ctx, m.key.Name, types.JSONPatchType, upgrade, metav1.PatchOptions{FieldManager: wellknown.FieldManager}); err != nil {
			return nil, answered(fmt.Errorf("taking the managed fields over: %w", err))
		}
	}
	// What another applier of this name, such as one of an earlier version, has set meanwhile would go with fields that are ours.
	desired.SetResourceVersion(live.GetResourceVersion())
	applied, err := client.Apply(ctx, m.key.Name, desired, metav1.ApplyOptions{FieldManager: wellknown.FieldManager, Force: force})
	return applied, answered(err)
}

// isRecordedServerSide reports whether the member's API server alone knows what was last applied to an object: by a server-side apply, or
// since there was no room for the annotation.
func isRecordedServerSide(live *unstructured.Unstructured) bool {
	if live == nil || live.GetAnnotations()[wellknown.LastAppliedAnnotation] != "" {
		return false
	}
	return slices.ContainsFunc(live.GetManagedFields(), func(fields metav1.ManagedFieldsEntry) bool {
		return fields.Manager == wellknown.FieldManager && fields.Operation == metav1.ManagedFieldsOperationApply && fields.Subresource == ""
	})
}

// serverSide is the manifest as it is handed to a server-side apply: what we own and nothing else.
func (m *manifest) serverSide(owner *v1beta1.AppliedWork, live *unstructured.Unstructured) *unstructured.Unstructured {
	desired := m.annotated(live, nil)
	desired.SetOwnerReferences(withOwner(nil, owner))
	return desired
}

// clientSide returns the manifest as it should be on the member, with the record of what was applied that the next three-way merge starts
// from. It returns false if that record is too large for an annotation.
func (m *manifest) clientSide(owner *v1beta1.AppliedWork, live *unstructured.Unstructured) (*unstructured.Unstructured, bool) {
	// What was decoded from JSON can be encoded again.
	applied, _ := m.object.MarshalJSON()
	desired := m.annotated(live, map[string]string{wellknown.LastAppliedAnnotation: string(applied)})
	var refs []metav1.OwnerReference
	if live != nil {
		refs = live.GetOwnerReferences()
	}
	desired.SetOwnerReferences(withOwner(refs, owner))
	size := 0
	for k, v := range desired.GetAnnotations() {
		size += len(k) + len(v)
	}
	return desired, size <= maxAnnotations
}

// annotated is the manifest with the annotations that it has on a member. What an object says of AppliedWorks that were deleted there stays until
// that is made good: a server-side apply takes off what it does not have.
func (m *manifest) annotated(live *unstructured.Unstructured, more map[string]string) *unstructured.Unstructured {
	desired := m.object.DeepCopy()
	annotations := desired.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[wellknown.SpecHashAnnotation] = m.hash
	if staysBehind(live) {
		annotations[wellknown.TakenOverAnnotation] = "true"
	}
	if live != nil && live.GetAnnotations()[wellknown.KeptForAnnotation] != "" {
		annotations[wellknown.KeptForAnnotation] = live.GetAnnotations()[wellknown.KeptForAnnotation]
	}
	for k, v := range more {
		annotations[k] = v
	}
	desired.SetAnnotations(annotations)
	return desired
}

// threeWay returns the patch from an object to what is desired: it removes what was applied before and is no longer desired, and keeps what
// others have added, and all finalizers. The server refuses it where the object has changed, since another may be there by now. It is nil if
// nothing must change.
func threeWay(desired, live *unstructured.Unstructured) (types.PatchType, []byte, error) {
	original := lastApplied(live)
	modified, err := desired.MarshalJSON()
	if err != nil {
		return "", nil, err
	}
	current, err := live.MarshalJSON()
	if err != nil {
		return "", nil, err
	}
	patchType, patch := types.MergePatchType, []byte(nil)
	if typed, unknown := scheme.Scheme.New(desired.GroupVersionKind()); unknown == nil {
		patchType = types.StrategicMergePatchType
		var fields strategicpatch.PatchMetaFromStruct
		if fields, err = strategicpatch.NewPatchMetaFromStruct(typed); err == nil {
			patch, err = strategicpatch.CreateThreeWayMergePatch(original, modified, current, fields, true)
		}
	} else {
		patch, err = jsonmergepatch.CreateThreeWayJSONMergePatch(original, modified, current,
			mergepatch.RequireKeyUnchanged("apiVersion"), mergepatch.RequireKeyUnchanged("kind"),
			mergepatch.RequireMetadataKeyUnchanged("name"))
	}
	if err != nil {
		return "", nil, err
	}
	var content map[string]any
	if err := json.Unmarshal(patch, &content); err != nil {
		return "", nil, err
	}
	if len(content) == 0 {
		return patchType, nil, nil
	}
	if err := unstructured.SetNestedField(content, live.GetResourceVersion(), "metadata", "resourceVersion"); err != nil {
		return "", nil, err
	}
	patch, err = json.Marshal(content)
	return patchType, patch, err
}
