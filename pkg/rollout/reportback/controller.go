// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reportback

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/consistency"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/reportback"
)

// Name of the controller.
const Name = "reportback"

const (
	workers      = 2
	fieldManager = "stagegate-" + Name
	// rest is how long the hub is not asked again for one placement, so that a status that never stands still, or two who write it, cost
	// one write in that time.
	rest = 5 * time.Second
	// retry is how soon a status that was not written is tried again: what keeps it out on the hub is no event here.
	retry = time.Minute
	// again is how soon a status that was written is looked at again: an object of the hub may have been recreated meanwhile.
	again = 5 * time.Minute
	// maxEvent is how many bytes the API takes in the message of an Event.
	maxEvent = 1 << 10
)

// Controller is the controller.
type Controller struct {
	fleet    *fleet.Fleet
	hub      dynamic.Interface
	kinds    *kinds
	recorder record.EventRecorder
	clock    clock.WithTicker
	queue    *reconcile.Queue
	// written has, by placement, its status as it was written.
	written consistency.Store

	mu sync.Mutex
	// known is, by placement, what is known of the objects of the hub.
	known map[reconcile.Key]*knowledge
}

// knowledge is what was done for a placement. Only one worker has it at a time.
type knowledge struct {
	// rests is until when the hub is not asked.
	rests time.Time
	// expires is until when what follows counts.
	expires time.Time
	// reported has, by object, the sum of the report that the object has, at most reportback.MaxObjects.
	reported map[string][sha256.Size]byte
}

// New makes the controller for one term of leadership. Events about statuses that are not written go to the recorder.
func New(f *fleet.Fleet, hub dynamic.Interface, hubKinds discovery.DiscoveryInterface, recorder record.EventRecorder, c clock.WithTicker) *Controller {
	controller := &Controller{
		fleet: f, hub: hub, recorder: recorder, clock: c, known: map[reconcile.Key]*knowledge{},
		kinds: &kinds{hub: discovery.ToServerResourcesInterfaceWithContext(hubKinds), clock: c, known: map[schema.GroupVersion]answer{}},
	}
	controller.queue = reconcile.NewWithClock(Name, workers, controller.reconcile, c)
	f.Placements.Watch(controller.queue, reconcile.Self)
	f.Bindings.Watch(controller.queue, reconcile.ByLabel(wellknown.ParentPlacementLabel))
	controller.queue.Watch(f.Works.Informer(), placementOfWork)
	return controller
}

// Run reconciles until the context ends.
func (c *Controller) Run(ctx context.Context) error { return c.queue.Run(ctx) }

// placementOfWork is the placement of a Work that reports, or has reported, to the hub.
func placementOfWork(oldObj, newObj any) []reconcile.Key {
	var keys []reconcile.Key
	for _, obj := range []any{oldObj, newObj} {
		if work, ok := obj.(*v1beta1.Work); ok && reportback.IsWanted(work.Spec.ReportBackStrategy) {
			keys = append(keys, fleet.PlacementOf(work))
		}
	}
	return keys
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	if !c.written.Ready(key) {
		return 0, nil
	}
	placement, err := c.fleet.Placements.Get(key)
	if err != nil {
		c.forget(key)
		c.written.Forget(key)
		return 0, reconcile.IgnoreNotFound(err)
	}
	// What was reported stays: nobody knows better.
	if placement.GetDeletionTimestamp() != nil {
		c.forget(key)
		return 0, nil
	}
	if !reportback.IsWanted(placement.PlacementSpec().Strategy.ReportBackStrategy) {
		c.forget(key)
		return 0, c.withdraw(ctx, placement)
	}
	if refused := reportback.CheckPolicy(placement.PlacementSpec().Policy); refused != nil {
		c.forget(key)
		return 0, c.say(ctx, placement, reportback.Outcome{Refusals: []reportback.Refusal{*refused}}.Condition())
	}
	k := c.knowledgeOf(key)
	now := c.clock.Now()
	if left := k.rests.Sub(now); left > 0 {
		return left, nil
	}
	outcome := c.report(ctx, placement, k)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := c.say(ctx, placement, outcome.Condition()); err != nil {
		return 0, err
	}
	switch {
	case len(outcome.Refusals) > 0:
		return retry, nil
	case outcome.Reported > 0:
		return again, nil
	}
	return 0, nil
}

func (c *Controller) knowledgeOf(key reconcile.Key) *knowledge {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.known[key]
	if k == nil {
		k = &knowledge{}
		c.known[key] = k
	}
	if now := c.clock.Now(); !k.expires.After(now) {
		k.expires, k.reported = now.Add(again), map[string][sha256.Size]byte{}
	}
	return k
}

func (c *Controller) forget(key reconcile.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, key)
}

// works are those of the cluster that a placement picks. Of a cluster that it does not pick any more nothing is reported, and nothing
// either while it seems to pick two.
func (c *Controller) works(placement v1beta1.PlacementObject) (cluster string, works []*v1beta1.Work) {
	key := reconcile.KeyOf(placement)
	for _, b := range c.fleet.Bindings.ByIndex(fleet.ByPlacement, key) {
		if !bindingrules.IsPicked(b) {
			continue
		}
		if cluster != "" {
			return "", nil
		}
		cluster = b.BindingSpec().TargetCluster
	}
	if cluster == "" {
		return "", nil
	}
	return cluster, c.fleet.WorksOn(key, cluster)
}

// report writes the statuses of a placement's objects.
func (c *Controller) report(ctx context.Context, placement v1beta1.PlacementObject, k *knowledge) reportback.Outcome {
	cluster, works := c.works(placement)
	outcome := reportback.Outcome{Cluster: cluster}
	var all []reportback.Report
	trimmed := ""
	for _, work := range works {
		all = append(all, reportback.Reports(work)...)
		if reportback.IsTrimmed(work) {
			trimmed = max(trimmed, work.Name)
		}
	}
	reports, leftOut := reportback.Select(placement, all)
	outcome.LeftOut = leftOut
	for _, r := range reports[:min(len(reports), reportback.MaxObjects)] {
		key, sum := reportback.Key(r.ID), sumOf(r)
		refused := c.rival(placement, r)
		if refused == nil && k.reported[key] != sum {
			// From now on, whatever becomes of it.
			k.rests = c.clock.Now().Add(rest)
			refused = c.write(ctx, placement.GetNamespace(), r)
		}
		if refused != nil {
			delete(k.reported, key)
			outcome.Refusals = append(outcome.Refusals, *refused)
			continue
		}
		k.reported[key] = sum
		outcome.Reported++
	}
	if len(reports) > reportback.MaxObjects {
		outcome.Refusals = append(outcome.Refusals, *reportback.TooMany(len(reports)))
	}
	if trimmed != "" {
		outcome.Refusals = append(outcome.Refusals, *reportback.Trimmed(trimmed))
	}
	return outcome
}

func sumOf(r reportback.Report) [sha256.Size]byte {
	return sha256.Sum256([]byte(r.ID.Version + "/" + string(r.Reported.ObservedStatus.Raw)))
}

// rival is the refusal of a report that another placement makes, nil where this one does.
func (c *Controller) rival(placement v1beta1.PlacementObject, r reportback.Report) *reportback.Refusal {
	for _, work := range c.fleet.Reporting(r.ID) {
		key := fleet.PlacementOf(work)
		if key == reconcile.KeyOf(placement) {
			continue
		}
		other, err := c.fleet.Placements.Get(key)
		if err == nil && c.reports(other, work, r) && reportback.Precedes(other, placement) {
			return r.OtherPlacement(reportback.Describe(other))
		}
	}
	return nil
}

// reports is true where a placement has the status of an object reported by one of its Works.
func (c *Controller) reports(placement v1beta1.PlacementObject, work *v1beta1.Work, r reportback.Report) bool {
	spec := placement.PlacementSpec()
	if placement.GetDeletionTimestamp() != nil || !reportback.IsWanted(spec.Strategy.ReportBackStrategy) ||
		reportback.CheckPolicy(spec.Policy) != nil || !reportback.Covers(placement, r.ID) {
		return false
	}
	cluster, _ := c.works(placement)
	return work.Namespace == wellknown.MemberNamespace(cluster)
}

// say writes the condition, and an Event where it has changed for the worse.
func (c *Controller) say(ctx context.Context, placement v1beta1.PlacementObject, condition metav1.Condition) error {
	condition.Type = v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementStatusReportedBack)
	condition.ObservedGeneration = placement.GetGeneration()
	condition.LastTransitionTime = metav1.NewTime(c.clock.Now())
	before := meta.FindStatusCondition(placement.PlacementStatus().Conditions, condition.Type)
	changed := fleet.Copy(placement)
	if !meta.SetStatusCondition(&changed.PlacementStatus().Conditions, condition) {
		return nil
	}
	if err := c.update(ctx, changed); err != nil {
		return err
	}
	if condition.Status == metav1.ConditionFalse && (before == nil || before.Status != condition.Status || before.Reason != condition.Reason) {
		c.recorder.Event(placement, corev1.EventTypeWarning, condition.Reason, wording.Shorten(condition.Message, maxEvent))
	}
	klog.FromContext(ctx).V(2).Info("Report to the hub", "status", condition.Status, "reason", condition.Reason)
	return nil
}

// withdraw takes the condition away from a placement that asks for no report.
func (c *Controller) withdraw(ctx context.Context, placement v1beta1.PlacementObject) error {
	conditionType := v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementStatusReportedBack)
	if meta.FindStatusCondition(placement.PlacementStatus().Conditions, conditionType) == nil {
		return nil
	}
	changed := fleet.Copy(placement)
	meta.RemoveStatusCondition(&changed.PlacementStatus().Conditions, conditionType)
	return c.update(ctx, changed)
}

func (c *Controller) update(ctx context.Context, placement v1beta1.PlacementObject) error {
	key := reconcile.KeyOf(placement)
	updated, err := c.fleet.Placements.Client(key.Namespace).UpdateStatus(ctx, placement, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("status of placement %s: %w", key, err)
	}
	c.written.Wrote(key, c.fleet.Placements.Cache(key.Namespace), updated)
	return nil
}
