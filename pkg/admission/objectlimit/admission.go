// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package objectlimit

import (
	"context"
	"errors"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "ObjectLimit"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin refuses to create an object where there are as many of its kind as there may be: in the namespace, or at all if it is in
// none. Whoever created those counts for nothing. What is created at once is not counted yet, so that a namespace can get more than
// the limit, by as many objects as the server creates at the same time.
type Plugin struct {
	*admission.Handler
	client metadata.Interface
	limit  int
	exempt func(ctx context.Context) bool
}

var _ admission.ValidationInterface = &Plugin{}

// New makes a plugin that must be initialized.
func New() *Plugin { return &Plugin{Handler: admission.NewHandler(admission.Create)} }

// NewInitializer makes an initializer for the plugin. The client is one of the fleet's API; limit is how many objects there may be, 0
// as many as you like; requests for which exempt returns true are neither counted nor refused.
func NewInitializer(client metadata.Interface, limit int, exempt func(ctx context.Context) bool) admission.PluginInitializer {
	return initializer(func(p *Plugin) { p.client, p.limit, p.exempt = client, limit, exempt })
}

type initializer func(*Plugin)

// Initialize implements admission.PluginInitializer.
func (i initializer) Initialize(plugin admission.Interface) {
	if p, ok := plugin.(*Plugin); ok {
		i(p)
	}
}

// ValidateInitialization implements admission.InitializationValidator.
func (p *Plugin) ValidateInitialization() error {
	if p.client == nil || p.exempt == nil {
		return errors.New("missing a client of the fleet's API")
	}
	return nil
}

// limited are the groups whose kinds are counted. MemberClusters are not: each has an administrator's kubeconfig.
var limited = sets.New(v1beta1.GroupName, rolloutv1alpha1.GroupName)

// few are kinds of which there may be fewer, whatever the limit, each with the reason.
var few = map[schema.GroupResource]struct {
	limit  int
	reason string
}{
	rolloutv1alpha1.Resource("notificationsinks"): {50, "the server sends to each of them: delete one, or have one endpoint pass notifications on"},
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	limit, remedy := p.limit, "delete those that are no longer needed, or have the administrator raise --max-objects-per-namespace"
	if fewer, isOneOf := few[a.GetResource().GroupResource()]; isOneOf && (limit == 0 || fewer.limit < limit) {
		limit, remedy = fewer.limit, fewer.reason
	}
	if limit == 0 || !limited.Has(a.GetResource().Group) || a.GetSubresource() != "" || p.exempt(ctx) {
		return nil
	}
	// One object and the number of the others is all that is asked for.
	list, err := p.client.Resource(a.GetResource()).Namespace(a.GetNamespace()).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("counting the %s: %w", a.GetResource().Resource, err))
	}
	count := int64(len(list.Items)) + ptr.Deref(list.RemainingItemCount, 0)
	if count < int64(limit) {
		return nil
	}
	where := "there are"
	if a.GetNamespace() != "" {
		where = fmt.Sprintf("namespace %s has", a.GetNamespace())
	}
	return admission.NewForbidden(a, fmt.Errorf("%s %d objects of kind %s, and no more than %d can be created: %s",
		where, count, a.GetKind().Kind, limit, remedy))
}
