// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// ways are the Works with how they are applied, and what becomes of them.
func (b *bench) ways() []string {
	var found []string
	for _, w := range b.works() {
		way := w.Name + " " + string(w.Spec.ApplyStrategy.Type) + " " + w.Labels[wellknown.ParentSnapshotIndexLabel]
		if marked := w.Annotations[wellknown.DeletePropagationAnnotation]; marked != "" {
			way += " " + marked
		}
		found = append(found, way)
	}
	return found
}

func (b *bench) wantWays(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.ways()); diff != "" {
		b.t.Errorf("Works (-want +got):\n%s", diff)
	}
}

// moveTo has the binding ask for a version.
func (b *bench) moveTo(index string, way v1beta1.ApplyStrategyType) {
	b.t.Helper()
	b.edit(func(o v1beta1.BindingObject) {
		o.BindingSpec().ResourceSnapshotName = "web-" + index + "-snapshot"
		o.BindingSpec().ApplyStrategy = &v1beta1.ApplyStrategy{Type: way}
		o.SetGeneration(o.GetGeneration() + 1)
		o.BindingStatus().Conditions[0].ObservedGeneration = o.GetGeneration()
	})
}

// twoParts makes a cluster have version 1 in two Works, and a version 2 with one.
func twoParts(t *testing.T, namespace string) *bench {
	b := newBench(t, namespace)
	b.snapshot("web-1-snapshot", map[string]string{wellknown.NumberOfSnapshotsAnnotation: "2"}, configMapJSON)
	b.snapshot("web-1-0", map[string]string{wellknown.SubindexAnnotation: "0"}, strings.Replace(configMapJSON, `"name":"`, `"name":"other-`, 1))
	smaller := b.fleet.Snapshots.New(b.key("web-2-snapshot"))
	smaller.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "web", wellknown.ResourceIndexLabel: "2"})
	create(b, b.fleet.Snapshots, smaller)
	b.binding(nil)
	b.settle()
	return b
}

func TestAVersionThatIsOnlyComparedTakesNothingOffACluster(t *testing.T) {
	const apply, compare = v1beta1.ApplyStrategyTypeClientSideApply, v1beta1.ApplyStrategyTypeReportDiff
	for _, scope := range bothScopes {
		t.Run(scope.name, func(t *testing.T) {
			b := twoParts(t, scope.namespace)
			part, first := scope.prefix+"-0", scope.prefix+"-work"
			b.wantWays(part+" ClientSideApply 1", first+" ClientSideApply 1")

			b.moveTo("2", compare)
			b.settle()
			b.wantWays(part+" ReportDiff 1", first+" ReportDiff 2")
			// What the resting Work reports is not about this version.
			b.answer(part, nil, metav1.Condition{Type: v1beta1.WorkDiffReported, Status: metav1.ConditionFalse})
			b.answer(first, nil, metav1.Condition{Type: v1beta1.WorkDiffReported, Status: metav1.ConditionTrue})
			b.settle()
			if said := b.said(); !strings.HasPrefix(said[len(said)-1], "DiffReported=True") {
				t.Errorf("conditions: %v", said)
			}
			b.api.ClearActions()
			b.pass()
			for _, a := range b.api.Actions() {
				if a.GetVerb() != "list" && a.GetVerb() != "get" {
					t.Errorf("nothing has changed, and the next pass does %s %s", a.GetVerb(), a.GetResource().Resource)
				}
			}

			b.moveTo("1", apply)
			b.settle()
			b.wantWays(part+" ClientSideApply 1", first+" ClientSideApply 1")

			b.moveTo("2", compare)
			b.settle()
			b.moveTo("2", apply)
			b.settle()
			b.wantWays(first + " ClientSideApply 2")
		})
	}
}

func TestARestThatFailedIsTriedAgain(t *testing.T) {
	b := twoParts(t, "")
	refuse := true
	b.api.PrependReactor("update", "works", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if refuse && action.(clienttesting.UpdateAction).GetObject().(*v1beta1.Work).Name == "web-0" {
			return true, nil, apierrors.NewServiceUnavailable("soon")
		}
		return false, nil, nil
	})
	b.moveTo("2", v1beta1.ApplyStrategyTypeReportDiff)
	b.cacheUp()
	if _, err := b.Controller.reconcile(t.Context(), b.key("web-member1")); err == nil {
		t.Error("the pass does not fail, and is not tried again")
	}
	b.wantWays("web-0 ClientSideApply 1", "web-work ReportDiff 2")
	refuse = false
	b.settle()
	b.wantWays("web-0 ReportDiff 1", "web-work ReportDiff 2")
}

func TestARemovalThatWasBegunGoesOnWhereTheNextVersionIsOnlyCompared(t *testing.T) {
	b := twoParts(t, "")
	works := b.api.PlacementV1beta1().Works("fleet-member-member1")
	going, err := works.Get(t.Context(), "web-0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	going.Annotations[wellknown.DeletePropagationAnnotation] = "Delete"
	if _, err := works.Update(t.Context(), going, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.moveTo("2", v1beta1.ApplyStrategyTypeReportDiff)
	b.settle()
	b.wantWays("web-work ReportDiff 2")
}
