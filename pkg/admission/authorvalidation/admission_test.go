// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	placementlisters "github.com/stagegate/stagegate/pkg/generated/listers/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

// One of these ends a refusal: for what is never done, there is nothing to ask for.
const (
	ask      = ". Ask for what it needs on the hub, leave it out, or have somebody write it who may do the same without Stagegate"
	askToEnd = ". Ask for what it needs on the hub, leave it as it is, or have somebody do it who may do the same without Stagegate"
	never    = ". Leave it out, or have somebody write it who may do the same without Stagegate"
)

const rbacGroup = "rbac.authorization.k8s.io"

// roles are what users of the tests may, in a namespace or, under "", everywhere.
type roles map[string]map[string][]rbacv1.PolicyRule

func rule(verbs, groups, resources string, names ...string) rbacv1.PolicyRule {
	split := func(s string) []string { return strings.Split(s, ",") }
	return rbacv1.PolicyRule{Verbs: split(verbs), APIGroups: split(groups), Resources: split(resources), ResourceNames: names}
}

var people = roles{
	"root": {"": {rule("*", "*", "*")}},
	// edit, as Kubernetes has it: neither roles nor writing quotas.
	"alice": {"team-a": {
		rule("get,list,create,update,delete", ",apps", "configmaps,secrets,deployments"),
		rule("get,list", "", "resourcequotas,limitranges,namespaces"),
		rule("get,list,create,update,delete", v1beta1.GroupName, "resourceenvelopes"),
	}},
	// Who writes envelopes, and of what they hold ConfigMaps and quotas; neither may be deleted.
	"writer": {"team-a": {rule("create,update", "", "configmaps,resourcequotas")}},
	// admin, as Kubernetes has it, with quotas and what one role permits.
	"admin": {"team-a": {
		rule("*", ",apps", "*"), rule("*", v1beta1.GroupName, "*"),
		rule("get,list,create,update,delete", rbacGroup, "roles,rolebindings"), rule("bind", rbacGroup, "clusterroles", "view"),
	}},
	// Who places all there is of the fleet, as far as the hub's RBAC tells, and reads envelopes.
	"placer": {"": {rule("*", v1beta1.GroupName, "clusterresourceplacements"), rule("get,list", v1beta1.GroupName, "clusterresourceenvelopes")}},
	// The hub's own controllers that delete what is in a namespace that goes, and what has lost its owner.
	"emptier":   {"": {rule("get,list,delete,deletecollection", "*", "*")}},
	"collector": {"": {rule("get,list,watch,patch,update,delete", "*", "*")}},
	// Who may change, and not delete.
	"mender": {"team-a": {rule("get,list,create,update", "", "configmaps")}},
	// Who may read one object.
	"narrow": {"team-a": {rule("get,list", "", "secrets", "tls")}},
	// Who reads a namespace in full, by kinds and by a wildcard.
	"reader":     {"x": {rule("get,list", "*", "*")}},
	"enumerator": {"x": {rule("get,list", ",apps", "namespaces,configmaps,secrets,resourcequotas,deployments"), rule("get,list", rbacGroup+","+v1beta1.GroupName, "roles,rolebindings,resourceenvelopes")}},
	// Who gets everything of a namespace, and lists no roles.
	"getter": {"x": {rule("get", "*", "*"), rule("list", ",apps,"+v1beta1.GroupName, "*"), rule("list", rbacGroup, "rolebindings")}},
	// The owner of a namespace.
	"owner": {"x": {rule("*", "*", "*")}},
	// Who writes roles and bindings, and gives away what they have only.
	"officer": {"team-a": {rule("create,update", rbacGroup, "roles,rolebindings")}},
	// Who may give away some role as well.
	"binder": {"team-a": {rule("create,update", rbacGroup, "roles,rolebindings"), rule("bind", rbacGroup, "clusterroles", "view"), rule("escalate", rbacGroup, "roles", "some")}},
	// Who may do all there is in a group that the hub does not have.
	"widgeteer": {"team-a": {rule("create,update", "example.com", "*")}},
	// Who reads a kind that the hub gets later.
	"early": {"team-a": {rule("get,list", "example.com", "widgets")}},
	// Who may write the status of Deployments, and places them.
	"reporter": {"team-a": {rule("get,list", ",apps", "deployments,secrets"), rule("update", "apps", "deployments/status")}},
	// Who may write one status, and no more than its object.
	"reporter-of-web": {"team-a": {rule("get,list", "apps", "deployments"), rule("update", "apps", "deployments/status", "web")}},
	// Who may change Deployments, and not their status.
	"changer": {"team-a": {rule("*", "apps", "deployments"), rule("get,list", "*", "*")}},
	"nobody":  {},
}

func has(granted []string, asked string) bool {
	return slices.Contains(granted, "*") || slices.Contains(granted, asked)
}

func (p roles) allows(a authorizer.Attributes) bool {
	resource := a.GetResource()
	if a.GetSubresource() != "" {
		resource += "/" + a.GetSubresource()
	}
	for _, namespace := range []string{"", a.GetNamespace()} {
		for _, r := range p[a.GetUser().GetName()][namespace] {
			if has(r.Verbs, a.GetVerb()) && has(r.APIGroups, a.GetAPIGroup()) && has(r.Resources, resource) &&
				(len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, a.GetName())) {
				return true
			}
		}
	}
	return false
}

func kind(group, version, name, resource string, namespaced bool) hubkinds.Kind {
	return hubkinds.Kind{
		GroupVersionKind: schema.GroupVersionKind{Group: group, Version: version, Kind: name}, Resource: resource,
		Namespaced: namespaced, InNamespaces: namespaced,
	}
}

var hubKinds = []hubkinds.Kind{
	kind("", "v1", "Namespace", "namespaces", false),
	kind("", "v1", "ConfigMap", "configmaps", true),
	kind("", "v1", "Secret", "secrets", true),
	kind("", "v1", "ResourceQuota", "resourcequotas", true),
	{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, Resource: "pods", Namespaced: true},
	kind("apps", "v1", "Deployment", "deployments", true),
	kind(rbacGroup, "v1", "Role", "roles", true),
	kind(rbacGroup, "v1", "RoleBinding", "rolebindings", true),
	kind(rbacGroup, "v1", "ClusterRole", "clusterroles", false),
	kind(rbacGroup, "v1", "ClusterRoleBinding", "clusterrolebindings", false),
	kind(v1beta1.GroupName, "v1", "ResourceEnvelope", "resourceenvelopes", true),
	kind(v1beta1.GroupName, "v1", "ClusterResourceEnvelope", "clusterresourceenvelopes", false),
}

// fixture is a plugin with what it asked.
type fixture struct {
	*Plugin
	clock *clocktesting.FakePassiveClock
	// stored are the envelopes that there are, and fleetwide those of the fleet.
	stored, fleetwide cache.Indexer
	// goes is the namespace that the hub is deleting.
	goes string

	mu      sync.Mutex
	asked   []string
	down    error
	reads   int
	kinds   hubkinds.Kinds
	failure error
}

func newFixture() *fixture {
	f := &fixture{Plugin: New(), clock: clocktesting.NewFakePassiveClock(time.Unix(1e9, 0)), kinds: hubkinds.Kinds{Served: hubKinds}}
	f.SetUnconditionalAuthorizer(authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked = append(f.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s/%s", a.GetVerb(),
			schema.GroupResource{Group: a.GetAPIGroup(), Resource: a.GetResource()}, a.GetNamespace(), a.GetName())))
		if f.down != nil {
			return authorizer.DecisionNoOpinion, "", f.down
		}
		if people.allows(a) {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	}))
	f.SetHubKinds(hubkinds.New(func(context.Context) (hubkinds.Kinds, error) {
		f.reads++
		return f.kinds, f.failure
	}, f.clock))
	indexed := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	f.stored, f.fleetwide = cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexed), cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexed)
	f.envelopes = envelopes{placementlisters.NewResourceEnvelopeLister(f.stored), placementlisters.NewClusterResourceEnvelopeLister(f.fleetwide), func() bool { return true }}
	hub := kubefake.NewClientset()
	hub.PrependReactor("get", "namespaces", func(action clienttesting.Action) (bool, runtime.Object, error) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: action.(clienttesting.GetAction).GetName()}}
		if namespace.Name == f.goes {
			namespace.DeletionTimestamp = &metav1.Time{Time: time.Unix(1e9, 0)}
		}
		return true, namespace, nil
	})
	f.SetExternalKubeClientSet(hub)
	return f
}

// store has an envelope be there, as the cache has it.
func (f *fixture) store(t *testing.T, objects ...runtime.Object) {
	t.Helper()
	for _, object := range objects {
		into := f.stored
		if _, clusterScoped := object.(*v1beta1.ClusterResourceEnvelope); clusterScoped {
			into = f.fleetwide
		}
		small, err := shrink(object.DeepCopyObject())
		if err == nil {
			err = into.Add(small)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// remove deletes an object.
func (f *fixture) remove(who string, object runtime.Object) error {
	meta := object.(metav1.Object)
	author := &user.DefaultInfo{Name: who}
	return f.Validate(genericapirequest.WithUser(context.Background(), author), admission.NewAttributesRecord(nil, object,
		schema.GroupVersionKind{Group: v1beta1.GroupName, Kind: "Written"}, meta.GetNamespace(), "",
		schema.GroupVersionResource{Group: v1beta1.GroupName, Version: "v1", Resource: "written"}, "", admission.Delete, nil, false, author), nil)
}

func (f *fixture) write(who string, object, old runtime.Object) error {
	return f.writeSubresource(who, object, old, "")
}

func (f *fixture) writeSubresource(who string, object, old runtime.Object, subresource string) error {
	operation := admission.Create
	if old != nil {
		operation = admission.Update
	}
	meta := object.(metav1.Object)
	author := &user.DefaultInfo{Name: who}
	return f.Validate(genericapirequest.WithUser(context.Background(), author), admission.NewAttributesRecord(object, old,
		schema.GroupVersionKind{Group: v1beta1.GroupName, Kind: "Written"}, meta.GetNamespace(), meta.GetName(),
		schema.GroupVersionResource{Group: v1beta1.GroupName, Version: "v1", Resource: "written"}, subresource, operation, nil, false, author), nil)
}

// refusal returns what a refusal says, without what all have in common.
func refusal(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	if !apierrors.IsForbidden(err) {
		t.Errorf("refused as %s: %v", apierrors.ReasonForError(err), err)
	}
	said, checked := strings.CutPrefix(err.Error(), `written.placement.kubernetes-fleet.io "o" is forbidden: `+check)
	if !checked {
		t.Errorf("the refusal does not tell who refuses: %v", err)
	}
	ends := never
	switch {
	case strings.Contains(said, " cannot stop ") || strings.Contains(said, " cannot unwrap "):
		ends = askToEnd
	case strings.Contains(said, ": needs "):
		ends = ask
	}
	said, fixed := strings.CutSuffix(said, ends)
	if !fixed {
		t.Errorf("the refusal does not tell what to do: %v", err)
	}
	return strings.Split(said, "; ")
}

func in(namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: "o", Namespace: namespace}
}

// selector is group/kind/name, or group/kind for all of a kind.
func selector(s string, scope ...v1beta1.SelectionScope) v1beta1.ResourceSelectorTerm {
	parts := append(strings.Split(s, "/"), "")
	term := v1beta1.ResourceSelectorTerm{Group: parts[0], Version: "v1", Kind: parts[1], Name: parts[2]}
	for _, term.SelectionScope = range scope {
	}
	return term
}

func resourcePlacement(selectors ...v1beta1.ResourceSelectorTerm) runtime.Object {
	return &v1beta1.ResourcePlacement{ObjectMeta: in("team-a"), Spec: v1beta1.PlacementSpec{ResourceSelectors: selectors}}
}

func clusterPlacement(selectors ...v1beta1.ResourceSelectorTerm) runtime.Object {
	return &v1beta1.ClusterResourcePlacement{ObjectMeta: in(""), Spec: v1beta1.PlacementSpec{ResourceSelectors: selectors}}
}

func policyOf(kind v1beta1.OverrideType) *v1beta1.OverridePolicy {
	return &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{}, {OverrideType: kind}}}
}

func resourceOverride(kind v1beta1.OverrideType, selectors ...string) runtime.Object {
	o := &v1beta1.ResourceOverride{ObjectMeta: in("team-a"), Spec: v1beta1.ResourceOverrideSpec{Policy: policyOf(kind)}}
	for _, s := range selectors {
		term := selector(s)
		o.Spec.ResourceSelectors = append(o.Spec.ResourceSelectors, v1beta1.ResourceSelector{Group: term.Group, Version: term.Version, Kind: term.Kind, Name: term.Name})
	}
	return o
}

func clusterOverride(kind v1beta1.OverrideType, selectors ...string) runtime.Object {
	o := &v1beta1.ClusterResourceOverride{ObjectMeta: in(""), Spec: v1beta1.ClusterResourceOverrideSpec{Policy: policyOf(kind)}}
	for _, s := range selectors {
		o.Spec.ClusterResourceSelectors = append(o.Spec.ClusterResourceSelectors, selector(s))
	}
	return o
}

func data(manifests ...string) map[string]runtime.RawExtension {
	data := map[string]runtime.RawExtension{}
	for i, m := range manifests {
		data[fmt.Sprint(i)] = runtime.RawExtension{Raw: []byte(m)}
	}
	return data
}

func envelope(manifests ...string) runtime.Object {
	return &v1beta1.ResourceEnvelope{ObjectMeta: in("team-a"), Data: data(manifests...)}
}

func clusterEnvelope(manifests ...string) runtime.Object {
	return &v1beta1.ClusterResourceEnvelope{ObjectMeta: in(""), Data: data(manifests...)}
}

// attempt is a write with what is refused of it.
type attempt struct {
	name   string
	who    string
	object runtime.Object
	want   []string
}

func try(t *testing.T, attempts []attempt) {
	t.Helper()
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			f := newFixture()
			if diff := cmp.Diff(a.want, refusal(t, f.write(a.who, a.object, nil))); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
			if err := f.write("root", a.object, nil); err != nil {
				t.Errorf("an administrator is refused: %v", err)
			}
			if a.want == nil {
				if err := f.write("nobody", a.object, nil); !apierrors.IsForbidden(err) {
					t.Errorf("somebody without any permission is answered with %v", err)
				}
			}
		})
	}
}

func TestWhoPlacesMayReadWhatIsPlaced(t *testing.T) {
	const wholeNamespace = v1beta1.NamespaceWithResources
	try(t, []attempt{
		{"their own", "alice", resourcePlacement(selector("/ConfigMap/web"), selector("apps/Deployment"), selector("/Secret")), nil},
		{"a binding", "alice", resourcePlacement(selector("/ConfigMap/web"), selector(rbacGroup+"/RoleBinding/edit")), []string{
			`user "alice" cannot place RoleBinding team-a/edit: needs get and list on rolebindings.rbac.authorization.k8s.io in namespace team-a`,
		}},
		{"all of a kind", "alice", resourcePlacement(selector(rbacGroup + "/Role")), []string{
			`user "alice" cannot place every Role in namespace team-a: needs get and list on roles.rbac.authorization.k8s.io in namespace team-a`,
		}},
		{"what holds them to their share, though they read it", "alice", resourcePlacement(selector("/ResourceQuota/q"), selector("/ConfigMap/web")), []string{
			`user "alice" cannot place ResourceQuota team-a/q: needs update and delete on resourcequotas in namespace team-a`,
		}},
		{"one object by its name", "narrow", resourcePlacement(selector("/Secret/tls")), nil},
		{"another object", "narrow", resourcePlacement(selector("/Secret/tls"), selector("/Secret/other")), []string{
			`user "narrow" cannot place Secret team-a/other: needs get and list on secrets in namespace team-a`,
		}},
		{"that object and all others", "narrow", resourcePlacement(selector("/Secret/tls"), selector("/Secret")), []string{
			`user "narrow" cannot place every Secret in namespace team-a: needs get and list on secrets in namespace team-a`,
		}},
		{"a cluster-scoped kind", "alice", resourcePlacement(selector(rbacGroup + "/ClusterRole/admin")), []string{
			`user "alice" cannot place ClusterRole admin: needs get and list on clusterroles.rbac.authorization.k8s.io`,
		}},
		{"another namespace", "alice", resourcePlacement(selector("/Namespace/x")), []string{
			`user "alice" cannot place Namespace x: needs get and list on namespaces in namespace x`,
		}},
		{"an envelope", "mender", resourcePlacement(selector(v1beta1.GroupName + "/ResourceEnvelope/e")), []string{
			`user "mender" cannot place ResourceEnvelope team-a/e: needs get and list on resourceenvelopes.placement.kubernetes-fleet.io in namespace team-a`,
		}},
		{"a kind that the hub does not have", "alice", resourcePlacement(selector("example.com/Widget/w")), []string{
			`user "alice" cannot place Widget team-a/w: needs get and list on every resource of group example.com in namespace team-a, since the hub has no kind Widget in group example.com`,
		}},
		{"a kind in another case", "alice", resourcePlacement(selector("/secret/tls")), []string{
			`user "alice" cannot place secret team-a/tls: needs get and list on every resource of group "" in namespace team-a, since the hub has no kind secret in group ""`,
		}},
		{"the core group by another name", "alice", resourcePlacement(selector("core/Secret/tls")), []string{
			`user "alice" cannot place Secret team-a/tls: needs get and list on every resource of group core in namespace team-a, since the hub has no kind Secret in group core`,
		}},
		{"an older group of the kind", "alice", resourcePlacement(selector("extensions/Deployment/web")), []string{
			`user "alice" cannot place Deployment team-a/web: needs get and list on every resource of group extensions in namespace team-a, since the hub has no kind Deployment in group extensions`,
		}},
		{"a namespace that they read in full", "reader", clusterPlacement(selector("/Namespace/x", wholeNamespace)), nil},
		{"a namespace that they read kind by kind", "enumerator", clusterPlacement(selector("/Namespace/x")), nil},
		{"a namespace but for a kind", "getter", clusterPlacement(selector("/Namespace/x", wholeNamespace)), []string{
			`user "getter" cannot place what is in namespace x: needs list on roles.rbac.authorization.k8s.io in namespace x`,
		}},
		{"a namespace of which they read little", "mender", clusterPlacement(selector("/Namespace/team-a")), []string{
			`user "mender" cannot place Namespace team-a: needs get and list on namespaces in namespace team-a`,
			`user "mender" cannot place what is in namespace team-a: needs get and list on deployments.apps, resourceenvelopes.placement.kubernetes-fleet.io, resourcequotas, rolebindings.rbac.authorization.k8s.io, roles.rbac.authorization.k8s.io, secrets in namespace team-a`,
		}},
		{"another namespace too", "reader", clusterPlacement(selector("/Namespace/x"), selector("/Namespace/y", v1beta1.NamespaceOnly)), []string{
			`user "reader" cannot place Namespace y: needs get and list on namespaces in namespace y`,
		}},
		{"all namespaces", "reader", clusterPlacement(selector("/Namespace", v1beta1.NamespaceOnly)), []string{
			`user "reader" cannot place every Namespace: needs get and list on namespaces`,
		}},
		{"all namespaces with what is in them", "getter", clusterPlacement(selector("/Namespace")), []string{
			`user "getter" cannot place every Namespace: needs get and list on namespaces`,
			`user "getter" cannot place what is in every namespace: needs get and list on configmaps, deployments.apps, resourceenvelopes.placement.kubernetes-fleet.io, resourcequotas, rolebindings.rbac.authorization.k8s.io, roles.rbac.authorization.k8s.io, secrets`,
		}},
		{"a Namespace alone", "alice", clusterPlacement(selector("/Namespace/team-a", v1beta1.NamespaceOnly)), nil},
		{"a Namespace with what selectors name", "alice", clusterPlacement(
			selector("/Namespace/team-a", v1beta1.NamespaceWithResourceSelectors), selector("/ConfigMap"), selector("apps/Deployment/web")), nil},
		{"a Namespace with what they may not read", "alice", clusterPlacement(
			selector("/Namespace/team-a", v1beta1.NamespaceWithResourceSelectors), selector(rbacGroup+"/RoleBinding"), selector(rbacGroup+"/ClusterRole/admin")), []string{
			`user "alice" cannot place every RoleBinding in namespace team-a: needs get and list on rolebindings.rbac.authorization.k8s.io in namespace team-a`,
			`user "alice" cannot place ClusterRole admin: needs get and list on clusterroles.rbac.authorization.k8s.io`,
		}},
		{"one of the namespaces with a label", "alice", clusterPlacement(
			selector("/Namespace", v1beta1.NamespaceWithResourceSelectors), selector("/ConfigMap")), []string{
			`user "alice" cannot place every Namespace: needs get and list on namespaces`,
			`user "alice" cannot place every ConfigMap: needs get and list on configmaps`,
		}},
		{"a namespace by its name or another with a label", "alice", clusterPlacement(
			selector("/Namespace/team-a", v1beta1.NamespaceWithResourceSelectors), selector("/Namespace", v1beta1.NamespaceWithResourceSelectors), selector("/ConfigMap")), []string{
			`user "alice" cannot place every Namespace: needs get and list on namespaces`,
			`user "alice" cannot place every ConfigMap: needs get and list on configmaps`,
		}},
		{"what is in a namespace without one", "alice", clusterPlacement(selector("/ConfigMap/web")), []string{
			`user "alice" cannot place ConfigMap web in any namespace: needs get and list on configmaps`,
		}},
	})
}

// reporting has a placement write statuses to the hub.
func reporting(object runtime.Object) runtime.Object {
	destination := v1beta1.ReportBackDestinationOriginalResource
	object.(v1beta1.PlacementObject).PlacementSpec().Strategy.ReportBackStrategy = &v1beta1.ReportBackStrategy{
		Type: v1beta1.ReportBackStrategyTypeMirror, Destination: &destination,
	}
	return object
}

func TestWhoHasAStatusReportedMayWriteThatStatus(t *testing.T) {
	web, all := selector("apps/Deployment/web"), selector("apps/Deployment")
	try(t, []attempt{
		{"their own", "reporter", reporting(resourcePlacement(all)), nil},
		{"one by its name", "reporter-of-web", reporting(resourcePlacement(web)), nil},
		{"another one", "reporter-of-web", reporting(resourcePlacement(selector("apps/Deployment/db"))), []string{
			`user "reporter-of-web" cannot report the status of Deployment team-a/db: needs update on deployments.apps/status in namespace team-a`,
		}},
		{"what they may change, and not the status of", "changer", reporting(resourcePlacement(web)), []string{
			`user "changer" cannot report the status of Deployment team-a/web: needs update on deployments.apps/status in namespace team-a`,
		}},
		{"all of a kind", "changer", reporting(resourcePlacement(all)), []string{
			`user "changer" cannot report the status of every Deployment in namespace team-a: needs update on deployments.apps/status in namespace team-a`,
		}},
		{"what they may not even place", "reporter", reporting(resourcePlacement(web, selector("/ConfigMap/c"))), []string{
			`user "reporter" cannot place ConfigMap team-a/c: needs get and list on configmaps in namespace team-a`,
		}},
		{"a kind that is never reported", "reporter", reporting(resourcePlacement(selector("/Secret/tls"))), nil},
		{"a kind that the hub does not have", "widgeteer", reporting(resourcePlacement(selector("example.com/Widget/w"))), []string{
			`user "widgeteer" cannot place Widget team-a/w: needs get and list on every resource of group example.com in namespace team-a, since the hub has no kind Widget in group example.com`,
		}},
		{"a kind that the hub gets later", "early", reporting(resourcePlacement(selector("example.com/Widget/w"))), []string{
			`user "early" cannot place Widget team-a/w: needs get and list on every resource of group example.com in namespace team-a, since the hub has no kind Widget in group example.com`,
			`user "early" cannot report the status of Widget team-a/w: needs update on every resource of group example.com in namespace team-a, since the hub has no kind Widget in group example.com`,
		}},
		{"a whole namespace", "owner", reporting(clusterPlacement(selector("/Namespace/x"))), nil},
		{"a whole namespace that they read", "reader", reporting(clusterPlacement(selector("/Namespace/x"))), []string{
			`user "reader" cannot report the status of what is in namespace x: needs update on deployments.apps/status in namespace x`,
		}},
		{"a Namespace alone", "reader", reporting(clusterPlacement(selector("/Namespace/x", v1beta1.NamespaceOnly))), nil},
		{"a Namespace with what selectors name", "changer", reporting(clusterPlacement(selector("/Namespace/team-a", v1beta1.NamespaceWithResourceSelectors), web)), []string{
			`user "changer" cannot report the status of Deployment team-a/web: needs update on deployments.apps/status in namespace team-a`,
		}},
	})
}

func TestARefusalNamesTenAndCountsTheRest(t *testing.T) {
	var selectors []v1beta1.ResourceSelectorTerm
	for i := range 12 {
		selectors = append(selectors, selector(fmt.Sprintf("/Secret/s%d", i)))
	}
	got := refusal(t, newFixture().write("nobody", resourcePlacement(selectors...), nil))
	if len(got) != 11 || got[10] != "and 2 more" {
		t.Errorf("refused with %q", got)
	}
}

func TestARefusalIsNoLongerThanIsReadable(t *testing.T) {
	long := fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":"x"}}`, strings.Repeat("K", 1<<16))
	if got := newFixture().write("nobody", envelope(long, long), nil).Error(); len(got) > 4<<10 || !strings.Contains(got, `user "nobody" cannot wrap K`) {
		t.Errorf("refused with %d bytes: %s", len(got), got)
	}
}

func TestWhoOverridesMayChangeWhatIsOverridden(t *testing.T) {
	const patch, remove = v1beta1.JSONPatchOverrideType, v1beta1.DeleteOverrideType
	try(t, []attempt{
		{"their own", "alice", resourceOverride(patch, "/ConfigMap/web", "apps/Deployment/web", "/Secret/tls"), nil},
		{"leaving out their own", "alice", resourceOverride(remove, "/ConfigMap/web"), nil},
		{"leaving out what they may not delete", "mender", resourceOverride(remove, "/ConfigMap/web"), []string{
			`user "mender" cannot override ConfigMap team-a/web: needs delete on configmaps in namespace team-a`,
		}},
		{"changing that", "mender", resourceOverride(patch, "/ConfigMap/web"), nil},
		{"what they only read", "alice", resourceOverride(patch, "/ResourceQuota/q", "/ConfigMap/web"), []string{
			`user "alice" cannot override ResourceQuota team-a/q: needs update on resourcequotas in namespace team-a`,
		}},
		{"a binding", "officer", resourceOverride(patch, rbacGroup+"/RoleBinding/edit"), []string{
			`user "officer" cannot override RoleBinding team-a/edit: needs bind on roles.rbac.authorization.k8s.io in namespace team-a, and bind on clusterroles.rbac.authorization.k8s.io in namespace team-a`,
		}},
		{"a binding, by somebody who may give away one role", "binder", resourceOverride(patch, rbacGroup+"/RoleBinding/edit"), []string{
			`user "binder" cannot override RoleBinding team-a/edit: needs bind on roles.rbac.authorization.k8s.io in namespace team-a, and bind on clusterroles.rbac.authorization.k8s.io in namespace team-a`,
		}},
		{"a role", "officer", resourceOverride(patch, rbacGroup+"/Role/some"), []string{
			`user "officer" cannot override Role team-a/some: needs escalate on roles.rbac.authorization.k8s.io in namespace team-a`,
		}},
		{"a role that they may raise", "binder", resourceOverride(patch, rbacGroup+"/Role/some"), nil},
		{"a role in another case", "binder", resourceOverride(patch, rbacGroup+"/role/some"), []string{
			`user "binder" cannot override role team-a/some: needs update, escalate and bind on every resource of group rbac.authorization.k8s.io in namespace team-a, since the hub has no kind role in group rbac.authorization.k8s.io`,
		}},
		{"a cluster-scoped kind from a namespace", "owner", resourceOverride(patch, rbacGroup+"/ClusterRole/admin"), []string{
			`user "owner" cannot override ClusterRole admin: needs update and escalate on clusterroles.rbac.authorization.k8s.io`,
		}},
		{"a kind that only members have", "widgeteer", resourceOverride(patch, "example.com/Widget/w"), nil},
		{"an envelope", "alice", resourceOverride(patch, v1beta1.GroupName+"/ResourceEnvelope/e"), []string{
			`user "alice" cannot override ResourceEnvelope team-a/e: what an overridden ResourceEnvelope would do is not checked: change it on the hub`,
		}},
		{"a namespace of their own", "owner", clusterOverride(patch, "/Namespace/x"), nil},
		{"a namespace that they read", "reader", clusterOverride(patch, "/Namespace/x"), []string{
			`user "reader" cannot override Namespace x: needs update on namespaces in namespace x`,
			`user "reader" cannot override everything in namespace x: needs every permission in namespace x`,
		}},
		{"a cluster role", "owner", clusterOverride(patch, rbacGroup+"/ClusterRoleBinding/b"), []string{
			`user "owner" cannot override ClusterRoleBinding b: needs update on clusterrolebindings.rbac.authorization.k8s.io, and bind on roles.rbac.authorization.k8s.io, and bind on clusterroles.rbac.authorization.k8s.io`,
		}},
		{"what is in a namespace without one", "owner", clusterOverride(patch, "/ConfigMap/c"), []string{
			`user "owner" cannot override ConfigMap c in any namespace: needs update on configmaps`,
		}},
	})
}

func TestWhoWrapsMayWriteWhatIsWrapped(t *testing.T) {
	const binding = `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"b"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%q}}`
	try(t, []attempt{
		{"their own", "alice", envelope(
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`,
			`{"apiVersion":"apps/v1beta1","kind":"Deployment","metadata":{"name":"d","namespace":"team-a"}}`), nil},
		{"what they only read", "alice", envelope(`{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"}}`), []string{
			`user "alice" cannot wrap ResourceQuota team-a/q: needs create and update on resourcequotas in namespace team-a`,
		}},
		{"a role that they may give away", "binder", envelope(fmt.Sprintf(binding, "view")), nil},
		{"a role that they may not give away", "binder", envelope(fmt.Sprintf(binding, "cluster-admin")), []string{
			`user "binder" cannot wrap RoleBinding team-a/b: needs bind on clusterroles.rbac.authorization.k8s.io cluster-admin in namespace team-a`,
		}},
		{"a role that cannot be read", "binder", envelope(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"b"},"roleRef":{"kind":"clusterrole","name":"view"}}`), []string{
			`user "binder" cannot wrap RoleBinding team-a/b: needs bind on roles.rbac.authorization.k8s.io in namespace team-a, and bind on clusterroles.rbac.authorization.k8s.io in namespace team-a`,
		}},
		{"a role", "officer", envelope(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"r"}}`), []string{
			`user "officer" cannot wrap Role team-a/r: needs escalate on roles.rbac.authorization.k8s.io in namespace team-a`,
		}},
		{"a cluster-scoped kind", "owner", envelope(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"r","namespace":"team-a"}}`), []string{
			`user "owner" cannot wrap ClusterRole r: needs create, update and escalate on clusterroles.rbac.authorization.k8s.io`,
		}},
		{"a Namespace", "owner", clusterEnvelope(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x"}}`), []string{
			`user "owner" cannot wrap Namespace x: needs create and update on namespaces`,
		}},
		{"a kind that only members have", "widgeteer", envelope(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"team-a"}}`), nil},
		{"a kind that only members have and that may be in no namespace", "widgeteer", envelope(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"}}`), []string{
			`user "widgeteer" cannot wrap Widget w: needs create and update on every resource of group example.com, since the hub has no kind Widget in group example.com`,
		}},
		{"a list", "alice", envelope(`{"apiVersion":"v1","kind":"List","metadata":{"name":"l"},"items":[]}`, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"l"},"items":[]}`), []string{
			`user "alice" cannot wrap data[0]: List is a list: wrap each of its objects by itself`,
			`user "alice" cannot wrap data[1]: ConfigMap is a list: wrap each of its objects by itself`,
		}},
		{"an envelope", "alice", envelope(`{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"ResourceEnvelope","metadata":{"name":"e"},"data":{}}`), []string{
			`user "alice" cannot wrap data[0]: what a wrapped ResourceEnvelope would do is not checked: write it to the hub that it is for`,
		}},
		{"two kinds in one", "alice", envelope(`{"apiVersion":"v1","kind":"Role","kind":"ConfigMap","metadata":{"name":"c"}}`), []string{
			`user "alice" cannot wrap data[0]: the manifest can be read in two ways: duplicate field "kind"`,
		}},
		{"a kind in another case", "alice", envelope(`{"apiVersion":"v1","Kind":"ConfigMap","metadata":{"name":"c"}}`), []string{
			`user "alice" cannot wrap data[0]: apiVersion, kind and metadata.name do not tell which object it is: write them in full`,
		}},
	})
}

// labeled is an object that says the same, with another label.
func labeled(object runtime.Object) runtime.Object {
	other := object.DeepCopyObject()
	other.(metav1.Object).SetLabels(map[string]string{"a": "b"})
	return other
}

func leaving(object runtime.Object) runtime.Object {
	other := object.DeepCopyObject()
	other.(metav1.Object).SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1e9, 0)})
	return other
}

func TestAnUpdateThatChangesNoneOfItAsksNothing(t *testing.T) {
	const patch, remove = v1beta1.JSONPatchOverrideType, v1beta1.DeleteOverrideType
	const secret, sorted = `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"}}`, `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}`
	moved := func(object runtime.Object) runtime.Object {
		other := object.DeepCopyObject().(v1beta1.PlacementObject)
		other.PlacementSpec().Policy = &v1beta1.PlacementPolicy{}
		return other
	}
	redirected := func(object runtime.Object) runtime.Object {
		other := object.DeepCopyObject().(*v1beta1.ResourceOverride)
		other.Spec.Placement = &v1beta1.PlacementRef{Name: "p"}
		return other
	}
	objects := []runtime.Object{
		resourcePlacement(selector("/Secret")), clusterPlacement(selector("/Namespace")),
		resourceOverride(patch, "/Secret/s"), clusterOverride(patch, "/Namespace/x"),
		envelope(secret), clusterEnvelope(secret),
	}
	for i, object := range objects {
		f := newFixture()
		other := labeled(object)
		if contentsOf(object) != nil {
			other = object
		}
		for what, err := range map[string]error{
			"a label":       f.write("nobody", other, object),
			"the status":    f.writeSubresource("nobody", object, nil, "status"),
			"on its way":    f.write("nobody", leaving(object), objects[(i+2)%len(objects)]),
			"another group": f.write("nobody", &v1beta1.ClusterStagedUpdateStrategy{}, nil),
		} {
			if err != nil {
				t.Errorf("%T: %s: %v", object, what, err)
			}
		}
		if len(f.asked) > 0 {
			t.Errorf("%T: asked %v", object, f.asked)
		}
	}
	for name, test := range map[string]struct {
		object, old runtime.Object
		refused     bool
	}{
		"a policy":                 {moved(objects[0]), objects[0], false},
		"a policy of the fleet":    {moved(objects[1]), objects[1], false},
		"no selectors either way":  {resourcePlacement(), &v1beta1.ResourcePlacement{ObjectMeta: in("team-a"), Spec: v1beta1.PlacementSpec{ResourceSelectors: []v1beta1.ResourceSelectorTerm{}}}, false},
		"one selector more":        {resourcePlacement(selector("/Secret"), selector("/ConfigMap")), objects[0], true},
		"one selector fewer":       {resourcePlacement(selector("/Secret")), resourcePlacement(selector("/Secret"), selector("/ConfigMap")), true},
		"another scope":            {clusterPlacement(selector("/Namespace", v1beta1.NamespaceOnly)), objects[1], true},
		"another placement":        {redirected(objects[2]), objects[2], true},
		"another type":             {resourceOverride(remove, "/Secret/s"), objects[2], true},
		"manifests in other words": {envelope(sorted), envelope(secret), false},
		"a manifest more":          {envelope(secret, secret), envelope(secret), true},
		"another manifest":         {clusterEnvelope(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"t"}}`), clusterEnvelope(secret), true},
		"a key twice":              {envelope(`{"kind":"Role","kind":"Secret","apiVersion":"v1","metadata":{"name":"s"}}`), envelope(secret), true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := newFixture().write("nobody", test.object, test.old); apierrors.IsForbidden(err) != test.refused {
				t.Errorf("answered with %v, refused should be %v", err, test.refused)
			}
		})
	}
}

func TestWhoTurnsReportsOnIsAsked(t *testing.T) {
	plain, on := resourcePlacement(selector("apps/Deployment/web")), reporting(resourcePlacement(selector("apps/Deployment/web")))
	for name, test := range map[string]struct {
		object, old runtime.Object
		refused     bool
	}{
		"on":               {on, plain, true},
		"on as before":     {labeled(on), on, false},
		"off":              {plain, on, false},
		"off as before":    {labeled(plain), plain, false},
		"on, what goes":    {leaving(on), plain, false},
		"on from creation": {on, nil, true},
	} {
		if err := newFixture().write("changer", test.object, test.old); apierrors.IsForbidden(err) != test.refused {
			t.Errorf("%s: answered with %v", name, err)
		}
	}
}

func TestTheServersOwnControllersAreNotAsked(t *testing.T) {
	f := newFixture()
	object := clusterPlacement(selector("/Namespace"))
	own := registry.Controllers()
	err := f.Validate(genericapirequest.WithUser(t.Context(), own), admission.NewAttributesRecord(object, nil, schema.GroupVersionKind{}, "", "o",
		schema.GroupVersionResource{Group: v1beta1.GroupName}, "", admission.Create, nil, false, own), nil)
	if err != nil || len(f.asked) > 0 {
		t.Errorf("answered with %v after %v", err, f.asked)
	}
}

func TestWhatCannotBeAskedIsRefused(t *testing.T) {
	stale := map[schema.GroupVersion]string{{Group: "example.com", Version: "v1"}: "stale"}
	wholeNamespace := clusterPlacement(selector("/Namespace/x"))
	for name, test := range map[string]struct {
		spoil  func(*fixture)
		who    string
		object runtime.Object
		reason metav1.StatusReason
		want   string
	}{
		"the authorizer is down": {func(f *fixture) { f.down = errors.New("no route") }, "alice", wholeNamespace, metav1.StatusReasonInternalError,
			`asking whether "alice" may * *.*: no route`},
		"the hub tells no kinds": {func(f *fixture) { f.failure = errors.New("no route") }, "alice", resourcePlacement(selector("/Secret")),
			metav1.StatusReasonServiceUnavailable, "before the hub tells its kinds, try again later: no route"},
		"the hub does not tell the kind": {func(f *fixture) { f.kinds.Failed = stale }, "widgeteer", resourceOverride("", "example.com/Widget/w"),
			metav1.StatusReasonServiceUnavailable, "try again later: the kinds of example.com/v1: stale"},
		"the hub does not tell all kinds of a namespace": {func(f *fixture) { f.kinds.Failed = stale }, "enumerator", wholeNamespace,
			metav1.StatusReasonServiceUnavailable, "try again later: the kinds of example.com/v1: stale"},
		"the hub does not tell another kind":                    {func(f *fixture) { f.kinds.Failed = stale }, "alice", resourcePlacement(selector("/Secret")), "", ""},
		"who reads a namespace in full does not need its kinds": {func(f *fixture) { f.kinds.Failed = stale }, "reader", wholeNamespace, "", ""},
		"an administrator does not need any":                    {func(f *fixture) { f.failure = errors.New("no route") }, "root", wholeNamespace, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			test.spoil(f)
			err := f.write(test.who, test.object, nil)
			if apierrors.ReasonForError(err) != test.reason && (err != nil || test.reason != "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("answered with %v, want %s: %s", err, test.reason, test.want)
			}
		})
	}
	t.Run("a request that has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := &review{authorizer: newFixture().authorizer, user: &user.DefaultInfo{Name: "root"}, asked: []asked{{what: "x", needs: []need{{verbs: []string{"get"}}}}}}
		if refused, err := r.refusal(ctx); refused == nil && err == nil {
			t.Error("what was not asked is allowed")
		}
	})
	t.Run("an authorizer that panics", func(t *testing.T) {
		r := &review{user: &user.DefaultInfo{Name: "root"}, asked: []asked{{what: "x", needs: []need{{verbs: []string{"get"}, resource: "secrets"}}}}}
		r.authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) { panic("nil") })
		if _, err := r.refusal(t.Context()); !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), `asking whether "root" may get on secrets: panic: nil`) {
			t.Errorf("answered with %v", err)
		}
	})
	t.Run("a request without a user", func(t *testing.T) {
		if err := newFixture().Validate(t.Context(), admission.NewAttributesRecord(wholeNamespace, nil, schema.GroupVersionKind{}, "", "o",
			schema.GroupVersionResource{Group: v1beta1.GroupName}, "", admission.Create, nil, false, nil), nil); err == nil {
			t.Error("it is let through")
		}
	})
}

func TestAKindThatAppearsIsFoundAtOnceAndTheHubIsAskedOnceASecond(t *testing.T) {
	f := newFixture()
	widgets := resourcePlacement(selector("example.com/Widget"))
	write := func(wantReads int, refused bool) {
		t.Helper()
		if err := f.write("early", widgets, nil); (err != nil) != refused {
			t.Errorf("answered with %v, refused should be %v", err, refused)
		}
		if f.reads != wantReads {
			t.Errorf("the hub was asked %d times, want %d", f.reads, wantReads)
		}
	}
	write(1, true)
	write(1, true)
	f.kinds.Served = append(slices.Clone(hubKinds), kind("example.com", "v1", "Widget", "widgets", true))
	write(1, true)
	f.clock.SetTime(f.clock.Now().Add(hubkinds.Again))
	write(2, false)
	f.clock.SetTime(f.clock.Now().Add(hubkinds.Fresh - time.Millisecond))
	write(2, false)
	f.clock.SetTime(f.clock.Now().Add(time.Millisecond))
	f.failure = errors.New("no route")
	write(3, true)
	write(3, true)
	f.failure = nil
	f.clock.SetTime(f.clock.Now().Add(hubkinds.Again))
	write(4, false)
}

func TestAnAdministratorCostsOneQuestion(t *testing.T) {
	f := newFixture()
	if err := f.write("root", clusterPlacement(selector("/Namespace"), selector(rbacGroup+"/ClusterRole")), nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"* *.* /"}, f.asked); diff != "" || f.reads > 0 {
		t.Errorf("the hub was asked for its kinds %d times, and (-want +got):\n%s", f.reads, diff)
	}
}

// Without them the resources stay on the clusters, and nobody answers for them any more.
func TestOnlyAnAdministratorTakesTheServersFinalizersOff(t *testing.T) {
	const own = "example.com/own"
	leaving := func(finalizers ...string) runtime.Object {
		p := clusterPlacement().(v1beta1.PlacementObject)
		p.SetFinalizers(finalizers)
		p.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1e9, 0)})
		return p
	}
	run := func(finalizers ...string) runtime.Object {
		r := &v1beta1.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "run", Finalizers: finalizers}}
		r.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1e9, 0)})
		return r
	}
	both := wellknown.PlacementFinalizers
	for name, tt := range map[string]struct {
		who         string
		object, old runtime.Object
		refused     bool
	}{
		"both":                             {"nobody", leaving(), leaving(both...), true},
		"the first":                        {"nobody", leaving(both[1]), leaving(both...), true},
		"the second, beside its own":       {"nobody", leaving(both[0]), leaving(own, both[0], both[1]), true},
		"its own":                          {"nobody", leaving(both...), leaving(append([]string{own}, both...)...), false},
		"where there are none":             {"nobody", leaving(), leaving(own), false},
		"by a user who may do everything":  {"root", leaving(), leaving(both...), false},
		"of one that is not being deleted": {"nobody", clusterPlacement(), clusterPlacement(), false},
		"of a run":                         {"nobody", run(), run(wellknown.UpdateRunFinalizer), true},
		"its own of a run":                 {"nobody", run(wellknown.UpdateRunFinalizer), run(own, wellknown.UpdateRunFinalizer), false},
	} {
		t.Run(name, func(t *testing.T) {
			err := newFixture().write(tt.who, tt.object, tt.old)
			if apierrors.IsForbidden(err) != tt.refused || !tt.refused && err != nil {
				t.Errorf("got %v, want a refusal: %t", err, tt.refused)
			}
		})
	}
}

func TestAPluginThatCannotAskAnythingIsNotStarted(t *testing.T) {
	if err := New().ValidateInitialization(); err == nil {
		t.Error("a plugin without an authorizer was taken for initialized")
	}
	p := New()
	p.SetUnconditionalAuthorizer(authorizer.AuthorizerFunc(nil))
	if err := p.ValidateInitialization(); err == nil {
		t.Error("a plugin without kinds was taken for initialized")
	}
	hubkinds.NewInitializer(hubkinds.New(nil, nil)).Initialize(p)
	if err := p.ValidateInitialization(); err == nil {
		t.Error("a plugin without envelopes was taken for initialized")
	}
	initializer.New(nil, externalversions.NewSharedInformerFactory(nil, 0)).Initialize(p)
	if err := p.ValidateInitialization(); err != nil {
		t.Error(err)
	}
}
