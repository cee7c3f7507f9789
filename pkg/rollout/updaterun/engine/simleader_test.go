// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// simLeader is a controller: caches that lag behind the store, and decisions that it is carrying out one write at a time.
type simLeader struct {
	sim   *simulation
	since time.Time
	cache [simKinds]map[string]object
	seen  [simKinds]int
	// written has the versions of its own writes: it does not look at a world older than those.
	written [simKinds]map[string]int64
	pending map[string]*performance
	wakeAt  map[string]time.Time
	// inForce are the overrides when a run was last planned.
	inForce map[string]map[string][]v1beta1.NamespacedName
}

// performance is a decision that is being carried out.
type performance struct {
	writes []func() error
	view   map[string]object
	// governed is by what the run was judged.
	governed governed
}

func newSimLeader(sim *simulation) *simLeader {
	l := &simLeader{sim: sim, since: sim.store.now, pending: map[string]*performance{}, wakeAt: map[string]time.Time{}, inForce: map[string]map[string][]v1beta1.NamespacedName{}}
	for k := range simKinds {
		l.cache[k] = maps.Clone(sim.store.objects[k])
		l.seen[k] = len(sim.store.history[k])
		l.written[k] = map[string]int64{}
	}
	return l
}

// watch brings a cache on by some changes.
func (l *simLeader) watch(k simKind, n int) {
	history := l.sim.store.history[k]
	for ; n > 0 && l.seen[k] < len(history); n-- {
		c := history[l.seen[k]]
		l.seen[k]++
		if c.obj == nil {
			delete(l.cache[k], c.name)
		} else {
			l.cache[k][c.name] = c.obj
		}
	}
}

func (l *simLeader) watchAll() {
	for k := range simKinds {
		l.watch(k, len(l.sim.store.history[k]))
	}
}

// isStale reports whether the caches are older than what this leader wrote.
func (l *simLeader) isStale() bool {
	for k := range simKinds {
		for name, version := range l.written[k] {
			if cached, ok := l.cache[k][name]; ok && versionOf(cached) < version {
				return true
			}
			delete(l.written[k], name)
		}
	}
	return false
}

func versionOf(o object) int64 {
	v, _ := strconv.ParseInt(o.GetResourceVersion(), 10, 64)
	return v
}

// look calls the engine for a run and queues what follows. It reports whether anything does.
func (l *simLeader) look(name string) bool {
	obj, ok := l.cache[simRuns][name]
	if !ok || l.pending[name] != nil || l.isStale() {
		return false
	}
	run := obj.(v1beta1.UpdateRunObject)
	if run.GetDeletionTimestamp() != nil {
		return false
	}
	var d engine.Decision
	if !runrules.IsPlanned(run.RunStatus()) {
		d = initialize(run, l.initWorld(run), l.sim.store.now).Decision
		if d.Status != nil && d.Status.DeletionStageStatus != nil && l.sim.older {
			d.Status.DeletionStageStatus.BeforeStageTaskStatus = nil
		}
	} else {
		before := run.DeepCopyObject()
		d = l.sim.step(run, l.world(run), l.sim.store.now)
		if l.sim.checkPurity && !equal(before, run) {
			l.sim.violated("Step changed the run that it looked at")
		}
	}
	l.wakeAt[name] = d.WakeAt
	p := l.perform(run, d)
	if len(p.writes) == 0 {
		return false
	}
	l.pending[name] = p
	return true
}

func (l *simLeader) world(run v1beta1.UpdateRunObject) engine.World {
	w := engine.World{
		Placement: l.sim.store.placement,
		Bindings:  list[v1beta1.BindingObject](l.cache[simBindings]),
		Approvals: map[string]v1beta1.ApprovalRequestObject{},
		Left:      map[string]bool{},
		Since:     l.since,
		// A run that has started is judged by nothing, whatever it is given.
		Governance: l.sim.governance(),
	}
	for _, a := range list[v1beta1.ApprovalRequestObject](l.cache[simApprovals]) {
		w.Approvals[a.GetName()] = a
	}
	for _, other := range list[v1beta1.UpdateRunObject](l.cache[simRuns]) {
		if other.GetName() != run.GetName() {
			w.Others = append(w.Others, other)
		}
	}
	for _, stage := range run.RunStatus().StagesStatus {
		for _, c := range stage.Clusters {
			w.Left[c.ClusterName] = !l.sim.store.members[c.ClusterName]
		}
	}
	for _, b := range w.Bindings {
		w.Left[b.BindingSpec().TargetCluster] = !l.sim.store.members[b.BindingSpec().TargetCluster]
	}
	return w
}

func (l *simLeader) initWorld(run v1beta1.UpdateRunObject) known {
	w := l.sim.fleet
	if earlier, ok := l.cache[simRuns][run.RunSpec().RollbackOf]; ok {
		w.RolledBack = earlier.(v1beta1.UpdateRunObject)
	}
	w.Placement = l.sim.store.placement
	w.Bindings = list[v1beta1.BindingObject](l.cache[simBindings])
	w.Overrides, l.inForce[run.GetName()] = l.sim.liveOverrides()
	w.Governance = l.sim.governance()
	w.Members = nil
	for _, name := range sortedKeys(l.sim.labels) {
		if l.sim.store.members[name] {
			w.Members = append(w.Members, plan.Member{Name: name, Labels: l.sim.labels[name]})
		}
	}
	return w
}

// perform turns a decision into writes, in the order that the engine asks for.
func (l *simLeader) perform(run v1beta1.UpdateRunObject, d engine.Decision) *performance {
	p := &performance{view: maps.Clone(l.cache[simBindings]), governed: l.sim.governed()}
	for _, other := range list[v1beta1.UpdateRunObject](l.cache[simRuns]) {
		if uid := run.RunStatus().RollbackOfUID; uid != "" && other.GetUID() == uid {
			p.governed.earlier = other
		}
	}
	if d.Status != nil {
		p.writes = append(p.writes, func() error { return l.writeStatus(run, d, p) })
	}
	for _, r := range d.Requests {
		p.writes = append(p.writes, func() error { return l.createRequest(run, r) })
	}
	if d.Rollback != nil {
		p.writes = append(p.writes, func() error { return l.createRollback(run, d.Rollback) })
	}
	for _, b := range d.Bindings {
		p.writes = append(p.writes, func() error { return l.writeRollout(run, b) })
	}
	if d.Status != nil && runrules.ClaimsTurn(d.Status) {
		// They are left to the next look, as the controller leaves them.
		d.Accepts = nil
	}
	for _, a := range d.Accepts {
		p.writes = append(p.writes, func() error { return l.acceptRequest(a) })
	}
	for _, b := range d.Deletions {
		p.writes = append(p.writes, func() error {
			err := l.sim.store.delete(simBindings, b.GetName(), b.GetResourceVersion())
			l.wrote(simBindings, b.GetName(), err)
			if err == nil {
				l.sim.checkDeletion(run, b)
			}
			return ignoreNotFound(err)
		})
	}
	return p
}

// write carries out the next write of a decision. A failure drops the rest.
func (l *simLeader) write(name string) {
	p := l.pending[name]
	err := p.writes[0]()
	p.writes = p.writes[1:]
	if err != nil || len(p.writes) == 0 {
		delete(l.pending, name)
	}
	if l.sim.afterWrite != nil {
		l.sim.afterWrite()
	}
}

func (l *simLeader) wrote(k simKind, name string, err error) {
	if err == nil {
		l.written[k][name] = l.sim.store.version
	}
}

func (l *simLeader) writeStatus(run v1beta1.UpdateRunObject, d engine.Decision, p *performance) error {
	old := l.sim.store.objects[simRuns][run.GetName()]
	updated, err := l.sim.store.update(simRuns, run.GetName(), run.GetResourceVersion(), func(o object) {
		*o.(v1beta1.UpdateRunObject).RunStatus() = *roundTrip(d.Status)
	})
	l.wrote(simRuns, run.GetName(), err)
	if err == nil {
		l.sim.checkFrozen(old.(v1beta1.UpdateRunObject), updated.(v1beta1.UpdateRunObject), l.inForce[run.GetName()])
		l.sim.checkStatus(old.(v1beta1.UpdateRunObject), updated.(v1beta1.UpdateRunObject), p.view)
		l.sim.checkPolicies(old.(v1beta1.UpdateRunObject), updated.(v1beta1.UpdateRunObject), p.governed)
		l.sim.checkPatience(old.(v1beta1.UpdateRunObject), updated.(v1beta1.UpdateRunObject), l.since)
	}
	return err
}

func (l *simLeader) createRequest(run v1beta1.UpdateRunObject, r engine.Request) error {
	request := l.sim.newRequest(run, r.Name, r.Stage)
	request.RequestSpec().Policy, request.RequestSpec().Requester = r.Policy, run.RunStatus().CreatedBy
	if err := l.sim.store.create(simApprovals, request); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

func (l *simLeader) createRollback(run v1beta1.UpdateRunObject, r *engine.Rollback) error {
	err := l.sim.createRun(r.Name, v1beta1.UpdateRunSpec{
		PlacementName: "p", StagedUpdateStrategyName: "s", State: v1beta1.StateRun, RollbackOf: run.GetName(),
	}, cmp.Or(r.CreatedBy, &v1beta1.DecisionUser{Username: "system:apiserver"}))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

func (l *simLeader) acceptRequest(a v1beta1.ApprovalRequestObject) error {
	_, err := l.sim.store.update(simApprovals, a.GetName(), a.GetResourceVersion(), func(o object) {
		request := o.(v1beta1.ApprovalRequestObject)
		meta.SetStatusCondition(&request.RequestStatus().Conditions, metav1.Condition{
			Type: v1beta1.RequestApprovalAccepted, Status: metav1.ConditionTrue, Reason: "Accepted", ObservedGeneration: 1,
		})
	})
	l.wrote(simApprovals, a.GetName(), err)
	return ignoreNotFound(err)
}

// writeRollout writes the spec of a binding together with that its rollout has started.
func (l *simLeader) writeRollout(run v1beta1.UpdateRunObject, b engine.BindingWrite) error {
	old := l.sim.store.objects[simBindings][b.Binding.GetName()]
	updated, err := l.sim.store.update(simBindings, b.Binding.GetName(), b.Binding.GetResourceVersion(), func(o object) {
		binding := o.(v1beta1.BindingObject)
		if b.Spec != nil {
			*binding.BindingSpec() = *b.Spec
			o.SetGeneration(o.GetGeneration() + 1)
			bindingrules.RecordMove(binding, bindingrules.Mover{Name: run.GetName(), UID: run.GetUID(), Turn: b.Turn})
		}
		meta.SetStatusCondition(&binding.BindingStatus().Conditions, metav1.Condition{
			Type: v1beta1.BindingRolloutStarted, Status: metav1.ConditionTrue, Reason: "RolloutStarted", ObservedGeneration: binding.GetGeneration(),
		})
	})
	l.wrote(simBindings, b.Binding.GetName(), err)
	if err == nil && b.Spec != nil {
		l.sim.checkBinding(run, old.(v1beta1.BindingObject), updated.(v1beta1.BindingObject))
	}
	return err
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
