// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/install"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// tutorial has the manifests of the tutorial in the form of either scope.
const tutorial = `
kind: ClusterResourcePlacement
spec:
  resourceSelectors:
    - group: ""
      kind: Namespace
      name: test-namespace
      version: v1
  policy:
    placementType: PickAll
  strategy:
    type: External
---
kind: ClusterResourcePlacement
spec:
  resourceSelectors:
    - group: ""
      kind: Namespace
      name: test-namespace
      version: v1
      selectionScope: NamespaceOnly
  policy:
    placementType: PickAll
---
kind: ResourcePlacement
spec:
  resourceSelectors:
    - group: ""
      kind: ConfigMap
      name: test-cm
      version: v1
  policy:
    placementType: PickAll
  strategy:
    type: External
---
kind: ClusterStagedUpdateStrategy
spec:
  stages:
    - name: staging
      labelSelector:
        matchLabels:
          environment: staging
      afterStageTasks:
        - type: TimedWait
          waitTime: 1m
      maxConcurrency: 1
    - name: canary
      labelSelector:
        matchLabels:
          environment: canary
      sortingLabelKey: order
      beforeStageTasks:
        - type: Approval
      maxConcurrency: 50%
---
kind: ClusterStagedUpdateRun
spec:
  placementName: example-placement
  resourceSnapshotIndex: "1"
  stagedRolloutStrategyName: example-strategy
  state: Initialize
---
kind: ClusterStagedUpdateRun
spec:
  placementName: example-placement
  stagedRolloutStrategyName: example-strategy
`

// everything is what the server says about a manifest: the rules of the types, then those of this package.
func everything(t *testing.T, manifest string) field.ErrorList {
	t.Helper()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	manifest = "apiVersion: placement.kubernetes-fleet.io/v1beta1\nmetadata:\n  name: example\n" + manifest
	object, err := runtime.Decode(serializer.NewCodecFactory(scheme).UniversalDecoder(v1beta1.SchemeGroupVersion), []byte(manifest))
	if err != nil {
		t.Fatalf("decoding %s: %v", manifest, err)
	}
	versioned, err := scheme.ConvertToVersion(object, v1beta1.SchemeGroupVersion)
	if err != nil {
		t.Fatalf("converting: %v", err)
	}
	var errs field.ErrorList
	for _, err := range scheme.Validate(context.Background(), nil, versioned) {
		if !err.IsAlpha() {
			errs = append(errs, err)
		}
	}
	switch object := object.(type) {
	case v1beta1.PlacementObject:
		return append(errs, ValidatePlacement(object)...)
	case v1beta1.UpdateStrategyObject:
		return append(errs, ValidateUpdateStrategy(object)...)
	case v1beta1.UpdateRunObject:
		return append(errs, ValidateUpdateRun(object)...)
	}
	t.Fatalf("no rules for %T", object)
	return nil
}

func TestTheTutorialIsSound(t *testing.T) {
	for _, manifest := range strings.Split(tutorial, "---\n") {
		expect(t, everything(t, manifest))
		// The namespaced kinds have the same fields.
		expect(t, everything(t, strings.Replace(manifest, "kind: Cluster", "kind: ", 1)))
	}
}

// TestAPolicyHasLimits: all clusters are compared by each term and constraint, whenever the placement is scheduled.
func TestAPolicyHasLimits(t *testing.T) {
	manifest := func(terms, constraints int) string {
		text := `
kind: ResourcePlacement
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: a}]
  policy:
    placementType: PickN
    numberOfClusters: 1
    affinity: {clusterAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [` + strings.Repeat("{weight: 1, preference: {}},", terms) + `]}}
    topologySpreadConstraints: [`
		for i := range constraints {
			text += fmt.Sprintf("{topologyKey: zone-%d},", i)
		}
		return text + "]\n"
	}
	expect(t, everything(t, manifest(100, 20)))
	expect(t, everything(t, manifest(101, 21)),
		`spec.policy.affinity.clusterAffinity.preferredDuringSchedulingIgnoredDuringExecution: Too many: 101: must have at most 100 items`,
		`spec.policy.topologySpreadConstraints: Too many: 21: must have at most 20 items`,
	)
}

func TestNoFaultIsReportedTwice(t *testing.T) {
	expect(t, everything(t, `
kind: StagedUpdateStrategy
spec:
  stages:
  - name: ""
    beforeStageTasks: [{type: Approval}, {type: TimedWait}]
  - name: a
    maxConcurrency: 0
    afterStageTasks: [{type: Unknown, waitTime: 1s}, {type: TimedWait}, {type: Approval, waitTime: 1s}]
  - name: a
`),
		`spec.stages[2]: Duplicate value: {"name":"a","maxConcurrency":1}`,
		`spec.stages[0].name: Required value`,
		`spec.stages[0].beforeStageTasks: Too many: 2: must have at most 1 item`,
		`spec.stages[1].afterStageTasks: Too many: 3: must have at most 2 items`,
		`spec.stages[0].beforeStageTasks[1].type: Invalid value: "TimedWait": BeforeStageTaskType cannot be TimedWait`,
		`spec.stages[1].maxConcurrency: Invalid value: 0: maxConcurrency must be at least 1`,
		`spec.stages[1].afterStageTasks[1].waitTime: Required value: AfterStageTaskType is TimedWait, waitTime is required`,
		`spec.stages[1].afterStageTasks[2].waitTime: Forbidden: AfterStageTaskType is Approval, waitTime is not allowed`,
	)
	expect(t, everything(t, `
kind: StagedUpdateRun
spec:
  placementName: ""
  stagedRolloutStrategyName: ""
  resourceSnapshotIndex: "01"
  state: Foo
`),
		`spec.placementName: Required value`,
		`spec.stagedRolloutStrategyName: Required value`,
		`spec.state: Unsupported value: "Foo": supported values: "Initialize", "Run", "Stop"`,
		"spec.resourceSnapshotIndex: Invalid value: \"01\": invalid resource snapshot index `01` provided, expected an integer >= 0",
	)
	expect(t, everything(t, `
kind: ResourcePlacement
spec:
  policy:
    placementType: PickSome
    numberOfClusters: -1
    tolerations: [{operator: Like, key: a, effect: NoExecute}]
  strategy:
    type: Other
`),
		`spec.resourceSelectors: Required value`,
		`spec.policy.placementType: Unsupported value: "PickSome": supported values: "PickAll", "PickFixed", "PickN"`,
		`spec.policy.numberOfClusters: Invalid value: -1: must be greater than or equal to 0`,
		`spec.policy.tolerations[0].operator: Unsupported value: "Like": supported values: "Equal", "Exists"`,
		`spec.policy.tolerations[0].effect: Unsupported value: "NoExecute": supported values: "NoSchedule"`,
		`spec.strategy.type: Unsupported value: "Other": supported values: "External", "RollingUpdate"`,
	)
}
