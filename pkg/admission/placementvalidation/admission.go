// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementvalidation

import (
	"context"
	"errors"
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
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	clusterlisters "github.com/stagegate/stagegate/pkg/generated/listers/cluster/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "PlacementValidation"

// patience is how long a write may take longer for the sake of warnings. What is not known by then is not warned about.
const patience = 2 * time.Second

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin looks at placements that are written.
type Plugin struct {
	*admission.Handler
	kinds *hubkinds.Cache
	hub   metadata.Interface
	// members are nil as long as they are not known.
	members clusterlisters.MemberClusterLister
	synced  cache.InformerSynced
}

// WantsHub is a plugin that looks for objects on the hub. A server without a hub has none to look at, and hands out nil.
type WantsHub interface {
	SetHub(metadata.Interface)
}

// NewInitializer makes an initializer that hands out the hub.
func NewInitializer(hub metadata.Interface) admission.PluginInitializer { return hubInitializer{hub} }

type hubInitializer struct{ hub metadata.Interface }

// Initialize implements admission.PluginInitializer.
func (i hubInitializer) Initialize(plugin admission.Interface) {
	if wants, ok := plugin.(WantsHub); ok {
		wants.SetHub(i.hub)
	}
}

var (
	_ admission.ValidationInterface   = &Plugin{}
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
func (p *Plugin) SetHub(hub metadata.Interface) { p.hub = hub }

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
	if p.members == nil {
		return errors.New("missing informers of the fleet's API")
	}
	return nil
}

// Validate implements admission.ValidationInterface. An update is looked at for what it changes, so that an object which an older rule let
// in can still be labeled, and its finalizers removed.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	written, ok := a.GetObject().(v1beta1.PlacementObject)
	if !ok || a.GetSubresource() != "" || registry.IsController(ctx) || !written.GetDeletionTimestamp().IsZero() {
		return nil
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
		warn(ctx, p.reviewPolicy(written.PlacementSpec().Policy))
	}
	return nil
}

func warn(ctx context.Context, warnings []string) {
	for _, w := range warnings {
		warning.AddWarning(ctx, "", w)
	}
}
