// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import "testing"

// testStopAndResume stops a run within a stage: the cluster in flight finishes, no other starts, until it is resumed.
func testStopAndResume(t *testing.T, s *suite) {
	r := s.newRollout(t, "stop", stagingThenCanary, gate)
	r.start(t, "stop", 0, "Run")
	r.release(t, "member2")
	r.awaitRun(t, "stop", all(clusterIs("member2", "Succeeded"), clusterIs("member3", "Started")))

	r.setState(t, "stop", "Stop")
	r.awaitRun(t, "stop", all(has("Progressing", "Unknown", "UpdateRunStopping"), clusterIs("member3", "Started")))
	r.release(t, "member3")
	r.awaitRun(t, "stop", all(
		has("Progressing", "False", "UpdateRunStopped"), clusterIs("member3", "Succeeded"), clusterIs("member1", ""),
	))
	if err := s.values(t.Context(), "stop", "settings", map[string]string{"member1": "", "member2": "value1", "member3": "value1"}); err != nil {
		t.Error(err)
	}

	r.setState(t, "stop", "Run")
	r.awaitRun(t, "stop", clusterIs("member1", "Started"))
	r.release(t, "member1")
	r.succeeds(t, "stop", "value1")

	// Stopping what has finished changes nothing.
	r.setState(t, "stop", "Stop")
	r.succeeds(t, "stop", "value1")
}
