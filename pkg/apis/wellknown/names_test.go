// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package wellknown

import (
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	envelopeE     = "work-envelope-219e199518acb7c8"
	envelopeTeamE = "work-envelope-551d55fab2180de2"
)

func TestAnEnvelopeHasOnePartOfItsOwn(t *testing.T) {
	for want, e := range map[string][3]string{
		envelopeE:     {"ClusterResourceEnvelope", "", "e"},
		envelopeTeamE: {"ResourceEnvelope", "team-a", "e"},
	} {
		if got := EnvelopePart(e[0], e[1], e[2]); got != want {
			t.Errorf("%v is %s, want %s", e, got, want)
		}
	}
}

func TestWhichEnvelopeAWorkIsOf(t *testing.T) {
	for name, want := range map[string]string{
		"web-" + envelopeE: "219e199518acb7c8",
		// Other implementations name it after the part that has the envelope.
		"web-3-envelope-219e199518acb7c8":       "219e199518acb7c8",
		"web-work":                              "",
		"web-0":                                 "",
		"other-" + envelopeE:                    "",
		"web-work-envelope-219e199518acb7c":     "",
		"web-work-envelope-219E199518acb7c8":    "",
		"web-x-envelope-219e199518acb7c8":       "",
		"web-work-envelope-219e199518acb7c8-1":  "",
		"web-work-envelope-envelope-219e199518": "",
	} {
		if got := EnvelopeHash("", "web", name); got != want {
			t.Errorf("%s is of %q, want %q", name, got, want)
		}
		if part, ok := WorkPart("", "web", name); (ok && part == EnvelopeWork) != (want != "") {
			t.Errorf("%s is part %d %v", name, part, ok)
		}
	}
	if part, ok := WorkPart("", "web-work-envelope", "web-work-envelope-0000000000000001"); ok {
		t.Errorf("what is the Work of an envelope of another placement is part %d", part)
	}
}

func TestWorkNames(t *testing.T) {
	for name, tc := range map[string]struct{ namespace, placement, part, want, upstream string }{
		"cluster-scoped":             {"", "web", "", "web-work", "web-work"},
		"a part":                     {"", "web", "0", "web-0", "web-0"},
		"namespaced":                 {"team-a", "web", "", "team-a.web-work", "team-a.web-work"},
		"a part, namespaced":         {"team-a", "web", "1", "team-a.web-1", "team-a.web-1"},
		"namespaced, with a dot":     {"team-a", "web.v2", "", "team-a.web.v2-work", "team-a.web.v2-work"},
		"cluster-scoped, with a dot": {"", "team-a.web", "", "team-a.web-work-cluster", "team-a.web-work"},
		"a part of one with a dot":   {"", "team-a.web", "1", "team-a.web-1-cluster", "team-a.web-1"},
		"an envelope":                {"", "web", envelopeE, "web-" + envelopeE, "web-" + envelopeE},
		"an envelope, namespaced":    {"team-a", "web", envelopeE, "team-a.web-" + envelopeE, "team-a.web-" + envelopeE},
		"an envelope, with a dot":    {"", "team-a.web", envelopeE, "team-a.web-" + envelopeE + "-cluster", "team-a.web-" + envelopeE},
	} {
		t.Run(name, func(t *testing.T) {
			if got := WorkName(tc.namespace, tc.placement, tc.part); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if got := UpstreamWorkName(tc.namespace, tc.placement, tc.part); got != tc.upstream {
				t.Errorf("upstream: got %s, want %s", got, tc.upstream)
			}
			want := FirstWork
			if tc.part == envelopeE {
				want = EnvelopeWork
			} else if tc.part != "" {
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

// FuzzWorkNames holds that no two placements name their Works the same. An even number stands for a part, an odd one for an envelope, an
// empty namespace for none.
func FuzzWorkNames(f *testing.F) {
	f.Add("", "team-a.web", uint16(0), "team-a", "web", uint16(0))
	f.Add("", "a.b", uint16(2), "a", "b-0", uint16(4))
	f.Add("", "a.b-work", uint16(0), "", "a.b", uint16(6))
	f.Add("", "a.b", uint16(0), "a", "b-work-cluster", uint16(0))
	f.Add("", "web-0", uint16(0), "", "web", uint16(2))
	f.Add("", "web-work-envelope", uint16(0), "", "web", uint16(1))
	f.Add("", "a.b", uint16(1), "a", "b", uint16(1))
	f.Add("", "a.b-work-envelope", uint16(4), "a", "b", uint16(3))
	f.Add("", "web-work", uint16(1), "", "web", uint16(1))
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
		if got, ok := WorkPart(namespace, placement, name); !ok || got != partNumber(part) {
			t.Errorf("%s is part %d %v, want %d", name, got, ok, partNumber(part))
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
	switch {
	case part == 0:
		return ""
	case part%2 == 1:
		return EnvelopePart("ResourceEnvelope", "team", strconv.Itoa(int(part)))
	}
	return strconv.Itoa(int(part)/2 - 1)
}

func partNumber(part uint16) int {
	if part%2 == 1 {
		return EnvelopeWork
	}
	return int(part)/2 - 1
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
