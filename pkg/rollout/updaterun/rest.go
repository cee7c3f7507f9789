// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// mayRest reports whether a run loses nothing by not being looked at for a while: clusters are under way, and nobody has edited it or asked
// anything of it.
func mayRest(run v1beta1.UpdateRunObject, bindings []v1beta1.BindingObject) bool {
	status := run.RunStatus()
	progressing := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
	if progressing == nil || progressing.ObservedGeneration != run.GetGeneration() || run.GetDeletionTimestamp() != nil || runrules.IsAsked(status) {
		return false
	}
	var underWay map[string]bool
	for i := range status.StagesStatus {
		for _, cluster := range status.StagesStatus[i].Clusters {
			if runrules.IsInFlight(&cluster) {
				if underWay == nil {
					underWay = map[string]bool{}
				}
				underWay[cluster.ClusterName] = true
			}
		}
	}
	for _, b := range bindings {
		if underWay[b.BindingSpec().TargetCluster] && !bindingrules.IsReady(b) {
			return true
		}
	}
	return false
}
