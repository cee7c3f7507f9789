// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/reference"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

// kubectl events --for csur/NAME asks for the version that discovery prefers.
func TestEventsNameThePreferredVersion(t *testing.T) {
	named := eventScheme()
	for want, object := range map[string]runtime.Object{
		"placement.kubernetes-fleet.io/v1 ClusterStagedUpdateRun": &placementv1beta1.ClusterStagedUpdateRun{},
		"placement.kubernetes-fleet.io/v1 ResourcePlacement":      &placementv1beta1.ResourcePlacement{},
		"placement.kubernetes-fleet.io/v1 ClusterResourceBinding": &placementv1beta1.ClusterResourceBinding{},
		"cluster.kubernetes-fleet.io/v1 MemberCluster":            &clusterv1beta1.MemberCluster{},
		"rollout.stagegate.dev/v1alpha1 RolloutPolicy":            &rolloutv1alpha1.RolloutPolicy{},
	} {
		ref, err := reference.GetReference(named, object)
		if err != nil {
			t.Fatal(err)
		}
		if got := ref.APIVersion + " " + ref.Kind; got != want {
			t.Errorf("%T: %s, want %s", object, got, want)
		}
	}
}
