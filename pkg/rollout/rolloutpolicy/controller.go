// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	"github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Name of the controller.
const Name = "rolloutpolicy"

const (
	// together is how long changes are collected: one look at the fleet counts for all policies.
	together = time.Second
	// rest is how many times as long as a look at the fleet took there is none: a large fleet changes all the time.
	rest = 20
	// longestRest is how old a count may be.
	longestRest = 30 * time.Second
	// free is how long a look may take without a rest after it.
	free = 10 * time.Millisecond
)

// everything is the one key of the queue. All policies are counted for together, since what they have in common is large.
var everything = reconcile.Key{Name: "policies"}

// Controller writes the status of rollout policies.
type Controller struct {
	fleet *fleet.Fleet
	clock clock.PassiveClock
	queue *reconcile.Queue
	pace  reconcile.Pace
}

// New makes the controller for one term of leadership.
func New(f *fleet.Fleet, t clock.WithTicker) *Controller {
	c := &Controller{fleet: f, clock: t, pace: reconcile.Pace{Rest: rest, Longest: longestRest, Free: free}}
	c.queue = reconcile.NewWithClock(Name, 1, c.reconcile, t)
	f.Policies.Watch(c.queue, when(policyChanged))
	c.watch(when(labelsChanged), f.MemberClusters.Informer())
	c.watch(when(placementChanged), f.Placements.Informers()...)
	c.watch(when(bindingChanged), f.Bindings.Informers()...)
	c.watch(when(runChanged), f.Runs.Informers()...)
	if f.Namespaces != nil {
		c.watch(when(labelsChanged), f.Namespaces.Informer())
	}
	return c
}

func (c *Controller) watch(f reconcile.MapFunc, informers ...cache.SharedIndexInformer) {
	for _, informer := range informers {
		c.queue.WatchCoalesced(informer, together, f)
	}
}

// Run writes statuses until the context ends.
func (c *Controller) Run(ctx context.Context) error { return c.queue.Run(ctx) }

// when wakes the controller for objects that come or go, and for changes that count.
func when[O fleet.Object](counts func(before, after O) bool) reconcile.MapFunc {
	return func(oldObj, newObj any) []reconcile.Key {
		before, wasThere := oldObj.(O)
		after, isThere := newObj.(O)
		if wasThere && isThere && before.GetUID() == after.GetUID() && !counts(before, after) {
			return nil
		}
		return []reconcile.Key{everything}
	}
}

// policyChanged sees what others write into a status too, so that it does not stay.
func policyChanged(before, after v1alpha1.RolloutPolicyObject) bool {
	return before.GetGeneration() != after.GetGeneration() || !apiequality.Semantic.DeepEqual(before.PolicyStatus(), after.PolicyStatus())
}

func labelsChanged(before, after fleet.Object) bool {
	return !apiequality.Semantic.DeepEqual(before.GetLabels(), after.GetLabels())
}

func placementChanged(before, after v1beta1.PlacementObject) bool {
	return labelsChanged(before, after) || updaterun.IsExternal(before.PlacementSpec()) != updaterun.IsExternal(after.PlacementSpec())
}

func bindingChanged(before, after v1beta1.BindingObject) bool {
	return before.BindingSpec().TargetCluster != after.BindingSpec().TargetCluster || binding.IsPicked(before) != binding.IsPicked(after) ||
		isBound(before) != isBound(after)
}

// isBound reports whether a placement is on a cluster, or is to be: it picks the cluster, or its resources are not known to be gone from it.
func isBound(b v1beta1.BindingObject) bool {
	return binding.IsPicked(b) || b.BindingSpec().ResourceSnapshotName != ""
}

func runChanged(before, after v1beta1.UpdateRunObject) bool {
	return updaterun.IsOver(before.RunStatus()) != updaterun.IsOver(after.RunStatus()) ||
		!slices.EqualFunc(before.RunStatus().Policies, after.RunStatus().Policies, func(a, b v1beta1.GoverningPolicy) bool { return a.UID == b.UID })
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	start := c.clock.Now()
	if left := c.pace.Left(key, start); left > 0 {
		return left, nil
	}
	objects := c.fleet.Policies.All()
	if len(objects) == 0 {
		return 0, nil
	}
	policies := read(objects)
	members := c.protected(policies)
	governs, contradicted := c.count(policies, members), c.contradictions(policies, members)
	c.pace.Worked(key, start, c.clock.Now())
	return 0, reconcile.FanOut(ctx, len(objects), func(i int) error {
		return c.write(ctx, objects[i], policies[i], governs[i], contradicted[i], policies[i].Misses(members.fleet))
	})
}

func read(objects []v1alpha1.RolloutPolicyObject) []*policy.Policy {
	policies := make([]*policy.Policy, len(objects))
	for i, object := range objects {
		policies[i] = policy.New(object)
	}
	return policies
}

// protected is which policies protect which member clusters.
type protected struct {
	// by are the indexes of the policies that protect a cluster, by its name.
	by map[string][]int
	// clusters are the names of the clusters that a policy protects, by its index.
	clusters []sets.Set[string]
	// fleet has the labels of each member cluster.
	fleet []labels.Set
}

func (c *Controller) protected(policies []*policy.Policy) *protected {
	p := &protected{by: map[string][]int{}, clusters: make([]sets.Set[string], len(policies))}
	for i := range policies {
		p.clusters[i] = sets.New[string]()
	}
	for _, object := range c.fleet.MemberClusters.Informer().GetStore().List() {
		member := object.(metav1.Object)
		set := labels.Set(member.GetLabels())
		p.fleet = append(p.fleet, set)
		for i, of := range policies {
			if of.Protects(set) {
				p.clusters[i].Insert(member.GetName())
				p.by[member.GetName()] = append(p.by[member.GetName()], i)
			}
		}
	}
	return p
}

// count returns what each policy governs, by one look at the fleet.
func (c *Controller) count(policies []*policy.Policy, members *protected) []v1alpha1.PolicyGoverns {
	governs := make([]v1alpha1.PolicyGoverns, len(policies))
	for i := range policies {
		governs[i].Clusters = int32(members.clusters[i].Len())
	}
	for _, placement := range c.fleet.Placements.All() {
		for i, violates := range c.governing(policies, members.by, placement) {
			governs[i].Placements++
			if violates {
				governs[i].ViolatingPlacements++
			}
		}
	}
	index := make(map[any]int, len(policies))
	for i, p := range policies {
		index[p.UID] = i
	}
	for _, run := range c.fleet.Runs.All() {
		if updaterun.IsOver(run.RunStatus()) {
			continue
		}
		for _, governing := range run.RunStatus().Policies {
			if i, ok := index[governing.UID]; ok {
				governs[i].ActiveRuns++
				// A plan of an earlier version tells of overrides alone.
				if governing.Violated || governing.Overridden {
					governs[i].ViolatingRuns++
				}
			}
		}
	}
	return governs
}

// governing returns the indexes of the policies that bind a placement and protect a cluster that it is on, or is to be, and whether it
// violates them by that.
func (c *Controller) governing(policies []*policy.Policy, protecting map[string][]int, placement v1beta1.PlacementObject) map[int]bool {
	subject := policy.Subject{Namespace: placement.GetNamespace(), PlacementLabels: placement.GetLabels()}
	if subject.Namespace != "" {
		subject.NamespaceLabels = c.fleet.NamespaceLabels(subject.Namespace)
	}
	binds := make([]bool, len(policies))
	// left is of how many policies it is not known yet whether the placement violates them.
	left := 0
	for i, p := range policies {
		if binds[i] = p.Binds(subject); binds[i] {
			left++
		}
	}
	governing := map[int]bool{}
	for _, b := range c.fleet.Bindings.ByIndex(fleet.ByPlacement, reconcile.KeyOf(placement)) {
		if left == 0 {
			break
		}
		if !isBound(b) {
			continue
		}
		picks := binding.IsPicked(b)
		for _, i := range protecting[b.BindingSpec().TargetCluster] {
			if !binds[i] {
				continue
			}
			if governing[i] = policies[i].IsViolatedBy(placement, picks); governing[i] || picks {
				// A cluster that the placement leaves may come before one that it picks, and that is denied.
				binds[i] = false
				left--
			}
		}
	}
	return governing
}

// contradictions returns for each policy what another one demands that contradicts it, for a cluster that both protect; empty where nothing
// does. It names one: the others show once that one is changed. A RolloutPolicy is no concern of the platform's policies, whose readers may
// not know its namespace.
func (c *Controller) contradictions(policies []*policy.Policy, members *protected) []string {
	found := make([]string, len(policies))
	var ofCluster []int
	ofNamespace := map[string][]int{}
	for i, p := range policies {
		switch {
		case !p.IsEnforced() || !p.MayContradict():
		case p.Kind == policy.KindNamespace:
			ofNamespace[p.Namespace] = append(ofNamespace[p.Namespace], i)
		default:
			ofCluster = append(ofCluster, i)
		}
	}
	byName := func(a, b int) int { return strings.Compare(policies[a].Name, policies[b].Name) }
	slices.SortFunc(ofCluster, byName)
	tell := func(i int, others []int) {
		for _, j := range others {
			if i == j || found[i] != "" {
				continue
			}
			a, b := policies[i], policies[j]
			what := cmp.Or(policy.Contradiction(a, b, false), policy.Contradiction(a, b, true))
			if what == "" || !policy.MayMeet(a, b, c.fleet.NamespaceLabels) || !overlap(members.clusters[i], members.clusters[j]) {
				continue
			}
			found[i] = fmt.Sprintf("%s %s contradicts it for clusters that both protect: no strategy can have %s, change one of them", b.Kind, b.Name, what)
		}
	}
	for _, i := range ofCluster {
		tell(i, ofCluster)
	}
	for _, own := range ofNamespace {
		slices.SortFunc(own, byName)
		for _, i := range own {
			tell(i, ofCluster)
			tell(i, own)
		}
	}
	return found
}

// overlap reports whether two sets have something in common.
func overlap(a, b sets.Set[string]) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for name := range a {
		if b.Has(name) {
			return true
		}
	}
	return false
}

func (c *Controller) write(ctx context.Context, object v1alpha1.RolloutPolicyObject, p *policy.Policy, governs v1alpha1.PolicyGoverns, contradicted string,
	misses []string) error {
	changed := fleet.Copy(object)
	status := changed.PolicyStatus()
	status.ObservedGeneration, status.Governs = object.GetGeneration(), governs
	conditions := []metav1.Condition{effective(p, misses), compatible(contradicted)}
	for _, condition := range append(conditions, ready(conditions)) {
		condition.ObservedGeneration, condition.LastTransitionTime = object.GetGeneration(), metav1.NewTime(c.clock.Now())
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	if apiequality.Semantic.DeepEqual(object.PolicyStatus(), status) {
		return nil
	}
	if _, err := c.fleet.Policies.Client(object.GetNamespace()).UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing the status of %s %s: %w", p.Kind, reconcile.KeyOf(object), err)
	}
	klog.FromContext(ctx).V(2).Info("Policy status written", "policy", klog.KObj(object))
	return nil
}

// effective is the condition of a policy. One that can be held is in effect, and its message tells what keeps it from doing anything.
func effective(p *policy.Policy, misses []string) metav1.Condition {
	if err := p.Err(); err != nil {
		return metav1.Condition{Type: v1alpha1.PolicyEffective, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInvalidSelector,
			Message: fmt.Sprintf("correct the selector: rollouts to every cluster that the policy may protect are refused until then: %v", err)}
	}
	message := "Rollouts that violate the policy are refused"
	if !p.IsEnforced() {
		message = "Rollouts that violate the policy are warned of"
	}
	if why := p.BindsNothing(); why != "" {
		misses = append([]string{why}, misses...)
	}
	for _, why := range misses {
		message += "; " + why
	}
	return metav1.Condition{Type: v1alpha1.PolicyEffective, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEffective, Message: message}
}

// compatible is the condition that tells whether another policy contradicts one.
func compatible(contradicted string) metav1.Condition {
	if contradicted != "" {
		return metav1.Condition{Type: v1alpha1.PolicyCompatible, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonContradicted, Message: contradicted}
	}
	return metav1.Condition{Type: v1alpha1.PolicyCompatible, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCompatible,
		Message: "No other policy is known to contradict it"}
}

// ready sums up the other conditions of a policy for who knows only this one: it has the words of the first of them that is False.
func ready(conditions []metav1.Condition) metav1.Condition {
	for _, c := range conditions {
		if c.Status == metav1.ConditionFalse {
			return metav1.Condition{Type: v1alpha1.PolicyReady, Status: metav1.ConditionFalse, Reason: c.Reason, Message: c.Message}
		}
	}
	return metav1.Condition{Type: v1alpha1.PolicyReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPolicyReady,
		Message: "The policy is in effect, and no other one is known to contradict it"}
}
