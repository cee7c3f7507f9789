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
	// maxSingle is how many objects in envelopes are asked about by their names, which it takes for a user who may not do the same with all of
	// the kind.
	maxSingle = 1000
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
	// of is the envelope that has the object, as it is described; empty where no envelope matters.
	of string
}

func (d deed) role() bool {
	return rbacGroups.Has(d.kind.Group) && (d.kind.Kind == "Role" || d.kind.Kind == "ClusterRole")
}

func (d deed) binding() bool {
	return rbacGroups.Has(d.kind.Group) && (d.kind.Kind == "RoleBinding" || d.kind.Kind == "ClusterRoleBinding")
}

// grants reports whether the deed has what an object permits take effect somewhere, by a content that the hub has not checked.
func (d deed) grants() bool {
	return d.does == override || d.does == wrap || d.does == place && d.of != "" && isGuarded(d.kind)
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
	envelopes  envelopes
	user       user.Info
	asked      []asked
	// known are what has been asked, as told: several selectors may be for the same objects.
	known sets.Set[string]
	// wide has whether the author may do with all objects of a kind what is to be done to one.
	wide map[string]bool
	// single is how many objects of envelopes are asked about one by one.
	single int
}

// add adds a deed.
func (r *review) add(ctx context.Context, d deed) error {
	all, err := r.askedFor(ctx, d)
	for _, a := range all {
		r.append(a)
	}
	return err
}

// addOverridden adds what an override does. One that names an envelope or another kind of the fleet does nothing that can end.
func (r *review) addOverridden(ctx context.Context, d deed) error {
	switch {
	case d.kind.Group != v1beta1.GroupName:
		return r.add(ctx, d)
	case d.does == override:
		r.refuse(d.does, d.on(d.namespace != ""), fmt.Sprintf("what an overridden %s would do is not checked: change it on the hub", d.kind.Kind))
	}
	return nil
}

// askedFor returns what a deed takes.
func (r *review) askedFor(ctx context.Context, d deed) ([]asked, error) {
	kinds, err := r.kindsOf(ctx, d.kind)
	if err != nil {
		return nil, err
	}
	if len(kinds) == 0 {
		verbs := d.verbs
		if d.grants() && rbacGroups.Has(d.kind.Group) {
			verbs = append(slices.Clone(verbs), "escalate", "bind")
		}
		return []asked{{
			what:    d.does + " " + d.on(d.namespace != ""),
			needs:   []need{{verbs: verbs, group: d.kind.Group, resource: "*", namespace: d.namespace}},
			because: fmt.Sprintf("since the hub has no kind %s in group %s", d.kind.Kind, group(d.kind.Group)),
		}}, nil
	}
	var all []asked
	for _, k := range kinds {
		all = append(all, r.askedOf(d, k, ""))
	}
	return all, nil
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

// askedOf returns what a deed takes that is done to objects of a kind of the hub. Within may tell what that is a part of.
func (r *review) askedOf(d deed, k hubkinds.Kind, within string) asked {
	n := need{verbs: d.verbs, group: k.Group, resource: k.Resource, name: d.name}
	if d.does == report {
		n.subresource = "status"
	}
	switch {
	case k.Namespaced:
		n.namespace = d.namespace
	case k.GroupKind() == namespaceKind && !slices.Contains(d.verbs, "create"):
		// A request for a Namespace by its name is one in that namespace, so that whoever has a role there may. To create it is none.
		n.namespace = d.name
	}
	a := asked{what: d.does + " " + d.on(k.Namespaced), within: within, needs: []need{n}}
	switch {
	case !d.grants():
	case d.role():
		a.needs[0].verbs = append(slices.Clone(d.verbs), "escalate")
	case d.binding():
		a.needs = append(a.needs, d.bind(k.Group, n.namespace)...)
	}
	return a
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

// refuse adds what is only for those who may do everything.
func (r *review) refuse(does, what, why string) {
	r.append(asked{what: does + " " + what, never: why})
}

// append adds what has not been added.
func (r *review) append(a asked) {
	told := fmt.Sprintf("%q %q", a.what, a.needs)
	if !r.known.Has(told) {
		r.known.Insert(told)
		r.asked = append(r.asked, a)
	}
}

// mayWith reports whether the author may do with every object of a kind, in its namespace, what a deed does to one.
func (r *review) mayWith(ctx context.Context, d deed) (bool, error) {
	d.name, d.roleRef = "", nil
	key := fmt.Sprintf("%q %q %q", d.kind, d.namespace, d.verbs)
	if may, asked := r.wide[key]; asked {
		return may, nil
	}
	all, err := r.askedFor(ctx, d)
	if err != nil {
		return false, err
	}
	for _, a := range all {
		for _, n := range a.needs {
			missing, err := r.missing(ctx, n)
			if err != nil {
				return false, err
			}
			if len(missing) > 0 {
				r.wide[key] = false
				return false, nil
			}
		}
	}
	r.wide[key] = true
	return true, nil
}

// on names the objects that a deed is done to.
func (d deed) on(namespaced bool) string {
	if d.of != "" {
		of := d.of
		d.of = ""
		return d.on(namespaced) + " of " + of
	}
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
	switch {
	case r.lacksToEnd(lacks):
		fix = ". Ask for what it needs on the hub, leave it as it is, or have somebody do it who may do the same without Stagegate"
	case len(lacks) > 0:
		fix = ". Ask for what it needs on the hub, leave it out, or have somebody write it who may do the same without Stagegate"
	}
	return errors.New(check + wording.Clauses(sentences[:min(len(sentences), maxRefusals)], len(sentences)) + fix), nil
}

// lacksToEnd reports whether the author lacks what it takes to end what is there.
func (r *review) lacksToEnd(lacks map[*asked][]need) bool {
	for a := range lacks {
		for _, ends := range []string{stopPlacing, stopOverriding, unwrap} {
			if strings.HasPrefix(a.what, ends+" ") {
				return true
			}
		}
	}
	return false
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
