// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/util/workqueue"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

const (
	// askers is how many permissions of one user are asked about at once, in one review or in all of theirs.
	askers = 16
	// check begins a message, so that nobody takes it for a refusal of the hub's RBAC.
	check = "Stagegate's author check (AuthorValidation) refuses it: "
	// maxRefusals is how many of what is refused a message names.
	maxRefusals = 10
	// maxSentence is how many bytes of a message are for one of them: names in manifests have any length, and audit logs keep messages.
	maxSentence = 1024
)

// The groups whose roles and bindings give permissions. Kubernetes lets nobody give away more than they have, but the server has all on a
// member. The second is OpenShift's name for the same objects.
var rbacGroups = sets.New("rbac.authorization.k8s.io", "authorization.openshift.io")

// deed is something that the server does for the author of an object, to other objects.
type deed struct {
	does string
	kind schema.GroupKind
	// namespace of the objects if their kind has namespaces; empty for all of them.
	namespace string
	// name of the one object, or empty for all.
	name  string
	verbs []string
	// roleRef is the role of a binding whose content is known.
	roleRef *roleRef
}

func (d deed) role() bool {
	return rbacGroups.Has(d.kind.Group) && (d.kind.Kind == "Role" || d.kind.Kind == "ClusterRole")
}

func (d deed) binding() bool {
	return rbacGroups.Has(d.kind.Group) && (d.kind.Kind == "RoleBinding" || d.kind.Kind == "ClusterRoleBinding")
}

// need is what an author must be allowed to.
type need struct {
	verbs                            []string
	group, resource, namespace, name string
	// subresource is empty for the objects themselves.
	subresource string
	// shown reports whether the name is that of something else than the deed is done to, so that a message must have it.
	shown bool
}

// String is what the permission is called by those who can give it.
func (n need) String() string {
	switch {
	case n.group == "*" && n.resource == "*" && slices.Equal(n.verbs, []string{"*"}):
		return "every permission" + n.in()
	case n.resource == "*":
		return n.on("every resource of group " + group(n.group))
	case n.shown && n.name != "":
		return n.on(n.groupResource() + " " + n.name)
	}
	return n.on(n.groupResource())
}

// on is the permission for what is told in words.
func (n need) on(what string) string { return enumerate(n.verbs) + " on " + what + n.in() }

func (n need) in() string {
	if n.namespace == "" {
		return ""
	}
	return " in namespace " + n.namespace
}

func (n need) groupResource() string {
	called := schema.GroupResource{Group: n.group, Resource: n.resource}.String()
	if n.subresource != "" {
		called += "/" + n.subresource
	}
	return called
}

// asked is a deed in words with what it takes.
type asked struct {
	// what is done to which objects.
	what  string
	needs []need
	// within is what it is a part of, which a message tells once for all parts that need the same; empty for what stands alone.
	within string
	// because says why, where that is not plain.
	because string
	// never is why nobody may but those who may do everything; empty for what can be allowed.
	never string
}

// review asks about one write.
type review struct {
	authorizer authorizer.UnconditionalAuthorizer
	kinds      *hubkinds.Cache
	user       user.Info
	asked      []asked
}

// add adds a deed.
func (r *review) add(ctx context.Context, d deed) error {
	if d.does != place && d.kind.Group == v1beta1.GroupName {
		r.refuse(d.does, d.on(d.namespace != ""), fmt.Sprintf("what an overridden %s would do is not checked: change it on the hub", d.kind.Kind))
		return nil
	}
	kinds, err := r.kindsOf(ctx, d.kind)
	if err != nil {
		return err
	}
	if len(kinds) == 0 {
		verbs := d.verbs
		if d.does != place && rbacGroups.Has(d.kind.Group) {
			verbs = append(slices.Clone(verbs), "escalate", "bind")
		}
		r.append(asked{
			what:    d.does + " " + d.on(d.namespace != ""),
			needs:   []need{{verbs: verbs, group: d.kind.Group, resource: "*", namespace: d.namespace}},
			because: fmt.Sprintf("since the hub has no kind %s in group %s", d.kind.Kind, group(d.kind.Group)),
		})
	}
	for _, k := range kinds {
		r.addKnown(d, k, "")
	}
	return nil
}

// kindsOf returns what serves a group and kind, whatever the version: more than one only where the kind has several plurals. None without
// an error is a kind that the hub does not have.
func (r *review) kindsOf(ctx context.Context, gk schema.GroupKind) ([]hubkinds.Kind, error) {
	versions, err := r.kinds.Of(ctx, gk)
	if err != nil {
		return nil, unavailable(err)
	}
	var found []hubkinds.Kind
	for _, k := range versions {
		if !slices.ContainsFunc(found, func(f hubkinds.Kind) bool { return f.Resource == k.Resource }) {
			found = append(found, k)
		}
	}
	return found, nil
}

// unavailable is the answer while it cannot be told which permissions are needed.
func unavailable(why error) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf("which permissions this takes cannot be told before the hub tells its kinds, try again later: %v", why))
}

// addKnown adds a deed that is done to objects of a kind of the hub. Within may tell what that is a part of.
func (r *review) addKnown(d deed, k hubkinds.Kind, within string) {
	n := need{verbs: d.verbs, group: k.Group, resource: k.Resource, name: d.name}
	if d.does == report {
		n.subresource = "status"
	}
	switch {
	case k.Namespaced:
		n.namespace = d.namespace
	case k.GroupKind() == namespaceKind && d.does != wrap:
		// A request for a Namespace by its name is one in that namespace, so that whoever has a role there may. To create it is none.
		n.namespace = d.name
	}
	a := asked{what: d.does + " " + d.on(k.Namespaced), within: within, needs: []need{n}}
	switch {
	case d.does == place || d.does == report:
	case d.role():
		a.needs[0].verbs = append(slices.Clone(d.verbs), "escalate")
	case d.binding():
		a.needs = append(a.needs, d.bind(k.Group, n.namespace)...)
	}
	r.append(a)
}

// bind is what it takes to give the role of a binding to somebody: any role where it cannot be told which.
func (d deed) bind(group, namespace string) []need {
	n := need{verbs: []string{"bind"}, group: group, namespace: namespace, shown: true}
	if d.roleRef == nil {
		roles, clusterRoles := n, n
		roles.resource, clusterRoles.resource = "roles", "clusterroles"
		return []need{roles, clusterRoles}
	}
	n.resource, n.name = "clusterroles", d.roleRef.name
	if d.roleRef.kind == "Role" {
		n.resource = "roles"
	}
	return []need{n}
}

// addEverything adds what takes every permission in a namespace.
func (r *review) addEverything(does, what, namespace string) {
	r.append(asked{what: does + " " + what, needs: []need{everything(namespace)}})
}

// refuse adds what is only for those who may do everything.
func (r *review) refuse(does, what, why string) {
	r.append(asked{what: does + " " + what, never: why})
}

// append adds what has not been added: several selectors may be for the same objects.
func (r *review) append(a asked) {
	if !slices.ContainsFunc(r.asked, func(other asked) bool {
		return other.what == a.what && slices.EqualFunc(other.needs, a.needs, func(a, b need) bool { return a.String() == b.String() })
	}) {
		r.asked = append(r.asked, a)
	}
}

// on names the objects that a deed is done to.
func (d deed) on(namespaced bool) string {
	switch {
	case d.name != "" && namespaced && d.namespace != "":
		return d.kind.Kind + " " + d.namespace + "/" + d.name
	case d.name != "" && namespaced:
		return d.kind.Kind + " " + d.name + " in any namespace"
	case d.name != "":
		return d.kind.Kind + " " + d.name
	case namespaced && d.namespace != "":
		return "every " + d.kind.Kind + " in namespace " + d.namespace
	}
	return "every " + d.kind.Kind
}

// everything is every permission in a namespace, or in all.
func everything(namespace string) need {
	return need{verbs: []string{"*"}, group: "*", resource: "*", namespace: namespace}
}

// missing returns those verbs of a need that the author lacks.
func (r *review) missing(ctx context.Context, n need) ([]string, error) {
	var missing []string
	for _, verb := range n.verbs {
		allowed, _, err := registry.Allowed(ctx, r.authorizer, authorizer.AttributesRecord{
			User: r.user, Verb: verb, Namespace: n.namespace, APIGroup: n.group, APIVersion: "*", Resource: n.resource, Subresource: n.subresource,
			Name: n.name, ResourceRequest: true,
		})
		if err != nil {
			return nil, err
		}
		if !allowed {
			missing = append(missing, verb)
		}
	}
	return missing, nil
}

// refusal asks about everything and returns what is refused, nil for nothing. Each sentence has what is needed and not given.
func (r *review) refusal(ctx context.Context) (refused, err error) {
	type question struct {
		of *asked
		need
	}
	var questions []question
	for i := range r.asked {
		for _, n := range r.asked[i].needs {
			questions = append(questions, question{&r.asked[i], n})
		}
	}
	missing, errs := make([][]string, len(questions)), make([]error, len(questions))
	workqueue.ParallelizeUntil(ctx, askers, len(questions), func(i int) {
		// Nothing recovers what panics beside the request's own goroutine.
		defer func() {
			if panicked := recover(); panicked != nil {
				errs[i] = apierrors.NewInternalError(fmt.Errorf("asking whether %q may %s: panic: %v", r.user.GetName(), questions[i].need, panicked))
			}
		}()
		missing[i], errs[i] = r.missing(ctx, questions[i].need)
	})
	// What had not begun when the request ended was not asked, and not allowed.
	if err := ctx.Err(); err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("asking what %q may: %w", r.user.GetName(), err))
	}
	lacks := map[*asked][]need{}
	for i, q := range questions {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if len(missing[i]) > 0 {
			q.verbs = missing[i]
			lacks[q.of] = append(lacks[q.of], q.need)
		}
	}
	sentences := r.sentences(lacks)
	if len(sentences) == 0 {
		return nil, nil
	}
	fix := ". Leave it out, or have somebody write it who may do the same without Stagegate"
	if len(lacks) > 0 {
		fix = ". Ask for what it needs on the hub, leave it out, or have somebody write it who may do the same without Stagegate"
	}
	return errors.New(check + wording.Clauses(sentences[:min(len(sentences), maxRefusals)], len(sentences)) + fix), nil
}

// sentences returns what is refused, in the order in which it was added.
func (r *review) sentences(lacks map[*asked][]need) []string {
	// parts are the resources of what is told once, by that and the verbs.
	type whole struct{ within, verbs string }
	parts := map[whole][]string{}
	for i := range r.asked {
		if a := &r.asked[i]; a.within != "" {
			for _, n := range lacks[a] {
				key := whole{a.within, enumerate(n.verbs)}
				parts[key] = append(parts[key], n.groupResource())
			}
		}
	}
	var sentences []string
	say := func(what, why string) {
		sentences = append(sentences, wording.Shorten(fmt.Sprintf("user %q cannot %s: %s", r.user.GetName(), what, why), maxSentence))
	}
	for i := range r.asked {
		a := &r.asked[i]
		switch {
		case a.never != "":
			say(a.what, a.never)
		case len(lacks[a]) == 0:
		case a.within != "":
			for _, n := range lacks[a] {
				key := whole{a.within, enumerate(n.verbs)}
				if resources := parts[key]; resources != nil {
					say(a.within, "needs "+n.on(wording.List(resources)))
					delete(parts, key)
				}
			}
		default:
			var needs []string
			for _, n := range lacks[a] {
				needs = append(needs, n.String())
			}
			why := "needs " + strings.Join(needs, ", and ")
			if a.because != "" {
				why += ", " + a.because
			}
			say(a.what, why)
		}
	}
	return sentences
}

func group(name string) string {
	if name == "" {
		return `""`
	}
	return name
}

// enumerate joins verbs as a sentence has them.
func enumerate(verbs []string) string {
	if len(verbs) < 2 {
		return strings.Join(verbs, "")
	}
	return strings.Join(verbs[:len(verbs)-1], ", ") + " and " + verbs[len(verbs)-1]
}
