// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// A namespace of the hub and one of the same name on a member may be two teams'. Whoever may make namespaces on the hub could otherwise
// call one like a member's own and run there what they like. So a namespace of a member takes what a placement in a namespace places only
// where a cluster-scoped placement has brought it, or where its label or that of the MemberCluster says so. What the placement owns there
// already is kept and updated, whatever becomes of those.

// isReserved reports whether an object is a reserved Namespace. Earlier versions have placed such ones; they are the cluster's, and are
// left to it where others are deleted.
func isReserved(r v1beta1.AppliedResourceMeta) bool {
	return r.Group == "" && r.Kind == "Namespace" && wellknown.IsReservedNamespace(r.Name)
}

// keptNamespacesAnnotation on the AppliedWork of a placement in a namespace names, separated by commas, the namespaces in which it had
// objects before members' namespaces were asked: they take what it places without being asked. A claim writes it, empty perhaps, before
// anything is listed. An AppliedWork without it is one from before.
const keptNamespacesAnnotation = wellknown.Prefix + "kept-namespaces"

// isOfANamespace reports whether a Work is that of a placement in a namespace.
func isOfANamespace(work *v1beta1.Work) bool {
	return work.Labels[wellknown.ParentNamespaceLabel] != ""
}

// foreignError is that a namespace of the member does not take what is placed from the hub's namespace of that name.
type foreignError struct{ namespace, cluster string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("Namespace %[1]q of cluster %[2]q does not take what is placed from namespace %[1]q of the hub: place the Namespace "+
		"with a ClusterResourcePlacement, or label the Namespace on the cluster or MemberCluster %[2]q on the hub with %[3]s=true",
		e.namespace, e.cluster, wellknown.AcceptPlacementsLabel)
}

func isForeign(err error) bool {
	var foreign *foreignError
	return errors.As(err, &foreign)
}

// missingNamespaceError is that the member does not have the namespace that an object is to be in.
type missingNamespaceError struct {
	namespace, cluster string
	// team reports whether a placement in a namespace places the object, which the namespace of the member must take.
	team bool
	// err is the answer of the API server.
	err error
}

func (e *missingNamespaceError) Error() string {
	fix := "create it there"
	if e.team {
		fix = fmt.Sprintf("create it there with the label %s=true", wellknown.AcceptPlacementsLabel)
	}
	return fmt.Sprintf("Namespace %q of cluster %q does not exist: place the Namespace with a ClusterResourcePlacement, or %s", e.namespace, e.cluster, fix)
}

// Unwrap keeps it an answer that something is not found.
func (e *missingNamespaceError) Unwrap() error { return e.err }

// goingNamespaceError is that the member deletes the namespace that an object is to be in.
type goingNamespaceError struct {
	namespace, cluster string
	// err is the answer of the API server.
	err error
}

func (e *goingNamespaceError) Error() string {
	return fmt.Sprintf("Namespace %q of cluster %q is being deleted and takes nothing new: the status of the Namespace there tells what holds it. "+
		"The object is created when the Namespace is there again", e.namespace, e.cluster)
}

// Unwrap keeps it an answer that passes.
func (e *goingNamespaceError) Unwrap() error { return e.err }

// explained says in the words of missingNamespaceError that the member does not have the namespace of what is written to it, and in those of
// goingNamespaceError that it will soon not have it.
func (p *pass) explained(err error, namespace string) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return &goingNamespaceError{namespace: namespace, cluster: p.options.Cluster, err: err}
	}
	status := apierrors.APIStatus(nil)
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return err
	}
	if details := status.Status().Details; details == nil || details.Group != "" || details.Kind != namespaces.Resource || details.Name != namespace {
		return err
	}
	return &missingNamespaceError{namespace: namespace, cluster: p.options.Cluster, team: isOfANamespace(p.work), err: err}
}

// mayTouch reports why an object is neither written nor compared, nil where it may be. live is nil where the member does not have it.
func (p *pass) mayTouch(ctx context.Context, m *manifest, live *unstructured.Unstructured) error {
	if !isOfANamespace(p.work) || p.isHub || m.key.Namespace == "" {
		return nil
	}
	if live != nil {
		if whose, err := p.belongingOf(ctx, live); err != nil || whose == ofOurs || whose == ofAPart {
			return err
		}
	}
	p.asking.Lock()
	defer p.asking.Unlock()
	answer, asked := p.answers[m.key.Namespace]
	if !asked {
		answer = p.askNamespace(ctx, m.key.Namespace)
		if p.answers == nil {
			p.answers = map[string]error{}
		}
		p.answers[m.key.Namespace] = answer
	}
	return answer
}

// askNamespace reports why a namespace of the member does not take what the Work places, nil where it does.
func (p *pass) askNamespace(ctx context.Context, name string) error {
	return p.consents(ctx, p.work, p.record.owner, name, func(namespace *unstructured.Unstructured) (bool, error) {
		// The wish comes before the look, so that no change falls between them: a Work that claims the AppliedWork changes no Namespace.
		for _, ref := range namespace.GetOwnerReferences() {
			if isAppliedWork(ref) {
				if p.record.awaited == nil {
					p.record.awaited = sets.New[string]()
				}
				p.record.awaited.Insert(ref.Name)
			}
		}
		p.watch()
		works, _, err := p.bringers(ctx, namespace)
		return slices.ContainsFunc(works, func(w *v1beta1.Work) bool { return !isGoing(w) }), err
	})
}

// consents reports why a namespace of the member does not take what a Work with that AppliedWork places, nil where it does. isBrought
// reports whether a cluster-scoped placement has it on the member. One that is not there has the answer of the API server: asked to create
// an object in it, that could meet one which somebody else makes in the meantime.
func (a *Applier) consents(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork, name string,
	isBrought func(*unstructured.Unstructured) (bool, error)) error {
	if work.Annotations[wellknown.AcceptPlacementsAnnotation] == "true" {
		return nil
	}
	if kept, err := a.keeps(ctx, work, owner, name); err != nil || kept {
		return err
	}
	live, err := get(ctx, a.member.resource(namespaces, ""), name)
	switch {
	case err != nil:
		return fmt.Errorf("reading Namespace %s: %w", name, err)
	case live == nil:
		return &missingNamespaceError{namespace: name, cluster: a.options.Cluster, team: true, err: apierrors.NewNotFound(namespaces.GroupResource(), name)}
	case live.GetLabels()[wellknown.AcceptPlacementsLabel] == "true":
		return nil
	}
	brought, err := isBrought(live)
	switch {
	case err != nil:
		return err
	case !brought:
		return &foreignError{namespace: name, cluster: a.options.Cluster}
	}
	return nil
}

// bringers are the Works of cluster-scoped placements whose AppliedWorks own a Namespace of the member, also those that are going. missing
// are AppliedWorks of this member that own it and have no Work, or were deleted on the member and may be about to own it again.
func (a *Applier) bringers(ctx context.Context, namespace *unstructured.Unstructured) (works []*v1beta1.Work, missing []string, err error) {
	kept := keptFor(namespace)
	names := slices.Clone(kept)
	for _, ref := range namespace.GetOwnerReferences() {
		if !isAppliedWork(ref) || slices.Contains(kept, ref.Name) {
			continue
		}
		owner, err := a.owner(ctx, ref.Name)
		if err != nil {
			return nil, nil, err
		}
		if owner != nil && owner.UID == ref.UID && owner.Spec.WorkNamespace == wellknown.MemberNamespace(a.options.Cluster) {
			names = append(names, ref.Name)
		}
	}
	for _, name := range names {
		work, err := a.works.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			missing = append(missing, name)
		case err != nil:
			return nil, nil, fmt.Errorf("reading Work %s, which has placed Namespace %s: %w", name, namespace.GetName(), err)
		case slices.Contains(kept, name) && !hasLost(work):
			// Only one that was deleted on the member is about to own it again.
		case slices.Contains(kept, name) && !isOfANamespace(work) && !partOf(work).holds.Has(identity{kind: "Namespace", name: namespace.GetName()}):
			// That the Work notes a loss is no consent: whoever has the token of the agent may write that. Whether it is to own it again is not decided.
			missing = append(missing, name)
		case !isOfANamespace(work):
			works = append(works, work)
		}
	}
	return works, missing, nil
}

// keeps reports whether the placement had objects in a namespace before members' namespaces were asked. An AppliedWork of another part may
// be newer than that, and the first is as old as the placement.
func (a *Applier) keeps(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork, namespace string) (bool, error) {
	if owner != nil && isOfScope(owner, work) && slices.Contains(keptNamespaces(owner), namespace) {
		return true, nil
	}
	first := wellknown.WorkName(work.Labels[wellknown.ParentNamespaceLabel], work.Labels[wellknown.ParentPlacementLabel], "")
	if work.Name == first {
		return false, nil
	}
	owner, err := a.owner(ctx, first)
	if err != nil || owner == nil || owner.Spec.WorkNamespace != work.Namespace || !isOfScope(owner, work) {
		return false, err
	}
	return slices.Contains(keptNamespaces(owner), namespace), nil
}

// keptNamespaces are what the annotation of an AppliedWork says or, as long as it has none, the namespaces of what it lists; none of nil.
func keptNamespaces(owner *v1beta1.AppliedWork) []string {
	if owner == nil {
		return nil
	}
	if kept, said := owner.Annotations[keptNamespacesAnnotation]; said {
		return strings.Split(kept, ",")
	}
	names := sets.New[string]()
	for _, r := range owner.Status.AppliedResources {
		if r.Namespace != "" {
			names.Insert(r.Namespace)
		}
	}
	return sets.List(names)
}

// saysKeptNamespaces reports whether an AppliedWork says which namespaces its Work keeps, where that is asked.
func saysKeptNamespaces(owner *v1beta1.AppliedWork, work *v1beta1.Work) bool {
	_, said := owner.Annotations[keptNamespacesAnnotation]
	return said || !isOfANamespace(work)
}
