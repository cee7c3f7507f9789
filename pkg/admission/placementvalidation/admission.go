// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementvalidation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	clusterlisters "github.com/stagegate/stagegate/pkg/generated/listers/cluster/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	overriderules "github.com/stagegate/stagegate/pkg/rules/override"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "PlacementValidation"

// patience is how long a write may take longer for the sake of warnings. What is not known by then is not warned about.
const patience = 2 * time.Second

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin looks at placements, overrides and envelopes that are written.
type Plugin struct {
	*admission.Handler
	client versioned.Interface
	kinds  *hubkinds.Cache
	hub    metadata.Interface
	// limits are what of the hub is not placed, nil for what is placed nowhere alone.
	limits *placeable.Limits
	// members are nil as long as they are not known.
	members clusterlisters.MemberClusterLister
	synced  cache.InformerSynced
}

// WantsHub is a plugin that looks for objects on the hub. A server without a hub has none to look at, and hands out nil.
type WantsHub interface {
	SetHub(hub metadata.Interface, limits *placeable.Limits)
}

// NewInitializer makes an initializer that hands out the hub, and what of it is not placed.
func NewInitializer(hub metadata.Interface, limits *placeable.Limits) admission.PluginInitializer {
	return hubInitializer{hub, limits}
}

type hubInitializer struct {
	hub    metadata.Interface
	limits *placeable.Limits
}

// Initialize implements admission.PluginInitializer.
func (i hubInitializer) Initialize(plugin admission.Interface) {
	if wants, ok := plugin.(WantsHub); ok {
		wants.SetHub(i.hub, i.limits)
	}
}

var (
	_ admission.ValidationInterface   = &Plugin{}
	_ initializer.WantsFleetClient    = &Plugin{}
	_ initializer.WantsFleetInformers = &Plugin{}
	_ hubkinds.Wants                  = &Plugin{}
	_ WantsHub                        = &Plugin{}
)

// New makes a plugin that must be initialized.
func New() *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update)}
}

// SetHubKinds implements hubkinds.Wants.
func (p *Plugin) SetHubKinds(kinds *hubkinds.Cache) { p.kinds = kinds }

// SetHub implements WantsHub.
func (p *Plugin) SetHub(hub metadata.Interface, limits *placeable.Limits) {
	p.hub, p.limits = hub, limits
}

// SetFleetClient implements initializer.WantsFleetClient.
func (p *Plugin) SetFleetClient(client versioned.Interface) { p.client = client }

// SetFleetInformers implements initializer.WantsFleetInformers.
func (p *Plugin) SetFleetInformers(informers externalversions.SharedInformerFactory) {
	members := informers.Cluster().V1beta1().MemberClusters()
	initializer.QuietStop(members.Informer())
	p.members, p.synced = members.Lister(), members.Informer().HasSynced
}

// ValidateInitialization implements admission.InitializationValidator.
func (p *Plugin) ValidateInitialization() error {
	if p.kinds == nil {
		return errors.New("missing the kinds of the hub")
	}
	if p.client == nil {
		return errors.New("missing a client of the fleet's API")
	}
	if p.members == nil {
		return errors.New("missing informers of the fleet's API")
	}
	return nil
}

// Validate implements admission.ValidationInterface. An update is looked at for what it changes, so that an object which an older rule let
// in can still be labeled, and its finalizers removed.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetSubresource() != "" || registry.IsController(ctx) {
		return nil
	}
	switch written := a.GetObject().(type) {
	case v1beta1.PlacementObject:
		return p.validatePlacement(ctx, a, written)
	case v1beta1.OverrideObject:
		old, updated := a.GetOldObject().(v1beta1.OverrideObject)
		if written.GetDeletionTimestamp().IsZero() && !(updated && overriderules.SaysTheSame(written, old)) {
			deadline, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			warn(ctx, p.reviewOverride(deadline, written))
		}
	case *v1beta1.ClusterResourceEnvelope, *v1beta1.ResourceEnvelope:
		id, data, _ := dataOf(written)
		if _, old, updated := dataOf(a.GetOldObject()); !updated || !apiequality.Semantic.DeepEqual(data, old) {
			deadline, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			warn(ctx, p.reviewEnvelope(deadline, id, data))
		}
	}
	return nil
}

func (p *Plugin) validatePlacement(ctx context.Context, a admission.Attributes, written v1beta1.PlacementObject) error {
	if !written.GetDeletionTimestamp().IsZero() {
		return nil
	}
	if err := p.refuseSkipped(a, written); err != nil {
		return err
	}
	selectors, policy := true, true
	if old, ok := a.GetOldObject().(v1beta1.PlacementObject); ok {
		selectors = !apiequality.Semantic.DeepEqual(written.PlacementSpec().ResourceSelectors, old.PlacementSpec().ResourceSelectors)
		policy = !apiequality.Semantic.DeepEqual(written.PlacementSpec().Policy, old.PlacementSpec().Policy)
	}
	if !selectors && !policy {
		return nil
	}
	if selectors {
		deadline, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		refused, warnings := p.reviewSelectors(deadline, written)
		if len(refused) > 0 {
			return apierrors.NewInvalid(a.GetKind().GroupKind(), written.GetName(), refused)
		}
		warn(ctx, warnings)
	}
	if policy && p.synced() {
		warn(ctx, p.reviewPolicy(written.PlacementSpec()))
	}
	return nil
}

// refuseSkipped refuses a new placement in a namespace of which nothing is placed. One that was there before stays, and keeps what it has
// placed. Of the namespaces that are reserved everywhere, the placement is warned of as it is written.
func (p *Plugin) refuseSkipped(a admission.Attributes, placement v1beta1.PlacementObject) error {
	namespace := placement.GetNamespace()
	if a.GetOperation() != admission.Create || namespace == "" || wellknown.IsReservedNamespace(namespace) || !p.limits.SkipsNamespace(namespace) {
		return nil
	}
	return apierrors.NewForbidden(a.GetResource().GroupResource(), placement.GetName(),
		fmt.Errorf("namespace %s is not placed on this hub, and neither is anything in it (--skipped-propagating-namespaces): use another namespace", namespace))
}

func warn(ctx context.Context, warnings []string) {
	for _, w := range warnings {
		warning.AddWarning(ctx, "", w)
	}
}
