// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// fails has a binding report a condition that is false, and objects that are to blame.
func (f *fixture) fails(cluster, conditionType, message string, objects ...v1beta1.FailedResourcePlacement) {
	b := f.binding(cluster)
	b.Status.FailedPlacements = objects
	meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: metav1.ConditionFalse, Reason: "Failed", Message: message, ObservedGeneration: b.Generation,
	})
}

func troubled(kind, namespace, name, message string) v1beta1.FailedResourcePlacement {
	return v1beta1.FailedResourcePlacement{
		ResourceIdentifier: v1beta1.ResourceIdentifier{Kind: kind, Namespace: namespace, Name: name},
		Condition:          metav1.Condition{Message: message},
	}
}

func (f *fixture) wantMessage(want string) {
	f.Helper()
	if got := f.run.Status.StagesStatus[0].Clusters[0].Message; got != want {
		f.Errorf("the cluster says %q, want %q", got, want)
	}
}

func TestAClusterInFlightSaysWhatItsBindingReports(t *testing.T) {
	web := troubled("Deployment", "shop", "web", "2 of 3 available")
	tests := map[string]struct {
		report func(f *fixture)
		want   string
	}{
		"nothing": {func(*fixture) {}, ""},
		"an object that is not available": {func(f *fixture) { f.fails("a1", v1beta1.BindingAvailable, "not all", web) },
			"Deployment shop/web: 2 of 3 available"},
		"an object without a namespace": {func(f *fixture) {
			f.fails("a1", v1beta1.BindingApplied, "not all", troubled("Namespace", "", "shop", "forbidden"))
		},
			"Namespace shop: forbidden"},
		"two objects": {func(f *fixture) {
			f.fails("a1", v1beta1.BindingAvailable, "not all", web, troubled("Deployment", "shop", "db", "none"))
		},
			"Deployment shop/web and 1 other object: 2 of 3 available"},
		"no object": {func(f *fixture) { f.fails("a1", v1beta1.BindingApplied, "Works are not applied yet") }, "Works are not applied yet"},
		"a step before": {func(f *fixture) {
			f.fails("a1", v1beta1.BindingAvailable, "not all", web)
			f.fails("a1", v1beta1.BindingWorkSynchronized, "the manifest is too large", web)
		}, "the manifest is too large"},
		"what it asked for before": {func(f *fixture) {
			f.fails("a1", v1beta1.BindingAvailable, "not all", web)
			f.binding("a1").Generation++
			f.bindingCondition("a1", v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
		}, ""},
		"several lines": {func(f *fixture) { f.fails("a1", v1beta1.BindingApplied, "no:\n  such kind\n") }, "no: such kind"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			f.steps()
			tt.report(f)
			f.steps()
			f.wantClusters("a1 Started")
			f.wantMessage(tt.want)
			f.available("a1")
			f.steps()
			f.wantClusters("a1 Succeeded")
			f.wantMessage("")
		})
	}
}

func TestALongReportLosesItsMiddle(t *testing.T) {
	object := troubled("Deployment", "shop", "web", "failed to apply: "+strings.Repeat("very ", 100)+"long: quota exceeded")
	tests := map[string]struct {
		objects     []v1beta1.FailedResourcePlacement
		message     string
		first, last string
	}{
		"object and point stay":     {[]v1beta1.FailedResourcePlacement{object}, "", "Deployment shop/web: failed to apply: very ", " long: quota exceeded"},
		"it is cut between letters": {nil, strings.Repeat("ä", 200), "äääää", "äääää"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			f.steps()
			f.fails("a1", v1beta1.BindingApplied, tt.message, tt.objects...)
			f.steps()
			got := f.run.Status.StagesStatus[0].Clusters[0].Message
			if len(got) > 256 || len(got) < 250 || !utf8.ValidString(got) || strings.Count(got, "...") != 1 ||
				!strings.HasPrefix(got, tt.first) || !strings.HasSuffix(got, tt.last) {
				t.Errorf("%d bytes: %q", len(got), got)
			}
		})
	}
}

// refused is an object that the member will not take, however often it is asked.
func refused(kind, namespace, name, message string) v1beta1.FailedResourcePlacement {
	r := troubled(kind, namespace, name, message)
	r.Condition.Reason = wellknown.ReasonManifestRefused
	return r
}

func TestWhatCannotHealIsNotProgress(t *testing.T) {
	const stuck = "False UpdateRunStuck: The updateRun is stuck waiting for a1 cluster(s) in stage a to finish updating, please check placement status for potential errors"
	const progress = "True UpdateRunProgressing: The update run is making progress"
	web := refused("Deployment", "shop", "web", "field is immutable; go back to an earlier version")
	other := troubled("Deployment", "shop", "db", "no answer")
	unusable := troubled("ResourceEnvelope", "shop", "e", "it cannot be read")
	unusable.Condition.Reason = wellknown.ReasonEnvelopeUnusable
	tests := map[string]struct {
		report func(f *fixture)
		want   string
	}{
		"an object that is refused": {func(f *fixture) { f.fails("a1", v1beta1.BindingApplied, "not all", web) },
			stuck + "; cluster a1: Deployment shop/web: field is immutable; go back to an earlier version"},
		"and others": {func(f *fixture) { f.fails("a1", v1beta1.BindingApplied, "not all", web, other) },
			stuck + "; cluster a1: Deployment shop/web and 1 other object: field is immutable; go back to an earlier version"},
		"an object that is tried again":    {func(f *fixture) { f.fails("a1", v1beta1.BindingApplied, "not all", other) }, progress},
		"an object that is not available":  {func(f *fixture) { f.fails("a1", v1beta1.BindingAvailable, "not all", other) }, progress},
		"an override that does not fit":    {func(f *fixture) { f.fails("a1", v1beta1.BindingOverridden, "no such path") }, stuck + "; cluster a1: no such path"},
		"Works that could not be written":  {func(f *fixture) { f.fails("a1", v1beta1.BindingWorkSynchronized, "try again") }, progress},
		"an envelope that cannot be used":  {func(f *fixture) { f.fails("a1", v1beta1.BindingWorkSynchronized, "no such envelope", unusable) }, stuck + "; cluster a1: no such envelope"},
		"what the binding had before":      {func(f *fixture) { f.fails("a1", v1beta1.BindingApplied, "not all", web); f.binding("a1").Generation++ }, progress},
		"objects that were refused before": {func(f *fixture) { f.binding("a1").Status.FailedPlacements = []v1beta1.FailedResourcePlacement{web} }, progress},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1, stage("a"))
			f.steps()
			f.wantCondition(v1beta1.RunProgressing, progress)
			tt.report(f)
			f.steps()
			f.wantCondition(v1beta1.RunProgressing, tt.want)
			f.available("a1")
			f.steps()
			f.wantCondition(v1beta1.RunSucceeded, "True UpdateRunSucceeded: All stages are completed successfully")
		})
	}
}

func TestARunWhoseClusterTakesWhatItRefusedRecovers(t *testing.T) {
	f := newFixture(t, 2, stage("a", concurrency("100%")))
	f.steps()
	f.fails("a2", v1beta1.BindingApplied, "not all", refused("ConfigMap", "shop", "c", "no"))
	f.steps()
	if got := f.condition(v1beta1.RunProgressing); !strings.HasSuffix(got, "; cluster a2: ConfigMap shop/c: no") {
		t.Errorf("Progressing: %s", got)
	}
	f.available("a2")
	f.steps()
	f.wantCondition(v1beta1.RunProgressing, "True UpdateRunProgressing: The update run is making progress")
}

func TestARefusalShortensNoTime(t *testing.T) {
	policy := func(c *v1beta1.StageConfig) {
		c.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: time.Minute}}
	}
	f := newFixture(t, 1, stage("a", policy))
	f.steps()
	f.fails("a1", v1beta1.BindingApplied, "not all", refused("ConfigMap", "shop", "c", "no"))
	f.pass(59 * time.Second)
	f.steps()
	f.wantClusters("a1 Started")
	f.pass(time.Second)
	f.steps()
	f.wantClusters("a1 Failed")

	// And a stop waits for the cluster as long as for any other.
	f = newFixture(t, 1, stage("a"))
	f.steps()
	f.fails("a1", v1beta1.BindingApplied, "not all", refused("ConfigMap", "shop", "c", "no"))
	f.setState(v1beta1.StateStop)
	f.steps()
	if got := f.condition(v1beta1.RunProgressing); !strings.HasPrefix(got, "Unknown UpdateRunStopping") {
		t.Errorf("Progressing: %s", got)
	}
}
