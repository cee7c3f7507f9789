// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/difference"
)

// comparison is where an object differs from its manifest.
type comparison struct {
	differences []v1beta1.PatchDetail
	// degraded reports whether all fields were compared although only those of the manifest should have been: the member refuses the
	// manifest as invalid, and so does not tell what it would become.
	degraded bool
}

// degradedNote says so in a message.
const degradedNote = "in degraded mode: all fields were compared, since the API server of the member cluster refuses the manifest as invalid"

// compare finds where an object differs from its manifest. Partially, that is what a server-side apply of the manifest would change;
// the member's API server is asked without anything being written, so that defaults and equal notations are no differences.
func (p *pass) compare(ctx context.Context, m *manifest, live *unstructured.Unstructured) (comparison, error) {
	var c comparison
	wanted := m.object
	if p.strategy.ComparisonOption == v1beta1.ComparisonOptionTypePartialComparison {
		applied, err := p.member.client(m).Apply(ctx, m.key.Name, m.object, metav1.ApplyOptions{
			FieldManager: wellknown.FieldManager,
			Force:        true,
			DryRun:       []string{metav1.DryRunAll},
		})
		switch {
		case apierrors.IsInvalid(err):
			c.degraded = true
		case err != nil:
			return c, ofMember(fmt.Errorf("comparing on the member cluster: %w", err))
		default:
			wanted = applied
		}
	}
	c.differences = difference.Between(comparableParts(live), comparableParts(wanted), m.isSecret())
	return c, nil
}

// comparableParts returns an object without what a manifest cannot determine, and without records of what was applied, which would report
// a difference twice.
func comparableParts(object *unstructured.Unstructured) map[string]any {
	content := object.DeepCopy()
	(&manifest{object: content}).clean()
	annotations := content.GetAnnotations()
	delete(annotations, wellknown.SpecHashAnnotation)
	delete(annotations, wellknown.LastAppliedAnnotation)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	content.SetAnnotations(annotations)
	if len(annotations) == 0 {
		unstructured.RemoveNestedField(content.Object, "metadata", "annotations")
	}
	return content.Object
}
