// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementvalidation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	clusterlisters "github.com/stagegate/stagegate/pkg/generated/listers/cluster/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

type warnings []string

func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

// fixture is a plugin with a hub and a fleet.
type fixture struct {
	*Plugin
	kinds   hubkinds.Kinds
	failure error
	hub     *metadatafake.FakeMetadataClient
	fleet   cache.Indexer
}

func newFixture(t *testing.T, members ...*clusterv1beta1.MemberCluster) *fixture {
	t.Helper()
	kind := func(group, version, name, resource string, namespaced bool) hubkinds.Kind {
		return hubkinds.Kind{GroupVersionKind: schema.GroupVersionKind{Group: group, Version: version, Kind: name}, Resource: resource, Namespaced: namespaced}
	}
	object := func(apiVersion, kind, namespace, name, app string) runtime.Object {
		return &metav1.PartialObjectMetadata{
			TypeMeta:   metav1.TypeMeta{APIVersion: apiVersion, Kind: kind},
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": app}},
		}
	}
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	f := &fixture{Plugin: New(), fleet: cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)}
	f.kinds = hubkinds.Kinds{Served: []hubkinds.Kind{
		kind("", "v1", "Namespace", "namespaces", false), kind("", "v1", "Secret", "secrets", true), kind("", "v1", "ServiceAccount", "serviceaccounts", true),
		kind("", "v1", "Pod", "pods", true), kind("apps", "v1", "Deployment", "deployments", true),
		kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
	}}
	f.hub = metadatafake.NewSimpleMetadataClient(scheme,
		object("v1", "Namespace", "", "shop", "shop"), object("v1", "Secret", "team", "key", "shop"), object("v1", "ServiceAccount", "team", "default", ""),
		object("apps/v1", "Deployment", "shop", "web", "shop"), object("rbac.authorization.k8s.io/v1", "ClusterRole", "", "reader", "shop"))
	f.SetHubKinds(hubkinds.New(func(context.Context) (hubkinds.Kinds, error) { return f.kinds, f.failure }, clock.RealClock{}))
	f.SetHub(f.hub, nil)
	f.SetFleetClient(fake.NewClientset(&v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "web"}},
		&v1beta1.ResourcePlacement{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "app"}}))
	for _, m := range members {
		if err := f.fleet.Add(m); err != nil {
			t.Fatal(err)
		}
	}
	f.members, f.synced = clusterlisters.NewMemberClusterLister(f.fleet), func() bool { return true }
	return f
}

// written is what users write.
type written interface {
	metav1.Object
	runtime.Object
}

func (f *fixture) write(ctx context.Context, object, old written, subresource string) ([]string, error) {
	said := warnings{}
	operation, before := admission.Create, runtime.Object(nil)
	if old != nil {
		operation, before = admission.Update, old
	}
	err := f.Validate(warning.WithWarningRecorder(ctx, &said), admission.NewAttributesRecord(object, before,
		schema.GroupVersionKind{Group: v1beta1.GroupName, Version: "v1", Kind: "Placement"}, object.GetNamespace(), object.GetName(),
		schema.GroupVersionResource{Group: v1beta1.GroupName, Version: "v1", Resource: "placements"}, subresource, operation, nil, false, nil), nil)
	return said, err
}

func placed(namespace string, selectors ...v1beta1.ResourceSelectorTerm) v1beta1.PlacementObject {
	var o v1beta1.PlacementObject = &v1beta1.ClusterResourcePlacement{}
	if namespace != "" {
		o = &v1beta1.ResourcePlacement{}
	}
	o.SetNamespace(namespace)
	o.SetName("web")
	o.PlacementSpec().ResourceSelectors = selectors
	return o
}

// selector is written as "group/version/Kind/name", or as "group/version/Kind/key=value" by a label.
func selector(what string) v1beta1.ResourceSelectorTerm {
	parts := strings.Split(what, "/")
	s := v1beta1.ResourceSelectorTerm{Group: parts[0], Version: parts[1], Kind: parts[2], Name: parts[3]}
	if key, value, ok := strings.Cut(parts[3], "="); ok {
		s.Name, s.LabelSelector = "", &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	return s
}

func TestSelectors(t *testing.T) {
	const path = "spec.resourceSelectors[0]: "
	inShop := selector("/v1/Namespace/shop")
	inShop.SelectionScope = v1beta1.NamespaceWithResourceSelectors
	for name, tc := range map[string]struct {
		object   v1beta1.PlacementObject
		warnings []string
		refused  string
	}{
		"what is there":                {object: placed("", selector("/v1/Namespace/shop"), selector("rbac.authorization.k8s.io/v1/ClusterRole/app=shop"))},
		"what is there in a namespace": {object: placed("team", selector("/v1/Secret/key"), selector("/v1/Secret/app=shop"), selector("/v1/Secret/"))},
		"a typo in a name": {
			object: placed("", selector("/v1/Namespace/shpo")), warnings: []string{path + `the hub has no Namespace "shpo": nothing is selected by it before there is one`},
		},
		"in a namespace": {
			object:   placed("team", selector("/v1/Secret/nope")),
			warnings: []string{path + `the hub has no Secret "nope" in namespace team: nothing is selected by it before there is one`},
		},
		"labels that nothing has": {
			object:   placed("team", selector("/v1/Secret/app=web")),
			warnings: []string{path + "the hub has no Secret with labels app=web in namespace team: nothing is selected by it before there is one"},
		},
		"a kind of which there is none": {
			object:   placed("team", selector("apps/v1/Deployment/")),
			warnings: []string{path + "the hub has no Deployment.apps in namespace team: nothing is selected by it before there is one"},
		},
		"an object that each cluster makes": {
			object:   placed("team", selector("/v1/ServiceAccount/")),
			warnings: []string{path + "the hub has no ServiceAccount in namespace team: nothing is selected by it before there is one"},
		},
		"a kind that is not there": {
			object: placed("", selector("/v1/Namespce/shop")),
			warnings: []string{path + `the hub has no kind Namespce in group "": nothing of the placement is placed before it has, ` +
				"check the spelling or create its CustomResourceDefinition"},
		},
		"a version that is not served": {
			object:   placed("team", selector("apps/v1beta1/Deployment/web")),
			warnings: []string{path + "the hub does not serve Deployment.apps in version v1beta1: nothing of the placement is placed before it does, use v1"},
		},
		"a kind that is never placed": {
			object: placed("team", selector("/v1/Pod/web")), warnings: []string{path + "Pod is a kind that is never placed: this selects nothing"},
		},
		"a kind of namespaces in no namespace": {
			object: placed("", selector("apps/v1/Deployment/web")),
			refused: `spec.resourceSelectors[0]: Invalid value: "Deployment": cannot select namespace-scoped resource deployments.apps in a clusterResourcePlacement; ` +
				"place it with a ResourcePlacement in its namespace, or select its Namespace, with selectionScope NamespaceWithResourceSelectors to take no more of it than the selectors say",
		},
		"a kind without namespaces in one": {
			object: placed("team", selector("rbac.authorization.k8s.io/v1/ClusterRole/reader")),
			refused: `spec.resourceSelectors[0]: Invalid value: "ClusterRole": cannot select cluster-scoped resource clusterroles.rbac.authorization.k8s.io in a resourcePlacement; ` +
				"place it with a ClusterResourcePlacement",
		},
		"a Namespace in a namespace, beside what is right": {
			object: placed("team", selector("/v1/Secret/nope"), selector("/v1/Namespace/team")),
			refused: `spec.resourceSelectors[1]: Invalid value: "Namespace": cannot select cluster-scoped resource namespaces in a resourcePlacement; ` +
				"place it with a ClusterResourcePlacement",
		},
		"the selectors of one namespace": {object: placed("", inShop, selector("apps/v1/Deployment/web"))},
		"a typo in one of them": {
			object:   placed("", inShop, selector("apps/v1/Deployment/wbe")),
			warnings: []string{`spec.resourceSelectors[1]: the hub has no Deployment.apps "wbe": nothing is selected by it before there is one`},
		},
		"a reserved namespace is the placement's own to tell": {object: placed("", selector("/v1/Namespace/kube-system"))},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := newFixture(t).write(t.Context(), tc.object, nil, "")
			if diff := cmp.Diff(tc.warnings, []string(said), cmp.Transformer("", func(s []string) string { return strings.Join(s, "\n") })); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if (tc.refused != "") != apierrors.IsInvalid(err) || err != nil && !strings.HasSuffix(err.Error(), tc.refused) {
				t.Errorf("answered with %v, want %q", err, tc.refused)
			}
		})
	}
}

func TestOnlyWhatAUserChangesIsLookedAt(t *testing.T) {
	wrong, good := placed("team", selector("/v1/Namespace/shop")), placed("team", selector("/v1/Secret/key"))
	labeled := placed("team", selector("/v1/Namespace/shop"))
	labeled.SetLabels(map[string]string{"a": "b"})
	leaving := placed("team", selector("/v1/Namespace/shop"))
	leaving.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
	controllers := genericapirequest.WithUser(context.Background(), registry.Controllers())
	for name, tc := range map[string]struct {
		ctx         context.Context
		object, old written
		subresource string
		refused     bool
	}{
		"a new object":          {context.Background(), wrong, nil, "", true},
		"a change for the bad":  {context.Background(), wrong, good, "", true},
		"a label of a bad one":  {context.Background(), labeled, wrong, "", false},
		"a status of a bad one": {context.Background(), wrong, good, "status", false},
		"a bad one that goes":   {context.Background(), leaving, good, "", false},
		"a controller's write":  {controllers, wrong, nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := newFixture(t).write(tc.ctx, tc.object, tc.old, tc.subresource)
			if apierrors.IsInvalid(err) != tc.refused || len(said) > 0 {
				t.Errorf("answered with %v and %q", err, said)
			}
		})
	}
}

func TestWhatCannotBeAskedIsNotWarnedAbout(t *testing.T) {
	typo := placed("", selector("/v1/Namespace/shpo"))
	for name, change := range map[string]func(*fixture){
		"a hub that tells no kinds": func(f *fixture) { f.failure = errors.New("no route") },
		"a hub that refuses": func(f *fixture) {
			f.hub.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("not yours") })
		},
		"no hub": func(f *fixture) { f.SetHub(nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			change(f)
			if said, err := f.write(t.Context(), typo, nil, ""); err != nil || len(said) > 0 {
				t.Errorf("answered with %v and %q", err, said)
			}
		})
	}
}

func TestASlowHubDelaysAWriteForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.SetHubKinds(hubkinds.New(func(ctx context.Context) (hubkinds.Kinds, error) {
			<-ctx.Done()
			return hubkinds.Kinds{}, ctx.Err()
		}, clock.RealClock{}))
		start := time.Now()
		said, err := f.write(t.Context(), placed("", selector("/v1/Namespace/a"), selector("/v1/Namespace/b")), nil, "")
		if took := time.Since(start); err != nil || len(said) > 0 || took > patience {
			t.Errorf("answered with %v and %q after %s", err, said, took)
		}
		// The hub is given more time for the next who asks.
		time.Sleep(time.Minute)
	})
}

func TestAWriteCostsAFewRequests(t *testing.T) {
	f := newFixture(t)
	var selectors []v1beta1.ResourceSelectorTerm
	for range 100 {
		selectors = append(selectors, selector("/v1/Namespace/shpo"))
	}
	said, err := f.write(t.Context(), placed("", selectors...), nil, "")
	if asked := len(f.hub.Actions()); err != nil || asked != maxLookups || len(said) != maxLookups {
		t.Errorf("answered with %v and %d warnings after %d requests", err, len(said), asked)
	}
}

func member(name string, properties ...string) *clusterv1beta1.MemberCluster {
	m := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"environment": "staging"}}}
	m.Status.Properties = map[clusterv1beta1.PropertyName]clusterv1beta1.PropertyValue{}
	for _, p := range properties {
		m.Status.Properties[clusterv1beta1.PropertyName(p)] = clusterv1beta1.PropertyValue{Value: "3"}
	}
	return m
}

func TestPolicies(t *testing.T) {
	affinity := func(label, property string) *v1beta1.PlacementPolicy {
		term := v1beta1.ClusterSelectorTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{label: "staging"}}}
		if property != "" {
			term.PropertySelector = &v1beta1.PropertySelector{MatchExpressions: []v1beta1.PropertySelectorRequirement{
				{Name: property, Operator: v1beta1.PropertySelectorGreaterThan, Values: []string{"2"}},
			}}
		}
		return &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType, Affinity: &v1beta1.Affinity{ClusterAffinity: &v1beta1.ClusterAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{term}},
		}}}
	}
	sorter := &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType, Affinity: &v1beta1.Affinity{ClusterAffinity: &v1beta1.ClusterAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []v1beta1.PreferredClusterSelector{
			{Preference: v1beta1.ClusterSelectorTerm{PropertySorter: &v1beta1.PropertySorter{Name: "example.com/cost"}}},
		},
	}}}
	fixed := func(names ...string) *v1beta1.PlacementPolicy {
		return &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: names}
	}
	leaving := member("rome")
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	tainted := member("oslo")
	tainted.Spec.Taints = []clusterv1beta1.Taint{{Key: "k", Effect: "NoSchedule"}}
	const (
		nobody    = "spec.policy: it lets in none of the fleet's 1 member clusters: nothing is placed before one fits its affinity and tolerations"
		unmatched = nobody + "; oslo: cluster does not match with any of the required cluster affinity terms"
	)
	versioned := member("oslo")
	versioned.Status.Properties["k8s.io/k8s-version"] = clusterv1beta1.PropertyValue{Value: "v1.37.2"}
	spread := func(key string, action v1beta1.UnsatisfiableConstraintAction) *v1beta1.PlacementPolicy {
		return &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType, TopologySpreadConstraints: []v1beta1.TopologySpreadConstraint{
			{TopologyKey: "environment"}, {TopologyKey: key, WhenUnsatisfiable: action},
		}}
	}
	for name, tc := range map[string]struct {
		policy  *v1beta1.PlacementPolicy
		members []*clusterv1beta1.MemberCluster
		want    []string
	}{
		"no policy, and no fleet yet": {nil, nil, nil},
		"all, and no fleet yet":       {&v1beta1.PlacementPolicy{}, nil, nil},
		"an affinity that matches":    {affinity("environment", ""), []*clusterv1beta1.MemberCluster{member("oslo")}, nil},
		"a typo in a label":           {affinity("enviroment", ""), []*clusterv1beta1.MemberCluster{member("oslo")}, []string{unmatched}},
		"a taint":                     {&v1beta1.PlacementPolicy{}, []*clusterv1beta1.MemberCluster{tainted}, []string{nobody + "; oslo: taint {Key:k Value: Effect:NoSchedule} cannot be tolerated"}},
		"a property that is no number": {
			affinity("environment", "k8s.io/k8s-version"), []*clusterv1beta1.MemberCluster{versioned},
			[]string{unmatched + ": property k8s.io/k8s-version is \"v1.37.2\", which is no quantity"},
		},
		"a label to spread over": {spread("environment", ""), []*clusterv1beta1.MemberCluster{member("oslo")}, nil},
		"one that nobody has": {
			spread("regoin", v1beta1.DoNotScheduleUnsatisfiableConstraint), []*clusterv1beta1.MemberCluster{member("oslo")},
			[]string{"spec.policy.topologySpreadConstraints[1].topologyKey: no member cluster has the label regoin, and none is picked before one does"},
		},
		"one that nobody must have": {
			spread("regoin", v1beta1.ScheduleAnywayUnsatisfiableConstraint), []*clusterv1beta1.MemberCluster{member("oslo")},
			[]string{"spec.policy.topologySpreadConstraints[1].topologyKey: no member cluster has the label regoin, and clusters are picked without spreading them"},
		},
		"names that are there":         {fixed("oslo"), []*clusterv1beta1.MemberCluster{member("oslo")}, nil},
		"a property that is collected": {affinity("environment", "example.com/nodes"), []*clusterv1beta1.MemberCluster{member("oslo", "example.com/nodes")}, nil},
		"names that are not": {
			fixed("oslo", "rome", "wien"), []*clusterv1beta1.MemberCluster{member("oslo"), leaving},
			[]string{"spec.policy.clusterNames: the fleet has no member cluster rome, wien: nothing is placed there until it has; check the spelling or join it"},
		},
		"a property that nothing collects": {
			affinity("environment", "example.com/cost"), []*clusterv1beta1.MemberCluster{member("oslo", "example.com/nodes")},
			[]string{
				"spec.policy.affinity.clusterAffinity.requiredDuringSchedulingIgnoredDuringExecution.clusterSelectorTerms[0].propertySelector.matchExpressions[0].name: " +
					"no member cluster reports the property example.com/cost, and none is picked by it before one does",
				unmatched,
			},
		},
		"to sort by": {
			sorter, []*clusterv1beta1.MemberCluster{member("oslo")},
			[]string{"spec.policy.affinity.clusterAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.propertySorter.name: " +
				"no member cluster reports the property example.com/cost, and it ranks nobody: clusters are picked without it"},
		},
	} {
		for _, namespace := range []string{"", "team"} {
			t.Run(name+"/"+namespace, func(t *testing.T) {
				o := placed(namespace)
				o.PlacementSpec().Policy = tc.policy
				said, err := newFixture(t, tc.members...).write(t.Context(), o, nil, "")
				if diff := cmp.Diff(strings.Join(tc.want, "\n"), strings.Join(said, "\n")); diff != "" || err != nil {
					t.Errorf("answered with %v, warnings (-want +got):\n%s", err, diff)
				}
			})
		}
	}
}

func TestARunNeedsEveryClusterThatIsNamed(t *testing.T) {
	o := placed("team")
	o.PlacementSpec().Strategy.Type = v1beta1.ExternalRolloutStrategyType
	o.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{"wien"}}
	said, err := newFixture(t, member("oslo")).write(t.Context(), o, nil, "")
	want := []string{"spec.policy.clusterNames: the fleet has no member cluster wien: a run cannot be initialized until it has; check the spelling or join it"}
	if diff := cmp.Diff(want, said); diff != "" || err != nil {
		t.Errorf("answered with %v, warnings (-want +got):\n%s", err, diff)
	}
}

// overriding makes an override of either scope with rules for these clusters.
func overriding(namespace string, placement *v1beta1.PlacementRef, rules []v1beta1.OverrideRule, objects ...string) v1beta1.OverrideObject {
	policy := &v1beta1.OverridePolicy{OverrideRules: rules}
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "o"}
	if namespace == "" {
		o := &v1beta1.ClusterResourceOverride{ObjectMeta: meta, Spec: v1beta1.ClusterResourceOverrideSpec{Placement: placement, Policy: policy}}
		for _, object := range objects {
			o.Spec.ClusterResourceSelectors = append(o.Spec.ClusterResourceSelectors, selector(object))
		}
		return o
	}
	o := &v1beta1.ResourceOverride{ObjectMeta: meta, Spec: v1beta1.ResourceOverrideSpec{Placement: placement, Policy: policy}}
	for _, object := range objects {
		s := selector(object)
		o.Spec.ResourceSelectors = append(o.Spec.ResourceSelectors, v1beta1.ResourceSelector{Group: s.Group, Version: s.Version, Kind: s.Kind, Name: s.Name})
	}
	return o
}

func TestOverridesOfWhatIsNotThere(t *testing.T) {
	rulesFor := func(label string) []v1beta1.OverrideRule {
		return []v1beta1.OverrideRule{{ClusterSelector: &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{
			{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{label: "staging"}}},
		}}}}
	}
	some := rulesFor("environment")
	ref := func(name string, scope v1beta1.ResourceScope) *v1beta1.PlacementRef {
		return &v1beta1.PlacementRef{Name: name, Scope: scope}
	}
	const (
		cluster = "spec.clusterResourceSelectors[0]: "
		team    = "spec.resourceSelectors[0]: "
	)
	for name, tc := range map[string]struct {
		object v1beta1.OverrideObject
		want   []string
	}{
		"all is there":                   {overriding("", ref("web", "Cluster"), some, "/v1/Namespace/shop", "rbac.authorization.k8s.io/v1/ClusterRole/reader"), nil},
		"all is there in a namespace":    {overriding("team", ref("app", "Namespaced"), some, "/v1/Secret/key"), nil},
		"every placement, every cluster": {overriding("team", nil, []v1beta1.OverrideRule{{ClusterSelector: &v1beta1.ClusterSelector{}}}, "/v1/Secret/key"), nil},
		"no placement":                   {overriding("", ref("wbe", "Cluster"), some), []string{"spec.placement: there is no ClusterResourcePlacement wbe: the override changes nothing before there is"}},
		"a placement of the other scope": {overriding("team", ref("web", "Namespaced"), some), []string{"spec.placement: there is no ResourcePlacement team/web: the override changes nothing before there is"}},
		"no object": {overriding("", nil, some, "/v1/Namespace/shpo"),
			[]string{cluster + `the hub has no Namespace "shpo": the override changes nothing of it before there is one, or an envelope has it`}},
		"no object in a namespace": {overriding("team", nil, some, "apps/v1/Deployment/web"),
			[]string{team + `the hub has no Deployment.apps "web" in namespace team: the override changes nothing of it before there is one, or an envelope has it`}},
		"no kind": {overriding("team", nil, some, "apps/v1/Deploymnet/web"),
			[]string{team + `the hub has no kind Deploymnet in group "apps": the override changes nothing of it before there is one, or an envelope has it; check the spelling`}},
		"no version": {overriding("team", nil, some, "apps/v1beta1/Deployment/web"),
			[]string{team + "the hub does not serve Deployment.apps in version v1beta1: the override changes nothing that a placement selects in another version, use v1"}},
		"a kind of namespaces": {overriding("", nil, some, "apps/v1/Deployment/web"),
			[]string{cluster + "Deployment.apps is a kind of namespaces: a ClusterResourceOverride does not change it, write a ResourceOverride in its namespace"}},
		"a kind without": {overriding("team", nil, some, "/v1/Namespace/team"),
			[]string{team + "Namespace is cluster-scoped: a ResourceOverride does not change it, write a ClusterResourceOverride"}},
		"no cluster": {overriding("", nil, rulesFor("enviroment")),
			[]string{"spec.policy.overrideRules[0].clusterSelector: it picks none of 1 member cluster: the rule is for no cluster now"}},
		"no selector of clusters": {overriding("team", nil, []v1beta1.OverrideRule{{}}),
			[]string{"spec.policy.overrideRules[0].clusterSelector: without it the rule is for no cluster: write {} for all"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, member("oslo"))
			said, err := f.write(t.Context(), tc.object, nil, "")
			if diff := cmp.Diff(strings.Join(tc.want, "\n"), strings.Join(said, "\n")); diff != "" || err != nil {
				t.Errorf("answered with %v, warnings (-want +got):\n%s", err, diff)
			}
			if said, err := f.write(t.Context(), tc.object, tc.object, ""); err != nil || len(said) > 0 {
				t.Errorf("a write that changes nothing is answered with %v and %q", err, said)
			}
		})
	}
	many := overriding("team", nil, some, slices.Repeat([]string{"apps/v1/Deployment/web"}, 20)...)
	f := newFixture(t, member("oslo"))
	if said, err := f.write(t.Context(), many, nil, ""); err != nil || len(f.hub.Actions()) != maxLookups {
		t.Errorf("answered with %v and %d warnings after %d requests", err, len(said), len(f.hub.Actions()))
	}
}

func TestEnvelopesOfWhatNoClusterTakes(t *testing.T) {
	limits, err := placeable.ParseLimits(placeable.LimitOptions{SkippedAPIs: "v1/Secret"})
	if err != nil {
		t.Fatal(err)
	}
	wraps := func(manifests ...string) written {
		o := &v1beta1.ResourceEnvelope{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "e"}, Data: map[string]runtime.RawExtension{}}
		for i, manifest := range manifests {
			apiVersion, kind, _ := strings.Cut(manifest, " ")
			o.Data[string(rune('a'+i))] = runtime.RawExtension{Raw: []byte(`{"apiVersion":"` + apiVersion + `","kind":"` + kind + `","metadata":{"name":"x","namespace":"team"}}`)}
		}
		return o
	}
	typo := func(key, kind string) string {
		return "data[" + key + "]: the hub has no kind " + kind + ` in group "", and a cluster that has none either refuses the object: check the spelling`
	}
	for name, tc := range map[string]struct {
		object written
		want   []string
	}{
		"what the hub has": {wraps("apps/v1 Deployment"), nil},
		"a skipped kind": {wraps("v1 Secret"), []string{"data[a]: the envelope cannot be used: Secret team/x is not allowed to propagate on this hub, " +
			"because the server's flag --skipped-propagating-apis excludes it: take it out of the selection, or ask an administrator to change the flag"}},
		"a typo, twice": {wraps("apps/v1 Deployment", "v1 ResourceQouta", "v1 ResourceQouta"), []string{typo("b", "ResourceQouta")}},
		"a version that is not served": {wraps("apps/v1beta1 Deployment"),
			[]string{"data[a]: the hub does not serve Deployment.apps in version v1beta1, and a cluster that does not either refuses the object: use v1"}},
		"no object at all is the registry's to refuse": {&v1beta1.ClusterResourceEnvelope{Data: map[string]runtime.RawExtension{"a": {Raw: []byte(`"text"`)}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.SetHub(f.hub, limits)
			said, err := f.write(t.Context(), tc.object, nil, "")
			if diff := cmp.Diff(strings.Join(tc.want, "\n"), strings.Join(said, "\n")); diff != "" || err != nil {
				t.Errorf("answered with %v, warnings (-want +got):\n%s", err, diff)
			}
			if said, err := f.write(t.Context(), tc.object, tc.object, ""); err != nil || len(said) > 0 {
				t.Errorf("a write that changes nothing is answered with %v and %q", err, said)
			}
		})
	}
	var kinds []string
	for i := range 26 {
		kinds = append(kinds, "v1 Typo"+string(rune('A'+i)))
	}
	if said, err := newFixture(t).write(t.Context(), wraps(kinds...), nil, ""); err != nil || len(said) != maxKinds {
		t.Errorf("answered with %v and %d warnings", err, len(said))
	}
}

func TestAPluginThatCannotAskAnythingIsNotStarted(t *testing.T) {
	p := New()
	if err := p.ValidateInitialization(); err == nil {
		t.Error("a plugin without kinds was taken for initialized")
	}
	hubkinds.NewInitializer(hubkinds.New(nil, nil)).Initialize(p)
	if err := p.ValidateInitialization(); err == nil {
		t.Error("a plugin without informers was taken for initialized")
	}
}

func TestWhatIsSkippedOnThisHubIsToldAtOnce(t *testing.T) {
	limits, err := placeable.ParseLimits(placeable.LimitOptions{SkippedAPIs: "v1/Secret", SkippedNamespaces: "vault"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		placement, old written
		warns, refused string
	}{
		"a placement in a skipped namespace": {placement: placed("vault", selector("apps/v1/Deployment/web")),
			refused: "namespace vault is not placed on this hub, and neither is anything in it (--skipped-propagating-namespaces): use another namespace"},
		"one that was there before": {placement: placed("vault"), old: placed("vault")},
		"a skipped kind": {placement: placed("team", selector("/v1/Secret/key")),
			warns: "spec.resourceSelectors[0]: Secret is not placed on this hub (--skipped-propagating-apis, --allowed-propagating-apis): nothing of the placement is placed, remove the selector"},
		"a skipped Namespace": {placement: placed("", selector("/v1/Namespace/vault")),
			warns: "spec.resourceSelectors[0]: namespace vault is not placed on this hub (--skipped-propagating-namespaces): nothing of the placement is placed, remove the selector"},
		"another Namespace": {placement: placed("", selector("/v1/Namespace/shop"))},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.SetHub(f.hub, limits)
			said, err := f.write(t.Context(), tt.placement, tt.old, "")
			if got := strings.Join(said, "\n"); got != tt.warns {
				t.Errorf("warns\n%s\nwant\n%s", got, tt.warns)
			}
			if (err == nil) != (tt.refused == "") || err != nil && (!apierrors.IsForbidden(err) || !strings.HasSuffix(err.Error(), tt.refused)) {
				t.Errorf("error %v, want %q", err, tt.refused)
			}
		})
	}
}
