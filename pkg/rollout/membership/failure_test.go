// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"strings"
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

func TestAFailureNamesTheSecretThatMendsIt(t *testing.T) {
	nobody := func(string) bool { return false }
	for reason, want := range map[string]string{
		inspect.ReasonUnreachable:  "x; if that is not its address, put its kubeconfig into Secret fleet-system/member-a",
		inspect.ReasonUnauthorized: "x; put a kubeconfig that it accepts into Secret fleet-system/member-a",
		inspect.ReasonForbidden:    "x; grant that on the member to the user of the kubeconfig in Secret fleet-system/member-a",
		// The member has the right address and credentials, or the message says itself what to do.
		inspect.ReasonNotReady:    "x",
		inspect.ReasonOtherMember: "x",
	} {
		seen := &inspect.Failure{Reason: reason, Message: "x"}
		if got := naming(seen, "fleet-system/member-a", nobody).Message; got != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
		if seen.Message != "x" {
			t.Errorf("%s: what was seen has become %q", reason, seen.Message)
		}
		seen.Message = strings.Repeat("x", 2*inspect.MaxMessage)
		if got := naming(seen, "fleet-system/member-a", nobody).Message; want != "x" && (len(got) > inspect.MaxMessage || !strings.HasSuffix(got, want[1:])) {
			t.Errorf("%s: %d bytes end in %q", reason, len(got), got[len(got)-80:])
		}
	}
	if got := naming(nil, "fleet-system/member-a", nobody); got != nil {
		t.Errorf("no failure: %+v", got)
	}
}

func TestNobodyIsToldToTakeAClusterFromAMemberThatExists(t *testing.T) {
	err := storeid.Mismatch(map[string]string{wellknown.MemberNameAnnotation: "b"}, "", storeid.Membership{Member: "a"})
	const fix, command = "has joined as member b, not to a; put the kubeconfig of a into its Secret", "only if the cluster was renamed, and MemberCluster b is deleted: kubectl annotate"
	for exists, want := range map[bool]string{true: fix, false: fix + "; " + command} {
		seen := naming(classify(err), "fleet-system/member-a", func(member string) bool { return exists && member == "b" })
		if got := seen.Message; !strings.Contains(got, want) || strings.Contains(got, command) == exists || seen.Reason != inspect.ReasonOtherMember {
			t.Errorf("member b exists: %t: %q, want %q", exists, got, want)
		}
	}
}
