// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Parts of messages of failure, outermost first. Scripts and dashboards made for upstream look for them.
const (
	Aborted         = "cannot continue the updateRun"
	Invalid         = Aborted + ": failed to validate the updateRun"
	ClientError     = "failed to process the request due to a client error"
	UnexpectedError = "unexpected behavior which cannot be handled by the controller"
)

// Wrap joins the parts of a message, outermost first.
func Wrap(parts ...string) string { return strings.Join(parts, ": ") }

// Plainly returns a message without the classes of error that it begins with, for somebody who has just asked.
func Plainly(message string) string {
	for _, class := range []string{Invalid, Aborted, ClientError, UnexpectedError} {
		message = strings.TrimPrefix(message, class+": ")
	}
	return message
}

// In messages, kinds are named as the user writes them.

// RunKind returns the kind of a run.
func RunKind(o metav1.Object) string { return kind(o, "StagedUpdateRun") }

// RequestKind returns the kind of an approval request.
func RequestKind(o metav1.Object) string { return kind(o, "ApprovalRequest") }

func kind(o metav1.Object, base string) string {
	if o.GetNamespace() == "" {
		return "Cluster" + base
	}
	return base
}

// MessageMovedSince is why a run cannot take back what an earlier one has done: a third one has moved a cluster since.
func MessageMovedSince(run v1beta1.UpdateRunObject, mover, cluster, earlier string) string {
	return fmt.Sprintf("%s %s has moved cluster %s since %s did; create a run with the resourceSnapshotIndex that the clusters are to have",
		RunKind(run), mover, cluster, earlier)
}

// MessageOnlyCompared is why a run cannot bring a cluster back, which was only compared with its earlier version.
func MessageOnlyCompared(c *v1beta1.ClusterUpdatingStatus) string {
	return fmt.Sprintf("cluster %s was only compared with resource snapshot %s, by the applyStrategy ReportDiff, and did not have it: create a run for the version that it is to have",
		c.ClusterName, *c.PreviousResourceSnapshotIndex)
}
