// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// patience is how long a run may take to end, kills and turns of others included.
const patience = 6 * time.Minute

// plan is what people do with a run.
type plan string

const (
	// straight lets it go.
	straight plan = "straight"
	// resumed stops it on the way, and lets it go on.
	resumed plan = "resumed"
	// abandoned stops it on the way, and leaves it.
	abandoned plan = "abandoned"
	// rejected has its approval refused.
	rejected plan = "rejected"
	// rolledBack is taken back on the way.
	rolledBack plan = "rolled back"
	// passing meets clusters that fail, few enough to go on.
	passing plan = "past failures"
	// failing meets one too many.
	failing plan = "failing"
	// pausing meets one too many, and waits for somebody who decides what comes of them.
	pausing plan = "pausing"
	// returning meets one too many, and takes itself back.
	returning plan = "returning"
)

var plans = []plan{straight, resumed, abandoned, rejected, rolledBack, passing, failing, pausing, returning}

// strategyOf is the only strategy of a plan; the others go by any that has no clusters fail.
var strategyOf = map[plan]string{
	rejected: gatedStrategy, passing: tolerantStrategy, failing: failingStrategy, pausing: pausingStrategy, returning: returningStrategy,
}

// drive has every placement's runs begin over the duration, and returns when all have ended.
func (f *fleet) drive(ctx context.Context, start time.Time) {
	var driving sync.WaitGroup
	for p, hands := range f.hands {
		random := rand.New(rand.NewPCG(f.seed, uint64(p)))
		driving.Go(func() {
			var going sync.WaitGroup
			for i, dealt := range hands {
				// Not all begin at once, and all kills meet some.
				pause(ctx, time.Until(start.Add(f.duration*time.Duration(i*len(rings)*8+random.IntN(8))/time.Duration(len(hands)*len(rings)*8))))
				if ctx.Err() != nil {
					break
				}
				run := f.begin(ctx, placementName(p), i, random, dealt)
				going.Go(func() { f.see(ctx, run) })
				if !dealt.next {
					going.Wait()
				}
			}
			going.Wait()
		})
	}
	driving.Wait()
}

// begin makes a run that has been dealt.
func (f *fleet) begin(ctx context.Context, placement string, i int, random *rand.Rand, dealt hand) planned {
	r := planned{
		name: fmt.Sprintf("%s-%03d", placement, i), plan: dealt.plan,
		after: time.Duration(random.IntN(4000)) * time.Millisecond, asks: random.IntN(2) == 0,
	}
	strategy := []string{plainStrategy, waitingStrategy, gatedStrategy}[random.IntN(3)]
	if dealt.mends {
		strategy = plainStrategy
	} else if only, found := strategyOf[dealt.plan]; found {
		strategy = only
	}
	index := ""
	if r.plan == straight && !dealt.mends && random.IntN(3) == 0 {
		index = f.older(ctx, placement, random)
	} else {
		f.change(ctx, placement, i, dealt.plan.breaks())
	}
	if random.IntN(3) == 0 {
		// Right before the run, which must have it in force.
		f.renumber(ctx, placement, i)
		r.number = i
	}
	run := &v1beta1.ClusterStagedUpdateRun{
		ObjectMeta: metav1.ObjectMeta{Name: r.name},
		Spec:       v1beta1.UpdateRunSpec{PlacementName: placement, StagedUpdateStrategyName: strategy, ResourceSnapshotIndex: index, State: v1beta1.StateRun},
	}
	err := persist(ctx, func() error {
		created, err := f.api.PlacementV1beta1().ClusterStagedUpdateRuns().Create(ctx, run, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			// The answer to the first try was lost with the server.
			created, err = f.api.PlacementV1beta1().ClusterStagedUpdateRuns().Get(ctx, r.name, metav1.GetOptions{})
		}
		if err == nil {
			f.book.created(created, r.plan)
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		f.book.violated("run %s cannot be created: %v", r.name, err)
	}
	return r
}

// planned is a run and what is done with it.
type planned struct {
	name  string
	plan  plan
	after time.Duration
	// asks says that it is stopped and resumed by asking for it, and not by its state.
	asks bool
	// number is what the override said when the run was created, 0 where it was not edited for it.
	number int
}

// older is the index of a snapshot that exists, empty where there is none.
func (f *fleet) older(ctx context.Context, placement string, random *rand.Rand) string {
	var indexes []string
	_ = persist(ctx, func() error {
		list, err := f.api.PlacementV1beta1().ClusterResourceSnapshots().List(ctx, metav1.ListOptions{LabelSelector: wellknown.ParentPlacementLabel + "=" + placement})
		if err != nil {
			return err
		}
		indexes = nil
		// The oldest may be pruned before the run has pinned it.
		for _, s := range list.Items[max(0, len(list.Items)-5):] {
			if !slices.ContainsFunc(s.Spec.SelectedResources, func(r v1beta1.ResourceContent) bool { return isBrokenVersion(r.Raw) }) {
				indexes = append(indexes, s.Labels[wellknown.ResourceIndexLabel])
			}
		}
		return nil
	})
	if len(indexes) == 0 {
		return ""
	}
	return indexes[random.IntN(len(indexes))]
}

// change has a placement select something new.
func (f *fleet) change(ctx context.Context, placement string, version int, broken bool) {
	is := "no"
	if broken {
		is = "yes"
	}
	patch := fmt.Appendf(nil, `{"data": {"version": %q, %q: %q}}`, strconv.Itoa(version), brokenKey, is)
	_ = persist(ctx, func() error {
		_, err := f.core.CoreV1().ConfigMaps(placement).Patch(ctx, appConfig, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// see does with a run what is planned, and holds that it ends as it should.
func (f *fleet) see(ctx context.Context, r planned) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if r.number > 0 {
		f.seeNumber(ctx, r)
	}
	if r.plan == resumed || r.plan == abandoned {
		pause(ctx, r.after)
		f.command(ctx, r, v1beta1.StateStop)
		run := f.await(ctx, r, isStopped)
		if run == nil {
			return
		}
		if !isOver(run) {
			if r.plan == abandoned {
				f.book.over(r.plan, "stopped")
				return
			}
			f.command(ctx, r, v1beta1.StateRun)
		}
	}
	switch r.plan {
	case rolledBack:
		f.rollBack(ctx, r)
		return
	case pausing:
		f.goOn(ctx, r)
	}
	run := f.await(ctx, r, isOver)
	if run == nil {
		return
	}
	how := meta.FindStatusCondition(run.Status.Conditions, v1beta1.RunSucceeded)
	want := map[plan]string{
		rejected: "UpdateRunRejected", passing: "UpdateRunSucceededWithFailures", pausing: "UpdateRunSucceededWithFailures",
		failing: "UpdateRunFailed", returning: "UpdateRunFailed",
	}[r.plan]
	if want == "" {
		want = "UpdateRunSucceeded"
	}
	if how == nil || how.Reason != want {
		f.book.violated("run %s (%s) ended with %s", r.name, r.plan, text(run))
		return
	}
	f.book.over(r.plan, how.Reason)
	if r.plan == returning {
		f.seeRollback(ctx, r)
	}
}

func (f *fleet) setState(ctx context.Context, name string, state v1beta1.State) {
	patch := fmt.Appendf(nil, `{"spec": {"state": %q}}`, state)
	err := persist(ctx, func() error {
		_, err := f.api.PlacementV1beta1().ClusterStagedUpdateRuns().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err == nil {
			f.book.stateSet(name, state)
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		f.book.violated("run %s cannot be told to %s: %v", name, state, err)
	}
}

// await waits for a run to be as wanted, nil if the soak is over before.
func (f *fleet) await(ctx context.Context, r planned, wanted func(*v1beta1.ClusterStagedUpdateRun) bool) *v1beta1.ClusterStagedUpdateRun {
	// run is the last answer: a try that fails answers with an empty run.
	var run *v1beta1.ClusterStagedUpdateRun
	for {
		err := persist(ctx, func() error {
			got, err := f.api.PlacementV1beta1().ClusterStagedUpdateRuns().Get(ctx, r.name, metav1.GetOptions{})
			if err == nil {
				run = got
			}
			return err
		})
		switch {
		case apierrors.IsNotFound(err):
			f.book.violated("run %s is lost", r.name)
			return nil
		case err == nil && wanted(run):
			return run
		case ctx.Err() != nil:
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				f.book.violated("run %s (%s) did not end within %s: %s", r.name, r.plan, patience, text(run))
			}
			return nil
		}
		pause(ctx, again)
	}
}

// isOver reports whether nothing follows any more.
func isOver(run *v1beta1.ClusterStagedUpdateRun) bool {
	return meta.FindStatusCondition(run.Status.Conditions, v1beta1.RunSucceeded) != nil ||
		meta.IsStatusConditionFalse(run.Status.Conditions, v1beta1.RunInitialized) && run.Status.InitializationStartTime == nil
}

// isStopped reports whether a run has come to rest after it was told to stop.
func isStopped(run *v1beta1.ClusterStagedUpdateRun) bool {
	c := meta.FindStatusCondition(run.Status.Conditions, v1beta1.RunProgressing)
	return isOver(run) || c != nil && c.Reason == "UpdateRunStopped" && c.ObservedGeneration == run.Generation
}

// text are the conditions of a run in one line.
func text(run *v1beta1.ClusterStagedUpdateRun) string {
	if run == nil {
		return "never seen"
	}
	line := ""
	for _, c := range run.Status.Conditions {
		line += fmt.Sprintf("%s=%s %s (%s) ", c.Type, c.Status, c.Reason, c.Message)
	}
	return line + fmt.Sprintf("turn %+v", run.Status.Turn)
}
