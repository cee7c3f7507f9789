// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"strings"
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

func TestAFailureNamesTheSecretThatMendsIt(t *testing.T) {
	nobody := func(string) bool { return false }
	for reason, want := range map[string]string{
		reasonUnreachable:  "x; if that is not its address, put its kubeconfig into Secret fleet-system/member-a",
		reasonUnauthorized: "x; put a kubeconfig that it accepts into Secret fleet-system/member-a",
		reasonForbidden:    "x; grant that on the member to the user of the kubeconfig in Secret fleet-system/member-a",
		// The member has the right address and credentials, or the message says itself what to do.
		reasonNotReady:    "x",
		reasonOtherMember: "x",
	} {
		seen := observation{failure: &failure{reason: reason, message: "x"}}
		if got := seen.naming("fleet-system/member-a", nobody).failure.message; got != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
		if seen.failure.message != "x" {
			t.Errorf("%s: what was seen has become %q", reason, seen.failure.message)
		}
		seen.failure.message = strings.Repeat("x", 2*maxMessage)
		if got := seen.naming("fleet-system/member-a", nobody).failure.message; want != "x" && (len(got) > maxMessage || !strings.HasSuffix(got, want[1:])) {
			t.Errorf("%s: %d bytes end in %q", reason, len(got), got[len(got)-80:])
		}
	}
	if got := (observation{}).naming("fleet-system/member-a", nobody); got.failure != nil {
		t.Errorf("no failure: %+v", got.failure)
	}
}

func TestNobodyIsToldToTakeAClusterFromAMemberThatExists(t *testing.T) {
	err := storeid.Mismatch(map[string]string{wellknown.MemberNameAnnotation: "b"}, "", storeid.Membership{Member: "a"})
	const fix, command = "has joined as member b, not to a; put the kubeconfig of a into its Secret", "only if the cluster was renamed, and MemberCluster b is deleted: kubectl annotate"
	for exists, want := range map[bool]string{true: fix, false: fix + "; " + command} {
		seen := observation{failure: classify(err)}.naming("fleet-system/member-a", func(member string) bool { return exists && member == "b" })
		if got := seen.failure.message; !strings.Contains(got, want) || strings.Contains(got, command) == exists || seen.failure.reason != reasonOtherMember {
			t.Errorf("member b exists: %t: %q, want %q", exists, got, want)
		}
	}
}
