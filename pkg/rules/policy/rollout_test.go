// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ruleTest is a plan that is held to a policy, and what the policy says of it.
type ruleTest struct {
	rules, plan, want string
}

func testRules(t *testing.T, tests map[string]ruleTest) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := clusterPolicy(t, "p", fmt.Sprintf("rules: {%s}", tt.rules))
			verdict := Judge([]*Policy{p}, rolloutOf(t, tt.plan, v1beta1.UpdateRunSpec{}))
			if want := strings.TrimPrefix(tt.want+" (ClusterRolloutPolicy p)", " (ClusterRolloutPolicy p)"); verdict.Refusal() != want {
				t.Errorf("got\n%s\nwant\n%s", verdict.Refusal(), want)
			}
		})
	}
}

func TestDenyKeepsVersionsOffClusters(t *testing.T) {
	testRules(t, map[string]ruleTest{
		"other clusters":       {"deny: true", "stages: [{name: a, clusters: [canary1, bare1]}]", ""},
		"a protected cluster":  {"deny: true", "stages: [{name: a, clusters: [canary1, prod1]}]", `stage "a" (2 clusters, 1 protected): spec.policy of the placement must not pick prod1`},
		"a false deny":         {"deny: false, maxConcurrency: 1", "stages: [{name: a, clusters: [prod1]}]", ""},
		"an empty stage":       {"deny: true", "stages: [{name: a}]", ""},
		"a stage that is gone": {"deny: true", "stages: [{name: a, clusters: [gone1]}]", ""},
		"the first ten are named": {
			"deny: true", "stages: [{name: a, clusters: [prod1, prod2, prod3, prod4, prod5, prod6, prod7, prod8, prod9, prod10, prod11]}]",
			`stage "a" (11 clusters, 11 protected): spec.policy of the placement must not pick prod1, prod2, prod3, prod4, prod5, prod6, prod7, prod8, prod9, prod10 and 1 more`,
		},
		"deny is all that is said": {
			"deny: true, approval: {}, soak: {clusters: {matchLabels: {environment: canary}}, duration: 1h}", "stages: [{name: a, clusters: [prod1]}]",
			`stage "a" (1 cluster, 1 protected): spec.policy of the placement must not pick prod1`,
		},
		"a placement may leave": {"deny: true", "{stages: [{name: a, clusters: [canary1]}], removal: [prod1]}", ""},
		"but not without the approval": {
			"deny: true, approval: {}", "{stages: [{name: a, clusters: [canary1]}], removal: [prod1]}",
			"the removal of resources (1 cluster, 1 protected): a stage of the strategy must have an Approval, which the removal asks for too",
		},
	})
}

func TestApprovals(t *testing.T) {
	const all = "approval: {required: 2, groups: [sre, release], allowRequester: false, maxExpiresAfter: 72h}"
	stage := func(tasks string) string { return fmt.Sprintf("stages: [{name: a, clusters: [prod1], %s}]", tasks) }
	says := func(demand string) string { return `stage "a" (1 cluster, 1 protected): ` + demand }
	testRules(t, map[string]ruleTest{
		"any approval":                   {"approval: {}", stage("beforeStageTasks: [{type: Approval}]"), ""},
		"none":                           {"approval: {}", stage(""), says("beforeStageTasks must have an Approval")},
		"a stage that is not governed":   {"approval: {}", "stages: [{name: a, clusters: [canary1]}]", ""},
		"a cluster without labels":       {"approval: {}", "stages: [{name: a, clusters: [bare1]}]", ""},
		"after it is too late":           {"approval: {position: Before}", stage("afterStageTasks: [{type: Approval}]"), says("beforeStageTasks must have an Approval")},
		"after it":                       {"approval: {position: After}", stage("afterStageTasks: [{type: TimedWait, waitTime: 1m}, {type: Approval}]"), ""},
		"not after it":                   {"approval: {position: After}", stage("beforeStageTasks: [{type: Approval}], afterStageTasks: [{type: TimedWait, waitTime: 1m}]"), says("afterStageTasks must have an Approval")},
		"before or after it: before":     {"approval: {position: Any}", stage("beforeStageTasks: [{type: Approval}]"), ""},
		"before or after it: after":      {"approval: {position: Any}", stage("afterStageTasks: [{type: Approval}]"), ""},
		"neither before nor after it":    {"approval: {position: Any, required: 2}", stage("afterStageTasks: [{type: TimedWait, waitTime: 1m}]"), says("beforeStageTasks or afterStageTasks must have an Approval with required: 2 or more")},
		"the one that lacks least":       {"approval: {position: Any, required: 2, groups: [sre]}", stage("beforeStageTasks: [{type: Approval}], afterStageTasks: [{type: Approval, approval: {required: 2}}]"), says("the Approval in afterStageTasks must have groups: [sre]")},
		"one of two that lacks nothing":  {"approval: {position: Any, required: 2}", stage("beforeStageTasks: [{type: Approval, approval: {required: 3}}], afterStageTasks: [{type: Approval}]"), ""},
		"everything, and there is none":  {all, stage(""), says("beforeStageTasks must have an Approval with required: 2 or more, groups: [sre, release] or some of these, allowRequester: false, expiresAfter: 72h or less")},
		"everything, and nothing is set": {all, stage("beforeStageTasks: [{type: Approval}]"), says("the Approval in beforeStageTasks must have required: 2 or more, groups: [sre, release] or some of these, allowRequester: false, expiresAfter: 72h or less")},
		"everything, exactly":            {all, stage("beforeStageTasks: [{type: Approval, approval: {required: 2, groups: [sre, release], allowRequester: false, expiresAfter: 72h}}]"), ""},
		"stricter":                       {all, stage("beforeStageTasks: [{type: Approval, approval: {required: 3, groups: [sre], allowRequester: false, expiresAfter: 1h}}]"), ""},
		"fewer people":                   {all, stage("beforeStageTasks: [{type: Approval, approval: {required: 1, groups: [sre], allowRequester: false, expiresAfter: 1h}}]"), says("the Approval in beforeStageTasks must have required: 2 or more")},
		"one more group":                 {all, stage("beforeStageTasks: [{type: Approval, approval: {required: 2, groups: [sre, team-a], allowRequester: false, expiresAfter: 1h}}]"), says("the Approval in beforeStageTasks must have groups: [sre, release] or some of these and no other")},
		"no group at all":                {all, stage("beforeStageTasks: [{type: Approval, approval: {required: 2, allowRequester: false, expiresAfter: 1h}}]"), says("the Approval in beforeStageTasks must have groups: [sre, release] or some of these")},
		"the requester counts":           {all, stage("beforeStageTasks: [{type: Approval, approval: {required: 2, groups: [sre], expiresAfter: 1h}}]"), says("the Approval in beforeStageTasks must have allowRequester: false")},
		"a requester who may count":      {"approval: {allowRequester: true}", stage("beforeStageTasks: [{type: Approval, approval: {allowRequester: false}}]"), ""},
		"it never expires":               {all, stage("beforeStageTasks: [{type: Approval, approval: {required: 2, groups: [sre], allowRequester: false}}]"), says("the Approval in beforeStageTasks must have expiresAfter: 72h or less")},
		"it expires too late":            {all, stage("beforeStageTasks: [{type: Approval, approval: {required: 2, groups: [sre], allowRequester: false, expiresAfter: 72h1s}}]"), says("the Approval in beforeStageTasks must have expiresAfter: 72h or less")},
		"the removal has that of the strategy": {
			"approval: {required: 2}", "{stages: [{name: a, clusters: [canary1], afterStageTasks: [{type: Approval, approval: {required: 2}}]}, {name: b}], removal: [prod1, canary2]}", "",
		},
		"after the removal there is no task": {
			"approval: {position: After}", "{stages: [{name: a, clusters: [canary1], beforeStageTasks: [{type: Approval}]}], removal: [prod1]}", "",
		},
		"the removal has a lesser one": {
			"approval: {required: 2}", "{stages: [{name: a, clusters: [canary1], beforeStageTasks: [{type: Approval}]}], removal: [prod1, canary2]}",
			"the removal of resources (2 clusters, 1 protected): the last Approval of the strategy, which the removal asks for too, must have required: 2 or more",
		},
		"the removal has none": {
			"approval: {position: Any, required: 2}", "{stages: [{name: a, clusters: [canary1]}], removal: [prod1]}",
			"the removal of resources (1 cluster, 1 protected): a stage of the strategy must have an Approval with required: 2 or more, which the removal asks for too",
		},
	})
}

func TestMaxConcurrency(t *testing.T) {
	plan := func(concurrency string, clusters int) string {
		var names []string
		for i := range clusters {
			names = append(names, fmt.Sprintf("prod%d", i+1))
		}
		return fmt.Sprintf("stages: [{name: a, clusters: [%s]%s}]", strings.Join(names, ", "), concurrency)
	}
	testRules(t, map[string]ruleTest{
		"one at a time if nothing is set":      {"maxConcurrency: 1", plan("", 40), ""},
		"the same share":                       {"maxConcurrency: 20%", plan(", maxConcurrency: 20%", 40), ""},
		"a larger share":                       {"maxConcurrency: 20%", plan(", maxConcurrency: 50%", 40), `stage "a" (40 clusters, 40 protected): maxConcurrency must be at most 20% (8 clusters), not 50% (20 clusters)`},
		"a number for a share":                 {"maxConcurrency: 20%", plan(", maxConcurrency: 8", 40), ""},
		"a number more than the share":         {"maxConcurrency: 20%", plan(", maxConcurrency: 9", 40), `stage "a" (40 clusters, 40 protected): maxConcurrency must be at most 20% (8 clusters), not 9`},
		"a share for a number":                 {"maxConcurrency: 2", plan(", maxConcurrency: 50%", 4), ""},
		"a share more than the number":         {"maxConcurrency: 2", plan(", maxConcurrency: 75%", 4), `stage "a" (4 clusters, 4 protected): maxConcurrency must be at most 2, not 75% (3 clusters)`},
		"a number more than the number":        {"maxConcurrency: 2", plan(", maxConcurrency: 3", 4), `stage "a" (4 clusters, 4 protected): maxConcurrency must be at most 2, not 3`},
		"a share of few clusters is one":       {"maxConcurrency: 20%", plan(", maxConcurrency: 20%", 3), ""},
		"and no more than one":                 {"maxConcurrency: 20%", plan(", maxConcurrency: 2", 3), `stage "a" (3 clusters, 3 protected): maxConcurrency must be at most 20% (1 cluster), not 2`},
		"different shares of few are one":      {"maxConcurrency: 20%", plan(", maxConcurrency: 60%", 3), ""},
		"there are not so many protected ones": {"maxConcurrency: 50%", "stages: [{name: a, clusters: [prod1, canary1, canary2, canary3], maxConcurrency: 2}]", ""},
		"other clusters make room for no more": {"maxConcurrency: 50%", "stages: [{name: a, clusters: [prod1, prod2, canary1, canary2], maxConcurrency: 50%}]",
			`stage "a" (4 clusters, 2 protected): maxConcurrency must be at most 1 (50% of 2 protected clusters), not 50% (2 clusters)`},
		"failures of one stage after the other": {"maxConcurrency: 1", "{failurePolicy: {clusterTimeout: 1m, maxFailures: 1}, stages: [{name: a, clusters: [prod1]}, {name: b, clusters: [prod2]}]}",
			`stage "b" (1 cluster, 1 protected): the failurePolicies of the stages up to this one must have maxFailures: 0 in all, not 2, since a failed cluster makes room for another one: with maxConcurrency it must be at most 1`},
		"failures of stages, for which there is room": {"maxConcurrency: 3", "{failurePolicy: {clusterTimeout: 1m, maxFailures: 1}, stages: [{name: a, clusters: [prod1, prod2]}, {name: b, clusters: [prod3, prod4]}]}", ""},
		"failures of a later stage": {"maxConcurrency: 50%", "stages: [{name: a, maxConcurrency: 2, clusters: [prod1, prod2, prod3, prod4]}, {name: b, clusters: [prod5, prod6], failurePolicy: {clusterTimeout: 1m, maxFailures: 1}}]",
			`stage "b" (2 clusters, 2 protected): failurePolicy must have maxFailures: 0, not 1, since a failed cluster makes room for another one: with maxConcurrency it must be at most 50% (1 cluster)`},
		"failures of clusters that are not protected": {"maxConcurrency: 1", "{failurePolicy: {clusterTimeout: 1m, maxFailures: 1}, stages: [{name: a, clusters: [canary1]}, {name: b, clusters: [prod1]}]}", ""},
		"a share of all that come so far":             {"maxConcurrency: 50%", "{failurePolicy: {clusterTimeout: 1m, maxFailures: 1}, stages: [{name: a, maxConcurrency: 1, clusters: [prod1, prod2, prod3, prod4]}, {name: b, clusters: [prod5]}]}", ""},
		"failures that make no room":                  {"maxConcurrency: 2", plan(", failurePolicy: {clusterTimeout: 1m, maxFailures: 1}", 4), ""},
		"failures that make too much room": {"maxConcurrency: 1", plan(", failurePolicy: {clusterTimeout: 1m, maxFailures: 100%}", 4),
			`stage "a" (4 clusters, 4 protected): failurePolicy must have maxFailures: 0, not 100% (4 clusters), since a failed cluster makes room for another one: with maxConcurrency it must be at most 1`},
		"failures beside others": {"maxConcurrency: 3", plan(", maxConcurrency: 2, failurePolicy: {clusterTimeout: 1m, maxFailures: 2}", 9),
			`stage "a" (9 clusters, 9 protected): failurePolicy must have maxFailures: 1 or less, not 2, since a failed cluster makes room for another one: with maxConcurrency it must be at most 3`},
		"no cluster waits for room":          {"maxConcurrency: 2", plan(", maxConcurrency: 2, failurePolicy: {clusterTimeout: 1m, maxFailures: 2}", 2), ""},
		"a stage that is not governed":       {"maxConcurrency: 1", "stages: [{name: a, clusters: [canary1, canary2], maxConcurrency: 2}]", ""},
		"the removal is as fast as the last": {"maxConcurrency: 1", "{stages: [{name: a, clusters: [prod3]}, {name: b, maxConcurrency: 100%}], removal: [prod1, prod2]}", "the removal of resources (2 clusters, 2 protected): maxConcurrency of the last stage, which is that of the removal too, must be at most 1, not 100% (2 clusters)"},
	})
}

func TestMaxStageClusters(t *testing.T) {
	testRules(t, map[string]ruleTest{
		"as many":                {"maxStageClusters: 2", "stages: [{name: a, clusters: [prod1, prod2]}]", ""},
		"more":                   {"maxStageClusters: 1", "stages: [{name: a, clusters: [prod1, prod2]}]", `stage "a" (2 clusters, 2 protected): labelSelector must pick at most 1 protected cluster, not 2: divide the stage`},
		"others do not count":    {"maxStageClusters: 2", "stages: [{name: a, clusters: [prod1, prod2, canary1, bare1]}]", ""},
		"each stage counts":      {"maxStageClusters: 2", "stages: [{name: a, clusters: [prod1, prod2]}, {name: b, clusters: [prod3, prod4]}]", ""},
		"only one stage is over": {"maxStageClusters: 2", "stages: [{name: a, clusters: [prod1]}, {name: b, clusters: [prod2, prod3, prod4]}]", `stage "b" (3 clusters, 3 protected): labelSelector must pick at most 2 protected clusters, not 3: divide the stage`},
		"the removal": {
			"maxStageClusters: 1", "{stages: [{name: a, clusters: [prod1]}], removal: [prod2, prod3]}",
			"the removal of resources (2 clusters, 2 protected): spec.policy of the placement must pick all but 1 of the 2 protected clusters until a later run",
		},
	})
}

func TestFailurePolicies(t *testing.T) {
	const all = "failurePolicy: {maxClusterTimeout: 30m, maxFailures: 5%, onFailure: [Pause, Rollback]}"
	stage := func(settings string) string {
		return fmt.Sprintf("stages: [{name: a, clusters: [prod1, prod2], %s}]", settings)
	}
	says := func(demand string) string { return `stage "a" (2 clusters, 2 protected): ` + demand }
	testRules(t, map[string]ruleTest{
		"any":                             {"failurePolicy: {}", stage("failurePolicy: {clusterTimeout: 24h, maxFailures: 100%}"), ""},
		"none":                            {"failurePolicy: {}", stage(""), says("the stage or the whole strategy must have a failurePolicy")},
		"none, and all is asked":          {all, stage(""), says("the stage or the whole strategy must have a failurePolicy with clusterTimeout: 30m or less, onFailure: Pause or Rollback")},
		"exactly":                         {all, stage("failurePolicy: {clusterTimeout: 30m, maxFailures: 0, onFailure: Pause}"), ""},
		"that of the strategy":            {all, "{failurePolicy: {clusterTimeout: 30m, onFailure: Rollback}, stages: [{name: a, clusters: [prod1, prod2]}]}", ""},
		"that of the stage instead":       {all, "{failurePolicy: {clusterTimeout: 30m, onFailure: Rollback}, stages: [{name: a, clusters: [prod1, prod2], failurePolicy: {clusterTimeout: 1h, onFailure: Pause}}]}", says("failurePolicy must have clusterTimeout: 30m or less")},
		"a share of few clusters is none": {all, stage("failurePolicy: {clusterTimeout: 30m, maxFailures: 49%, onFailure: Pause}"), ""},
		"too many failures":               {all, stage("failurePolicy: {clusterTimeout: 30m, maxFailures: 1, onFailure: Pause}"), says("failurePolicy must have maxFailures: 5% (0 clusters) or less, not 1")},
		"too large a share of failures":   {"failurePolicy: {maxFailures: 0}", stage("failurePolicy: {clusterTimeout: 30m, maxFailures: 50%}"), says("failurePolicy must have maxFailures: 0 or less, not 50% (1 cluster)")},
		"it fails if nothing is set":      {all, stage("failurePolicy: {clusterTimeout: 30m}"), says("failurePolicy must have onFailure: Pause or Rollback")},
		"and that may be asked":           {"failurePolicy: {onFailure: [Fail]}", stage("failurePolicy: {clusterTimeout: 30m}"), ""},
		"a share of the protected ones": {"failurePolicy: {maxFailures: 50%}", "stages: [{name: a, clusters: [prod1, prod2, canary1, canary2], failurePolicy: {clusterTimeout: 1m, maxFailures: 2}}]",
			`stage "a" (4 clusters, 2 protected): failurePolicy must have maxFailures: 1 (50% of 2 protected clusters) or less, not 2`},
		"everything is wrong":          {all, stage("failurePolicy: {clusterTimeout: 1h30m, maxFailures: 2, onFailure: Fail}"), says("failurePolicy must have clusterTimeout: 30m or less, maxFailures: 5% (0 clusters) or less, not 2, onFailure: Pause or Rollback")},
		"a stage that is not governed": {all, "stages: [{name: a, clusters: [canary1]}]", ""},
		"the removal has that of the last": {
			all, "{stages: [{name: a, clusters: [canary1], failurePolicy: {clusterTimeout: 1h, onFailure: Pause}}], removal: [prod1]}",
			"the removal of resources (1 cluster, 1 protected): failurePolicy of the last stage, which is that of the removal too, must have clusterTimeout: 30m or less",
		},
	})
}

func TestSoak(t *testing.T) {
	const (
		rule  = "soak: {clusters: {matchLabels: {environment: canary}}, duration: 30m}"
		waits = "afterStageTasks: [{type: TimedWait, waitTime: 30m}]"
	)
	testRules(t, map[string]ruleTest{
		"canaries first":                  {rule, "stages: [{name: a, clusters: [canary1], " + waits + "}, {name: b, clusters: [prod1]}]", ""},
		"with an approval beside":         {rule, "stages: [{name: a, clusters: [canary1], afterStageTasks: [{type: Approval}, {type: TimedWait, waitTime: 1h}]}, {name: b, clusters: [prod1]}]", ""},
		"no canary":                       {rule, "stages: [{name: a, clusters: [bare1], " + waits + "}, {name: b, clusters: [prod1]}]", `stage "b" (1 cluster, 1 protected): a stage before it must have clusters with environment=canary, with a TimedWait of 30m or more; the placement must pick such clusters`},
		"canaries too late":               {rule, "stages: [{name: a, clusters: [prod1], " + waits + "}, {name: b, clusters: [canary1]}]", `stage "a" (1 cluster, 1 protected): canary1 must be in a stage before it, with a TimedWait of 30m or more (soak: environment=canary)`},
		"canaries in the same stage":      {rule, "stages: [{name: a, clusters: [canary1, prod1], " + waits + "}]", `stage "a" (2 clusters, 1 protected): canary1 must be in a stage before it, with a TimedWait of 30m or more (soak: environment=canary)`},
		"one canary too late":             {rule, "stages: [{name: a, clusters: [canary1], " + waits + "}, {name: b, clusters: [prod1]}, {name: c, clusters: [prod2]}, {name: d, clusters: [canary2, bare1]}]", `stage "b" (1 cluster, 1 protected): canary2 must be in a stage before it, with a TimedWait of 30m or more (soak: environment=canary)`},
		"no wait":                         {rule, "stages: [{name: a, clusters: [canary1, bare1]}, {name: b, clusters: [prod1]}]", `stage "a" (2 clusters, 1 to soak): afterStageTasks must have a TimedWait with waitTime: 30m or more`},
		"too short a wait":                {rule, "stages: [{name: a, clusters: [canary1], afterStageTasks: [{type: TimedWait, waitTime: 29m59s}]}, {name: b, clusters: [prod1]}]", `stage "a" (1 cluster, 1 to soak): afterStageTasks must have a TimedWait with waitTime: 30m or more`},
		"an approval is no wait":          {rule, "stages: [{name: a, clusters: [canary1], afterStageTasks: [{type: Approval}]}, {name: b, clusters: [prod1]}]", `stage "a" (1 cluster, 1 to soak): afterStageTasks must have a TimedWait with waitTime: 30m or more`},
		"several stages of canaries":      {rule, "stages: [{name: a, clusters: [canary1]}, {name: b, clusters: [canary2], " + waits + "}, {name: c, clusters: [prod1]}]", ""},
		"the wait before the last":        {rule, "stages: [{name: a, clusters: [canary1], " + waits + "}, {name: b, clusters: [canary2, canary3]}, {name: c, clusters: [prod1]}]", `stage "b" (2 clusters, 2 to soak): afterStageTasks must have a TimedWait with waitTime: 30m or more`},
		"the wait of a later stage":       {rule, "stages: [{name: a, clusters: [canary1]}, {name: b, clusters: [bare1], " + waits + "}, {name: c, clusters: [prod1]}]", ""},
		"two short waits":                 {rule, "stages: [{name: a, clusters: [canary1], afterStageTasks: [{type: TimedWait, waitTime: 15m}]}, {name: b, clusters: [bare1], afterStageTasks: [{type: TimedWait, waitTime: 15m}]}, {name: c, clusters: [prod1]}]", `stage "a" (1 cluster, 1 to soak): afterStageTasks must have a TimedWait with waitTime: 30m or more`},
		"an empty stage waits for nobody": {rule, "stages: [{name: a, clusters: [canary1]}, {name: b, " + waits + "}, {name: c, clusters: [prod1]}]", `stage "a" (1 cluster, 1 to soak): afterStageTasks must have a TimedWait with waitTime: 30m or more`},
		"the wait of the governed stage":  {rule, "stages: [{name: a, clusters: [canary1]}, {name: b, clusters: [prod1], " + waits + "}]", `stage "a" (1 cluster, 1 to soak): afterStageTasks must have a TimedWait with waitTime: 30m or more`},
		"canaries that may fail":          {rule, "stages: [{name: a, clusters: [canary1, canary2], failurePolicy: {clusterTimeout: 1m, maxFailures: 1}, " + waits + "}, {name: b, clusters: [prod1]}]", `stage "a" (2 clusters, 2 to soak): failurePolicy must have maxFailures: 0, since protected clusters come after it`},
		"a share of them that is none":    {rule, "stages: [{name: a, clusters: [canary1, canary2], failurePolicy: {clusterTimeout: 1m, maxFailures: 49%}, " + waits + "}, {name: b, clusters: [prod1]}]", ""},
		"the strategy lets canaries fail": {rule, "{failurePolicy: {clusterTimeout: 1m, maxFailures: 1}, stages: [{name: a, clusters: [canary1, canary2], " + waits + "}, {name: b, clusters: [prod1]}]}", `stage "a" (2 clusters, 2 to soak): failurePolicy must have maxFailures: 0, since protected clusters come after it`},
		"other clusters may fail":         {rule, "stages: [{name: a, clusters: [canary1], " + waits + "}, {name: b, clusters: [bare1, bare2], failurePolicy: {clusterTimeout: 1m, maxFailures: 1}}, {name: c, clusters: [prod1]}]", ""},
		"nothing is protected":            {rule, "stages: [{name: a, clusters: [bare1]}]", ""},
		"only removed from":               {rule, "{stages: [{name: a, clusters: [bare1]}], removal: [prod1]}", ""},
		"canaries that are only left":     {rule, "{stages: [{name: a, clusters: [prod1]}], removal: [canary1]}", `stage "a" (1 cluster, 1 protected): a stage before it must have clusters with environment=canary, with a TimedWait of 30m or more; the placement must pick such clusters`},
	})
}

// A selector of canaries may pick clusters that are protected as well. Those go first.
func TestProtectedClustersSoakForEachOther(t *testing.T) {
	const (
		rule  = "soak: {clusters: {matchLabels: {ring: first}}, duration: 1h}"
		waits = "afterStageTasks: [{type: TimedWait, waitTime: 1h}]"
	)
	testRules(t, map[string]ruleTest{
		"they are first":        {rule, "stages: [{name: a, clusters: [first1], " + waits + "}, {name: b, clusters: [prod1]}]", ""},
		"they are alone":        {rule, "stages: [{name: a, clusters: [first1]}]", ""},
		"they do not wait":      {rule, "stages: [{name: a, clusters: [first1]}, {name: b, clusters: [prod1]}]", `stage "a" (1 cluster, 1 to soak): afterStageTasks must have a TimedWait with waitTime: 1h or more`},
		"one is not":            {rule, "stages: [{name: a, clusters: [first1], " + waits + "}, {name: b, clusters: [first2, prod1]}]", `stage "b" (2 clusters, 2 protected): first2 must be in a stage before it, with a TimedWait of 1h or more (soak: ring=first)`},
		"they are not there":    {rule, "stages: [{name: a, clusters: [canary1], " + waits + "}, {name: b, clusters: [prod1]}]", `stage "b" (1 cluster, 1 protected): a stage before it must have clusters with ring=first, with a TimedWait of 1h or more; the placement must pick such clusters`},
		"they may fail as well": {rule, "stages: [{name: a, clusters: [first1], failurePolicy: {clusterTimeout: 1m, maxFailures: 1}, " + waits + "}, {name: b, clusters: [prod1]}]", `stage "a" (1 cluster, 1 to soak): failurePolicy must have maxFailures: 0, since protected clusters come after it`},
	})
	everything := clusterPolicy(t, "p", "{clusters: {}, rules: {soak: {clusters: {matchLabels: {environment: canary}}, duration: 1h}}}")
	if got := Judge([]*Policy{everything}, rolloutOf(t, "stages: [{name: a, clusters: [canary1], "+waits+"}, {name: b, clusters: [bare1]}]", v1beta1.UpdateRunSpec{})); got.Refusal() != "" {
		t.Errorf("a policy of all clusters refuses the canaries themselves: %s", got.Refusal())
	}
}

func TestAStageHearsAllAtOnce(t *testing.T) {
	testRules(t, map[string]ruleTest{
		"each rule and each stage": {
			"approval: {groups: [sre]}, maxConcurrency: 1, maxStageClusters: 1, failurePolicy: {}, soak: {clusters: {matchLabels: {environment: canary}}, duration: 1h}",
			"stages: [{name: a, clusters: [canary1]}, {name: b, clusters: [prod1, prod2], maxConcurrency: 2}, {name: c, clusters: [prod3], failurePolicy: {clusterTimeout: 1m}}]",
			`stage "b" (2 clusters, 2 protected): beforeStageTasks must have an Approval with groups: [sre]; maxConcurrency must be at most 1, not 2; ` +
				`labelSelector must pick at most 1 protected cluster, not 2: divide the stage; the stage or the whole strategy must have a failurePolicy (ClusterRolloutPolicy p); ` +
				`stage "c" (1 cluster, 1 protected): beforeStageTasks must have an Approval with groups: [sre] (ClusterRolloutPolicy p); ` +
				`stage "a" (1 cluster, 1 to soak): afterStageTasks must have a TimedWait with waitTime: 1h or more`,
		},
	})
}

// A rollback undoes what has been let through, and must not wait.
func TestOnlyDenyIsAboutARollback(t *testing.T) {
	rollback := rolloutOf(t, "stages: [{name: a, clusters: [prod1, prod2], maxConcurrency: 2}]", v1beta1.UpdateRunSpec{RollbackOf: "earlier"})
	for rules, want := range map[string]string{
		"approval: {}":        "",
		"maxConcurrency: 1":   "",
		"maxStageClusters: 1": "",
		"failurePolicy: {}":   "",
		"staged: true":        "",
		"soak: {clusters: {matchLabels: {environment: canary}}, duration: 1h}": "",
		"deny: true": `stage "a" (2 clusters, 2 protected): no version may reach prod1, prod2, nor an earlier one: a user who may override the policy can create a run with rollbackOf and policyOverride (ClusterRolloutPolicy p)`,
	} {
		verdict := Judge([]*Policy{clusterPolicy(t, "p", fmt.Sprintf("rules: {%s}", rules))}, rollback)
		if verdict.Refusal() != want {
			t.Errorf("%s: got %q, want %q", rules, verdict.Refusal(), want)
		}
		if len(verdict.Governing) != 1 {
			t.Errorf("%s: it is recorded that %v govern it", rules, verdict.Governing)
		}
	}
}

// Rolled back is rolled back: the later version comes with its gates again.
func TestARollbackOfARollbackMeetsNoGates(t *testing.T) {
	forward := rolloutOf(t, "stages: [{name: a, clusters: [prod1, canary1]}, {name: b, clusters: [canary2]}]", v1beta1.UpdateRunSpec{RollbackOf: "earlier"})
	forward.Forward = true
	const refusal = `stage "a" (2 clusters, 1 protected): must not get the later version back without its gates, by the rollback of a rollback: ` +
		"create a run with the resourceSnapshotIndex of that version instead of rollbackOf (ClusterRolloutPolicy p)"
	for rules, want := range map[string]string{
		"approval: {}":      refusal,
		"failurePolicy: {}": refusal,
		"soak: {clusters: {matchLabels: {environment: canary}}, duration: 1h}": refusal,
		"maxConcurrency: 1": "",
		"staged: true":      "",
	} {
		verdict := Judge([]*Policy{clusterPolicy(t, "p", fmt.Sprintf("rules: {%s}", rules))}, forward)
		if verdict.Refusal() != want {
			t.Errorf("%s: got %q, want %q", rules, verdict.Refusal(), want)
		}
	}
}

// A policy that nobody can read refuses what it may be about.
func TestAnUnreadablePolicyRefuses(t *testing.T) {
	const bad = "{matchExpressions: [{key: environment, operator: Like, values: [prod]}]}"
	const mend = `nobody can tell what the policy demands: its owner must correct spec.%s: "Like" is not a valid label selector operator (ClusterRolloutPolicy p)`
	for field, spec := range map[string]string{
		"clusters":                "{clusters: " + bad + ", rules: {maxConcurrency: 1}}",
		"rules.soak.clusters":     "rules: {soak: {clusters: " + bad + ", duration: 1h}}",
		"match.namespaceSelector": "{match: {namespaceSelector: " + bad + "}, rules: {maxConcurrency: 1}}",
		"match.placementSelector": "{match: {placementSelector: " + bad + "}, rules: {maxConcurrency: 1}}",
	} {
		p := clusterPolicy(t, "p", spec)
		if p.Err() == nil {
			t.Errorf("%s: it can be read", field)
		}
		verdict := Judge([]*Policy{p}, rolloutOf(t, "stages: [{name: a, clusters: [prod1]}]", v1beta1.UpdateRunSpec{}))
		if want := fmt.Sprintf(mend, field); verdict.Refusal() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", field, verdict.Refusal(), want)
		}
		rollback := Judge([]*Policy{p}, rolloutOf(t, "stages: [{name: a, clusters: [prod1]}]", v1beta1.UpdateRunSpec{RollbackOf: "earlier"}))
		if rollback.Refusal() == "" {
			t.Errorf("%s: a rollback is let through", field)
		}
	}
}

func TestWhatAVerdictRecords(t *testing.T) {
	guard := clusterPolicy(t, "guard", "{description: Production needs SRE, rules: {approval: {groups: [sre]}}}")
	slow := clusterPolicy(t, "slow", "{enforcement: Warn, rules: {maxConcurrency: 1}}")
	canaries := clusterPolicy(t, "canaries", "{clusters: {matchLabels: {environment: canary}}, rules: {deny: true}}")
	// One of the namespace, with the name of one that is overridden.
	own := namespacePolicy(t, "shop", "guard", "{clusters: {matchLabels: {environment: prod}}, rules: {maxStageClusters: 1}}")
	const text = "stages: [{name: a, clusters: [bare1]}, {name: b, clusters: [prod1, prod2], maxConcurrency: 2}, {name: c, clusters: [prod3]}]"
	const (
		ofGuard = `stage "b" (2 clusters, 2 protected): beforeStageTasks must have an Approval with groups: [sre] (ClusterRolloutPolicy guard: Production needs SRE); ` +
			`stage "c" (1 cluster, 1 protected): beforeStageTasks must have an Approval with groups: [sre] (ClusterRolloutPolicy guard: Production needs SRE)`
		ofSlow = `stage "b" (2 clusters, 2 protected): maxConcurrency must be at most 1, not 2 (ClusterRolloutPolicy slow)`
		ofOwn  = `stage "b" (2 clusters, 2 protected): labelSelector must pick at most 1 protected cluster, not 2: divide the stage (RolloutPolicy guard)`
	)
	governing := func(overridden bool) []v1beta1.GoverningPolicy {
		return []v1beta1.GoverningPolicy{
			{Kind: KindCluster, Name: "guard", UID: "uid-of-guard", Generation: 3, Stages: []string{"b", "c"}, Violated: true, Overridden: overridden},
			{Kind: KindCluster, Name: "slow", UID: "uid-of-slow", Generation: 3, Stages: []string{"b", "c"}, Violated: true, Warns: true},
			{Kind: KindNamespace, Name: "guard", UID: "uid-of-guard", Generation: 1, Stages: []string{"b", "c"}, Violated: true},
		}
	}
	for name, tt := range map[string]struct {
		override         *v1beta1.PolicyOverride
		refusal, warning string
		governing        []v1beta1.GoverningPolicy
		overridden, idle []string
	}{
		"a policy that warns refuses nothing": {refusal: ofGuard + "; " + ofOwn, warning: ofSlow, governing: governing(false)},
		"an overridden policy warns": {
			override: &v1beta1.PolicyOverride{Policies: []string{"guard"}}, refusal: ofOwn, warning: ofGuard + "; " + ofSlow, governing: governing(true),
			overridden: []string{"guard"},
		},
		"names of policies that do not bind the run": {
			override: &v1beta1.PolicyOverride{Policies: []string{"nobody", "canaries", "none"}}, refusal: ofGuard + "; " + ofOwn, warning: ofSlow,
			governing: governing(false), idle: []string{"nobody", "none"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Judge([]*Policy{own, slow, canaries, guard}, rolloutOf(t, text, v1beta1.UpdateRunSpec{PolicyOverride: tt.override}))
			for what, diff := range map[string]string{
				"refusal": cmp.Diff(tt.refusal, got.Refusal()), "warning": cmp.Diff(tt.warning, got.Warning()), "governing": cmp.Diff(tt.governing, got.Governing),
				"overridden": cmp.Diff(tt.overridden, got.Overridden), "idle": cmp.Diff(tt.idle, got.Idle),
			} {
				if diff != "" {
					t.Errorf("%s, -want +got:\n%s", what, diff)
				}
			}
		})
	}
}

// An override of a policy that the run meets is none.
func TestAnOverrideOfWhatIsMetIsNotRecorded(t *testing.T) {
	p := clusterPolicy(t, "p", "rules: {maxConcurrency: 1}")
	verdict := Judge([]*Policy{p}, rolloutOf(t, "stages: [{name: a, clusters: [prod1]}]", v1beta1.UpdateRunSpec{PolicyOverride: &v1beta1.PolicyOverride{Policies: []string{"p"}}}))
	if len(verdict.Overridden) > 0 || len(verdict.Idle) > 0 || verdict.Governing[0].Overridden {
		t.Errorf("got %+v", verdict)
	}
}

func TestARefusalNamesTenAndCountsTheRest(t *testing.T) {
	var stages []string
	for i := range 12 {
		stages = append(stages, fmt.Sprintf("{name: s%d, clusters: [prod%d]}", i, i))
	}
	verdict := Judge([]*Policy{clusterPolicy(t, "p", "rules: {approval: {}}")}, rolloutOf(t, "stages: ["+strings.Join(stages, ", ")+"]", v1beta1.UpdateRunSpec{}))
	if got := verdict.Refusal(); strings.Count(got, "stage \"") != 10 || !strings.HasSuffix(got, "; and 2 more") {
		t.Errorf("got %s", got)
	}
}
