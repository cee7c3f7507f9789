// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package wellknown

import (
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestWorkNames(t *testing.T) {
	for name, tc := range map[string]struct{ namespace, placement, part, want, upstream string }{
		"cluster-scoped":             {"", "web", "", "web-work", "web-work"},
		"a part":                     {"", "web", "0", "web-0", "web-0"},
		"namespaced":                 {"team-a", "web", "", "team-a.web-work", "team-a.web-work"},
		"a part, namespaced":         {"team-a", "web", "1", "team-a.web-1", "team-a.web-1"},
		"namespaced, with a dot":     {"team-a", "web.v2", "", "team-a.web.v2-work", "team-a.web.v2-work"},
		"cluster-scoped, with a dot": {"", "team-a.web", "", "team-a.web-work-cluster", "team-a.web-work"},
		"a part of one with a dot":   {"", "team-a.web", "1", "team-a.web-1-cluster", "team-a.web-1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := WorkName(tc.namespace, tc.placement, tc.part); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if got := UpstreamWorkName(tc.namespace, tc.placement, tc.part); got != tc.upstream {
				t.Errorf("upstream: got %s, want %s", got, tc.upstream)
			}
			want := -1
			if tc.part != "" {
				want, _ = strconv.Atoi(tc.part)
			}
			for _, name := range []string{tc.want, tc.upstream} {
				if part, ok := WorkPart(tc.namespace, tc.placement, name); !ok || part != want {
					t.Errorf("%s is part %d %v, want %d", name, part, ok, want)
				}
			}
		})
	}
	for _, other := range []string{"team-a.web-cluster", "team-a.web-work-cluster-cluster", "team-a.web-", "team-a.web-x-cluster", "team-a.web-0-work"} {
		if part, ok := WorkPart("", "team-a.web", other); ok {
			t.Errorf("%s is part %d", other, part)
		}
	}
}

// FuzzWorkNames holds that no two placements name their Works the same. A number stands for a part, an empty namespace for none.
func FuzzWorkNames(f *testing.F) {
	f.Add("", "team-a.web", uint16(0), "team-a", "web", uint16(0))
	f.Add("", "a.b", uint16(1), "a", "b-0", uint16(2))
	f.Add("", "a.b-work", uint16(0), "", "a.b", uint16(3))
	f.Add("", "a.b", uint16(0), "a", "b-work-cluster", uint16(0))
	f.Add("", "web-0", uint16(0), "", "web", uint16(1))
	f.Fuzz(func(t *testing.T, namespace, placement string, part uint16, otherNamespace, otherPlacement string, otherPart uint16) {
		for _, n := range []string{namespace, otherNamespace} {
			if n != "" && len(validation.IsDNS1123Label(n)) > 0 {
				return
			}
		}
		for _, p := range []string{placement, otherPlacement} {
			if len(p) > 63 || len(validation.IsDNS1123Subdomain(p)) > 0 {
				return
			}
		}
		name, other := WorkName(namespace, placement, partName(part)), WorkName(otherNamespace, otherPlacement, partName(otherPart))
		for _, n := range []string{name, other} {
			if wrong := validation.IsDNS1123Subdomain(n); len(wrong) > 0 {
				t.Errorf("%s: %v", n, wrong)
			}
		}
		same := namespace == otherNamespace && placement == otherPlacement && part == otherPart
		if same != (name == other) {
			t.Errorf("%s/%s and %s/%s have Works %s and %s", namespace, placement, otherNamespace, otherPlacement, name, other)
		}
		if got, ok := WorkPart(namespace, placement, name); !ok || got != int(part)-1 {
			t.Errorf("%s is part %d %v, want %d", name, got, ok, int(part)-1)
		}
		if placement == otherPlacement && namespace == otherNamespace || UpstreamWorkName(otherNamespace, otherPlacement, "") != WorkName(otherNamespace, otherPlacement, "") {
			// Its Works may have the names that others give them.
			return
		}
		if _, ok := WorkPart(otherNamespace, otherPlacement, name); ok {
			t.Errorf("%s is taken for a Work of %s/%s", name, otherNamespace, otherPlacement)
		}
	})
}

func partName(part uint16) string {
	if part == 0 {
		return ""
	}
	return strconv.Itoa(int(part) - 1)
}

func TestReservedNamespaces(t *testing.T) {
	for name, want := range map[string]bool{
		"default": true, "kube-system": true, "kube-node-lease": true, SystemNamespace: true, MemberNamespace("a"): true,
		"": false, "app": false, "default-app": false, "kubeflow": false, "fleet": false,
	} {
		if got := IsReservedNamespace(name); got != want {
			t.Errorf("%q is reserved: %t, want %t", name, got, want)
		}
	}
}

func TestOnlyANameThatIsGivenHasAnIndex(t *testing.T) {
	for name, want := range map[string]int{
		ResourceSnapshotName("p", 0): 0, ResourceSnapshotName("p", "12"): 12,
		"": -1, "p": -1, "12": -1, "p-12": -1, "p-12-0": -1, "p--snapshot": -1, "p--1-snapshot": -1, "p-+1-snapshot": -1, "p-01-snapshot": -1,
		"other-1-snapshot": -1, "p-q-1-snapshot": -1, "p-4294967296-snapshot": -1,
	} {
		if index, ok := ResourceSnapshotIndex("p", name); ok != (want >= 0) || ok && index != want {
			t.Errorf("%q has index %d %t, want %d", name, index, ok, want)
		}
	}
}
