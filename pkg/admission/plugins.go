// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"slices"

	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	mutatingadmissionpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	validatingadmissionpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	mutatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	validatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	genericoptions "k8s.io/apiserver/pkg/server/options"

	"github.com/stagegate/stagegate/pkg/admission/authorvalidation"
	"github.com/stagegate/stagegate/pkg/admission/evictionvalidation"
	"github.com/stagegate/stagegate/pkg/admission/memberidentity"
	"github.com/stagegate/stagegate/pkg/admission/objectlimit"
	"github.com/stagegate/stagegate/pkg/admission/overridevalidation"
	"github.com/stagegate/stagegate/pkg/admission/placementvalidation"
	"github.com/stagegate/stagegate/pkg/admission/rolloutpolicy"
	"github.com/stagegate/stagegate/pkg/admission/stagedupdatestrategyvalidation"
)

// Plugins are the names of all admission plugins, in the order in which they run. The hub does not run admission for what it
// proxies, so policies and webhooks for our groups run here, after our own plugins.
var Plugins = []string{
	lifecycle.PluginName,
	memberidentity.PluginName,
	objectlimit.PluginName,
	stagedupdatestrategyvalidation.PluginName,
	rolloutpolicy.PluginName,
	overridevalidation.PluginName,
	evictionvalidation.PluginName,
	authorvalidation.PluginName,
	// It tells whether objects exist, so it comes after the plugin that asks whether the author may read them.
	placementvalidation.PluginName,
	mutatingadmissionpolicy.PluginName,
	mutatingwebhook.PluginName,
	validatingadmissionpolicy.PluginName,
	validatingwebhook.PluginName,
}

// Configure registers our plugins beside those of every API server and sets the order of all. Flags bound afterwards know them.
func Configure(options *genericoptions.AdmissionOptions) {
	memberidentity.Register(options.Plugins)
	objectlimit.Register(options.Plugins)
	stagedupdatestrategyvalidation.Register(options.Plugins)
	rolloutpolicy.Register(options.Plugins)
	overridevalidation.Register(options.Plugins)
	evictionvalidation.Register(options.Plugins)
	authorvalidation.Register(options.Plugins)
	placementvalidation.Register(options.Plugins)
	options.RecommendedPluginOrder = slices.Clone(Plugins)
}
