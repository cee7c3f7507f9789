// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"strings"
	"testing"
)

func TestAFailureNamesTheSecretThatMendsIt(t *testing.T) {
	for reason, want := range map[string]string{
		reasonUnreachable:  "x; if that is not its address, put its kubeconfig into Secret fleet-system/member-a",
		reasonUnauthorized: "x; put a kubeconfig that it accepts into Secret fleet-system/member-a",
		reasonForbidden:    "x; grant that on the member to the user of the kubeconfig in Secret fleet-system/member-a",
		// The member has the right address and credentials, or the message says itself what to do.
		reasonNotReady:    "x",
		reasonOtherMember: "x",
	} {
		seen := observation{failure: &failure{reason: reason, message: "x"}}
		if got := seen.naming("fleet-system/member-a").failure.message; got != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
		if seen.failure.message != "x" {
			t.Errorf("%s: what was seen has become %q", reason, seen.failure.message)
		}
		seen.failure.message = strings.Repeat("x", 2*maxMessage)
		if got := seen.naming("fleet-system/member-a").failure.message; want != "x" && (len(got) > maxMessage || !strings.HasSuffix(got, want[1:])) {
			t.Errorf("%s: %d bytes end in %q", reason, len(got), got[len(got)-80:])
		}
	}
	if got := (observation{}).naming("fleet-system/member-a"); got.failure != nil {
		t.Errorf("no failure: %+v", got.failure)
	}
}
