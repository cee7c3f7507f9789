// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"errors"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	genericinitializer "k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "AuthorValidation"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin looks at who writes placements, overrides and envelopes, and who deletes them.
type Plugin struct {
	*admission.Handler
	authorizer authorizer.UnconditionalAuthorizer
	kinds      *hubkinds.Cache
	envelopes  envelopes
	// hub tells whether a namespace goes; nil where there is none to ask.
	hub kubernetes.Interface
}

var (
	_ admission.ValidationInterface                   = &Plugin{}
	_ genericinitializer.WantsUnconditionalAuthorizer = &Plugin{}
	_ genericinitializer.WantsExternalKubeClientSet   = &Plugin{}
	_ initializer.WantsFleetInformers                 = &Plugin{}
	_ hubkinds.Wants                                  = &Plugin{}
)

// New makes a plugin that must be initialized.
func New() *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete)}
}

// SetUnconditionalAuthorizer implements initializer.WantsUnconditionalAuthorizer.
func (p *Plugin) SetUnconditionalAuthorizer(authorizer authorizer.UnconditionalAuthorizer) {
	p.authorizer = newPaced(authorizer)
}

// SetExternalKubeClientSet implements initializer.WantsExternalKubeClientSet.
func (p *Plugin) SetExternalKubeClientSet(hub kubernetes.Interface) { p.hub = hub }

// SetFleetInformers implements initializer.WantsFleetInformers.
func (p *Plugin) SetFleetInformers(informers externalversions.SharedInformerFactory) {
	p.envelopes = newEnvelopes(informers)
}

// SetHubKinds implements hubkinds.Wants.
func (p *Plugin) SetHubKinds(kinds *hubkinds.Cache) { p.kinds = kinds }

// ValidateInitialization implements admission.InitializationValidator.
func (p *Plugin) ValidateInitialization() error {
	if p.authorizer == nil {
		return errors.New("missing an authorizer")
	}
	if p.kinds == nil {
		return errors.New("missing the kinds of the hub")
	}
	if p.envelopes.synced == nil {
		return errors.New("missing informers of the fleet's API")
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != v1beta1.GroupName || a.GetSubresource() != "" || registry.IsController(ctx) {
		return nil
	}
	if err := p.validateFinalizers(ctx, a); err != nil {
		return err
	}
	subject := a.GetObject()
	if subject == nil {
		subject = a.GetOldObject()
	}
	deeds := deedsOf(a.GetObject(), a.GetOldObject())
	if deeds == nil || isLeaving(subject) {
		return nil
	}
	err := p.review(ctx, a, subject, deeds)
	if err != nil && a.GetOperation() == admission.Delete && p.namespaceGoes(ctx, a.GetNamespace()) {
		return nil
	}
	return err
}

// review asks about all that the server would do for the author of a write.
func (p *Plugin) review(ctx context.Context, a admission.Attributes, subject runtime.Object, deeds deeds) error {
	if a.GetUserInfo() == nil {
		return apierrors.NewInternalError(errors.New("no user in the context of the request"))
	}
	r := &review{authorizer: p.authorizer, kinds: p.kinds, envelopes: p.envelopes, user: a.GetUserInfo(), known: sets.New[string](), wide: map[string]bool{}}
	// For a user who may do everything no kind is looked up, which matters most when the hub is in trouble.
	if missing, err := r.missing(ctx, everything(metav1.NamespaceAll)); err != nil || len(missing) == 0 {
		return err
	}
	if err := deeds(ctx, r); err != nil {
		return err
	}
	refused, err := r.refusal(ctx)
	if err != nil || refused == nil {
		return err
	}
	name := a.GetName()
	// The request to delete all objects names none of them.
	if object, ok := subject.(metav1.Object); ok && name == "" {
		name = object.GetName()
	}
	return apierrors.NewForbidden(a.GetResource().GroupResource(), name, refused)
}

// namespaceGoes reports whether the hub deletes a namespace, and all that is in it. Whoever may delete the namespace may delete that too,
// and no controller that empties it is held up by what this plugin would ask.
func (p *Plugin) namespaceGoes(ctx context.Context, name string) bool {
	if p.hub == nil || name == "" {
		return false
	}
	namespace, err := p.hub.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	return err == nil && !namespace.DeletionTimestamp.IsZero()
}

// isLeaving reports whether an object is being deleted: nothing is done with what it says any more, and who asked for that was asked.
func isLeaving(object runtime.Object) bool {
	meta, ok := object.(metav1.Object)
	return ok && !meta.GetDeletionTimestamp().IsZero()
}
