// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package overridevalidation

import (
	"context"
	"errors"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "OverrideValidation"

// limit is how many ClusterResourceOverrides there may be, and how many ResourceOverrides in a namespace.
const limit = 100

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin looks at overrides that are written. It asks the API and no cache, so that of two overrides in one file the second is
// compared with the first; there are few to read, and only where a selector is new. Two that are written at once may both get in.
type Plugin struct {
	*admission.Handler
	initializer.FleetClient
}

var (
	_ admission.ValidationInterface = &Plugin{}
	_ initializer.WantsFleetClient  = &Plugin{}
)

// New makes a plugin that must be initialized.
func New() *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update)}
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != v1beta1.GroupName || a.GetSubresource() != "" {
		return nil
	}
	written, ok := overrideOf(a.GetObject())
	if !ok || !written.GetDeletionTimestamp().IsZero() {
		return nil
	}
	// What was selected before is no occasion to refuse an update, such as of a label.
	before, _ := overrideOf(a.GetOldObject())
	added := written.without(before)
	isNew := a.GetOperation() == admission.Create
	if len(added) == 0 && !isNew {
		return nil
	}
	others, err := p.others(ctx, written)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("listing the overrides: %w", err))
	}
	if isNew && len(others) >= limit {
		return admission.NewForbidden(a, errors.New(written.tooMany))
	}
	var errs field.ErrorList
	for _, s := range added {
		if other := selecting(others, s.object); other != "" {
			errs = append(errs, field.Invalid(s.path, describe(s.object), fmt.Sprintf(
				"the resource has been selected by both %s and %s, which is not supported: change it in one of them, and leave it out of the other",
				other, written.GetName())))
		}
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), written.GetName(), errs)
	}
	return nil
}
