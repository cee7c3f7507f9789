// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memberidentity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	genericinitializer "k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rules/loss"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "MemberIdentity"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin looks at what is written in the namespaces of members. Who is an agent does not depend on what the MemberCluster wants now: the
// rights of an agent outlive the annotation, the identity and the MemberCluster that it got them for, and what the server has cached of them
// outlives the RoleBinding. It asks the API for the MemberCluster and no cache: whose identity a user is must not depend on how old a cache is.
type Plugin struct {
	*admission.Handler
	initializer.FleetClient
	authorizer authorizer.UnconditionalAuthorizer
}

var (
	_ admission.ValidationInterface                   = &Plugin{}
	_ genericinitializer.WantsUnconditionalAuthorizer = &Plugin{}
	_ initializer.WantsFleetClient                    = &Plugin{}
)

// New makes a plugin that must be initialized.
func New() *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete)}
}

// SetUnconditionalAuthorizer implements initializer.WantsUnconditionalAuthorizer.
func (p *Plugin) SetUnconditionalAuthorizer(authorizer authorizer.UnconditionalAuthorizer) {
	p.authorizer = authorizer
}

// ValidateInitialization implements admission.InitializationValidator.
func (p *Plugin) ValidateInitialization() error {
	if p.authorizer == nil {
		return errors.New("missing an authorizer")
	}
	return p.FleetClient.ValidateInitialization()
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	isOurs := a.GetResource().Group == v1beta1.GroupName || a.GetResource().Group == clusterv1beta1.GroupName
	member, inMemberNamespace := wellknown.MemberOfNamespace(a.GetNamespace())
	if !isOurs || !inMemberNamespace || mayWrite(a) || registry.IsController(ctx) {
		return nil
	}
	switch held, err := p.isAgent(ctx, member, a); {
	case err != nil:
		return apierrors.NewInternalError(err)
	case !held:
		return nil
	}
	if err := badNote(a); err != nil {
		return admission.NewForbidden(a, fmt.Errorf("the agent of a member notes in a Work only what the Work's AppliedWork listed that was deleted on the member: %w", err))
	}
	return admission.NewForbidden(a, errors.New("the agent of a member writes the status of Works and of its InternalMemberCluster, and the finalizer "+
		wellknown.WorkCleanupFinalizer+" and the annotation "+wellknown.LostAppliedWorkAnnotation+" of Works; everything else there is the hub's"))
}

// isAgent reports whether a request is held to what an agent may write. That is every ServiceAccount of the namespace, whoever the
// MemberCluster names, and whoever updates what it may not delete: an identity that the MemberCluster does not name any more is known by
// that, since no agent ever gets the right to delete. Of the RoleBinding nothing is read: what a cache of RBAC allows it may not have any more.
func (p *Plugin) isAgent(ctx context.Context, member string, a admission.Attributes) (bool, error) {
	who := a.GetUserInfo()
	if who == nil {
		return false, errors.New("no user in the context of the request")
	}
	if namespace, _, err := serviceaccount.SplitUsername(who.GetName()); err == nil && namespace == a.GetNamespace() {
		return true, nil
	}
	cluster, err := p.Client.ClusterV1beta1().MemberClusters().Get(ctx, member, metav1.GetOptions{})
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return false, fmt.Errorf("reading MemberCluster %s: %w", member, err)
	case err == nil && is(who, cluster.Spec.Identity):
		return true, nil
	case a.GetOperation() != admission.Update:
		return false, nil
	}
	decision, _, err := p.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: who, Verb: "delete", Namespace: a.GetNamespace(), Name: a.GetName(), APIGroup: a.GetResource().Group,
		APIVersion: a.GetResource().Version, Resource: a.GetResource().Resource, ResourceRequest: true,
	})
	if err != nil && decision != authorizer.DecisionAllow {
		return false, fmt.Errorf("asking whether %q may delete %s/%s: %w", who.GetName(), a.GetNamespace(), a.GetName(), err)
	}
	return decision != authorizer.DecisionAllow, nil
}

// is reports whether a user is whom the spec of a MemberCluster names. Names are compared, and never taken apart.
func is(info user.Info, identity rbacv1.Subject) bool {
	switch identity.Kind {
	case rbacv1.ServiceAccountKind:
		return info.GetName() == serviceaccount.MakeUsername(identity.Namespace, identity.Name)
	case rbacv1.GroupKind:
		return slices.Contains(info.GetGroups(), identity.Name)
	}
	return info.GetName() == identity.Name
}

// mayWrite reports whether a request is one that an agent has to make.
func mayWrite(a admission.Attributes) bool {
	kind := a.GetResource().Resource
	switch {
	case a.GetOperation() != admission.Update:
		return false
	case a.GetSubresource() == "status":
		return kind == "works" || kind == "internalmemberclusters"
	case a.GetSubresource() != "" || kind != "works":
		return false
	}
	work, isWork := a.GetObject().(*v1beta1.Work)
	old, wasWork := a.GetOldObject().(*v1beta1.Work)
	return isWork && wasWork && apiequality.Semantic.DeepEqual(ofTheHub(work), ofTheHub(old)) && badNote(a) == nil
}

// badNote reports why a Work must not note what a request has it note, nil where it may. Whoever applies the Work reads the note with the same
// bounds. That an object is the Work's own is for the member to tell: what stays there since an adoption is in no manifest and in no status.
func badNote(a admission.Attributes) error {
	work, isWork := a.GetObject().(*v1beta1.Work)
	old, wasWork := a.GetOldObject().(*v1beta1.Work)
	if !isWork || !wasWork || work.Annotations[wellknown.LostAppliedWorkAnnotation] == old.Annotations[wellknown.LostAppliedWorkAnnotation] {
		return nil
	}
	_, err := loss.Read(work)
	return err
}

// ofTheHub is a Work without what an agent may change, and without what the server keeps of each write. An agent notes in an annotation what
// an AppliedWork said that somebody deletes on the member.
func ofTheHub(work *v1beta1.Work) *v1beta1.Work {
	rest := work.DeepCopy()
	if delete(rest.Annotations, wellknown.LostAppliedWorkAnnotation); len(rest.Annotations) == 0 {
		rest.Annotations = nil
	}
	rest.Finalizers = slices.DeleteFunc(rest.Finalizers, func(f string) bool { return f == wellknown.WorkCleanupFinalizer })
	rest.ManagedFields, rest.ResourceVersion, rest.TypeMeta = nil, "", metav1.TypeMeta{}
	return rest
}
