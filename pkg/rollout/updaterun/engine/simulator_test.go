// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rules/approval"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

type stepFunc func(v1beta1.UpdateRunObject, engine.World, time.Time) engine.Decision

// simulation is one random fleet with its people, members and controllers. Everything in it follows from its seed.
type simulation struct {
	random *rand.Rand
	step   stepFunc
	store  *simStore
	leader *simLeader
	// zombie is a leader that does not know yet that it lost its lease.
	zombie *simLeader

	namespace string
	clusters  []string
	labels    map[string]map[string]string
	strategy  v1beta1.UpdateStrategyObject
	fleet     known
	overrides []*simOverride
	policies  simPolicies
	evasion   simEvasion
	// broken are pairs of cluster and snapshot that never become available.
	broken map[string]bool
	// breaks is of how many such pairs one is broken, on average.
	breaks int
	nextID int
	// older has runs be planned by a version of the server that knew no gate before the delete stage.
	older bool
	// healthy has no cluster break.
	healthy bool
	// afterWrite is told of every write of a leader.
	afterWrite func()

	// flapped are bindings whose clusters went away after they were available, and tampered the clusters whose bindings somebody edited.
	flapped  map[string]bool
	tampered map[string]bool

	approved map[string]bool
	updated  map[string]time.Time
	waited   map[string]bool
	// latest is how late it was before the clock was set back.
	latest        time.Time
	twoLeaders    bool
	placementGone bool
	checkPurity   bool
	violations    []string
}

var simStart = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func newSimulation(seed uint64, step stepFunc) *simulation {
	s := &simulation{
		random:      rand.New(rand.NewPCG(seed, 0)),
		step:        step,
		store:       newSimStore(simStart),
		labels:      map[string]map[string]string{},
		broken:      map[string]bool{},
		flapped:     map[string]bool{},
		tampered:    map[string]bool{},
		approved:    map[string]bool{},
		updated:     map[string]time.Time{},
		waited:      map[string]bool{},
		checkPurity: seed%16 == 0,
		older:       seed%8 == 1,
		policies:    newSimPolicies(seed),
		evasion:     newSimEvasion(seed),
	}
	if s.random.IntN(2) == 0 {
		s.namespace = "team"
	}
	s.breaks = []int{20, 20, 2}[s.random.IntN(3)]
	s.populate()
	switch {
	case !s.policies.some:
	case s.policies.random.IntN(3) == 0:
		s.policies.addSoak(s.strategy.StrategySpec())
	default:
		for s.policies.random.IntN(2) == 0 {
			s.policies.add(s.strategy.StrategySpec())
		}
	}
	s.leader = newSimLeader(s)
	return s
}

// populate makes the placement, the fleet and the strategy.
func (s *simulation) populate() {
	stages := 1 + s.random.IntN(4)
	spec := v1beta1.UpdateStrategySpec{}
	for i := range stages {
		stage := v1beta1.StageConfig{
			Name:           fmt.Sprintf("stage%d", i),
			LabelSelector:  &metav1.LabelSelector{MatchLabels: map[string]string{"stage": fmt.Sprint(i)}},
			MaxConcurrency: ptr.To(intstr.FromInt(1 + s.random.IntN(4))),
		}
		if s.random.IntN(3) == 0 {
			stage.MaxConcurrency = ptr.To(intstr.FromString(fmt.Sprintf("%d%%", 1+s.random.IntN(100))))
		}
		if s.random.IntN(3) == 0 || s.breaks == 2 {
			stage.FailurePolicy = &v1beta1.FailurePolicy{
				ClusterTimeout: metav1.Duration{Duration: time.Duration(1+s.random.IntN(300)) * time.Second},
				MaxFailures:    ptr.To(intstr.FromInt(s.random.IntN(4) / 2)),
				OnFailure:      []v1beta1.FailureAction{"", v1beta1.FailureActionFail, v1beta1.FailureActionPause, v1beta1.FailureActionPause, v1beta1.FailureActionRollback}[s.random.IntN(5)],
			}
		}
		if s.random.IntN(2) == 0 {
			stage.SortingLabelKey = ptr.To("order")
		}
		if s.random.IntN(4) == 0 {
			stage.BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval, Approval: s.approvalPolicy()}}
		}
		if s.random.IntN(4) == 0 {
			stage.AfterStageTasks = append(stage.AfterStageTasks, v1beta1.StageTask{
				Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: time.Duration(1+s.random.IntN(600)) * time.Second},
			})
		}
		if s.random.IntN(4) == 0 {
			stage.AfterStageTasks = append(stage.AfterStageTasks, v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval, Approval: s.approvalPolicy()})
		}
		spec.Stages = append(spec.Stages, stage)
	}
	om := metav1.ObjectMeta{Name: "p", Namespace: s.namespace, UID: "placement", Generation: 1}
	external := v1beta1.PlacementSpec{Strategy: v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType}}
	policy := metav1.ObjectMeta{
		Name: "p-0", Namespace: s.namespace, Generation: 1,
		Labels: map[string]string{wellknown.LatestSnapshotLabel: "true", wellknown.PolicyIndexLabel: "0"},
	}
	scheduled := v1beta1.SchedulingPolicySnapshotStatus{ObservedCRPGeneration: 1, Conditions: []metav1.Condition{{
		Type: v1beta1.PolicySnapshotScheduled, Status: metav1.ConditionTrue, ObservedGeneration: 1,
	}}}
	if s.namespace == "" {
		s.store.placement = &v1beta1.ClusterResourcePlacement{ObjectMeta: om, Spec: external}
		s.strategy = &v1beta1.ClusterStagedUpdateStrategy{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: spec}
		s.fleet.PolicySnapshots = []v1beta1.PolicySnapshotObject{&v1beta1.ClusterSchedulingPolicySnapshot{ObjectMeta: policy, Status: scheduled}}
	} else {
		s.store.placement = &v1beta1.ResourcePlacement{ObjectMeta: om, Spec: external}
		s.strategy = &v1beta1.StagedUpdateStrategy{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: s.namespace}, Spec: spec}
		s.fleet.PolicySnapshots = []v1beta1.PolicySnapshotObject{&v1beta1.SchedulingPolicySnapshot{ObjectMeta: policy, Status: scheduled}}
	}
	s.fleet.Strategy = s.strategy
	for i := range 3 {
		s.fleet.Snapshots = append(s.fleet.Snapshots, &v1beta1.ResourceSnapshot{ObjectMeta: metav1.ObjectMeta{
			Name:        wellknown.ResourceSnapshotName("p", i),
			Labels:      map[string]string{wellknown.ResourceIndexLabel: fmt.Sprint(i)},
			Annotations: map[string]string{wellknown.ResourceHashAnnotation: "x"},
		}, Spec: v1beta1.ResourceSnapshotSpec{SelectedResources: make([]v1beta1.ResourceContent, 1)}})
	}
	s.addOverrides()
	// A policy that picks nobody any more must not be a way around the gates.
	emptied := s.random.IntN(12) == 0
	for i := range 1 + s.random.IntN(12) {
		name := fmt.Sprintf("c%02d", i)
		s.clusters = append(s.clusters, name)
		s.store.members[name] = true
		s.labels[name] = map[string]string{"stage": fmt.Sprint(s.random.IntN(stages)), "order": fmt.Sprint(s.random.IntN(5))}
		state := v1beta1.BindingStateScheduled
		if emptied || s.random.IntN(6) == 0 {
			state = v1beta1.BindingStateUnscheduled
		}
		s.newBinding(name, state)
	}
}

func (s *simulation) newBinding(cluster string, state v1beta1.BindingState) {
	om := metav1.ObjectMeta{Name: fmt.Sprintf("p-%s-%d", cluster, s.id()), Namespace: s.namespace}
	spec := v1beta1.ResourceBindingSpec{State: state, TargetCluster: cluster, SchedulingPolicySnapshotName: "p-0"}
	if bound := state == v1beta1.BindingStateScheduled && s.random.IntN(2) == 0; bound {
		// It had a version before.
		spec.State, spec.ResourceSnapshotName = v1beta1.BindingStateBound, wellknown.ResourceSnapshotName("p", s.random.IntN(3))
		spec.ApplyStrategy = s.store.placement.PlacementSpec().Strategy.ApplyStrategy.WithDefaults()
		if s.random.IntN(3) == 0 {
			spec.ClusterResourceOverrideSnapshots = []string{orphan}
		}
	}
	if s.namespace == "" {
		_ = s.store.create(simBindings, &v1beta1.ClusterResourceBinding{ObjectMeta: om, Spec: spec})
	} else {
		_ = s.store.create(simBindings, &v1beta1.ResourceBinding{ObjectMeta: om, Spec: spec})
	}
	if spec.State == v1beta1.BindingStateBound {
		s.store.setBindingCondition(om.Name, v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
		s.store.setBindingCondition(om.Name, v1beta1.BindingAvailable, metav1.ConditionTrue, "AllWorkAreAvailable")
	}
}

func (s *simulation) newRun(state v1beta1.State) {
	spec := v1beta1.UpdateRunSpec{
		PlacementName: "p", StagedUpdateStrategyName: "s", ResourceSnapshotIndex: fmt.Sprint(s.random.IntN(3)), State: state,
	}
	if earlier := s.pick(sortedKeys(s.store.objects[simRuns])); earlier != "" && s.random.IntN(8) == 0 {
		spec.ResourceSnapshotIndex, spec.RollbackOf = "", earlier
	}
	spec.PolicyOverride = s.policies.override()
	_ = s.createRun(fmt.Sprintf("run%d", s.id()), spec, s.person())
}

func (s *simulation) createRun(name string, spec v1beta1.UpdateRunSpec, creator *v1beta1.DecisionUser) error {
	om := metav1.ObjectMeta{Name: name, Namespace: s.namespace, Finalizers: []string{wellknown.UpdateRunFinalizer}}
	if s.namespace == "" {
		return s.store.create(simRuns, &v1beta1.ClusterStagedUpdateRun{ObjectMeta: om, Spec: spec, Status: v1beta1.UpdateRunStatus{CreatedBy: creator}})
	}
	return s.store.create(simRuns, &v1beta1.StagedUpdateRun{ObjectMeta: om, Spec: spec, Status: v1beta1.UpdateRunStatus{CreatedBy: creator}})
}

// approvalPolicy is one of those that the people of the simulation can meet, or none.
func (s *simulation) approvalPolicy() *v1beta1.ApprovalPolicy {
	if s.random.IntN(2) == 0 {
		return nil
	}
	policy := &v1beta1.ApprovalPolicy{Required: int32(s.random.IntN(3))}
	if s.random.IntN(3) == 0 {
		policy.Groups = []string{"sre"}
	}
	if s.random.IntN(3) == 0 {
		policy.AllowRequester = ptr.To(false)
	}
	if s.random.IntN(4) == 0 {
		policy.ExpiresAfter = &metav1.Duration{Duration: time.Duration(1+s.random.IntN(900)) * time.Second}
	}
	return policy
}

// people are those who create runs and approve them.
var people = []v1beta1.DecisionUser{
	{Username: "ann"}, {Username: "bob"}, {Username: "cy"}, {Username: "sue", Groups: []string{"sre"}}, {Username: "sid", Groups: []string{"sre"}},
}

func (s *simulation) person() *v1beta1.DecisionUser {
	return people[s.random.IntN(len(people))].DeepCopy()
}

func isApproved(request v1beta1.ApprovalRequestObject) bool {
	return approval.Of(request).Missing() == ""
}

// approve records the approval of a user as the server does, and remembers when a gate may open.
func (s *simulation) approve(request v1beta1.ApprovalRequestObject, user v1beta1.DecisionUser) {
	tally := approval.Of(request)
	if isRejected(request) || isApproved(request) || tally.By(user, v1beta1.DecisionApproved) != nil || tally.Refuses(user) != "" || s.isExpired(request) {
		return
	}
	request.RequestStatus().Decisions = append(request.RequestStatus().Decisions, v1beta1.ApprovalDecision{
		Decision: v1beta1.DecisionApproved, RequestUID: request.GetUID(), User: user,
	})
	if owners := request.GetOwnerReferences(); len(owners) > 0 {
		id := string(owners[0].UID) + "/" + request.GetName()
		s.policies.approvers[id] = append(s.policies.approvers[id], user)
		for _, run := range s.store.runs() {
			if run.GetUID() == owners[0].UID && !runrules.HasHadTurn(run.RunStatus()) {
				s.evasion.early[id] = true
			}
		}
	}
	if owners := request.GetOwnerReferences(); len(owners) > 0 && isApproved(request) {
		s.approved[string(owners[0].UID)+"/"+request.GetName()] = true
		s.evasion.decided[string(owners[0].UID)+"/"+request.GetName()] = s.store.version
	}
}

// approveByAll has everybody approve a request that is open.
func (s *simulation) approveByAll(request v1beta1.ApprovalRequestObject) {
	if isRejected(request) || isApproved(request) || s.isExpired(request) {
		return
	}
	_, _ = s.store.update(simApprovals, request.GetName(), "", func(o object) {
		for _, user := range people {
			s.approve(o.(v1beta1.ApprovalRequestObject), user)
		}
	})
}

// isExpired says that the server takes no approval any more.
func (s *simulation) isExpired(request v1beta1.ApprovalRequestObject) bool {
	expiry := approval.Of(request).Expiry()
	return !expiry.IsZero() && !s.store.now.Before(expiry)
}

func isRejected(request v1beta1.ApprovalRequestObject) bool {
	return approval.Of(request).Rejection() != nil
}

func (s *simulation) newRequest(run v1beta1.UpdateRunObject, name, stage string) v1beta1.ApprovalRequestObject {
	om := metav1.ObjectMeta{
		Name: name, Namespace: s.namespace,
		OwnerReferences: []metav1.OwnerReference{{Kind: "Run", Name: run.GetName(), UID: run.GetUID()}},
	}
	spec := v1beta1.ApprovalRequestSpec{TargetUpdateRun: run.GetName(), TargetStage: stage}
	if s.namespace == "" {
		return &v1beta1.ClusterApprovalRequest{ObjectMeta: om, Spec: spec}
	}
	return &v1beta1.ApprovalRequest{ObjectMeta: om, Spec: spec}
}

func (s *simulation) id() int {
	s.nextID++
	return s.nextID
}

// run lets chance reign for a number of moves, then lets everything come to rest, and returns what went wrong.
func (s *simulation) run(moves int) []string {
	s.newRun(v1beta1.StateRun)
	for range moves {
		s.move()
		if len(s.violations) > 0 {
			return s.violations
		}
	}
	if s.random.IntN(2) == 0 {
		s.await()
	}
	if len(s.violations) == 0 {
		s.rest()
	}
	if len(s.violations) == 0 {
		s.checkEnd()
	}
	return s.violations
}

// await has one leader look until nothing follows any more, while nobody approves, asks, reports or mends anything. Then every run is over or
// tells what it waits for, and that stays so: not by itself, nor by the clock, nor for the next leader does anything follow.
func (s *simulation) await() {
	s.zombie = nil
	s.leader = newSimLeader(s)
	s.recordOverrides()
	for range 2000 {
		s.finalize()
		if s.lookAtAll() {
			if len(s.violations) > 0 {
				return
			}
			continue
		}
		next := s.nextWake()
		if next.IsZero() {
			s.checkWaits()
			s.leader = newSimLeader(s)
			s.store.now = s.store.now.Add(24 * time.Hour)
			if s.lookAtAll() {
				s.violated("something follows though nobody has done anything")
			}
			return
		}
		s.store.now = next
	}
	s.violated("the runs do not come to rest while nobody does anything")
}

// finalize lets go of the runs that are deleted, and reports how many there were.
func (s *simulation) finalize() (n int) {
	for _, run := range s.store.runs() {
		if run.GetDeletionTimestamp() != nil {
			s.removeRun(run)
			n++
		}
	}
	return n
}

// lookAtAll has the leader look at every run and write what follows, and reports whether anything did.
func (s *simulation) lookAtAll() (acted bool) {
	s.leader.watchAll()
	for _, name := range sortedKeys(s.leader.cache[simRuns]) {
		acted = s.leader.look(name) || acted
		for s.leader.pending[name] != nil {
			s.leader.write(name)
		}
		s.leader.watchAll()
	}
	return acted
}

// move does one random thing.
func (s *simulation) move() {
	s.policies.move(s.strategy.StrategySpec())
	s.evade()
	leader := s.leader
	if s.zombie != nil && s.random.IntN(2) == 0 {
		leader = s.zombie
	}
	switch n := s.random.IntN(100); {
	case n < 25:
		leader.watch(simKind(s.random.IntN(int(simKinds))), 1+s.random.IntN(4))
	case n < 30:
		leader.watchAll()
	case n < 50:
		if name := s.pick(sortedKeys(leader.cache[simRuns])); name != "" {
			leader.look(name)
		}
	case n < 70:
		if name := s.pick(sortedKeys(leader.pending)); name != "" {
			leader.write(name)
		}
	case n < 82:
		s.memberMoves()
	case n < 87:
		s.store.now = s.store.now.Add(time.Duration(s.random.IntN(90_000)) * time.Millisecond)
	case n < 88:
		// Clocks are set back, and those of two leaders differ.
		if s.store.now.After(s.latest) {
			s.latest = s.store.now
		}
		s.store.now = s.store.now.Add(-time.Duration(s.random.IntN(90_000)) * time.Millisecond)
	case n < 90:
		s.leaderChanges()
	default:
		s.somebodyMoves()
	}
}

func (s *simulation) pick(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[s.random.IntN(len(names))]
}

// leaderChanges kills the leader between two writes, or makes a second one.
func (s *simulation) leaderChanges() {
	switch s.random.IntN(3) {
	case 0:
		s.zombie, s.twoLeaders = s.leader, true
	case 1:
		s.zombie = nil
		return
	}
	s.leader = newSimLeader(s)
}

// memberMoves has a cluster report something.
func (s *simulation) memberMoves() {
	name := s.pick(sortedKeys(s.store.objects[simBindings]))
	if name == "" {
		return
	}
	b := s.store.objects[simBindings][name].(v1beta1.BindingObject)
	switch {
	case b.GetDeletionTimestamp() != nil:
		if !s.hangs(b) {
			s.store.remove(simBindings, name)
		}
	case b.BindingSpec().State != v1beta1.BindingStateBound || !bindingrules.IsRolloutStarted(b):
	case bindingrules.IsReady(b) && s.random.IntN(20) == 0:
		s.flapped[name] = true
		s.store.setBindingCondition(name, v1beta1.BindingAvailable, metav1.ConditionFalse, "NotAllWorkAreAvailable")
	case s.random.IntN(4) == 0:
		s.store.setBindingCondition(name, v1beta1.BindingApplied, metav1.ConditionFalse, "ApplyInProgress")
	default:
		s.settle(b)
	}
}

// hangs reports whether the removal from a cluster does not come to an end.
func (s *simulation) hangs(b v1beta1.BindingObject) bool { return s.breaksDown(removalID(b)) }

func removalID(b v1beta1.BindingObject) string { return b.BindingSpec().TargetCluster + "/removal" }

// breaksDown lets chance decide once about what may break.
func (s *simulation) breaksDown(id string) bool {
	if _, known := s.broken[id]; !known {
		s.broken[id] = !s.healthy && s.random.IntN(s.breaks) == 0
	}
	return s.broken[id]
}

// settle makes what is on a cluster available, unless that version is broken there.
func (s *simulation) settle(b v1beta1.BindingObject) {
	if s.breaksDown(b.BindingSpec().TargetCluster + "/" + b.BindingSpec().ResourceSnapshotName) {
		s.store.setBindingCondition(b.GetName(), v1beta1.BindingApplied, metav1.ConditionFalse, "NotAllWorkHaveBeenApplied")
		return
	}
	s.store.setBindingCondition(b.GetName(), v1beta1.BindingAvailable, metav1.ConditionTrue, "AllWorkAreAvailable")
}

// somebodyMoves has a person do something.
func (s *simulation) somebodyMoves() {
	switch n := s.random.IntN(100); {
	case n < 15:
		s.newRun([]v1beta1.State{v1beta1.StateInitialize, v1beta1.StateRun, v1beta1.StateRun}[s.random.IntN(3)])
	case n < 33:
		s.changeState()
	case n < 44:
		s.operate()
	case n < 45:
		s.tamper()
	case n < 70:
		s.decide(s.random.IntN(8) == 0)
	case n < 76:
		s.forge()
	case n < 80:
		s.deleteRequest()
	case n < 84:
		s.deleteRun()
	case n < 88:
		switch cluster := s.pick(s.clusters); s.random.IntN(3) {
		case 0:
			s.store.members[cluster] = false
		case 1:
			s.schedule(cluster, v1beta1.BindingStateScheduled, v1beta1.BindingStateUnscheduled)
		default:
			s.schedule(cluster, v1beta1.BindingStateUnscheduled, v1beta1.BindingStateScheduled)
			s.schedule(cluster, v1beta1.BindingStateUnscheduled, v1beta1.BindingStateBound)
		}
	case n < 91:
		s.overrideMoves()
	case n < 96:
		if cluster := s.pick(s.clusters); len(s.store.runs()) > 0 {
			s.labels[cluster] = map[string]string{"stage": s.labels[cluster]["stage"], "order": fmt.Sprint(s.random.IntN(5))}
		}
	case n < 97 && s.random.IntN(4) == 0:
		s.store.placement, s.placementGone = nil, true
	}
}

func (s *simulation) changeState() {
	name := s.pick(sortedKeys(s.store.objects[simRuns]))
	if name == "" {
		return
	}
	_, _ = s.store.update(simRuns, name, "", func(o object) {
		spec, operation := o.(v1beta1.UpdateRunObject).RunSpec(), v1beta1.OperationResume
		if spec.State == v1beta1.StateRun {
			spec.State, operation = v1beta1.StateStop, v1beta1.OperationStop
		} else {
			spec.State = v1beta1.StateRun
		}
		o.SetGeneration(o.GetGeneration() + 1)
		s.ask(o.(v1beta1.UpdateRunObject), v1beta1.UpdateRunHistoryEntry{Operation: operation})
	})
}

// ask records what a user asks of a run as the server does.
func (s *simulation) ask(run v1beta1.UpdateRunObject, entry v1beta1.UpdateRunHistoryEntry) {
	status := run.RunStatus()
	entry.Number = 1
	if n := len(status.History); n > 0 {
		entry.Number = status.History[n-1].Number + 1
	}
	entry.Time, entry.Reason, entry.User = metav1.NewTime(s.store.now), string(entry.Operation)+"Requested", s.person().Username
	status.History = append(status.History, entry)
}

// operate has a user ask something of a run, whether or not it makes sense by now.
func (s *simulation) operate() {
	name := s.pick(sortedKeys(s.store.objects[simRuns]))
	if name == "" {
		return
	}
	_, _ = s.store.update(simRuns, name, "", func(o object) {
		run := o.(v1beta1.UpdateRunObject)
		stages := allStages(run.RunStatus())
		if len(stages) == 0 {
			return
		}
		stage := stages[s.random.IntN(len(stages))]
		var clusters []string
		for i := range stage.Clusters {
			if s.random.IntN(3) == 0 {
				clusters = append(clusters, stage.Clusters[i].ClusterName)
			}
		}
		switch n := s.random.IntN(10); {
		case n < 3:
			s.ask(run, v1beta1.UpdateRunHistoryEntry{Operation: v1beta1.OperationSkip, Clusters: clusters})
		case n < 4:
			s.ask(run, v1beta1.UpdateRunHistoryEntry{Operation: v1beta1.OperationSkip, Stage: stage.StageName})
		case n < 5:
			s.ask(run, v1beta1.UpdateRunHistoryEntry{Operation: v1beta1.OperationSkip, Stage: stage.StageName, Task: v1beta1.StageTaskTypeTimedWait})
		case n < 8:
			s.ask(run, v1beta1.UpdateRunHistoryEntry{Operation: v1beta1.OperationRetry, Clusters: clusters})
		default:
			s.ask(run, v1beta1.UpdateRunHistoryEntry{Operation: v1beta1.OperationRollback})
		}
	})
}

// tamper has somebody edit a binding past the run.
func (s *simulation) tamper() {
	name := s.pick(sortedKeys(s.store.objects[simBindings]))
	if name == "" || s.store.objects[simBindings][name].(v1beta1.BindingObject).BindingSpec().State == v1beta1.BindingStateUnscheduled {
		return
	}
	_, _ = s.store.update(simBindings, name, "", func(o object) {
		spec := o.(v1beta1.BindingObject).BindingSpec()
		spec.State, spec.ResourceSnapshotName = v1beta1.BindingStateBound, wellknown.ResourceSnapshotName("p", s.random.IntN(3))
		o.SetGeneration(o.GetGeneration() + 1)
		s.tampered[spec.TargetCluster] = true
	})
}

// decide records a decision as the server does.
func (s *simulation) decide(reject bool) {
	name := s.pick(sortedKeys(s.store.objects[simApprovals]))
	if name == "" {
		return
	}
	_, _ = s.store.update(simApprovals, name, "", func(o object) {
		request := o.(v1beta1.ApprovalRequestObject)
		if isRejected(request) || isApproved(request) {
			return
		}
		if !reject {
			s.approve(request, *s.person())
			return
		}
		request.RequestStatus().Decisions = append(request.RequestStatus().Decisions, v1beta1.ApprovalDecision{
			Decision: v1beta1.DecisionRejected, RequestUID: request.GetUID(), User: *s.person(),
		})
	})
}

// forge tries to approve past the server: a condition without a decision, a decision on another request, a request of one's own.
func (s *simulation) forge() {
	name := s.pick(sortedKeys(s.store.objects[simApprovals]))
	if run := s.pick(sortedKeys(s.store.objects[simRuns])); run != "" && s.random.IntN(3) == 0 {
		stage := fmt.Sprintf("stage%d", s.random.IntN(4))
		request := s.newRequest(s.store.objects[simRuns][run].(v1beta1.UpdateRunObject), wellknown.BeforeStageApprovalName(run, stage), stage)
		request.SetOwnerReferences(nil)
		if s.store.create(simApprovals, request) == nil {
			name = request.GetName()
		}
	}
	if name == "" {
		return
	}
	_, _ = s.store.update(simApprovals, name, "", func(o object) {
		status := o.(v1beta1.ApprovalRequestObject).RequestStatus()
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{Type: v1beta1.RequestApproved, Status: metav1.ConditionTrue, ObservedGeneration: 1})
		if len(status.Decisions) == 0 {
			status.Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, RequestUID: "another"}}
		}
	})
}

func (s *simulation) deleteRequest() {
	name := s.pick(sortedKeys(s.store.objects[simApprovals]))
	if name == "" {
		return
	}
	request := s.store.objects[simApprovals][name].(v1beta1.ApprovalRequestObject)
	if owners := request.GetOwnerReferences(); len(owners) > 0 && !meta.IsStatusConditionTrue(request.RequestStatus().Conditions, v1beta1.RequestApprovalAccepted) {
		s.store.remove(simApprovals, name)
	} else if len(owners) == 0 {
		s.store.remove(simApprovals, name)
	}
}

func (s *simulation) deleteRun() {
	name := s.pick(sortedKeys(s.store.objects[simRuns]))
	if name == "" {
		return
	}
	run := s.store.objects[simRuns][name]
	if run.GetDeletionTimestamp() == nil {
		_ = s.store.delete(simRuns, name, "")
		return
	}
	if s.zombie == nil && s.leader.pending[name] == nil {
		s.removeRun(run)
	}
}

func (s *simulation) removeRun(run object) {
	for _, a := range s.store.approvals() {
		if owners := a.GetOwnerReferences(); len(owners) > 0 && owners[0].UID == run.GetUID() {
			s.store.remove(simApprovals, a.GetName())
		}
	}
	s.store.remove(simRuns, run.GetName())
}

// schedule brings bindings of a cluster from one state to another as the scheduler does.
func (s *simulation) schedule(cluster string, to, from v1beta1.BindingState) {
	for _, b := range s.store.bindings() {
		if b.BindingSpec().TargetCluster == cluster && b.BindingSpec().State == from && b.GetDeletionTimestamp() == nil {
			// Its cluster reports anew.
			s.flapped[b.GetName()] = s.flapped[b.GetName()] || bindingrules.IsReady(b)
			_, _ = s.store.update(simBindings, b.GetName(), "", func(o object) {
				o.(v1beta1.BindingObject).BindingSpec().State = to
				o.SetGeneration(o.GetGeneration() + 1)
			})
		}
	}
}

// rest has one leader, willing people and healthy members bring everything to an end. Time passes only to when the engine asked to
// be called again: a run that forgets to ask sleeps for ever.
func (s *simulation) rest() {
	s.zombie = nil
	s.leader = newSimLeader(s)
	s.recordOverrides()
	if s.policies.tier == "" {
		s.policies.tier = "1"
	}
	for _, a := range s.store.approvals() {
		if len(a.GetOwnerReferences()) == 0 {
			s.store.remove(simApprovals, a.GetName())
		}
	}
	stubborn := !s.healthy && s.random.IntN(2) == 0
	for range 2000 {
		if s.busy(stubborn) {
			if len(s.violations) > 0 {
				return
			}
			continue
		}
		if stubborn && s.anyMoving() {
			// What is broken stays so until nothing else is left to do.
			stubborn = false
			continue
		}
		stubborn = false
		if s.busy(stubborn) {
			continue
		}
		next := s.nextWake()
		switch {
		case !next.IsZero():
			s.store.now = next
		case !s.resumeOvertaken():
			return
		}
	}
	s.violated("the runs do not come to rest")
}

func (s *simulation) anyMoving() bool {
	return slices.ContainsFunc(s.store.bindings(), func(b v1beta1.BindingObject) bool {
		return b.GetDeletionTimestamp() != nil || !bindingrules.IsReady(b) && (b.BindingSpec().State == v1beta1.BindingStateBound || hasVersion(b))
	})
}

// hasVersion reports whether a run has given a binding a version. Its member reports on that whether or not the placement picks the cluster, and
// also after the scheduler has written the binding, which takes the announcement of the rollout away.
func hasVersion(b v1beta1.BindingObject) bool { return bindingrules.LastMove(b).Name != "" }

// busy does everything that is to be done now, and reports whether there was anything.
func (s *simulation) busy(stubborn bool) bool {
	version := s.store.version
	deleted := s.finalize()
	for _, b := range s.store.bindings() {
		switch {
		case b.GetDeletionTimestamp() != nil:
			if stubborn && s.hangs(b) {
				continue
			}
			s.store.remove(simBindings, b.GetName())
			deleted++
		case !bindingrules.IsReady(b) && (b.BindingSpec().State == v1beta1.BindingStateBound && bindingrules.IsRolloutStarted(b) || hasVersion(b)):
			id := b.BindingSpec().TargetCluster + "/" + b.BindingSpec().ResourceSnapshotName
			if !stubborn {
				s.broken[id] = false
			}
			if !s.broken[id] {
				s.settle(b)
			}
		}
	}
	for _, run := range s.store.runs() {
		s.unpause(run)
		s.pickOrSkip(run)
	}
	for _, a := range s.store.approvals() {
		s.approveByAll(a)
	}
	acted := s.lookAtAll()
	return acted || deleted > 0 || s.store.version != version
}

// unpause has somebody decide about the failures that a run is paused for.
func (s *simulation) unpause(run v1beta1.UpdateRunObject) {
	progressing, status := meta.FindStatusCondition(run.RunStatus().Conditions, v1beta1.RunProgressing), run.RunStatus()
	if progressing == nil || progressing.Reason != "UpdateRunPaused" || status.History[len(status.History)-1].Number > status.ObservedOperation && status.History[len(status.History)-1].Operation != "" {
		return
	}
	entry := v1beta1.UpdateRunHistoryEntry{Operation: v1beta1.OperationRetry}
	if s.random.IntN(2) == 0 {
		entry.Operation = v1beta1.OperationSkip
		for _, stage := range allStages(status) {
			for i := range stage.Clusters {
				if reasonOfDone(&stage.Clusters[i]) == "ClusterUpdatingFailed" {
					entry.Clusters = append(entry.Clusters, stage.Clusters[i].ClusterName)
				}
			}
		}
	}
	_, _ = s.store.update(simRuns, run.GetName(), "", func(o object) { s.ask(o.(v1beta1.UpdateRunObject), entry) })
}

func (s *simulation) nextWake() time.Time {
	var next time.Time
	for _, name := range sortedKeys(s.leader.wakeAt) {
		if at := s.leader.wakeAt[name]; s.store.objects[simRuns][name] != nil && at.After(s.store.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// roundTrip is what a status is once it was stored: times lose what JSON does not keep.
func roundTrip(status *v1beta1.UpdateRunStatus) *v1beta1.UpdateRunStatus {
	data, err := json.Marshal(status)
	if err != nil {
		panic(err)
	}
	stored := &v1beta1.UpdateRunStatus{}
	if err := json.Unmarshal(data, stored); err != nil {
		panic(err)
	}
	return stored
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }
