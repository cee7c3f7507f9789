// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"

// IsOpen reports whether an entry of the history is an operation of a user that the run has yet to act on.
func IsOpen(status *v1beta1.UpdateRunStatus, entry *v1beta1.UpdateRunHistoryEntry) bool {
	return entry.Operation != "" && entry.Number > status.ObservedOperation
}

// IsAsked reports whether a user has asked something of a run that it has yet to act on.
func IsAsked(status *v1beta1.UpdateRunStatus) bool {
	for i := range status.History {
		if IsOpen(status, &status.History[i]) {
			return true
		}
	}
	return false
}
