// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updatestrategy

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[v1beta1.UpdateStrategyObject, v1beta1.UpdateStrategySpec, struct{}]{
		Spec:           v1beta1.UpdateStrategyObject.StrategySpec,
		Validate:       validation.ValidateUpdateStrategy,
		ValidateUpdate: validation.ValidateUpdateStrategyUpdate,
		Warnings:       warnings,
		Columns:        columns(),
	}
	return []store.Resource{
		store.NewResource[v1beta1.ClusterStagedUpdateStrategy, v1beta1.ClusterStagedUpdateStrategyList](
			v1beta1.GroupName, registry.ClusterScoped("clusterstagedupdatestrategies", "csus"), family),
		store.NewResource[v1beta1.StagedUpdateStrategy, v1beta1.StagedUpdateStrategyList](
			v1beta1.GroupName, registry.Namespaced("stagedupdatestrategies", "sus"), family),
	}
}

func columns() []store.Column[v1beta1.UpdateStrategyObject] {
	return []store.Column[v1beta1.UpdateStrategyObject]{
		store.Age[v1beta1.UpdateStrategyObject](),
		{Name: "Stages", Wide: true, Description: "Stages in order.", Text: stageNames},
	}
}

func stageNames(o v1beta1.UpdateStrategyObject) string {
	var names []string
	for _, stage := range o.StrategySpec().Stages {
		names = append(names, stage.Name)
	}
	return strings.Join(names, ",")
}

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
