// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func TestControllersAreKnownByNothingThatARequestCanClaim(t *testing.T) {
	own := Controllers()
	for name, c := range map[string]struct {
		who  user.Info
		want bool
	}{
		"the controllers":               {own, true},
		"nobody":                        {nil, false},
		"an administrator":              {&user.DefaultInfo{Name: "admin", Groups: own.GetGroups()}, false},
		"all that the controllers show": {&user.DefaultInfo{Name: own.GetName(), UID: own.GetUID(), Groups: own.GetGroups(), Extra: own.GetExtra()}, false},
	} {
		ctx := t.Context()
		if c.who != nil {
			ctx = genericapirequest.WithUser(ctx, c.who)
		}
		if got := IsController(ctx); got != c.want {
			t.Errorf("%s: IsController is %v, want %v", name, got, c.want)
		}
	}
}

func TestNoUIDOfTheControllersIsRecorded(t *testing.T) {
	if recorded := RecordedUser(Controllers()); recorded.UID != "" {
		t.Errorf("uid %q is recorded", recorded.UID)
	}
}
