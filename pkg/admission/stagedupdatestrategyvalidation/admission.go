// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package stagedupdatestrategyvalidation

import (
	"context"
	"errors"
	"io"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	typed "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	clusterlisters "github.com/stagegate/stagegate/pkg/generated/listers/cluster/v1beta1"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "StagedUpdateStrategyValidation"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin looks at strategies and runs that are written.
type Plugin struct {
	*admission.Handler
	client         versioned.Interface
	memberClusters clusterlisters.MemberClusterLister
	// clusterScoped and namespaced find what strategies and runs of either scope refer to.
	clusterScoped, namespaced *kinds
}

var (
	_ admission.ValidationInterface   = &Plugin{}
	_ initializer.WantsFleetClient    = &Plugin{}
	_ initializer.WantsFleetInformers = &Plugin{}
)

// New makes a plugin that has to be initialised.
func New() *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete)}
}

// SetFleetClient implements initializer.WantsFleetClient.
func (p *Plugin) SetFleetClient(client versioned.Interface) { p.client = client }

// SetFleetInformers implements initializer.WantsFleetInformers.
func (p *Plugin) SetFleetInformers(informers externalversions.SharedInformerFactory) {
	memberClusters := informers.Cluster().V1beta1().MemberClusters()
	initializer.QuietStop(memberClusters.Informer())
	p.memberClusters = memberClusters.Lister()
	api := func() typed.PlacementV1beta1Interface { return p.client.PlacementV1beta1() }
	p.clusterScoped = newClusterScoped(informers.Placement().V1beta1(), api)
	p.namespaced = newNamespaced(informers.Placement().V1beta1(), api)

	synced := append([]cache.InformerSynced{memberClusters.Informer().HasSynced}, append(p.clusterScoped.synced, p.namespaced.synced...)...)
	p.SetReadyFunc(func() bool {
		for _, hasSynced := range synced {
			if !hasSynced() {
				return false
			}
		}
		return true
	})
}

// ValidateInitialization implements admission.InitializationValidator.
func (p *Plugin) ValidateInitialization() error {
	if p.client == nil {
		return errors.New("missing a client of the fleet's API")
	}
	if p.memberClusters == nil {
		return errors.New("missing informers of the fleet's API")
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != v1beta1.GroupName || a.GetSubresource() != "" {
		return nil
	}
	object := a.GetObject()
	if a.GetOperation() == admission.Delete {
		object = a.GetOldObject()
	}
	switch object := object.(type) {
	case v1beta1.UpdateStrategyObject:
		return p.validateStrategy(ctx, a, object)
	case v1beta1.UpdateRunObject:
		return p.validateRun(ctx, a, object)
	}
	return nil
}

// validateStrategy takes an update that leaves the stages alone, such as of a label, for no occasion to speak up.
func (p *Plugin) validateStrategy(ctx context.Context, a admission.Attributes, strategy v1beta1.UpdateStrategyObject) error {
	if old, ok := a.GetOldObject().(v1beta1.UpdateStrategyObject); ok && a.GetOperation() == admission.Update &&
		apiequality.Semantic.DeepEqual(strategy.StrategySpec(), old.StrategySpec()) {
		return nil
	}
	if !p.WaitForReady() {
		return admission.NewForbidden(a, errNotReady)
	}
	if a.GetOperation() == admission.Delete {
		return p.warnOfWaitingRuns(ctx, strategy)
	}
	return p.warnOfStages(ctx, strategy)
}

// validateRun looks at new runs only: what a run refers to cannot change, and its later life is the loop's.
func (p *Plugin) validateRun(ctx context.Context, a admission.Attributes, run v1beta1.UpdateRunObject) error {
	if a.GetOperation() != admission.Create {
		return nil
	}
	if !p.WaitForReady() {
		return admission.NewForbidden(a, errNotReady)
	}
	return p.validateNewRun(ctx, a, run)
}

var errNotReady = errors.New("not yet ready to handle request")

func (p *Plugin) kindsOf(namespace string) *kinds {
	if namespace == "" {
		return p.clusterScoped
	}
	return p.namespaced
}
