// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updatestrategy

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// warnings names stages that pick no cluster, and ones that pick every cluster and so leave none to the others.
func warnings(o v1beta1.UpdateStrategyObject) []string {
	var warnings []string
	stages := o.StrategySpec().Stages
	path := field.NewPath("spec", "stages")
	for i := range stages {
		at := path.Index(i).Child("labelSelector")
		switch selector := stages[i].LabelSelector; {
		case selector == nil:
			warnings = append(warnings, fmt.Sprintf("%s: not set, stage %s picks no cluster", at, stages[i].Name))
		case isEmpty(selector) && len(stages) > 1:
			warnings = append(warnings, fmt.Sprintf("%s: empty, stage %s picks all clusters and leaves none to other stages", at, stages[i].Name))
		case isEmpty(selector):
			warnings = append(warnings, fmt.Sprintf("%s: empty, stage %s picks all clusters", at, stages[i].Name))
		}
	}
	return warnings
}

func isEmpty(s *metav1.LabelSelector) bool {
	return len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
}
