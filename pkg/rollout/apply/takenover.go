// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// The deletion of a Namespace or a CustomResourceDefinition takes along all that it contains, whoever made that. One that was on the member
// before it was placed contains what is the member's own. So it bears a mark since the write with which it was taken over, and where
// others are deleted it loses its owner and stays. The mark is on the object, so that it goes with it to another Work or placement.

// containers are the kinds of which that is so.
var containers = []schema.GroupKind{
	{Kind: "Namespace"}, {Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
}

func isTakenOver(live *unstructured.Unstructured) bool {
	return live.GetAnnotations()[wellknown.TakenOverAnnotation] == "true" && slices.Contains(containers, live.GroupVersionKind().GroupKind())
}

// staysBehind reports whether an object that is written to was on the member before it was placed, and stays there after. live is nil where
// the member does not have it.
func staysBehind(live *unstructured.Unstructured) bool {
	return live != nil && slices.Contains(containers, live.GroupVersionKind().GroupKind()) && (isTakenOver(live) || !isPlaced(live))
}

// withoutMarks takes from a manifest what is only ever said of an object on its member.
func withoutMarks(object *unstructured.Unstructured) {
	for _, annotation := range []string{wellknown.TakenOverAnnotation, wellknown.KeptForAnnotation} {
		unstructured.RemoveNestedField(object.Object, "metadata", "annotations", annotation)
	}
}

// disownStaying makes nobody's what was applied for a Work that is going and is not to go with it: what was on the member before, and
// reserved Namespaces.
func (a *Applier) disownStaying(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) error {
	var failures []error
	for _, r := range listedFor(work, owner) {
		if !slices.Contains(containers, schema.GroupKind{Group: r.Group, Kind: r.Kind}) {
			continue
		}
		client, live, err := a.member.lookUp(ctx, r)
		if err == nil && live != nil && ownersOf(live, owner.Name).ours && (isReserved(r) || isTakenOver(live)) {
			if _, err = reown(ctx, client, live, []string{owner.Name}, nil); err == nil {
				left(ctx, live)
			}
		}
		if err != nil && !apierrors.IsNotFound(err) {
			failures = append(failures, fmt.Errorf("leaving %s %s on the member cluster: %w", r.Kind, r.Name, err))
		}
	}
	return errors.Join(failures...)
}

// left logs that an object is not deleted.
func left(ctx context.Context, live *unstructured.Unstructured) {
	if isTakenOver(live) {
		klog.FromContext(ctx).Info("Leaving on the member what was there before it was placed", "object", klog.KObj(live), "kind", live.GetKind())
	}
}
