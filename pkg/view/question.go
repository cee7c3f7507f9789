// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"strings"

	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// Question tells what a decision on the request is about, in lines.
func (v *Approval) Question() []string {
	when := "after"
	if v.Before {
		when = "before"
	}
	lines := []string{fmt.Sprintf("Run %s waits for an approval %s stage %s.", wording.Key(v.Object.Namespace, v.Run), when, v.Stage)}
	moves := wording.Count(v.ClusterCount, "cluster")
	switch {
	case v.Placement == "":
	case v.Snapshot == "":
		lines = append(lines, fmt.Sprintf("The stage removes what %s places from %s:", wording.Placement(v.Object.Namespace, v.Placement), moves))
	case v.Before:
		lines = append(lines, fmt.Sprintf("The stage moves %s to snapshot %s of %s:", moves, v.Snapshot, wording.Placement(v.Object.Namespace, v.Placement)))
	default:
		lines = append(lines, fmt.Sprintf("The stage has moved %s to snapshot %s of %s:", moves, v.Snapshot, wording.Placement(v.Object.Namespace, v.Placement)))
	}
	if len(v.Clusters) > 0 {
		shown := wording.First(v.Clusters[:min(len(v.Clusters), MaxListed)], MaxListed)
		if more := v.ClusterCount - min(len(v.Clusters), MaxListed); more > 0 {
			shown += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, "  "+shown)
	}
	if v.Requester != "" {
		lines = append(lines, v.Requester+" has created the run.")
	}
	for _, by := range v.Decisions {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s has %s: %s", by.User, strings.ToLower(string(by.Decision)), by.Comment), ": "))
	}
	if v.Lacks != "" && v.Lacks != "approval" {
		lines = append(lines, "It has "+v.Lacks+".")
	}
	return lines
}
