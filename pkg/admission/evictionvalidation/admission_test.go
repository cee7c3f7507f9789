// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package evictionvalidation

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
)

func newPlugin(t *testing.T, objects ...runtime.Object) (*Plugin, *fake.Clientset) {
	t.Helper()
	client, plugin := fake.NewClientset(objects...), New()
	initializer.New(client, nil).Initialize(plugin)
	if err := plugin.ValidateInitialization(); err != nil {
		t.Fatalf("initializing the plugin: %v", err)
	}
	return plugin, client
}

func ask(t *testing.T, plugin *Plugin, operation admission.Operation, subresource string, object, old runtime.Object) error {
	meta, resource := object.(metav1.Object), schema.GroupVersionResource{Group: v1beta1.GroupName, Version: "v1", Resource: "objects"}
	return plugin.Validate(t.Context(), admission.NewAttributesRecord(object, old, schema.GroupVersionKind{}, "", meta.GetName(), resource, subresource, operation, nil, false, nil), nil)
}

func placement(name string, change func(*v1beta1.ClusterResourcePlacement)) *v1beta1.ClusterResourcePlacement {
	p := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1beta1.PlacementSpec{Policy: &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType}}}
	if change != nil {
		change(p)
	}
	return p
}

func eviction(of string) *v1beta1.ClusterResourcePlacementEviction {
	return &v1beta1.ClusterResourcePlacementEviction{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Spec: v1beta1.PlacementEvictionSpec{PlacementName: of, ClusterName: "a"}}
}

func budget(of string, minAvailable intstr.IntOrString) *v1beta1.ClusterResourcePlacementDisruptionBudget {
	return &v1beta1.ClusterResourcePlacementDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: of}, Spec: v1beta1.PlacementDisruptionBudgetSpec{MinAvailable: &minAvailable}}
}

func TestWhatAPlacementCannotHaveIsRefused(t *testing.T) {
	objects := []runtime.Object{
		placement("all", nil),
		placement("fixed", func(p *v1beta1.ClusterResourcePlacement) {
			p.Spec.Policy.PlacementType = v1beta1.PickFixedPlacementType
		}),
		placement("n", func(p *v1beta1.ClusterResourcePlacement) { p.Spec.Policy.PlacementType = v1beta1.PickNPlacementType }),
		placement("leaving", func(p *v1beta1.ClusterResourcePlacement) {
			p.DeletionTimestamp, p.Finalizers = ptr.To(metav1.Now()), []string{"held"}
		}),
	}
	some, half := intstr.FromInt32(1), intstr.FromString("50%")
	for name, test := range map[string]struct {
		operation   admission.Operation
		subresource string
		object, old runtime.Object
		want        string
	}{
		"an eviction":                          {admission.Create, "", eviction("all"), nil, ""},
		"an eviction of PickFixed":             {admission.Create, "", eviction("fixed"), nil, "cluster resource placement policy type PickFixed is not supported"},
		"an eviction of what is being deleted": {admission.Create, "", eviction("leaving"), nil, "cluster resource placement leaving is being deleted"},
		"an eviction of nothing":               {admission.Create, "", eviction("none"), nil, ""},
		"an eviction that was let in":          {admission.Update, "", eviction("fixed"), eviction("fixed"), ""},
		"the status of one":                    {admission.Update, "status", eviction("fixed"), eviction("fixed"), ""},
		"a budget":                             {admission.Create, "", budget("all", some), nil, ""},
		"a budget of PickN":                    {admission.Create, "", budget("n", half), nil, ""},
		"a budget before its placement":        {admission.Create, "", budget("none", half), nil, ""},
		"a percentage of PickAll":              {admission.Create, "", budget("all", half), nil, "cluster resource placement policy type PickAll is not supported with min available as a percentage 50%: set minAvailable to a number"},
		"a budget that becomes one":            {admission.Update, "", budget("all", half), budget("all", some), "cluster resource placement policy type PickAll is not supported with min available as a percentage 50%: set minAvailable to a number"},
		"a budget that was one":                {admission.Update, "", budget("all", half), budget("all", half), ""},
		"an object of another kind":            {admission.Create, "", placement("fixed", nil), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			plugin, _ := newPlugin(t, objects...)
			err := ask(t, plugin, test.operation, test.subresource, test.object, test.old)
			if test.want == "" && err != nil || test.want != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	plugin, client := newPlugin(t, objects...)
	client.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("etcd is away") })
	if err := ask(t, plugin, admission.Create, "", eviction("all"), nil); !apierrors.IsInternalError(err) {
		t.Errorf("of a placement that cannot be read: %v", err)
	}
}

func TestThePluginNeedsAClient(t *testing.T) {
	if err := New().ValidateInitialization(); err == nil {
		t.Error("the plugin starts without a client")
	}
}

// warnings collects what a request is warned of.
type warnings []string

func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

func TestWhatIsProbablyNotMeantIsWarnedOf(t *testing.T) {
	member := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	comesBack := []string{"MemberCluster a has no taint that keeps ClusterResourcePlacement all off, which picks it again at once: set a taint first"}
	missing := []string{"metadata.name: there is no ClusterResourcePlacement none: the budget limits nothing before there is"}
	some := intstr.FromInt32(1)
	for name, test := range map[string]struct {
		operation   admission.Operation
		object, old runtime.Object
		want        []string
	}{
		"an eviction without a taint":         {admission.Create, eviction("all"), nil, comesBack},
		"the same, written again":             {admission.Update, eviction("all"), eviction("all"), nil},
		"an eviction of nothing":              {admission.Create, eviction("none"), nil, nil},
		"a budget that fits":                  {admission.Create, budget("all", some), nil, nil},
		"a budget of nothing":                 {admission.Create, budget("none", some), nil, missing},
		"a budget of nothing that is changed": {admission.Update, budget("none", some), budget("none", intstr.FromInt32(2)), missing},
		"a budget of nothing that stays":      {admission.Update, budget("none", some), budget("none", some), nil},
	} {
		t.Run(name, func(t *testing.T) {
			plugin, _ := newPlugin(t, member, placement("all", nil))
			var warned warnings
			meta, resource := test.object.(metav1.Object), schema.GroupVersionResource{Group: v1beta1.GroupName, Version: "v1", Resource: "objects"}
			a := admission.NewAttributesRecord(test.object, test.old, schema.GroupVersionKind{}, "", meta.GetName(), resource, "", test.operation, nil, false, nil)
			if err := plugin.Validate(warning.WithWarningRecorder(t.Context(), &warned), a, nil); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(warnings(test.want), warned); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
