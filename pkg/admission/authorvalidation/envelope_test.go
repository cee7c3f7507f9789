// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const (
	configMap = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"team-a"}}`
	quota     = `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q","namespace":"team-a"},"spec":{"hard":{"pods":"20"}}}`
	binding   = `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"b","namespace":"team-a"},"roleRef":{"kind":"ClusterRole","name":"cluster-admin"}}`
	viewing   = `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"v","namespace":"team-a"},"roleRef":{"kind":"ClusterRole","name":"view"}}`
	widget    = `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"team-a"}}`
	admins    = `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"a"},"roleRef":{"kind":"ClusterRole","name":"cluster-admin"}}`
	twoWays   = `{"apiVersion":"v1","kind":"Role","kind":"ConfigMap","metadata":{"name":"c","namespace":"team-a"}}`
)

const (
	noQuota   = `user "alice" cannot unwrap ResourceQuota team-a/q: needs delete on resourcequotas in namespace team-a`
	noBinding = `user "alice" cannot unwrap RoleBinding team-a/b: needs delete on rolebindings.rbac.authorization.k8s.io in namespace team-a`
)

// owned is an object that says the same and has an owner.
func owned(object runtime.Object, names ...string) runtime.Object {
	other := object.DeepCopyObject()
	var owners []metav1.OwnerReference
	for _, name := range names {
		owners = append(owners, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: name, UID: "u"})
	}
	other.(metav1.Object).SetOwnerReferences(owners)
	return other
}

// renamed has a manifest under another key.
func renamed(object runtime.Object) runtime.Object {
	other := object.DeepCopyObject().(*v1beta1.ResourceEnvelope)
	other.Data = map[string]runtime.RawExtension{"other": other.Data["0"]}
	return other
}

func TestWhoTakesSomethingOutOfAnEnvelopeMayDeleteIt(t *testing.T) {
	const otherVersion = `{"apiVersion":"v2","kind":"ResourceQuota","metadata":{"name":"q"}}`
	for name, test := range map[string]struct {
		who         string
		object, old runtime.Object
		want        []string
	}{
		"their own":                            {"alice", nil, envelope(configMap), nil},
		"an envelope with a quota":             {"alice", nil, envelope(configMap, quota), []string{noQuota}},
		"an envelope with a binding":           {"alice", nil, envelope(binding, quota), []string{noBinding, noQuota}},
		"a quota out of one":                   {"alice", envelope(configMap), envelope(configMap, quota), []string{noQuota}},
		"a quota for another object":           {"alice", envelope(configMap), envelope(quota), []string{noQuota}},
		"one of theirs":                        {"alice", envelope(configMap), envelope(configMap, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}`), nil},
		"a label that may deselect it":         {"alice", labeled(envelope(quota)), envelope(quota), []string{`user "alice" cannot wrap ResourceQuota team-a/q: needs create and update on resourcequotas in namespace team-a`, noQuota}},
		"a label on their own":                 {"alice", labeled(envelope(configMap)), envelope(configMap), nil},
		"an owner that can be deleted":         {"alice", owned(envelope(quota), "c"), envelope(quota), []string{noQuota}},
		"another name of an owner":             {"alice", owned(envelope(quota), "d"), owned(envelope(quota), "c"), []string{noQuota}},
		"an owner fewer":                       {"nobody", owned(envelope(quota), "c"), owned(envelope(quota), "c", "d"), nil},
		"who writes quotas and deletes none":   {"writer", envelope(quota), envelope(configMap, quota), []string{strings.NewReplacer("alice", "writer", "ResourceQuota team-a/q", "ConfigMap team-a/c", "resourcequotas", "configmaps").Replace(noQuota)}},
		"another key":                          {"writer", renamed(envelope(quota)), envelope(quota), nil},
		"another version of the kind":          {"writer", envelope(otherVersion), envelope(quota), nil},
		"another limit":                        {"writer", envelope(strings.Replace(quota, "20", "10", 1)), envelope(quota), nil},
		"a kind that the hub does not have":    {"alice", nil, envelope(widget), []string{`user "alice" cannot unwrap Widget team-a/w: needs delete on every resource of group example.com in namespace team-a, since the hub has no kind Widget in group example.com`}},
		"what cannot be read":                  {"alice", nil, envelope(twoWays), []string{`user "alice" cannot unwrap data[0]: needs delete on every resource of group * in namespace team-a`}},
		"something beside what cannot be read": {"owner", envelope(twoWays), envelope(twoWays, configMap), []string{`user "owner" cannot wrap data[0]: the manifest can be read in two ways: duplicate field "kind"`, `user "owner" cannot unwrap ConfigMap team-a/c: needs delete on configmaps in namespace team-a`}},
		"a cluster-scoped envelope":            {"placer", nil, clusterEnvelope(admins), []string{`user "placer" cannot unwrap ClusterRoleBinding a: needs delete on clusterrolebindings.rbac.authorization.k8s.io`}},
		"a Namespace":                          {"owner", nil, clusterEnvelope(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x"}}`), nil},
		"all, by who empties namespaces":       {"emptier", nil, envelope(quota, binding, widget, twoWays), nil},
		"all, by who collects garbage":         {"collector", nil, envelope(quota, binding, widget, twoWays), nil},
		"one that goes already":                {"nobody", nil, leaving(envelope(quota)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			attempt := func(who string) error {
				if test.object == nil {
					return f.remove(who, test.old)
				}
				return f.write(who, test.object, test.old)
			}
			if diff := cmp.Diff(test.want, refusal(t, attempt(test.who))); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
			if err := attempt("root"); err != nil {
				t.Errorf("an administrator is refused: %v", err)
			}
		})
	}
}

func TestWhoEndsAnOverrideMayChangeWhatItOverrides(t *testing.T) {
	const patch, remove = v1beta1.JSONPatchOverrideType, v1beta1.DeleteOverrideType
	const noQuota = `user "alice" cannot stop overriding ResourceQuota team-a/q: needs update on resourcequotas in namespace team-a`
	for name, test := range map[string]struct {
		who         string
		object, old runtime.Object
		want        []string
	}{
		"their own":                    {"alice", nil, resourceOverride(remove, "/ConfigMap/c"), nil},
		"one of a quota":               {"alice", nil, resourceOverride(patch, "/ConfigMap/c", "/ResourceQuota/q"), []string{noQuota}},
		"a quota out of one":           {"alice", resourceOverride(patch, "/ConfigMap/c"), resourceOverride(patch, "/ResourceQuota/q"), []string{noQuota}},
		"an owner that can be deleted": {"alice", owned(resourceOverride(patch, "/ResourceQuota/q"), "c"), resourceOverride(patch, "/ResourceQuota/q"), []string{noQuota}},
		"what leaves a quota out":      {"writer", nil, resourceOverride(remove, "/ResourceQuota/q"), []string{`user "writer" cannot stop overriding ResourceQuota team-a/q: needs delete on resourcequotas in namespace team-a`}},
		"one of a binding":             {"officer", nil, resourceOverride(patch, rbacGroup+"/RoleBinding/b"), nil},
		"one that does nothing":        {"nobody", nil, resourceOverride(patch, v1beta1.GroupName+"/ResourceEnvelope/e"), nil},
		"one of a namespace": {"reader", nil, clusterOverride(patch, "/Namespace/x"), []string{
			`user "reader" cannot stop overriding Namespace x: needs update on namespaces in namespace x`,
			`user "reader" cannot stop overriding everything in namespace x: needs update on every resource of group * in namespace x`}},
		"one that goes already":        {"nobody", nil, leaving(resourceOverride(patch, "/ResourceQuota/q")), nil},
		"all, by who collects garbage": {"collector", nil, clusterOverride(remove, "/Namespace/x", rbacGroup+"/ClusterRole/r"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			err := func() error {
				if test.object == nil {
					return f.remove(test.who, test.old)
				}
				return f.write(test.who, test.object, test.old)
			}()
			if diff := cmp.Diff(test.want, refusal(t, err)); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhateverIsInANamespaceGoesWithIt(t *testing.T) {
	const patch = v1beta1.JSONPatchOverrideType
	objects := []runtime.Object{envelope(quota, binding, twoWays), resourceOverride(patch, "/ResourceQuota/q"), resourcePlacement(selector("/ResourceQuota/q"))}
	for _, object := range objects {
		for _, spoil := range []func(*fixture){
			func(*fixture) {},
			func(f *fixture) { f.down = fmt.Errorf("no route") },
			func(f *fixture) { f.failure = fmt.Errorf("no route") },
		} {
			f := newFixture()
			spoil(f)
			if err := f.remove("nobody", object); err == nil {
				t.Errorf("%T: it is deleted while its namespace stays", object)
			}
			f.goes = "team-a"
			if err := f.remove("nobody", object); err != nil {
				t.Errorf("%T: a namespace that goes keeps it: %v", object, err)
			}
			if err := f.write("nobody", owned(object, "c"), object); err == nil {
				t.Errorf("%T: an update is let through", object)
			}
		}
	}
}

// named is an object with another name and labels.
func named(object runtime.Object, name string, labels map[string]string) runtime.Object {
	object.(metav1.Object).SetName(name)
	object.(metav1.Object).SetLabels(labels)
	return object
}

func TestWhoPlacesAnEnvelopeMayWriteWhatItCarries(t *testing.T) {
	const (
		group = v1beta1.GroupName
		// What alice is told of a quota and of a binding, by the envelope that has it.
		placesQuota   = `user "alice" cannot place ResourceQuota team-a/q of ResourceEnvelope team-a/%s: needs create, update and delete on resourcequotas in namespace team-a`
		widgets       = `user "alice" cannot place Widget team-a/w of ResourceEnvelope team-a/widgets: needs get and list on every resource of group example.com in namespace team-a, since the hub has no kind Widget in group example.com`
		unclear       = `user "alice" cannot place data[0] of ResourceEnvelope team-a/unclear: the manifest can be read in two ways: duplicate field "kind"`
		placesBinding = `user "alice" cannot place RoleBinding team-a/b of ResourceEnvelope team-a/%s: needs create, update and delete on rolebindings.rbac.authorization.k8s.io in namespace team-a, and bind on clusterroles.rbac.authorization.k8s.io cluster-admin in namespace team-a`
	)
	byLabel := selector(group + "/ResourceEnvelope")
	byLabel.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}}
	moved := func(object runtime.Object) runtime.Object {
		other := object.DeepCopyObject().(v1beta1.PlacementObject)
		other.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{"member3"}}
		return other
	}
	limits, all := resourcePlacement(selector(group+"/ResourceEnvelope/limits")), resourcePlacement(selector(group+"/ResourceEnvelope"))
	for name, test := range map[string]struct {
		who         string
		object, old runtime.Object
		want        []string
	}{
		"their own":             {"alice", resourcePlacement(selector(group + "/ResourceEnvelope/app")), nil, nil},
		"one that is not there": {"alice", resourcePlacement(selector(group + "/ResourceEnvelope/none")), nil, nil},
		"one that goes":         {"alice", resourcePlacement(selector(group + "/ResourceEnvelope/going")), nil, nil},
		"one of the platform":   {"alice", limits, nil, []string{fmt.Sprintf(placesQuota, "limits"), fmt.Sprintf(placesBinding, "limits")}},
		"all of them": {"alice", all, nil, []string{
			fmt.Sprintf(placesQuota, "limits"), fmt.Sprintf(placesBinding, "limits"), unclear,
			`user "alice" cannot place RoleBinding team-a/v of ResourceEnvelope team-a/viewers: needs create, update and delete on rolebindings.rbac.authorization.k8s.io in namespace team-a, and bind on clusterroles.rbac.authorization.k8s.io view in namespace team-a`,
			widgets,
		}},
		"those with a label":               {"alice", resourcePlacement(byLabel), nil, nil},
		"a kind that the hub has not":      {"alice", resourcePlacement(selector(group + "/ResourceEnvelope/widgets")), nil, []string{widgets}},
		"what cannot be read":              {"alice", resourcePlacement(selector(group + "/ResourceEnvelope/unclear")), nil, []string{unclear}},
		"who may bind another role":        {"admin", limits, nil, []string{`user "admin" cannot place RoleBinding team-a/b of ResourceEnvelope team-a/limits: needs bind on clusterroles.rbac.authorization.k8s.io cluster-admin in namespace team-a`}},
		"who may bind the role":            {"admin", resourcePlacement(selector(group + "/ResourceEnvelope/viewers")), nil, nil},
		"who may not read envelopes":       {"mender", limits, nil, []string{`user "mender" cannot place ResourceEnvelope team-a/limits: needs get and list on resourceenvelopes.placement.kubernetes-fleet.io in namespace team-a`}},
		"an envelope of the fleet":         {"placer", clusterPlacement(selector(group + "/ClusterResourceEnvelope/staging-admins")), nil, []string{`user "placer" cannot place ClusterRoleBinding a of ClusterResourceEnvelope staging-admins: needs create, update and delete on clusterrolebindings.rbac.authorization.k8s.io, and bind on clusterroles.rbac.authorization.k8s.io cluster-admin`}},
		"a Namespace and one in it":        {"alice", clusterPlacement(selector("/Namespace/team-a", v1beta1.NamespaceWithResourceSelectors), selector(group+"/ResourceEnvelope/limits")), nil, []string{fmt.Sprintf(placesQuota, "limits"), fmt.Sprintf(placesBinding, "limits")}},
		"a namespace that they read":       {"enumerator", clusterPlacement(selector("/Namespace/x")), nil, []string{`user "enumerator" cannot place Widget x/w of ResourceEnvelope x/widgets: needs get and list on every resource of group example.com in namespace x, since the hub has no kind Widget in group example.com`}},
		"other clusters":                   {"alice", moved(limits), limits, []string{fmt.Sprintf(placesQuota, "limits"), fmt.Sprintf(placesBinding, "limits"), `user "alice" cannot stop placing ResourceQuota team-a/q of ResourceEnvelope team-a/limits: needs delete on resourcequotas in namespace team-a`, `user "alice" cannot stop placing RoleBinding team-a/b of ResourceEnvelope team-a/limits: needs delete on rolebindings.rbac.authorization.k8s.io in namespace team-a`}},
		"other clusters for their own":     {"alice", moved(resourcePlacement(selector(group+"/ResourceEnvelope/app"), selector("/ConfigMap"))), resourcePlacement(selector(group+"/ResourceEnvelope/app"), selector("/ConfigMap")), nil},
		"other clusters for what is plain": {"alice", moved(resourcePlacement(selector(rbacGroup + "/RoleBinding/b"))), resourcePlacement(selector(rbacGroup + "/RoleBinding/b")), []string{`user "alice" cannot place RoleBinding team-a/b: needs get and list on rolebindings.rbac.authorization.k8s.io in namespace team-a`, `user "alice" cannot stop placing RoleBinding team-a/b: needs get and list on rolebindings.rbac.authorization.k8s.io in namespace team-a`}},
		"no longer one of the platform":    {"alice", resourcePlacement(selector("/ConfigMap")), resourcePlacement(selector("/ConfigMap"), selector("/ResourceQuota/q")), []string{`user "alice" cannot stop placing ResourceQuota team-a/q: needs delete on resourcequotas in namespace team-a`}},
		"a placement with a quota":         {"alice", nil, resourcePlacement(selector("/ResourceQuota/q")), []string{`user "alice" cannot stop placing ResourceQuota team-a/q: needs delete on resourcequotas in namespace team-a`}},
		"a placement of theirs":            {"alice", nil, resourcePlacement(selector("/ConfigMap"), selector("example.com/Widget"), selector(group+"/ResourceEnvelope/app"), selector(group+"/ResourceEnvelope/widgets")), nil},
		"by who empties namespaces":        {"emptier", nil, all, nil},
		"by who collects garbage":          {"collector", nil, resourcePlacement(selector("/ResourceQuota"), selector(group+"/ResourceEnvelope")), nil},
		"a placement of a namespace":       {"nobody", nil, clusterPlacement(selector("/Namespace/team-a")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			inX := named(envelope(strings.Replace(widget, "team-a", "x", 1), strings.Replace(configMap, "team-a", "x", 1)), "widgets", nil)
			inX.(metav1.Object).SetNamespace("x")
			f.store(t,
				named(envelope(configMap), "app", map[string]string{"app": "shop"}), named(envelope(configMap, quota, binding), "limits", nil), named(envelope(viewing), "viewers", nil),
				leaving(named(envelope(quota), "going", nil)), named(clusterEnvelope(admins), "staging-admins", nil), inX,
				named(envelope(widget), "widgets", nil), named(envelope(twoWays), "unclear", nil))
			err := func() error {
				if test.object == nil {
					return f.remove(test.who, test.old)
				}
				return f.write(test.who, test.object, test.old)
			}()
			if diff := cmp.Diff(test.want, refusal(t, err)); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvelopesThatAreNotReadYetAreNotPlaced(t *testing.T) {
	f := newFixture()
	f.envelopes.synced = func() bool { return false }
	if err := f.write("alice", resourcePlacement(selector(v1beta1.GroupName+"/ResourceEnvelope/app")), nil); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("answered with %v", err)
	}
	if err := f.write("alice", resourcePlacement(selector("/ConfigMap")), nil); err != nil {
		t.Errorf("a placement without envelopes: %v", err)
	}
}

func TestAPlacementOfManyEnvelopesAsksSoManyQuestions(t *testing.T) {
	f := newFixture()
	for i := range 30 {
		var manifests []string
		for j := range 50 {
			manifests = append(manifests, strings.Replace(quota, `"q"`, fmt.Sprintf(`"q-%d-%d"`, i, j), 1))
		}
		f.store(t, named(envelope(manifests...), fmt.Sprintf("e-%02d", i), nil))
	}
	all := resourcePlacement(selector(v1beta1.GroupName + "/ResourceEnvelope"))
	if err := f.write("admin", all, nil); err != nil || len(f.asked) > 10 {
		t.Errorf("who may write every quota is answered with %v after %d questions", err, len(f.asked))
	}
	f.asked = nil
	refused := refusal(t, f.write("alice", all, nil))
	if len(f.asked) > 3*maxSingle+20 || len(refused) != maxRefusals+1 {
		t.Errorf("%d questions, and %q", len(f.asked), refused)
	}
}

func TestCachesOfEnvelopesAreSmall(t *testing.T) {
	secret := fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"team-a"},"data":{"p":%q}}`, strings.Repeat("x", 1<<16))
	small, err := shrink(envelope(secret, binding, twoWays))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for key, m := range small.(*v1beta1.ResourceEnvelope).Data {
		got[key] = string(m.Raw)
	}
	want := map[string]string{
		"0": `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"team-a"}}`,
		"1": `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"b","namespace":"team-a"},"roleRef":{"kind":"ClusterRole","name":"cluster-admin"}}`,
		"2": twoWays,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}
