// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package evictionvalidation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	evictionrules "github.com/stagegate/stagegate/pkg/rules/eviction"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "EvictionValidation"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin looks at evictions and disruption budgets that are written. It asks the API for their placement and no cache, so that a file may
// have both.
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

// Validate implements admission.ValidationInterface. An update is looked at for what it changes.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != v1beta1.GroupName || a.GetSubresource() != "" {
		return nil
	}
	switch written := a.GetObject().(type) {
	case *v1beta1.ClusterResourcePlacementEviction:
		if a.GetOperation() != admission.Create {
			return nil
		}
		return p.ask(ctx, a, written.Spec.PlacementName, evictionrules.Unevictable, func(placement *v1beta1.ClusterResourcePlacement) []string {
			return p.reviewEviction(ctx, placement, written.Spec.ClusterName)
		})
	case *v1beta1.ClusterResourcePlacementDisruptionBudget:
		old, _ := a.GetOldObject().(*v1beta1.ClusterResourcePlacementDisruptionBudget)
		if written.DeletionTimestamp != nil || old != nil && apiequality.Semantic.DeepEqual(written.Spec, old.Spec) {
			return nil
		}
		return p.ask(ctx, a, written.Name, func(placement *v1beta1.ClusterResourcePlacement) string {
			return strings.Join(evictionrules.Misfits(placement, &written.Spec), "; ")
		}, func(placement *v1beta1.ClusterResourcePlacement) []string {
			return evictionrules.Doubts(placement, written)
		})
	}
	return nil
}

// ask refuses a request for what a placement makes of it, and warns of what is probably not meant. A placement that does not exist is no
// reason to refuse: it may come, and the controller asks again. The reviewer is given nil then.
func (p *Plugin) ask(ctx context.Context, a admission.Attributes, name string, refusal func(*v1beta1.ClusterResourcePlacement) string,
	review func(*v1beta1.ClusterResourcePlacement) []string,
) error {
	placement, err := p.Client.PlacementV1beta1().ClusterResourcePlacements().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		placement = nil
	case err != nil:
		return apierrors.NewInternalError(fmt.Errorf("reading ClusterResourcePlacement %s: %w", name, err))
	default:
		if why := refusal(placement); why != "" {
			return admission.NewForbidden(a, errors.New(why))
		}
	}
	for _, text := range review(placement) {
		warning.AddWarning(ctx, "", text)
	}
	return nil
}

// reviewEviction returns what of an eviction is probably not meant: it takes nothing off, or not for long.
func (p *Plugin) reviewEviction(ctx context.Context, placement *v1beta1.ClusterResourcePlacement, cluster string) []string {
	if placement == nil {
		// Its condition tells.
		return nil
	}
	member, err := p.Client.ClusterV1beta1().MemberClusters().Get(ctx, cluster, metav1.GetOptions{})
	if err != nil {
		// A warning that cannot be made is no reason to refuse.
		return nil
	}
	if why := evictionrules.Returns(placement, member); why != "" {
		return []string{why}
	}
	return nil
}
