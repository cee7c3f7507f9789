// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updatestrategy

import (
	"strings"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

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
