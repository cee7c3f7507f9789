// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package overridevalidation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
)

func newPlugin(t *testing.T, objects ...runtime.Object) (*Plugin, *fake.Clientset) {
	t.Helper()
	client := fake.NewClientset(objects...)
	plugin := New()
	initializer.New(client, nil).Initialize(plugin)
	if err := plugin.ValidateInitialization(); err != nil {
		t.Fatalf("initializing the plugin: %v", err)
	}
	return plugin, client
}

// scopes make overrides of ConfigMaps, as they are written and as they are stored, and say how one is shown that two select.
var scopes = []struct {
	name, namespace, resource, path, tooMany string
	written                                  func(metav1.ObjectMeta, ...string) runtime.Object
	stored                                   func(metav1.ObjectMeta, ...string) runtime.Object
	describe                                 func(object string) string
}{
	{
		name: "cluster-scoped", resource: "clusterresourceoverrides", path: "clusterResourceSelectors",
		tooMany: "clusterResourceOverride limit has been reached: at most 100 cluster resources can be created.",
		written: func(meta metav1.ObjectMeta, names ...string) runtime.Object {
			o := &v1beta1.ClusterResourceOverride{ObjectMeta: meta}
			for _, name := range names {
				o.Spec.ClusterResourceSelectors = append(o.Spec.ClusterResourceSelectors,
					v1beta1.ResourceSelectorTerm{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: name})
			}
			return o
		},
		stored: func(meta metav1.ObjectMeta, names ...string) runtime.Object {
			o := &v1beta1.ClusterResourceOverride{ObjectMeta: meta}
			for _, name := range names {
				o.Spec.ClusterResourceSelectors = append(o.Spec.ClusterResourceSelectors,
					v1beta1.ResourceSelectorTerm{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: name, SelectionScope: v1beta1.NamespaceWithResources})
			}
			return o
		},
		describe: func(object string) string { return "rbac.authorization.k8s.io/v1 ClusterRole " + object },
	},
	{
		name: "namespaced", namespace: "team", resource: "resourceoverrides", path: "resourceSelectors",
		tooMany: "resourceOverride limit has been reached: at most 100 resources can be created.",
		written: func(meta metav1.ObjectMeta, names ...string) runtime.Object {
			o := &v1beta1.ResourceOverride{ObjectMeta: meta}
			for _, name := range names {
				o.Spec.ResourceSelectors = append(o.Spec.ResourceSelectors, v1beta1.ResourceSelector{Version: "v1", Kind: "ConfigMap", Name: name})
			}
			return o
		},
		stored: func(meta metav1.ObjectMeta, names ...string) runtime.Object {
			o := &v1beta1.ResourceOverride{ObjectMeta: meta}
			for _, name := range names {
				o.Spec.ResourceSelectors = append(o.Spec.ResourceSelectors, v1beta1.ResourceSelector{Version: "v1", Kind: "ConfigMap", Name: name})
			}
			return o
		},
		describe: func(object string) string { return "v1 ConfigMap team/" + object },
	},
}

func attributes(resource string, object, old runtime.Object, operation admission.Operation, subresource string) admission.Attributes {
	meta := object.(metav1.Object)
	return admission.NewAttributesRecord(object, old, schema.GroupVersionKind{Group: v1beta1.GroupName, Kind: "Override"}, meta.GetNamespace(), meta.GetName(),
		schema.GroupVersionResource{Group: v1beta1.GroupName, Version: "v1", Resource: resource}, subresource, operation, nil, false, nil)
}

func TestNoTwoOverridesSelectTheSameObject(t *testing.T) {
	for _, in := range scopes {
		meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: in.namespace} }
		deleted, leaving := meta("other"), meta("o")
		deleted.DeletionTimestamp, leaving.DeletionTimestamp = new(metav1.Now()), new(metav1.Now())
		labeled := meta("o")
		labeled.Labels = map[string]string{"a": "b"}
		refusal := func(index int, object string) string {
			return fmt.Sprintf("spec.%s[%d]: Invalid value: %q: the resource has been selected by both other and o, which is not supported: "+
				"change it in one of them, and leave it out of the other", in.path, index, in.describe(object))
		}
		other := in.stored(meta("other"), "x", "y")
		for name, test := range map[string]struct {
			existing []runtime.Object
			old      runtime.Object
			object   runtime.Object
			want     []string
		}{
			"nothing in common":              {[]runtime.Object{other}, nil, in.written(meta("o"), "a", "b"), nil},
			"one in common":                  {[]runtime.Object{other}, nil, in.written(meta("o"), "a", "y"), []string{refusal(1, "y")}},
			"two in common":                  {[]runtime.Object{other}, nil, in.written(meta("o"), "y", "x"), []string{refusal(0, "y"), refusal(1, "x")}},
			"with one that is being deleted": {[]runtime.Object{in.stored(deleted, "x")}, nil, in.written(meta("o"), "x"), nil},
			"an update adds one":             {[]runtime.Object{other, in.stored(meta("o"), "a")}, in.written(meta("o"), "a"), in.written(meta("o"), "a", "x"), []string{refusal(1, "x")}},
			"an update keeps one":            {[]runtime.Object{other, in.stored(meta("o"), "x")}, in.written(meta("o"), "x"), in.written(labeled, "x"), nil},
			"an update adds to one":          {[]runtime.Object{other, in.stored(meta("o"), "x")}, in.written(meta("o"), "x"), in.written(meta("o"), "a", "x"), nil},
			"an update while it is deleted":  {[]runtime.Object{other, in.stored(meta("o"), "a")}, in.written(leaving, "a"), in.written(leaving, "x"), nil},
			"with itself":                    {[]runtime.Object{in.stored(meta("o"), "a", "x")}, in.written(meta("o"), "a"), in.written(meta("o"), "x"), nil},
		} {
			t.Run(in.name+"/"+name, func(t *testing.T) {
				plugin, _ := newPlugin(t, test.existing...)
				operation := admission.Create
				if test.old != nil {
					operation = admission.Update
				}
				err := plugin.Validate(t.Context(), attributes(in.resource, test.object, test.old, operation, ""), nil)
				var got []string
				if status := (&apierrors.StatusError{}); errors.As(err, &status) {
					if !apierrors.IsInvalid(err) {
						t.Errorf("refused as %s", status.ErrStatus.Reason)
					}
					for _, cause := range status.ErrStatus.Details.Causes {
						got = append(got, cause.Field+": "+cause.Message)
					}
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("refusals (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestAnObjectIsTheSameInItsGroupVersionKindAndNamespaceOnly(t *testing.T) {
	plugin, _ := newPlugin(t,
		&v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "team"}, Spec: v1beta1.ResourceOverrideSpec{
			ResourceSelectors: []v1beta1.ResourceSelector{{Group: "apps", Version: "v1", Kind: "Deployment", Name: "x"}},
		}},
		&v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "elsewhere"}, Spec: v1beta1.ResourceOverrideSpec{
			ResourceSelectors: []v1beta1.ResourceSelector{{Version: "v1", Kind: "Secret", Name: "x"}},
		}},
		&v1beta1.ClusterResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: v1beta1.ClusterResourceOverrideSpec{
			ClusterResourceSelectors: []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: "team"}},
		}})
	object := &v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: "o", Namespace: "team"}, Spec: v1beta1.ResourceOverrideSpec{
		ResourceSelectors: []v1beta1.ResourceSelector{
			{Group: "apps", Version: "v1", Kind: "StatefulSet", Name: "x"},
			{Group: "apps", Version: "v1beta1", Kind: "Deployment", Name: "x"},
			{Group: "example.com", Version: "v1", Kind: "Deployment", Name: "x"},
			{Version: "v1", Kind: "Secret", Name: "x"},
		},
	}}
	if err := plugin.Validate(t.Context(), attributes("resourceoverrides", object, nil, admission.Create, ""), nil); err != nil {
		t.Error(err)
	}
}

func TestThereAreAtMostAHundred(t *testing.T) {
	for _, in := range scopes {
		meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: in.namespace} }
		var many []runtime.Object
		for i := range 100 {
			name := fmt.Sprintf("n%d", i)
			many = append(many, in.stored(meta(name), name))
		}
		for name, test := range map[string]struct {
			existing []runtime.Object
			object   runtime.Object
			old      runtime.Object
			refused  bool
		}{
			"the hundredth":           {many[:99], in.written(meta("o"), "x"), nil, false},
			"one more":                {many, in.written(meta("o"), "x"), nil, true},
			"one more of nothing":     {many, in.written(meta("o")), nil, true},
			"an update of a hundred":  {many, in.written(meta("n7"), "x"), in.written(meta("n7"), "n7"), false},
			"an update of one beyond": {append(slices.Clone(many), in.stored(meta("o"), "x")), in.written(meta("o"), "y"), in.written(meta("o"), "x"), false},
		} {
			t.Run(in.name+"/"+name, func(t *testing.T) {
				plugin, _ := newPlugin(t, test.existing...)
				operation := admission.Create
				if test.old != nil {
					operation = admission.Update
				}
				err := plugin.Validate(t.Context(), attributes(in.resource, test.object, test.old, operation, ""), nil)
				if apierrors.IsForbidden(err) != test.refused || err != nil && !strings.Contains(err.Error(), in.tooMany) {
					t.Errorf("got %v, refused should be %v", err, test.refused)
				}
			})
		}
	}
	t.Run("in each namespace", func(t *testing.T) {
		in := scopes[1]
		var elsewhere []runtime.Object
		for i := range 100 {
			elsewhere = append(elsewhere, in.stored(metav1.ObjectMeta{Name: fmt.Sprintf("n%d", i), Namespace: "elsewhere"}))
		}
		plugin, _ := newPlugin(t, elsewhere...)
		if err := plugin.Validate(t.Context(), attributes(in.resource, in.written(metav1.ObjectMeta{Name: "o", Namespace: "team"}, "x"), nil, admission.Create, ""), nil); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatChangesNoSelectorAsksNothing(t *testing.T) {
	for _, in := range scopes {
		plugin, client := newPlugin(t)
		client.PrependReactor("*", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("down") })
		meta := metav1.ObjectMeta{Name: "o", Namespace: in.namespace}
		for name, a := range map[string]admission.Attributes{
			"the same selectors": attributes(in.resource, in.written(meta, "x"), in.written(meta, "x"), admission.Update, ""),
			"other order":        attributes(in.resource, in.written(meta, "y", "x"), in.written(meta, "x", "y"), admission.Update, ""),
			"a subresource":      attributes(in.resource, in.written(meta, "x"), nil, admission.Create, "status"),
			"another kind":       attributes("clusterresourceplacements", &v1beta1.ClusterResourcePlacement{ObjectMeta: meta}, nil, admission.Create, ""),
		} {
			if err := plugin.Validate(t.Context(), a, nil); err != nil {
				t.Errorf("%s, %s: %v", in.name, name, err)
			}
		}
		if err := plugin.Validate(t.Context(), attributes(in.resource, in.written(meta, "x"), nil, admission.Create, ""), nil); !apierrors.IsInternalError(err) {
			t.Errorf("%s: what cannot be compared is answered with %v", in.name, err)
		}
	}
}

func TestAPluginThatCannotLookAnythingUpIsNotStarted(t *testing.T) {
	if err := New().ValidateInitialization(); err == nil {
		t.Error("a plugin without a client was taken for initialized")
	}
}
