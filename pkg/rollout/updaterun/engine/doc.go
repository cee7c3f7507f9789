// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine decides what a staged update run does next. Initialize freezes what a run is to do, by the package plan, and Step moves it on:
// each looks at the run as stored, the world as observed and the time, and returns what follows without doing anything itself. It knows no
// client, no goroutine and no log, so that every rule can be tested, and simulated, without a server. testdata has stories of runs that show
// what it decides.
//
// # The contract
//
// The caller owns the controller:
//
//	for run := range changed { // or when WakeAt of its last decision has come
//		if olderThanLastWrite(run, bindings, requests, otherRuns) {
//			continue // the change that makes them newer comes as an event
//		}
//		var d Decision
//		if updaterun.IsPlanned(run.RunStatus()) {
//			d = Step(run, world(run), now)
//		} else if outcome, err := Initialize(run, planWorld(run), inputs(run), now); err == nil {
//			d = outcome.Decision
//		} else {
//			continue // try again: nothing was decided
//		}
//		if d.Status != nil && !writeStatus(run, d.Status) {
//			continue // somebody else has written the run: nothing else of the decision may be done
//		}
//		record(d.Events) // it is decided, whatever becomes of the rest
//		create(d.Requests); create(d.Rollback); accept(d.Accepts), write(d.Bindings); remove(d.Deletions) // stop at the first error
//		wakeAt(d.WakeAt)
//	}
//
// What the caller must hold:
//
//   - Step is not called on a World older than the last write of the caller to any object in it.
//   - The other runs are at least as new as the run itself, and are seen in the order in which they were written: a claim of the turn rests on it.
//   - The status is written first, under the resource version of the run that was looked at, and each binding under that of the binding.
//   - A run is looked at again whenever an object in its World changes, and at WakeAt. More often does no harm.
//   - Nothing is kept between two looks. The caller may be killed between any two writes: what is left undone is decided again.
//   - The policies, and what they select by, are given with every run that is to run and has not started, and a change of them has it looked at
//     again. They matter to no other run.
//   - Since is when the caller began to lead, so that no cluster is given up for a time in which nobody acted on it.
//
// # What holds
//
// TestSimulator plays random fleets, people, failures, clocks and leaders that die or overlap against these properties, and
// TestSimulatorFindsBugs holds that it finds a bug that breaks one.
//
// Safety, at every write:
//
//   - One run at a time moves a placement, and a binding is written only for the run that holds it, never over a later turn.
//   - No more clusters of a stage than maxConcurrency are in flight, or disturbed; they start in their order. Where rollout policies govern the
//     stage, the clusters of the placement count too that other runs have left unavailable and that the run does not update.
//   - A stage starts after those before it are over, its gates are open, and its waits have elapsed.
//   - A run meets the rollout policies, those that it overrides aside, when it is planned and at each look until it starts. What becomes of
//     them later does not touch it.
//   - A run that policies hold moves no cluster by an approval that was given before it had a turn, or before another run moved a cluster of it.
//     The clusters that policies have go first had the version for as long as they say.
//   - A run that is not to run starts no cluster, and one that has too many failures starts none either.
//   - What is removed is not picked, is recorded first, was approved where anything in the run is, and goes last.
//   - The targets and their overrides are frozen. No condition that says something is over goes back, but for a cluster that is retried.
//   - What a user has asked is in the history until it was acted on, and is acted on once.
//   - A cluster is given up only after its whole time, and one that failed never counts as updated.
//   - A run has an outcome and an end time if and only if it is over, and the outcome stays.
//   - Neither the run nor the world that is looked at is changed.
//
// Liveness, from any state that can be reached:
//
//   - Once faults and people rest, every run is over, or tells what it waits for: to be started, an approval, its turn, clusters, somebody to
//     look after failures, or to be resumed. That stays so by itself, by the clock, and for the next leader.
//   - Once faults rest and people do what they are asked for, every run ends, or stops where it is to stop; what was asked was acted on; a
//     rollback that a run names was created; and the clusters of the last run have what it rolled out.
//   - It takes no more looks than follow from changes and from WakeAt.
package engine
