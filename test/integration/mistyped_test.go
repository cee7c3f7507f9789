// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/integration/testserver"
)

// TestKubectlIsToldHowToWriteAField has two mistakes that everybody makes, in every way to write an object.
func TestKubectlIsToldHowToWriteAField(t *testing.T) {
	s := testserver.Start(t)
	alice := newKubectl(t, s.As(testserver.Alice))
	run := func(index string) string {
		return "apiVersion: placement.kubernetes-fleet.io/v1\nkind: ClusterStagedUpdateRun\nmetadata: {name: x}\n" +
			"spec: {placementName: a, stagedRolloutStrategyName: b, resourceSnapshotIndex: " + index + "}"
	}
	strategy := func(wait string) string {
		return "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: StagedUpdateStrategy\nmetadata: {name: x}\n" +
			"spec: {stages: [{name: a, labelSelector: {}, afterStageTasks: [{type: TimedWait, waitTime: " + wait + "}]}]}"
	}
	for _, sound := range []string{run(`"1"`), strategy("1h")} {
		if out, err := alice.try(sound, "apply", "-f", "-"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	const (
		quotes = `The ClusterStagedUpdateRun "x" is invalid: spec.resourceSnapshotIndex: Invalid value: 1: must be of type string: write it in quotes: "1"`
		hours  = `waitTime: Invalid value: "1d": spec.stages[0].afterStageTasks[0].waitTime in body should match '^(?:(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+$': write days in hours: "24h"`
	)
	at := `The StagedUpdateStrategy "x" is invalid: spec.stages[0].afterStageTasks[0].`
	for _, tc := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{run("1"), []string{"create", "-f", "-"}, quotes},
		{run("1"), []string{"create", "--validate=false", "-f", "-"}, quotes},
		{run("1"), []string{"replace", "-f", "-"}, quotes},
		{run("1"), []string{"apply", "-f", "-"}, quotes},
		{run("1"), []string{"apply", "--server-side", "-f", "-"}, quotes},
		{"", []string{"patch", "csur", "x", "--type=merge", "-p", `{"spec":{"resourceSnapshotIndex":1}}`}, quotes},
		{"", []string{"patch", "csur", "x", "--type=strategic", "-p", `{"spec":{"resourceSnapshotIndex":1}}`}, quotes},
		{"", []string{"patch", "csur", "x", "--type=json", "-p", `[{"op":"replace","path":"/spec/resourceSnapshotIndex","value":1}]`}, quotes},
		{strategy("1d"), []string{"create", "-f", "-"}, at + hours},
		{strategy("1d"), []string{"apply", "-f", "-"}, at + hours},
		{strategy("1d"), []string{"apply", "--server-side", "--force-conflicts", "-f", "-"}, at + hours},
		{"", []string{"patch", "sus", "x", "--type=json", "-p", `[{"op":"replace","path":"/spec/stages/0/afterStageTasks/0/waitTime","value":"1d"}]`}, at + hours},
		{strategy("01h"), []string{"create", "-f", "-"}, `write it without leading zeros: "1h"`},
		{"", []string{"patch", "csur", "x", "--subresource=stop", "--type=merge", "-p", `{"spec":{"reason":7}}`},
			`The UpdateRunOperation "x" is invalid: spec.reason: Invalid value: 7: must be of type string: write it in quotes: "7"`},
		{"", []string{"patch", "csur", "x", "--subresource=status", "--type=merge", "-p", `{"status":{"resourceSnapshotIndexUsed":1}}`},
			`The ClusterStagedUpdateRun "x" is invalid: status.resourceSnapshotIndexUsed: Invalid value: 1`},
		{"apiVersion: cluster.kubernetes-fleet.io/v1\nkind: MemberCluster\nmetadata: {name: m}\nspec: {heartbeatPeriodSeconds: \"60\"}\n", []string{"create", "-f", "-"},
			`The MemberCluster "m" is invalid: spec.heartbeatPeriodSeconds: Invalid value: "60": must be of type integer: write it without quotes: 60`},
	} {
		if out, err := alice.try(tc.stdin, tc.args...); err == nil || !strings.Contains(out, tc.want) {
			t.Errorf("kubectl %s: %v, want %q:\n%s", strings.Join(tc.args, " "), err, tc.want, out)
		}
	}
}
