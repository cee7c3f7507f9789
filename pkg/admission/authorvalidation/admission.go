// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"errors"
	"io"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	genericinitializer "k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rules/reportback"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "AuthorValidation"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin looks at who writes placements, overrides and envelopes.
type Plugin struct {
	*admission.Handler
	authorizer authorizer.UnconditionalAuthorizer
	kinds      *hubkinds.Cache
}

var (
	_ admission.ValidationInterface                   = &Plugin{}
	_ genericinitializer.WantsUnconditionalAuthorizer = &Plugin{}
	_ hubkinds.Wants                                  = &Plugin{}
)

// New makes a plugin that must be initialized.
func New() *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update)}
}

// SetUnconditionalAuthorizer implements initializer.WantsUnconditionalAuthorizer.
func (p *Plugin) SetUnconditionalAuthorizer(authorizer authorizer.UnconditionalAuthorizer) {
	p.authorizer = newPaced(authorizer)
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
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != v1beta1.GroupName || a.GetSubresource() != "" || registry.IsController(ctx) {
		return nil
	}
	deeds := deedsOf(a.GetObject())
	if deeds == nil || isLeaving(a.GetObject()) || !changes(a.GetObject(), a.GetOldObject()) {
		return nil
	}
	if a.GetUserInfo() == nil {
		return apierrors.NewInternalError(errors.New("no user in the context of the request"))
	}
	r := &review{authorizer: p.authorizer, kinds: p.kinds, user: a.GetUserInfo()}
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
	return admission.NewForbidden(a, refused)
}

// isLeaving reports whether an object is being deleted: nothing is done with what it says any more.
func isLeaving(object runtime.Object) bool {
	meta, ok := object.(metav1.Object)
	return ok && !meta.GetDeletionTimestamp().IsZero()
}

// changes reports whether a write changes what the author is asked about. All of it is asked about then, since what stays was written by
// somebody else perhaps, and does something else beside what is new.
func changes(object, old runtime.Object) bool {
	switch object := object.(type) {
	case v1beta1.PlacementObject:
		old, ok := old.(v1beta1.PlacementObject)
		return !ok || !apiequality.Semantic.DeepEqual(object.PlacementSpec().ResourceSelectors, old.PlacementSpec().ResourceSelectors) ||
			reports(object) && !reports(old)
	case *v1beta1.ClusterResourceOverride:
		old, ok := old.(*v1beta1.ClusterResourceOverride)
		return !ok || !apiequality.Semantic.DeepEqual(object.Spec, old.Spec)
	case *v1beta1.ResourceOverride:
		old, ok := old.(*v1beta1.ResourceOverride)
		return !ok || !apiequality.Semantic.DeepEqual(object.Spec, old.Spec)
	case *v1beta1.ClusterResourceEnvelope:
		old, ok := old.(*v1beta1.ClusterResourceEnvelope)
		return !ok || !sameManifests(object.Data, old.Data)
	case *v1beta1.ResourceEnvelope:
		old, ok := old.(*v1beta1.ResourceEnvelope)
		return !ok || !sameManifests(object.Data, old.Data)
	}
	return false
}

// reports reports whether a placement has statuses written on the hub. Who ends that does nothing that takes a permission.
func reports(o v1beta1.PlacementObject) bool {
	return reportback.IsWanted(o.PlacementSpec().Strategy.ReportBackStrategy)
}
