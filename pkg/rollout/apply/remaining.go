// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/secretvalue"
)

// An object that is deleted may stay on the member for as long as somebody there holds it, by a finalizer say. Nobody on the hub would know
// what a removal waits for, so that the Work says it. Nothing is done about it: whoever holds an object has a reason.

const (
	// removalPatience is how long an object may take to go before it is told of: most are gone within it, and none is worth a write.
	removalPatience = 10 * time.Second
	// maxRemnants is how many objects are told of.
	maxRemnants = 10
	// maxHolding bounds what is said of one, in bytes.
	maxHolding = 512

	reasonWaitingForDeletion = "WaitingForDeletion"
)

// remnant is an object that is to go from the member and is there still.
type remnant struct {
	gvr  schema.GroupVersionResource
	key  types.NamespacedName
	kind string
	// since is when its deletion began.
	since time.Time
	// why is what holds it.
	why string
}

func (r *remnant) String() string {
	return fmt.Sprintf("%s %s %s", r.kind, strings.TrimPrefix(r.key.String(), "/"), r.why)
}

func (r *remnant) rank() int {
	if r.gvr == namespaces {
		return 1
	}
	return 0
}

func (r *remnant) addTo(wanted wish) { wanted.add(r.gvr, r.key) }

// remnantOf is what is to be said of an object that is on the member.
func remnantOf(gvr schema.GroupVersionResource, live *unstructured.Unstructured) remnant {
	r := remnant{gvr: gvr, key: types.NamespacedName{Namespace: live.GetNamespace(), Name: live.GetName()}, kind: live.GetKind(), why: holding(live)}
	if deleted := live.GetDeletionTimestamp(); deleted != nil {
		r.since = deleted.Time
	}
	return r
}

// holding returns what holds an object that is to be removed, as far as its metadata, or a Namespace's status, shows.
func holding(live *unstructured.Unstructured) string {
	var why string
	contents := contentsHolding(live)
	switch finalizers := live.GetFinalizers(); {
	case live.GetDeletionTimestamp() == nil:
		return "is not deleted yet"
	case len(finalizers) == 1:
		why = "waits for finalizer " + finalizers[0]
	case len(finalizers) > 1:
		why = "waits for finalizers " + wording.List(finalizers)
	case len(contents) > 0:
		why = "waits for its content"
	default:
		return "is being deleted"
	}
	if len(contents) > 0 {
		why += ": " + strings.Join(contents, "; ")
	}
	return concealed(live, why)
}

// undeleted is what is to be said of an object that the member does not delete, since it was asked to for the first time.
func (p *pass) undeleted(gvr schema.GroupVersionResource, live *unstructured.Unstructured, err error) *remnant {
	r := remnantOf(gvr, live)
	r.since = p.options.Clock.Now()
	for _, before := range p.record.remnants {
		if before.gvr == r.gvr && before.key == r.key {
			r.since = before.since
		}
	}
	r.why = concealed(live, fmt.Sprintf("cannot be deleted: %v", err))
	return &r
}

// concealed is what is said of an object, without the values that it has where it is a Secret.
func concealed(live *unstructured.Unstructured, why string) string {
	if m := (&manifest{object: live}); m.isSecret() {
		values := secretvalue.Set{}
		values.Add(live.Object)
		why = mask(values, why)
	}
	return wording.Shorten(why, maxHolding)
}

// namespaceProblems are conditions of a Namespace that is being deleted, which are True while something keeps it from that, what it is first.
var namespaceProblems = []string{
	"NamespaceFinalizersRemaining", "NamespaceContentRemaining", "NamespaceDeletionContentFailure",
	"NamespaceDeletionDiscoveryFailure", "NamespaceDeletionGroupVersionParsingFailure",
}

// contentsHolding are a Namespace's own words on what it waits for.
func contentsHolding(live *unstructured.Unstructured) []string {
	if kind := live.GroupVersionKind(); kind.Group != "" || kind.Kind != "Namespace" {
		return nil
	}
	conditions, _, _ := unstructured.NestedSlice(live.Object, "status", "conditions")
	var words []string
	for _, problem := range namespaceProblems {
		for _, c := range conditions {
			c, _ := c.(map[string]any)
			if message, _ := c["message"].(string); message != "" && c["type"] == problem && c["status"] == string(metav1.ConditionTrue) {
				words = append(words, message)
			}
		}
	}
	return words
}

// remainingVerdict names objects that have taken longer than they may, nil for none. left is when to look again for those that have not.
func remainingVerdict(remnants []remnant, more bool, now time.Time) (v *verdict, left time.Duration) {
	var names []string
	for i := range remnants {
		if wait := min(removalPatience-now.Sub(remnants[i].since), removalPatience); wait > 0 {
			if left == 0 || wait < left {
				left = wait
			}
			continue
		}
		if len(names) == maxRemnants {
			more = true
			break
		}
		names = append(names, remnants[i].String())
	}
	if len(names) == 0 {
		return nil, left
	}
	message := strings.Join(names, "; ")
	if more {
		message += "; and others"
	}
	return &verdict{ok: true, reason: reasonWaitingForDeletion, message: message}, left
}

// tellRemaining says in a Work that is being deleted what its AppliedWork, which is being deleted in the foreground, waits for. It returns
// when to look, where it is too early to.
func (a *Applier) tellRemaining(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (time.Duration, error) {
	now := a.options.Clock.Now()
	if left := min(removalPatience-now.Sub(owner.DeletionTimestamp.Time), removalPatience); left > 0 {
		return left, nil
	}
	var remnants []remnant
	more := false
	for _, r := range listedFor(work, owner) {
		if slices.Contains(owner.Finalizers, metav1.FinalizerOrphanDependents) {
			// They are to stay.
			break
		}
		gvr, live, err := a.member.find(ctx, r)
		switch {
		case err != nil:
			return 0, err
		case live == nil || !ownersOf(live, work.Name).ours:
			continue
		}
		if more = len(remnants) == maxRemnants; more {
			break
		}
		found := remnantOf(gvr, live)
		// What the AppliedWork waits for has been going since the AppliedWork has.
		found.since = owner.DeletionTimestamp.Time
		remnants = append(remnants, found)
	}
	// What is in a Namespace is why the Namespace is there.
	slices.SortStableFunc(remnants, func(a, b remnant) int { return cmp.Compare(a.rank(), b.rank()) })
	a.awaits(work.Name, remnants)
	if len(remnants) == 0 {
		why := "is being deleted"
		if len(owner.Finalizers) > 0 {
			why = "waits for finalizer " + wording.List(owner.Finalizers)
		}
		remnants = []remnant{{kind: "AppliedWork", key: keyOf(owner.Name), since: owner.DeletionTimestamp.Time, why: wording.Shorten(why, maxHolding)}}
	}
	remaining, _ := remainingVerdict(remnants, more, now)
	status := *work.Status.DeepCopy()
	for _, c := range conditionsOf(status.Conditions, metav1.NewTime(now).Rfc3339Copy(), work.Generation, maxMessage, []conditionVerdict{
		{v1beta1.WorkObjectsRemaining, remaining},
	}) {
		meta.SetStatusCondition(&status.Conditions, c)
	}
	return 0, a.writeStatus(ctx, work, status)
}

// awaits has a Work that is being deleted hear of the objects that it waits for.
func (a *Applier) awaits(work string, remnants []remnant) {
	a.mu.Lock()
	a.remnants[work] = remnants
	a.mu.Unlock()
	a.watchRemoval(work)
}

// watchRemoval hears of everything that a Work which is being deleted waits for.
func (a *Applier) watchRemoval(work string) {
	wanted := wish{}
	wanted.add(appliedWorks, keyOf(work))
	a.mu.Lock()
	for i := range a.remnants[work] {
		a.remnants[work][i].addTo(wanted)
	}
	a.mu.Unlock()
	a.watches.set(work, wanted)
}
