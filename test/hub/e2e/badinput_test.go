// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testBadInput changes the tutorial's manifests in the ways in which people get them wrong, and wants to be told what is wrong.
func testBadInput(t *testing.T, s *suite) {
	for _, tc := range []struct {
		name, file, old, new string
		want                 string
	}{
		{"unknown field", "cluster-scoped/3-strategy.yaml", "sortingLabelKey:", "sortLabelKey:",
			`unknown field "spec.stages[1].sortLabelKey"`},
		{"stage name with a dash", "cluster-scoped/3-strategy.yaml", "name: canary", "name: canary-1",
			`spec.stages[1].name: Invalid value: "canary-1": spec.stages[1].name in body should match '^[a-z0-9]+$'`},
		{"two stages of one name", "cluster-scoped/3-strategy.yaml", "name: canary", "name: staging",
			`spec.stages[1]: Duplicate value: {"name":"staging"`},
		{"negative concurrency", "cluster-scoped/3-strategy.yaml", "maxConcurrency: 1", "maxConcurrency: -1",
			`spec.stages[0].maxConcurrency: Invalid value: -1: maxConcurrency must be at least 1`},
		{"concurrency of no cluster", "cluster-scoped/3-strategy.yaml", "50%", "0%",
			`spec.stages[1].maxConcurrency: Invalid value: "0%": spec.stages[1].maxConcurrency in body should match '^(100|[1-9][0-9]?)%$'`},
		{"no wait", "cluster-scoped/3-strategy.yaml", "waitTime: 1m", "waitTime: 0s",
			`spec.stages[0].afterStageTasks[0].waitTime: Invalid value: "0s": waitTime must be longer than zero`},
		{"a wait that is no time", "cluster-scoped/3-strategy.yaml", "waitTime: 1m", "waitTime: soon",
			`spec.stages[0].afterStageTasks[0].waitTime: Invalid value: "soon": `},
		{"a wait before the stage", "cluster-scoped/3-strategy.yaml", "beforeStageTasks:\n    - type: Approval", "beforeStageTasks:\n    - type: TimedWait\n      waitTime: 1m",
			`spec.stages[1].beforeStageTasks[0].type: Invalid value: "TimedWait": BeforeStageTaskType cannot be TimedWait`},
		{"an unknown task", "cluster-scoped/3-strategy.yaml", "type: Approval", "type: Vote",
			`spec.stages[1].beforeStageTasks[0].type: Unsupported value: "Vote": supported values: "Approval", "TimedWait"`},
		{"a selector that is none", "cluster-scoped/3-strategy.yaml", "environment: canary", "environment: a b",
			`spec.stages[1].labelSelector.matchLabels: Invalid value: "a b": the stage label selector is invalid: a valid label must be an empty string`},
		{"a snapshot index that is no number", "cluster-scoped/4-run.yaml", `resourceSnapshotIndex: "1"`, `resourceSnapshotIndex: abc`,
			"spec.resourceSnapshotIndex: Invalid value: \"abc\": invalid resource snapshot index `abc` provided, expected an integer >= 0"},
		{"a negative snapshot index", "cluster-scoped/4-run.yaml", `resourceSnapshotIndex: "1"`, `resourceSnapshotIndex: "-1"`,
			"spec.resourceSnapshotIndex: Invalid value: \"-1\": invalid resource snapshot index `-1` provided, expected an integer >= 0"},
		{"a snapshot index without quotes", "cluster-scoped/4-run.yaml", `resourceSnapshotIndex: "1"`, `resourceSnapshotIndex: 1`,
			`spec.resourceSnapshotIndex: Invalid value: 1: must be of type string: write it in quotes: "1"`},
		{"an unknown state", "cluster-scoped/4-run.yaml", "state: Initialize", "state: Foo",
			`spec.state: Unsupported value: "Foo": supported values: "Initialize", "Run", "Stop"`},
		{"no placement", "cluster-scoped/4-run.yaml", "placementName: example-placement", `placementName: ""`,
			`spec.placementName: Required value`},
		{"an unknown kind of placing", "cluster-scoped/2-placement.yaml", "PickAll", "PickSome",
			`spec.policy.placementType: Unsupported value: "PickSome": supported values: "PickAll", "PickFixed", "PickN"`},
		{"an unknown rollout strategy", "cluster-scoped/2-placement.yaml", "External", "Manual",
			`spec.strategy.type: Unsupported value: "Manual": supported values: "External", "RollingUpdate"`},
		{"no selectors", "cluster-scoped/2-placement.yaml", "resourceSelectors:\n  - group: \"\"\n    kind: Namespace\n    name: test-namespace\n    version: v1", "resourceSelectors: []",
			`spec.resourceSelectors: Required value`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join("artifacts", "example", tc.file)
			text := s.mustRun(t, "cat "+path)
			if !strings.Contains(text, tc.old) {
				t.Fatalf("%s has no %q", path, tc.old)
			}
			cmdErr := s.createRefused(t, strings.Replace(text, tc.old, tc.new, 1))
			if !strings.Contains(cmdErr, tc.want) {
				t.Errorf("refused with\n%s\nwant\n%s", cmdErr, tc.want)
			}
		})
	}
	if left := s.mustRun(t, "kubectl get csur,csus,crp -o name"); left != "" {
		t.Errorf("what was refused is there: %s", left)
	}
}

func (s *suite) createRefused(t *testing.T, manifest string) string {
	t.Helper()
	out, err := s.run(t.Context(), "hub", "kubectl create -f -", func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader(manifest) })
	if err == nil {
		t.Fatalf("it was not refused: %s", out)
	}
	return err.Error()
}

// oddStrategies are legal and do not fit the fleet, each in its own way.
const oddStrategies = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: bad-run-unsortable}
spec:
  stages:
  - name: canary
    labelSelector: {}
    sortingLabelKey: environment
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: bad-run-twice}
spec:
  stages:
  - name: staging
    labelSelector: {matchLabels: {environment: staging}}
  - name: rest
    labelSelector: {}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: bad-run-nowhere}
spec:
  stages:
  - name: staging
    labelSelector: {matchLabels: {environment: stagnig}}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: bad-run-rolling}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: bad-run-rolling, selectionScope: NamespaceOnly}]
`

const runFormat = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateRun
metadata: {name: bad-run-%s}
spec: {placementName: %s, resourceSnapshotIndex: "%s", stagedRolloutStrategyName: %s, state: Run}
`

// testBadRun starts runs that cannot be: the condition Initialized says why, in a message that ends with how long it is
// tried again where waiting may help.
func testBadRun(t *testing.T, s *suite) {
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete csur --all; kubectl delete csus --all; kubectl delete crp bad-run-rolling --ignore-not-found")
	})
	r := s.newRollout(t, "bad-run", stagingThenCanary)
	s.hub().mustCreate(t, oddStrategies)

	const again = `; trying again until [0-9]{2}:[0-9]{2}:[0-9]{2}Z`
	for _, tc := range []struct{ name, placement, index, strategy, want string }{
		{"no-placement", "bad-run-none", "0", "bad-run", "parent placement not found" + again},
		{"no-strategy", "bad-run", "0", "bad-run-missing", "referenced updateStrategy not found: `bad-run-missing`" + again},
		{"no-snapshot", "bad-run", "99", "bad-run", "no resourceSnapshots with index `99` found for placement `bad-run`" + again},
		{"unsortable", "bad-run", "0", "bad-run-unsortable",
			"the sorting label `environment:canary` on cluster `member1` is not valid: strconv.Atoi: parsing \"canary\": invalid syntax"},
		{"twice", "bad-run", "0", "bad-run-twice", "cluster `member2` appears in more than one stages"},
		{"nowhere", "bad-run", "0", "bad-run-nowhere", "some clusters are not placed in any stage, total 3, showing up to 10: member1, member2, member3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.hub().mustCreate(t, fmt.Sprintf(runFormat, tc.name, tc.placement, tc.index, tc.strategy))
			pattern := regexp.QuoteMeta(strings.TrimSuffix(tc.want, again)) + "$"
			if strings.HasSuffix(tc.want, again) {
				pattern = strings.TrimSuffix(pattern, "$") + again + "$"
			}
			r.awaitRun(t, "bad-run-"+tc.name, all(
				has("Initialized", "False", "UpdateRunInitializedFailed"),
				func(run runStatus) error {
					initialized, err := findCondition(run.object, "Initialized")
					if err == nil && !regexp.MustCompile(pattern).MatchString(initialized.Message) {
						err = fmt.Errorf("the message is\n%s\nwant it to end in\n%s", initialized.Message, tc.want)
					}
					return err
				},
			))
		})
	}
	if err := s.values(t.Context(), r.name, "settings", onAll("")); err != nil {
		t.Error(err)
	}

	t.Run("what was missing comes", func(t *testing.T) {
		s.hub().mustCreate(t, `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: bad-run-missing}
spec:
  stages:
  - name: everywhere
    labelSelector: {}
    maxConcurrency: 100%
`)
		r.succeeds(t, "bad-run-no-strategy", "value1")
	})
	t.Run("a placement that is not External", func(t *testing.T) {
		err := s.hub().create(t.Context(), fmt.Sprintf(runFormat, "not-external", "bad-run-rolling", "0", "bad-run"))
		if want := "parent placement does not have an external rollout strategy, current strategy: RollingUpdate; set its spec.strategy.type to External"; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got error %v, want %s", err, want)
		}
	})
	t.Run("back to Initialize", func(t *testing.T) {
		s.refused(t, "hub", `kubectl patch csur bad-run-no-strategy --type=merge -p '{"spec":{"state":"Initialize"}}'`,
			"invalid state transition: cannot transition from Run to Initialize")
	})
	t.Run("another placement", func(t *testing.T) {
		s.refused(t, "hub", `kubectl patch csur bad-run-no-strategy --type=merge -p '{"spec":{"placementName":"other"}}'`,
			"placementName is immutable")
	})
}
