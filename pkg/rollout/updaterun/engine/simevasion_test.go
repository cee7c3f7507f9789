// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// simEvasion is somebody who writes the placement to get past rollout policies, and what is known of the clusters without asking bindings, whose
// memory goes with them.
type simEvasion struct {
	random *rand.Rand
	// hides is a source of chance of its own.
	hides *rand.Rand
	// moved has, by cluster, the run that moved it last, and the version of the store then.
	moved map[string]simMove
	// decided has, by the uid of the run and the name of the request, the version of the store when a gate was open.
	decided map[string]int64
	// early has, in the same way, the gates that somebody approved before the run had a turn.
	early map[string]bool
	// had has, by the uid of a run and a cluster, how the cluster's version was applied before the run.
	had map[string]*v1beta1.ApplyStrategy
}

// nobody is who has moved a cluster whose binding is new.
const nobody types.UID = "nobody"

type simMove struct {
	run     types.UID
	version int64
	// isLate reports whether the run did not have its turn any more: a leader that lost its lease is a write behind.
	isLate bool
}

func newSimEvasion(seed uint64) simEvasion {
	return simEvasion{
		random: rand.New(rand.NewPCG(seed, 2)), hides: rand.New(rand.NewPCG(seed, 3)), moved: map[string]simMove{}, decided: map[string]int64{}, early: map[string]bool{},
		had: map[string]*v1beta1.ApplyStrategy{},
	}
}

// evade has somebody, now and then, edit the placement: it picks clusters or not, or applies in another way; and has what a run removed be picked
// again.
func (s *simulation) evade() {
	if s.policies.some && s.evasion.hides.IntN(50) == 0 {
		s.hideBroken()
	}
	if !s.policies.some || s.evasion.random.IntN(12) > 0 || s.store.placement == nil {
		return
	}
	cluster := s.clusters[s.evasion.random.IntN(len(s.clusters))]
	switch s.evasion.random.IntN(7) {
	case 0:
		s.schedule(cluster, v1beta1.BindingStateUnscheduled, v1beta1.BindingStateBound)
	case 1:
		s.pickAgain(cluster)
	case 2:
		s.renew(cluster)
	case 3:
		placement := s.store.placement.DeepCopyObject().(v1beta1.PlacementObject)
		ways := []v1beta1.WhenToTakeOverType{v1beta1.WhenToTakeOverTypeNever, v1beta1.WhenToTakeOverTypeIfNoDiff, v1beta1.WhenToTakeOverTypeAlways}
		placement.PlacementSpec().Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{WhenToTakeOver: ways[s.evasion.random.IntN(len(ways))]}
		s.store.placement = placement
	case 4:
		// A rollback that is planned and waits for its moment.
		if runs := sortedKeys(s.store.objects[simRuns]); len(runs) > 0 {
			spec := v1beta1.UpdateRunSpec{PlacementName: "p", StagedUpdateStrategyName: "s", State: v1beta1.StateInitialize, RollbackOf: runs[s.evasion.random.IntN(len(runs))]}
			_ = s.createRun(fmt.Sprintf("back%d", s.store.version), spec, people[0].DeepCopy())
		}
	case 5:
		// Somebody stops the run that moves clusters.
		for _, run := range s.store.runs() {
			if turn := run.RunStatus().Turn; turn != nil && turn.State == v1beta1.TurnHeld && run.RunSpec().State == v1beta1.StateRun {
				s.setState(run, v1beta1.StateStop)
			}
		}
	default:
		s.moveInstead()
	}
}

// moveInstead has the run that moves clusters, or waits to do so, be approved and stopped, and another one move them; it is resumed once that one
// has begun.
func (s *simulation) moveInstead() {
	for _, run := range s.store.runs() {
		status, state := run.RunStatus(), v1beta1.StateRun
		if runrules.IsOver(status) || !runrules.HasHadTurn(status) || run.RunSpec().RollbackOf != "" {
			continue
		}
		instead, isThere := s.store.objects[simRuns]["instead-of-"+run.GetName()].(v1beta1.UpdateRunObject)
		switch {
		case !isThere && status.Turn.State == v1beta1.TurnHeld && run.RunSpec().State == v1beta1.StateRun:
			state = v1beta1.StateStop
			for _, request := range s.store.approvals() {
				if owners := request.GetOwnerReferences(); len(owners) > 0 && owners[0].UID == run.GetUID() {
					s.approveByAll(request)
				}
			}
			spec := *run.RunSpec()
			spec.ResourceSnapshotIndex = fmt.Sprint(s.evasion.random.IntN(3))
			_ = s.createRun("instead-of-"+run.GetName(), spec, people[0].DeepCopy())
		case isThere && run.RunSpec().State == v1beta1.StateStop && runrules.HasStarted(instead.RunStatus()):
		default:
			continue
		}
		s.setState(run, state)
		return
	}
}

// resumeOvertaken resumes a run that was stopped to have another one move its clusters, and reports whether there is one.
func (s *simulation) resumeOvertaken() bool {
	for _, run := range s.store.runs() {
		if _, isThere := s.store.objects[simRuns]["instead-of-"+run.GetName()]; isThere && run.RunSpec().State == v1beta1.StateStop && !runrules.IsOver(run.RunStatus()) {
			s.setState(run, v1beta1.StateRun)
			return true
		}
	}
	return false
}

func (s *simulation) setState(run v1beta1.UpdateRunObject, state v1beta1.State) {
	_, _ = s.store.update(simRuns, run.GetName(), "", func(o object) {
		o.(v1beta1.UpdateRunObject).RunSpec().State = state
		o.SetGeneration(o.GetGeneration() + 1)
	})
}

// hideBroken has the placement pick no cluster that a run has broken, and the run that did so deleted.
func (s *simulation) hideBroken() {
	for _, b := range s.store.bindings() {
		name := bindingrules.LastMove(b).Name
		if name == "" || bindingrules.IsReady(b) || b.BindingSpec().State != v1beta1.BindingStateBound {
			continue
		}
		s.schedule(b.BindingSpec().TargetCluster, v1beta1.BindingStateUnscheduled, v1beta1.BindingStateBound)
		if s.store.objects[simRuns][name] != nil && s.evasion.hides.IntN(2) == 0 {
			_ = s.store.delete(simRuns, name, "")
		}
	}
}

// pickAgain restores what a binding was, as the scheduler does.
func (s *simulation) pickAgain(cluster string) {
	for _, b := range s.store.bindings() {
		if b.BindingSpec().TargetCluster != cluster {
			continue
		}
		was := v1beta1.BindingStateScheduled
		if b.BindingSpec().ResourceSnapshotName != "" {
			was = v1beta1.BindingStateBound
			s.flapped[b.GetName()] = true
		}
		s.schedule(cluster, was, v1beta1.BindingStateUnscheduled)
	}
}

// renew has a cluster be unpicked, removed by a run of which nothing is left, and picked again: its binding is a new one. No run holds the placement then.
// The clock is not one that was set back.
func (s *simulation) renew(cluster string) {
	for _, run := range s.store.runs() {
		if turn := run.RunStatus().Turn; turn != nil && turn.State == v1beta1.TurnHeld {
			return
		}
	}
	if s.leader == nil || s.zombie != nil || !s.latest.IsZero() || len(s.leader.pending) > 0 {
		return
	}
	for _, b := range s.store.bindings() {
		if b.BindingSpec().TargetCluster != cluster || b.GetDeletionTimestamp() != nil {
			continue
		}
		s.store.remove(simBindings, b.GetName())
		s.store.now = s.store.now.Add(time.Second)
		om := metav1.ObjectMeta{Name: fmt.Sprintf("p-%s-again-%d", cluster, s.store.version), Namespace: s.namespace}
		spec := v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateScheduled, TargetCluster: cluster, SchedulingPolicySnapshotName: "p-0"}
		if s.namespace == "" {
			_ = s.store.create(simBindings, &v1beta1.ClusterResourceBinding{ObjectMeta: om, Spec: spec})
		} else {
			_ = s.store.create(simBindings, &v1beta1.ResourceBinding{ObjectMeta: om, Spec: spec})
		}
		// A new cluster is nobody's: what is on it comes from whoever moves it next.
		s.evasion.moved[cluster] = simMove{run: nobody, version: s.store.version}
		return
	}
}

// pickOrSkip has somebody decide about clusters that a run waits for since the placement does not pick them any more.
func (s *simulation) pickOrSkip(run v1beta1.UpdateRunObject) {
	status := run.RunStatus()
	progressing := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
	if progressing == nil || !strings.HasPrefix(progressing.Message, "The updateRun is waiting for cluster(s)") || run.RunSpec().State != v1beta1.StateRun || runrules.IsOver(status) {
		return
	}
	if n := len(status.History); n > 0 && status.History[n-1].Operation != "" && status.History[n-1].Number > status.ObservedOperation {
		return
	}
	var waited []string
	for _, stage := range status.StagesStatus {
		for i := range stage.Clusters {
			if c := &stage.Clusters[i]; !doneOf(c) && strings.HasPrefix(c.Message, "the placement does not pick") {
				waited = append(waited, c.ClusterName)
			}
		}
	}
	if len(waited) == 0 {
		// It waits for clusters outside of it, which their members mend.
		return
	}
	if s.evasion.random.IntN(2) == 0 {
		before := s.store.version
		for _, cluster := range waited {
			s.pickAgain(cluster)
		}
		if s.store.version != before {
			return
		}
	}
	_, _ = s.store.update(simRuns, run.GetName(), "", func(o object) {
		s.ask(o.(v1beta1.UpdateRunObject), v1beta1.UpdateRunHistoryEntry{Operation: v1beta1.OperationSkip, Clusters: waited})
	})
}

// checkOutside holds that a run which policies hold starts no cluster where those of a stage that are in flight and what other runs have left
// elsewhere are too many, as far as the leader saw. One that is started and done at once, or was left itself, disturbs nothing.
func (s *simulation) checkOutside(run v1beta1.UpdateRunObject, stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus, view map[string]object) {
	if run.RunSpec().RollbackOf != "" || !runrules.IsGovernedIn(run.RunStatus(), stage.StageName) || doneOf(c) || leftBehind(view, c.ClusterName) || isGoing(view, c.ClusterName) {
		return
	}
	var own []string
	for i := range run.RunStatus().StagesStatus {
		own = append(own, namesIn(&run.RunStatus().StagesStatus[i])...)
	}
	own = append(own, namesIn(stage)...)
	inFlight, outside := 0, 0
	for i := range stage.Clusters {
		if startedOf(&stage.Clusters[i]) && !doneOf(&stage.Clusters[i]) {
			inFlight++
		}
	}
	for _, o := range view {
		b := o.(v1beta1.BindingObject)
		name := bindingrules.LastMove(b).Name
		if cluster := b.BindingSpec().TargetCluster; name != "" && !slices.Contains(own, cluster) && !bindingrules.IsReady(b) && b.GetDeletionTimestamp() == nil &&
			s.store.members[cluster] && !s.flapped[b.GetName()] && !s.tampered[cluster] {
			outside++
		}
	}
	if limit := s.limit(stage); inFlight+outside > limit {
		s.violated("run %s: cluster %s started with %d in flight and %d that other runs have left, at most %d are allowed", run.GetName(), c.ClusterName, inFlight, outside, limit)
	}
}

func namesIn(stage *v1beta1.StageUpdatingStatus) (names []string) {
	for i := range stage.Clusters {
		names = append(names, stage.Clusters[i].ClusterName)
	}
	return names
}

// checkHeld holds that a run which policies hold passes over no cluster because somebody has the placement not pick it.
func (s *simulation) checkHeld(run v1beta1.UpdateRunObject, was, is *v1beta1.UpdateRunStatus) {
	if !runrules.HasStarted(is) || !runrules.IsGoverned(is) {
		return
	}
	for i := range is.StagesStatus {
		for j := range is.StagesStatus[i].Clusters {
			c := &is.StagesStatus[i].Clusters[j]
			done := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded)
			if done != nil && !doneOf(&was.StagesStatus[i].Clusters[j]) && strings.Contains(done.Message, "does not pick the cluster any more") && done.Reason == "ClusterUpdatingSkipped" {
				s.violated("run %s: passes over cluster %s, which the placement does not pick, though policies hold it", run.GetName(), c.ClusterName)
			}
		}
	}
}

// checkEvasion holds a write to a binding against what is known of its cluster: a gate was decided after the last other run had moved the cluster,
// and a rollback takes back what its run was the last to do, in the way in which it was applied.
func (s *simulation) checkEvasion(run v1beta1.UpdateRunObject, old, next v1beta1.BindingObject) {
	cluster, uid := next.BindingSpec().TargetCluster, run.GetUID()
	before, isKnown := s.evasion.moved[cluster]
	key := string(uid) + "/" + cluster
	if _, ok := s.evasion.had[key]; !ok {
		s.evasion.had[key] = nil
		if held := old.BindingStatus().SynchronizedVersion; held != nil {
			s.evasion.had[key] = held.ApplyStrategy.WithDefaults()
		}
	}
	stage, c := runrules.FindCluster(run.RunStatus(), cluster)
	if earlier := run.RunStatus().RollbackOfUID; earlier != "" {
		if changes := old.BindingSpec().ResourceSnapshotName != next.BindingSpec().ResourceSnapshotName; changes && isKnown && before.run != earlier && before.run != uid && !s.tampered[cluster] {
			s.violated("run %s: takes cluster %s back, which %s has moved and not %s", run.GetName(), cluster, before.run, earlier)
		}
		way := next.BindingSpec().ApplyStrategy.WithDefaults()
		if had, ok := s.evasion.had[string(earlier)+"/"+cluster]; ok && had != nil && !bindingrules.SameApplyStrategy(had, way) {
			s.violated("run %s: applies to cluster %s by %+v what it had by %+v", run.GetName(), cluster, way, had)
		}
	} else if c != nil && len(stage.BeforeStageTaskStatus) > 0 {
		s.checkDecided(run, cluster, wellknown.BeforeStageApprovalName(run.GetName(), stage.StageName))
	}
	stored, isThere := s.store.objects[simRuns][run.GetName()].(v1beta1.UpdateRunObject)
	isLate := !isThere || stored.GetUID() != uid || stored.RunStatus().Turn.State != v1beta1.TurnHeld || runrules.IsOver(stored.RunStatus())
	s.evasion.moved[cluster] = simMove{uid, s.store.version, isLate}
}

// checkDecided holds that a run which policies hold moves a cluster by approvals that were given once it had its turn, and that nobody else has
// moved a cluster of it since its gate was decided.
func (s *simulation) checkDecided(run v1beta1.UpdateRunObject, cluster, request string) {
	stored, ok := s.store.objects[simRuns][run.GetName()].(v1beta1.UpdateRunObject)
	if !ok || stored.GetUID() != run.GetUID() || !runrules.HasStarted(stored.RunStatus()) || !runrules.IsGoverned(stored.RunStatus()) {
		return
	}
	id := string(run.GetUID()) + "/"
	for _, stage := range allStages(stored.RunStatus()) {
		for _, task := range append(slices.Clone(stage.BeforeStageTaskStatus), stage.AfterStageTaskStatus...) {
			if meta.IsStatusConditionTrue(task.Conditions, v1beta1.TaskApprovalRequestApproved) && s.evasion.early[id+task.ApprovalRequestName] {
				s.violated("run %s: cluster %s is moved, and %s was approved before the run had its turn", run.GetName(), cluster, task.ApprovalRequestName)
			}
		}
		for i := range stage.Clusters {
			c := stage.Clusters[i].ClusterName
			last, isKnown := s.evasion.moved[c]
			if isKnown && last.run != run.GetUID() && last.version > s.evasion.decided[id+request] && !last.isLate && (last.run != nobody || c == cluster) {
				s.violated("run %s: cluster %s is moved by an approval from before %s moved %s", run.GetName(), cluster, last.run, c)
			}
		}
	}
}
