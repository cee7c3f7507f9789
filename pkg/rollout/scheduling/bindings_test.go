// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestBindingNames(t *testing.T) {
	for name, test := range map[string]struct{ placement, cluster, want string }{
		"both fit":                      {"web", "paris", "web-paris-b5941b4b"},
		"both are cut":                  {"abcdefghijklmnopqrstuvwxyz0", "abcdefghijklmnopqrstuvwxyz01", "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz0-7448ea5a"},
		"a placement is cut at a dot":   {"payments-backend-eu-west1.v2", "paris", "payments-backend-eu-west1-paris-c8eb0b13"},
		"a cluster is cut at a dot":     {"web", "payments-backend-eu-west10.v2", "web-payments-backend-eu-west10-0a6b2987"},
		"what was legal stays as it is": {"payments-backend-eu-west1-v2", "paris", "payments-backend-eu-west1--paris-9a8e4d73"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := bindingName(placementCalled(test.placement), test.cluster); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func placementCalled(name string) v1beta1.PlacementObject {
	return &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid of " + name)}}
}

// Placements and clusters are called what the API takes, and there may be a binding for each two of them.
func FuzzBindingNames(f *testing.F) {
	f.Add("payments-backend-eu-west1.v2", "paris", "payments-backend-eu-west1.v3", "paris")
	f.Add("web", "abcdefghijklmnopqrstuvwxyz.a", "web", "abcdefghijklmnopqrstuvwxyz.b")
	f.Add("a.b-c", "d", "a", "b-c-d")
	f.Add(strings.Repeat("a", 63), strings.Repeat("1", 63), "0", "0")
	f.Fuzz(func(t *testing.T, placement, cluster, otherPlacement, otherCluster string) {
		for _, name := range []string{placement, cluster, otherPlacement, otherCluster} {
			if len(name) > 63 || len(validation.IsDNS1123Subdomain(name)) > 0 {
				return
			}
		}
		name, other := bindingName(placementCalled(placement), cluster), bindingName(placementCalled(otherPlacement), otherCluster)
		for _, n := range []string{name, other} {
			// A binding is named in a label.
			if wrong := append(validation.IsDNS1123Subdomain(n), validation.IsValidLabelValue(n)...); len(wrong) > 0 {
				t.Errorf("%s: %v", n, wrong)
			}
		}
		if same := placement == otherPlacement && cluster == otherCluster; same != (name == other) {
			t.Errorf("%s on %s and %s on %s have bindings %s and %s", placement, cluster, otherPlacement, otherCluster, name, other)
		}
	})
}
