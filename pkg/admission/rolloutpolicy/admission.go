// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	genericinitializer "k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/warning"
	coreinformers "k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	clusterlisters "github.com/stagegate/stagegate/pkg/generated/listers/cluster/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// PluginName is the name of the plugin in flags and configuration.
const PluginName = "RolloutPolicy"

// refusedAnnotation is the audit annotation that names the policies which refused a request.
const refusedAnnotation = v1alpha1.GroupName + "/refused-by"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) { return New(), nil })
}

// Plugin holds what is written to the rollout policies.
type Plugin struct {
	*admission.Handler
	judge      initializer.PolicyJudge
	client     versioned.Interface
	policies   scoped.Kind[v1alpha1.RolloutPolicyObject]
	members    clusterlisters.MemberClusterLister
	hub        kubernetes.Interface
	namespaces corelisters.NamespaceLister
	// synced are those of the caches.
	synced []cache.InformerSynced
	// isReady waits a while for the caches.
	isReady func() bool
}

var (
	_ admission.ValidationInterface                       = &Plugin{}
	_ initializer.WantsPolicyJudge                        = &Plugin{}
	_ initializer.WantsFleetClient                        = &Plugin{}
	_ initializer.WantsFleetInformers                     = &Plugin{}
	_ genericinitializer.WantsExternalKubeClientSet       = &Plugin{}
	_ genericinitializer.WantsExternalKubeInformerFactory = &Plugin{}
)

// New makes a plugin that must be initialized.
func New() *Plugin {
	p := &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete)}
	p.SetReadyFunc(func() bool {
		return !slices.ContainsFunc(p.synced, func(synced cache.InformerSynced) bool { return !synced() })
	})
	p.isReady = p.WaitForReady
	return p
}

// SetPolicyJudge implements initializer.WantsPolicyJudge.
func (p *Plugin) SetPolicyJudge(judge initializer.PolicyJudge) { p.judge = judge }

// SetFleetClient implements initializer.WantsFleetClient.
func (p *Plugin) SetFleetClient(client versioned.Interface) { p.client = client }

// SetFleetInformers implements initializer.WantsFleetInformers. The client is set by then.
func (p *Plugin) SetFleetInformers(informers externalversions.SharedInformerFactory) {
	members := informers.Cluster().V1beta1().MemberClusters()
	p.members = members.Lister()
	p.policies = scoped.Policies(p.client.RolloutV1alpha1(), informers.Rollout().V1alpha1())
	initializer.QuietStop(append(p.policies.Informers(), members.Informer())...)
	p.synced = append(p.synced, p.policies.HasSynced, members.Informer().HasSynced)
}

// SetExternalKubeClientSet implements initializer.WantsExternalKubeClientSet.
func (p *Plugin) SetExternalKubeClientSet(hub kubernetes.Interface) { p.hub = hub }

// SetExternalKubeInformerFactory implements initializer.WantsExternalKubeInformerFactory.
func (p *Plugin) SetExternalKubeInformerFactory(informers coreinformers.SharedInformerFactory) {
	namespaces := informers.Core().V1().Namespaces()
	p.namespaces = namespaces.Lister()
	p.synced = append(p.synced, namespaces.Informer().HasSynced)
}

// ValidateInitialization implements admission.InitializationValidator.
func (p *Plugin) ValidateInitialization() error {
	switch {
	case p.judge == nil:
		return errors.New("missing a judge of runs")
	case p.client == nil:
		return errors.New("missing a client of the fleet's API")
	case p.members == nil:
		return errors.New("missing informers of the fleet's API")
	case p.hub == nil:
		return errors.New("missing a client of the hub")
	case p.namespaces == nil:
		return errors.New("missing informers of the hub")
	}
	return nil
}

// Validate implements admission.ValidationInterface. What the server's own controllers do is not refused: nobody would see why, and what they
// create is judged again before it moves anything.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if registry.IsController(ctx) {
		return nil
	}
	if written, ok := a.GetObject().(v1alpha1.RolloutPolicyObject); ok && a.GetSubresource() == "" {
		p.reviewPolicy(ctx, a, written)
		return nil
	}
	if a.GetResource().Group != v1beta1.GroupName {
		return nil
	}
	if _, ok := a.GetObject().(*v1beta1.UpdateRunOperation); ok {
		switch a.GetSubresource() {
		case "rollback":
			return p.validateRollback(ctx, a)
		case "resume":
			return p.validateResume(ctx, a)
		}
	}
	if a.GetSubresource() != "" {
		return nil
	}
	// A collection as such is no object: each of its objects is asked about when its turn comes.
	object := a.GetObject()
	if a.GetOperation() == admission.Delete {
		object = a.GetOldObject()
	}
	switch object := object.(type) {
	case v1beta1.UpdateRunObject:
		return p.validateRun(ctx, a, object)
	case v1beta1.PlacementObject:
		return p.validatePlacement(ctx, a, object)
	case v1beta1.UpdateStrategyObject:
		return p.validateStrategy(ctx, a, object)
	case *v1beta1.ClusterResourcePlacementEviction:
		return p.validateEviction(ctx, a, object)
	}
	return nil
}

// scope is where something is written, with the policies that may bind there.
type scope struct {
	namespace string
	// labels are those of the Namespace on the hub.
	labels labels.Set
	// leaving reports that the Namespace is being deleted, or is gone.
	leaving bool
	mayBind []*policy.Policy
}

// scopeOf returns what there is in the namespace of a request, or outside of all. Where it cannot be told, the error is ServiceUnavailable.
func (p *Plugin) scopeOf(ctx context.Context, a admission.Attributes) (*scope, error) {
	namespace := a.GetNamespace()

	if !p.isReady() {
		return nil, unavailable(errors.New("policies, member clusters and Namespaces are not known yet"))
	}
	objects := p.policies.Covering(namespace)
	s := &scope{namespace: namespace}
	if len(objects) == 0 {
		return s, nil
	}
	if namespace != "" {
		if err := p.readNamespace(ctx, s); apierrors.IsNotFound(err) && a.GetOperation() == admission.Delete {
			s.leaving = true
		} else if err != nil {
			return nil, unavailable(fmt.Errorf("reading Namespace %s, by whose labels they select: %w", namespace, err))
		}
	}
	for _, object := range objects {
		if of := policy.New(object); of.MayBind(namespace, s.labels) {
			s.mayBind = append(s.mayBind, of)
		}
	}
	return s, nil
}

func (p *Plugin) readNamespace(ctx context.Context, s *scope) error {
	namespace, err := p.namespaces.Get(s.namespace)
	if apierrors.IsNotFound(err) {
		// It may be new, and on its way to the cache.
		namespace, err = p.hub.CoreV1().Namespaces().Get(ctx, s.namespace, metav1.GetOptions{})
	}
	if err != nil {
		return err
	}
	s.labels = namespace.Labels
	s.leaving = namespace.DeletionTimestamp != nil || namespace.Status.Phase == corev1.NamespaceTerminating
	return nil
}

// binding returns the policies that bind a placement with any of these sets of labels: a write that changes them does not escape by it.
func (s *scope) binding(placementLabels ...labels.Set) []*policy.Policy {
	return slices.DeleteFunc(slices.Clone(s.mayBind), func(p *policy.Policy) bool {
		return !slices.ContainsFunc(placementLabels, func(set labels.Set) bool {
			return p.Binds(policy.Subject{Namespace: s.namespace, NamespaceLabels: s.labels, PlacementLabels: set})
		})
	})
}

// unavailable is the answer while nobody can say what policies demand: nothing is let through.
func unavailable(err error) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf("rollout policies cannot be looked at: %v: try again", err))
}

// answer warns, and refuses, as a verdict says. What comes first in a refusal is the caller's.
func answer(ctx context.Context, a admission.Attributes, name string, verdict policy.Verdict, first ...string) error {
	if text := verdict.Warning(); text != "" {
		warning.AddWarning(ctx, "", text)
	}
	if len(verdict.Violations) == 0 {
		return nil
	}
	var by []string
	for _, violation := range verdict.Violations {
		of := violation.Policy.Kind + " " + violation.Policy.Name
		if !slices.Contains(by, of) {
			by = append(by, of)
		}
	}
	audit.AddAuditAnnotation(ctx, refusedAnnotation, strings.Join(by, ", "))
	return apierrors.NewForbidden(a.GetResource().GroupResource(), name, errors.New(strings.Join(append(first, verdict.Refusal()), "; ")))
}
