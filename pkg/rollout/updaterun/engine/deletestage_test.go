// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

// newDeletion is a run of which one cluster is left to update, and two to clean up.
func newDeletion(t *testing.T) *fixture {
	f := newFixture(t, 1, stage("a"))
	w := initWorld(1, stage("a"))
	for _, name := range []string{"z2", "z1"} {
		w.Bindings = append(w.Bindings, &v1beta1.ClusterResourceBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "b-" + name, Generation: 1},
			Spec:       v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateUnscheduled, TargetCluster: name},
		})
	}
	f.world.Bindings = w.Bindings
	f.run.Status = v1beta1.UpdateRunStatus{}
	o := engine.Initialize(f.run, w, f.now)
	f.run.Status = *roundTrip(o.Decision.Status)
	return f
}

func (f *fixture) remove(cluster string) {
	for i, b := range f.world.Bindings {
		if b.BindingSpec().TargetCluster == cluster {
			f.world.Bindings = append(f.world.Bindings[:i:i], f.world.Bindings[i+1:]...)
			return
		}
	}
}

func TestClustersNoLongerPickedAreCleanedUpLast(t *testing.T) {
	f := newDeletion(t)
	f.steps()
	f.wantClusters("a1 Started", "z1", "z2")
	f.available("a1")
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Started", "z2 Started")
	if f.binding("z1").DeletionTimestamp == nil || f.binding("z2").DeletionTimestamp == nil {
		t.Error("the bindings are not deleted")
	}
	f.remove("z1")
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Succeeded", "z2 Started")
	f.pass(5 * time.Minute)
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStuck: The updateRun is stuck waiting for z2 cluster(s) in stage kubernetes-fleet.io/deleteStage "+
		"to finish updating, please check placement status for potential errors")
	f.remove("z2")
	f.steps()
	f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
}

func TestAClusterThatIsPickedAgainKeepsItsResources(t *testing.T) {
	f := newDeletion(t)
	f.steps()
	f.available("a1")
	f.binding("z1").Spec.State = v1beta1.BindingStateBound
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Skipped", "z2 Started")
	if f.binding("z1").DeletionTimestamp != nil {
		t.Error("the binding is deleted")
	}
}

func TestADeletionThatWasLostIsDoneAgain(t *testing.T) {
	f := newDeletion(t)
	f.steps()
	f.available("a1")
	f.steps()
	f.binding("z1").DeletionTimestamp = nil
	if d := f.step(); len(d.Deletions) != 1 {
		t.Errorf("deletions: %v", d.Deletions)
	}
}

func TestAStopWaitsForDeletionsToo(t *testing.T) {
	f := newDeletion(t)
	f.steps()
	f.setState(v1beta1.StateStop)
	f.available("a1")
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
	f.setState(v1beta1.StateRun)
	f.steps()
	f.setState(v1beta1.StateStop)
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Started", "z2 Started")
	f.remove("z1")
	f.remove("z2")
	f.steps()
	f.wantClusters("a1 Succeeded", "z1 Succeeded", "z2 Succeeded")
	f.wantCondition(v1beta1.RunProgressing, "False UpdateRunStopped: The update run has been stopped")
}
