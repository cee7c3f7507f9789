// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updatestrategy

import (
	"strings"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

func columns() []store.Column[placement.UpdateStrategyObject] {
	return []store.Column[placement.UpdateStrategyObject]{
		store.Age[placement.UpdateStrategyObject](),
		{Name: "Stages", Wide: true, Description: "Stages in order.", Text: stageNames},
	}
}

func stageNames(o placement.UpdateStrategyObject) string {
	var names []string
	for _, stage := range o.StrategySpec().Stages {
		names = append(names, stage.Name)
	}
	return strings.Join(names, ",")
}
