// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// moveClusters brings the clusters of a stage on, in their order and no more than maxConcurrency at a time, and reports whether all
// are done.
func (s *step) moveClusters(stage *v1beta1.StageUpdatingStatus, config *v1beta1.StageConfig) bool {
	if stage.UpdatedTime != nil {
		return true
	}
	if len(stage.Clusters) > 0 && !allDone(stage) {
		if !s.takeTurn(stage) {
			return false
		}
		s.start()
	}
	policy := strategy.FailurePolicy(s.status.UpdateStrategySnapshot, config)
	if message := s.replaced(stage); message != "" {
		s.fail(message)
		return false
	}
	f := s.settle(stage, policy)
	if message := tooManyFailures(s.ofStage(stage), stage, policy); message != "" {
		s.onFailure(stage, policy, message)
		return false
	}
	s.startClusters(stage, strategy.Concurrency(config.MaxConcurrency, len(stage.Clusters)), &f)
	if f.waiting()+len(f.unpicked)+len(f.outside) == 0 {
		s.clustersDone(stage)
		return true
	}
	if f.waiting() == 0 && slices.ContainsFunc(f.outside, func(name string) bool { return !slices.Contains(f.unpicked, name) }) {
		s.waitForOutside(stage, &f)
		return false
	}
	if f.waiting() == f.adrift {
		s.runWaits(fmt.Sprintf("The updateRun is waiting for cluster(s) %s in stage %s, which the placement does not pick any more: pick them again, or skip them",
			wording.FirstNames(f.unpicked), stage.StageName))
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageWaiting, messageStageUnpicked)
		return false
	}
	s.stageMoves(stage)
	s.runMoves(stage, &f)
	return false
}

// flight are the clusters that are being moved.
type flight struct {
	// moving are those within the time that a move may take, stuck those beyond it.
	moving int
	stuck  []string
	// waitedFor are those that the run is stuck with: beyond that time, or for a refusal that no time changes. refusal is what the first
	// of these reports.
	waitedFor []string
	refusal   string
	// unpicked are clusters, started or not, that the run waits for until the placement picks them again; adrift is how many of them were
	// started, and are in flight still.
	unpicked []string
	adrift   int
	// outside are clusters which are none of the stage's and leave no room to start another one. coming are those of later stages.
	outside, coming []string
}

func (f *flight) waiting() int { return f.moving + len(f.stuck) }

// settle looks at the clusters of a stage that were started and finds those still in flight. A cluster whose binding is not as
// wanted has it written again: its start was recorded first, and what came between does not matter. Targets that have left, started
// or not, are skipped, and those that take too long are given up where there is a policy. Where rollout policies hold the run, a cluster that the
// placement does not pick any more has not left: whoever writes the placement could have it skipped in that way.
func (s *step) settle(stage *v1beta1.StageUpdatingStatus, policy *v1beta1.FailurePolicy) flight {
	if s.removes(stage) {
		return s.settleRemovals(stage, policy)
	}
	var f flight
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		if runrules.IsClusterDone(c) {
			continue
		}
		if why := s.left(c); why != "" {
			s.skipCluster(c, why)
			continue
		}
		b := s.bindings.of(c.ClusterName)
		if b == nil {
			s.awaitPick(stage, c, policy, &f)
			continue
		}
		if !runrules.IsStarted(c) {
			// It was not picked for a while.
			s.say(c, "")
			continue
		}
		wanted := s.wants(b, c)
		switch {
		case wanted && bindingrules.IsReady(b):
			s.clusterDone(stage, c, b)
			continue
		case s.timedOut(c, policy):
			s.clusterFailed(stage, c, b, policy)
			continue
		case !wanted:
			s.write(b, c)
		case !bindingrules.IsRolloutStarted(b):
			s.write(b, c)
		}
		s.report(c, b)
		refusal := ""
		if wanted {
			refusal = Refusal(b)
		}
		s.inFlight(&f, c, refusal)
	}
	return f
}

// awaitPick has the run wait until the placement picks a cluster again. One that was started stays in flight, and is given up like any other.
func (s *step) awaitPick(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus, policy *v1beta1.FailurePolicy, f *flight) {
	if runrules.IsStarted(c) {
		if s.timedOut(c, policy) {
			s.clusterFailed(stage, c, nil, policy)
			return
		}
		s.inFlight(f, c, "")
		f.adrift++
	}
	s.say(c, messageClusterUnpicked)
	f.unpicked = append(f.unpicked, c.ClusterName)
}

// inFlight counts a cluster that is not done, with what it refuses, if anything. A refusal shortens no time: the member may be changed.
func (s *step) inFlight(f *flight, c *v1beta1.ClusterUpdatingStatus, refusal string) {
	limit := timeOf(c.Conditions, v1beta1.ClusterStarted).Add(stuckAfter)
	isLate := !s.now.Before(limit)
	if isLate {
		f.stuck = append(f.stuck, c.ClusterName)
	} else {
		f.moving++
		s.wake(limit)
	}
	if isLate || refusal != "" {
		f.waitedFor = append(f.waitedFor, c.ClusterName)
	}
	if refusal != "" && f.refusal == "" {
		f.refusal = fmt.Sprintf("cluster %s: %s", c.ClusterName, refusal)
	}
}

// startClusters starts what maxConcurrency leaves room for. Clusters that another run left in flight come first: they count, and
// touching them disturbs no further cluster. So a run that follows on one that broke them is never kept waiting for them.
func (s *step) startClusters(stage *v1beta1.StageUpdatingStatus, limit int, f *flight) {
	var behind []int
	for i := range stage.Clusters {
		if c := &stage.Clusters[i]; s.mayStartCluster(stage, c) && s.isUnderWay(stage, c) {
			behind = append(behind, i)
		}
	}
	for len(behind) > 0 && f.waiting() < limit {
		s.startCluster(stage, &stage.Clusters[behind[0]], f)
		behind = behind[1:]
	}
	others := s.leftOutside(stage)
	outside := others.counting(limit)
	for i := range stage.Clusters {
		if f.waiting() >= limit {
			return
		}
		c := &stage.Clusters[i]
		if !s.mayStartCluster(stage, c) {
			continue
		}
		if f.waiting()+len(outside) >= limit && !s.hasVersion(stage, c) {
			f.outside, f.coming = outside, others.coming
			return
		}
		s.startCluster(stage, c, f)
	}
}

// mayStartCluster reports whether a cluster is to be started and can be: the run waits for one that the placement does not pick any more.
func (s *step) mayStartCluster(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) bool {
	return !runrules.IsClusterDone(c) && !runrules.IsStarted(c) && (s.removes(stage) || s.bindings.of(c.ClusterName) != nil)
}

// isUnderWay reports whether a cluster that the run has not started is in flight all the same.
func (s *step) isUnderWay(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) bool {
	if s.removes(stage) {
		b := s.bindings.leaving(c.ClusterName)
		return b != nil && b.GetDeletionTimestamp() != nil
	}
	return s.leftInFlight(s.bindings.of(c.ClusterName))
}

// startCluster records that the move of a cluster has begun and has the binding written, or deleted. A cluster that has everything
// already is done at once.
func (s *step) startCluster(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus, f *flight) {
	if progressReason(stage.Conditions) != reasonStageStarted {
		s.stageMoves(stage)
		s.event(eventStageStarted, s.stageStarted(stage))
	}
	s.clusterStarted(stage, c)
	if s.removes(stage) {
		s.remove(s.bindings.leaving(c.ClusterName))
		s.inFlight(f, c, "")
		return
	}
	b, refusal := s.bindings.of(c.ClusterName), ""
	s.recordPrevious(c, s.run, b)
	switch {
	case s.hasAll(stage, c):
		s.clusterDone(stage, c, b)
		return
	case s.wants(b, c) && bindingrules.IsRolloutStarted(b):
		refusal = Refusal(b)
	default:
		s.write(b, c)
	}
	s.inFlight(f, c, refusal)
}

// hasVersion reports whether a cluster has the version that the run gives it, and is available: to start it disturbs nothing. Any change of the
// placement's policy takes the announcement of the rollout away, which the run then makes once more.
func (s *step) hasVersion(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) bool {
	if s.removes(stage) {
		return false
	}
	b := s.bindings.of(c.ClusterName)
	return s.wants(b, c) && bindingrules.IsReady(b)
}

// hasAll is hasVersion where the rollout is announced too, so that nothing is left to do.
func (s *step) hasAll(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) bool {
	return s.hasVersion(stage, c) && bindingrules.IsRolloutStarted(s.bindings.of(c.ClusterName))
}

func (s *step) clusterStarted(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) {
	s.set(&c.Conditions, v1beta1.ClusterStarted, metav1.ConditionTrue, reasonClusterStarted, s.ofCluster(stage, c).clusterStarted)
}

// clusterDone records that a cluster has what the run gives it, or how it differs from that. The binding is nil for a cluster that has lost
// everything. What the member differs in later does not count.
func (s *step) clusterDone(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus, b v1beta1.BindingObject) {
	s.say(c, "")
	message := s.ofCluster(stage, c).clusterSucceeded
	if b != nil && runrules.Compares(&s.status, c) {
		n := len(b.BindingStatus().DiffedPlacements)
		putAt(&s.draft, &c.DiffedObjects, int32(n)) //nolint:gosec // The list is bounded.
		message += fmt.Sprintf(", %s with differences", wording.Count(n, "object"))
	}
	s.set(&c.Conditions, v1beta1.ClusterSucceeded, metav1.ConditionTrue, reasonClusterSucceeded, message)
}

// left is why a target cannot be updated any more, or nothing. Targets are frozen: one that leaves is not waited for.
func (s *step) left(c *v1beta1.ClusterUpdatingStatus) string {
	switch {
	case s.world.Left[c.ClusterName]:
		return "the cluster has left the fleet"
	case s.bindings.of(c.ClusterName) == nil && !s.isHeld():
		return "the placement does not pick the cluster any more"
	case s.hasNothing(c):
		return "the cluster was removed from the placement and picked again, and has nothing to take back"
	}
	return ""
}

func (s *step) skipCluster(c *v1beta1.ClusterUpdatingStatus, why string) {
	s.say(c, "")
	s.set(&c.Conditions, v1beta1.ClusterSucceeded, metav1.ConditionTrue, reasonClusterSkipped, "Cluster update skipped: "+why)
	s.warnOf(c.ClusterName, eventClusterSkipped, fmt.Sprintf("Cluster %s is skipped: %s", c.ClusterName, why))
}

// timedOut reports whether a cluster has had its time. It has the whole of it from a new leader: while nobody led, nothing was written for
// the cluster, and nobody heard what its member said.
func (s *step) timedOut(c *v1beta1.ClusterUpdatingStatus, policy *v1beta1.FailurePolicy) bool {
	if policy == nil {
		return false
	}
	since := timeOf(c.Conditions, v1beta1.ClusterStarted)
	if since.Before(s.world.Since) {
		since = s.world.Since
	}
	limit := since.Add(policy.ClusterTimeout.Duration)
	if s.now.Before(limit) {
		s.wake(limit)
		return false
	}
	return true
}

// clusterFailed gives a cluster up. What the binding asks for stays: a member that mends itself has the new version, or nothing left.
func (s *step) clusterFailed(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus, b v1beta1.BindingObject, policy *v1beta1.FailurePolicy) {
	message := fmt.Sprintf(s.ofCluster(stage, c).clusterFailed, policy.ClusterTimeout.Duration)
	if s.removes(stage) {
		message = fmt.Sprintf("Cluster update failed: resources not removed within %s", policy.ClusterTimeout.Duration)
		if why := remaining(b); why != "" {
			message += ": " + why
		}
	} else if b == nil {
		message += ": " + messageClusterUnpicked
	} else if s.wants(b, c) {
		if why := reported(b); why != "" {
			message += ": " + why
		}
	}
	s.say(c, "")
	s.set(&c.Conditions, v1beta1.ClusterSucceeded, metav1.ConditionFalse, reasonClusterFailed, message)
	s.warnOf(c.ClusterName, eventClusterFailed, fmt.Sprintf("Cluster %s in stage %s: %s", c.ClusterName, stage.StageName, message))
}

// onFailure does what the policy of a stage says about too many failures. A paused run goes on with the clusters in flight and starts no
// other; it is not a state of its own, and ends as soon as there are not too many any more. A removal that fails rolls nothing back: it
// tells nothing of the version that the other clusters have, and what was removed would not come back.
func (s *step) onFailure(stage *v1beta1.StageUpdatingStatus, policy *v1beta1.FailurePolicy, message string) {
	switch policy.OnFailure {
	case v1beta1.FailureActionPause:
		was := progressReason(s.status.Conditions)
		message = fmt.Sprintf("The updateRun is paused: %s; retry or skip what has failed, or stop the run", message)
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStagePaused, s.ofStage(stage).stagePaused)
		s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionFalse, reasonRunPaused, message)
		if was != reasonRunPaused {
			s.warn(eventPaused, message)
		}
	case v1beta1.FailureActionRollback:
		if s.removes(stage) {
			s.fail(message + "; the run is not rolled back, which would bring back nothing that was removed")
			return
		}
		s.failAndRollBack(message)
	default:
		s.fail(message)
	}
}

func namesOf(clusters []v1beta1.ClusterUpdatingStatus) []string {
	var names []string
	for i := range clusters {
		names = append(names, clusters[i].ClusterName)
	}
	return names
}

// tooManyFailures says that more clusters of a stage have failed than its policy allows, with what the last of them said, or nothing.
func tooManyFailures(p *phrases, stage *v1beta1.StageUpdatingStatus, policy *v1beta1.FailurePolicy) string {
	if policy == nil {
		return ""
	}
	failed, allowed := runrules.FailedClusters(stage), strategy.MaxFailures(policy.MaxFailures, len(stage.Clusters))
	if len(failed) <= allowed {
		return ""
	}
	last := failed[len(failed)-1]
	return fmt.Sprintf("%s in stage %s %s, at most %d may: %s; %s: %s", wording.Count(len(failed), "cluster"), stage.StageName, p.failed, allowed,
		wording.FirstNames(runrules.Names(failed)), last.ClusterName, meta.FindStatusCondition(last.Conditions, v1beta1.ClusterSucceeded).Message)
}

// restartClocks gives the clusters that a stop has left in flight their whole time again.
func (s *step) restartClocks() {
	s.eachOpenStage(func(stage *v1beta1.StageUpdatingStatus) {
		for i := range stage.Clusters {
			if c := &stage.Clusters[i]; runrules.IsInFlight(c) {
				s.restart(c)
			}
		}
	})
}
