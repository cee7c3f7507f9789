// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package notification decides what a NotificationSink is told of a run: which entries of the history, by what name, and in which words. It
// sends nothing.
package notification

import (
	"maps"
	"slices"
	"strings"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// unlisted is the type of an entry whose reason this version does not know: one that a newer server has written.
const unlisted = "run.changed"

// notByDefault is the noun that a sink without types is not told of: a run can fail on very many clusters.
const notByDefault = "cluster"

// typeOf is the type of an entry by its reason.
var typeOf = map[string]string{
	wellknown.HistoryInitialized:      "run.planned",
	wellknown.HistoryInitFailed:       "run.failed",
	wellknown.HistoryStarted:          "run.started",
	wellknown.HistoryResumed:          "run.resumed",
	wellknown.HistoryWaitingForTurn:   "run.waiting",
	wellknown.HistoryStageStarted:     "stage.started",
	wellknown.HistoryStageSkipped:     "stage.skipped",
	wellknown.HistoryStageSucceeded:   "stage.succeeded",
	wellknown.HistoryWaitElapsed:      "stage.waited",
	wellknown.HistoryApproval:         "approval.requested",
	wellknown.HistoryApproved:         "approval.approved",
	wellknown.HistoryRejected:         "approval.rejected",
	wellknown.HistoryExpired:          "approval.expired",
	wellknown.HistoryForeignRequest:   "approval.blocked",
	wellknown.HistoryClusterSkipped:   "cluster.skipped",
	wellknown.HistoryClusterFailed:    "cluster.failed",
	wellknown.HistoryPaused:           "run.paused",
	wellknown.HistoryRolledBack:       "run.rolledback",
	wellknown.HistoryStuck:            "run.stuck",
	wellknown.HistoryRecovered:        "run.recovered",
	wellknown.HistoryStopping:         "run.stopping",
	wellknown.HistoryStopped:          "run.stopped",
	wellknown.HistorySucceeded:        "run.succeeded",
	wellknown.HistoryFailed:           "run.failed",
	wellknown.HistoryPolicyChanged:    "policy.changed",
	wellknown.HistoryPolicyOverridden: "policy.overridden",
	wellknown.HistoryPolicyViolated:   "policy.violated",
}

// alsoKnownAs are types that end a run and are about something else. Who asks for run.* is told of every end of a run.
var alsoKnownAs = map[string]string{
	"approval.rejected": "run.rejected",
	"approval.expired":  "run.expired",
	"policy.changed":    "run.failed",
}

// operations are what users can ask of a run.
var operations = []v1beta1.OperationType{
	v1beta1.OperationStart, v1beta1.OperationStop, v1beta1.OperationResume, v1beta1.OperationSkip, v1beta1.OperationRetry, v1beta1.OperationRollback,
}

// Types returns all types of notifications, sorted, and the other names of those that have one.
func Types() []string {
	types := slices.AppendSeq([]string{unlisted}, maps.Values(typeOf))
	types = slices.AppendSeq(types, maps.Values(alsoKnownAs))
	for _, operation := range operations {
		types = append(types, ofOperation(operation))
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// Type returns what an entry of a history is called, such as stage.succeeded.
func Type(entry *v1beta1.UpdateRunHistoryEntry) string {
	if entry.Operation != "" {
		return ofOperation(entry.Operation)
	}
	if t, known := typeOf[entry.Reason]; known {
		return t
	}
	return unlisted
}

func ofOperation(operation v1beta1.OperationType) string {
	return "operation." + strings.ToLower(string(operation))
}

// Exists reports whether a pattern, which is a type, a noun with .*, or *, is that of some type.
func Exists(pattern string) bool {
	return slices.ContainsFunc(Types(), func(t string) bool { return isLike(t, pattern) })
}

// IsWanted reports whether a sink with these types is told of a type. No types mean all but cluster.*.
func IsWanted(types []string, t string) bool {
	if len(types) == 0 {
		return !isLike(t, notByDefault+".*")
	}
	return slices.ContainsFunc(types, func(pattern string) bool {
		return isLike(t, pattern) || isLike(alsoKnownAs[t], pattern)
	})
}

func isLike(t, pattern string) bool {
	if noun, ok := strings.CutSuffix(pattern, ".*"); ok {
		return strings.HasPrefix(t, noun+".")
	}
	return pattern == "*" && t != "" || pattern != "" && t == pattern
}
