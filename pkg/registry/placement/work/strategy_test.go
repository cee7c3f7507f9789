// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

func TestTheStatusOfAWorkIsBoundedForAllButTheServer(t *testing.T) {
	strategy := Resources()[0].StatusStrategy
	old := &v1beta1.Work{}
	filled := old.DeepCopy()
	filled.Status.ManifestConditions = make([]v1beta1.ManifestCondition, 1)
	for name, tc := range map[string]struct {
		writer user.Info
		want   string
	}{
		"an agent":         {&user.DefaultInfo{Name: "system:serviceaccount:fleet-member-member1:agent"}, "status.manifestConditions"},
		"an administrator": {&user.DefaultInfo{Name: user.APIServerUser, Groups: []string{user.SystemPrivilegedGroup}}, "status.manifestConditions"},
		"the server":       {registry.Controllers(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, err := range strategy.ValidateUpdate(genericapirequest.WithUser(t.Context(), tc.writer), filled, old) {
				got += err.Field
			}
			if got != tc.want {
				t.Errorf("refused for %q, want %q", got, tc.want)
			}
		})
	}
}
