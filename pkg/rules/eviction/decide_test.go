// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// at is a time some seconds after the start.
func at(seconds int) metav1.Time {
	return metav1.NewTime(start.Add(time.Duration(seconds) * time.Second))
}

func picking(placementType v1beta1.PlacementType, n int32) *v1beta1.ClusterResourcePlacement {
	p := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	if placementType != "" {
		p.Spec.Policy = &v1beta1.PlacementPolicy{PlacementType: placementType}
	}
	if placementType == v1beta1.PickNPlacementType {
		p.Spec.Policy.NumberOfClusters = ptr.To(n)
	}
	return p
}

// bind makes an available binding of a cluster.
func bind(cluster string, changes ...func(*v1beta1.ClusterResourceBinding)) v1beta1.BindingObject {
	b := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{
		Name: "p-" + cluster, Generation: 2, CreationTimestamp: at(0), Labels: map[string]string{wellknown.ParentPlacementLabel: "p"},
	}}
	b.Spec.State, b.Spec.TargetCluster, b.Spec.ResourceSnapshotName = v1beta1.BindingStateBound, cluster, "p-0-snapshot"
	b.Status.Conditions = []metav1.Condition{{Type: v1beta1.BindingAvailable, Status: metav1.ConditionTrue, ObservedGeneration: 2}}
	for _, change := range changes {
		change(b)
	}
	return b
}

// bindings makes available bindings of clusters c0, c1 and so on.
func bindings(n int, more ...v1beta1.BindingObject) []v1beta1.BindingObject {
	var list []v1beta1.BindingObject
	for i := range n {
		list = append(list, bind(fmt.Sprintf("c%d", i)))
	}
	return append(list, more...)
}

func deleted(b *v1beta1.ClusterResourceBinding) {
	b.DeletionTimestamp, b.Generation = ptr.To(at(1)), b.Generation+1
}

func unscheduled(b *v1beta1.ClusterResourceBinding) {
	b.Spec.State, b.Annotations = v1beta1.BindingStateUnscheduled, map[string]string{wellknown.PreviousBindingStateAnnotation: "Bound"}
}

func evicted(b *v1beta1.ClusterResourceBinding) {
	b.Annotations = map[string]string{wellknown.EvictedByAnnotation: "other/uid"}
}

// says replaces what a binding reports by one condition that is False.
func says(conditionType, reason string) func(*v1beta1.ClusterResourceBinding) {
	return func(b *v1beta1.ClusterResourceBinding) {
		b.Status.Conditions = []metav1.Condition{{Type: conditionType, Status: metav1.ConditionFalse, Reason: reason, ObservedGeneration: b.Generation}}
	}
}

func failing(reason string) func(*v1beta1.ClusterResourceBinding) {
	return func(b *v1beta1.ClusterResourceBinding) {
		says(v1beta1.BindingApplied, "NotAllWorkHaveBeenApplied")(b)
		b.Status.FailedPlacements = []v1beta1.FailedResourcePlacement{{Condition: metav1.Condition{Reason: reason}}}
	}
}

func number(n int32) *intstr.IntOrString   { return ptr.To(intstr.FromInt32(n)) }
func percent(s string) *intstr.IntOrString { return ptr.To(intstr.FromString(s)) }
func maxUnavailable(v *intstr.IntOrString) *v1beta1.ClusterResourcePlacementDisruptionBudget {
	return &v1beta1.ClusterResourcePlacementDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1beta1.PlacementDisruptionBudgetSpec{MaxUnavailable: v}}
}

func minAvailable(v *intstr.IntOrString) *v1beta1.ClusterResourcePlacementDisruptionBudget {
	return &v1beta1.ClusterResourcePlacementDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1beta1.PlacementDisruptionBudgetSpec{MinAvailable: v}}
}

func TestAnEvictionIsDecided(t *testing.T) {
	const (
		invalid = "Valid=False ClusterResourcePlacementEvictionInvalid: "
		valid   = "Valid=True ClusterResourcePlacementEvictionValid: Eviction is valid; "
		yes     = valid + "Executed=True ClusterResourcePlacementEvictionExecuted: "
		no      = valid + "Executed=False ClusterResourcePlacementEvictionNotExecuted: "
		budget  = "by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: "
		misfit  = no + "Eviction is blocked by misconfigured ClusterResourcePlacementDisruptionBudget, either MaxUnavailable is specified or MinAvailable is specified as a percentage for PickAll ClusterResourcePlacement: set minAvailable to a number"
		none    = "Eviction is allowed, no ClusterResourcePlacementDisruptionBudget specified"
	)
	const inBudget = " in ClusterResourcePlacementDisruptionBudget p, and create the eviction again"
	// wait is the end of a message where more available clusters help, hopeless where they do not.
	wait := func(limit string) string {
		return "; wait until more clusters are available, or change " + limit + inBudget
	}
	hopeless := func(why string) string { return "; " + why + inBudget }
	pickAll, pickFixed, leaving := picking(v1beta1.PickAllPlacementType, 0), picking(v1beta1.PickFixedPlacementType, 0), picking("", 0)
	leaving.DeletionTimestamp = ptr.To(at(1))
	pickN := func(n int32) *v1beta1.ClusterResourcePlacement { return picking(v1beta1.PickNPlacementType, n) }
	for name, test := range map[string]struct {
		placement *v1beta1.ClusterResourcePlacement
		bindings  []v1beta1.BindingObject
		budget    *v1beta1.ClusterResourcePlacementDisruptionBudget
		refusal   string
		want      string
		evicts    bool
	}{
		"no placement":                        {bindings: bindings(1), want: invalid + "Failed to find ClusterResourcePlacement targeted by eviction: there is no ClusterResourcePlacement p"},
		"a placement that is being deleted":   {placement: leaving, bindings: bindings(1), want: invalid + "Found deleting ClusterResourcePlacement targeted by eviction"},
		"PickFixed":                           {placement: pickFixed, bindings: bindings(1), want: invalid + "Found ClusterResourcePlacement with PickFixed placement type targeted by eviction: take cluster c0 out of spec.policy.clusterNames of ClusterResourcePlacement p"},
		"two bindings for the cluster":        {placement: pickAll, bindings: bindings(1, bind("c0", deleted)), want: invalid + "Found more than one scheduler decision for placement in cluster targeted by eviction"},
		"no binding for the cluster":          {placement: pickAll, bindings: []v1beta1.BindingObject{bind("c1")}, want: invalid + "Failed to find scheduler decision for placement in cluster targeted by eviction: ClusterResourcePlacement p is not on cluster c0, or came there after the eviction was created"},
		"a binding that came later":           {placement: pickAll, bindings: []v1beta1.BindingObject{bind("c0", func(b *v1beta1.ClusterResourceBinding) { b.CreationTimestamp = at(6) })}, want: invalid + "Failed to find scheduler decision for placement in cluster targeted by eviction: ClusterResourcePlacement p is not on cluster c0, or came there after the eviction was created"},
		"evicted already":                     {placement: pickAll, bindings: []v1beta1.BindingObject{bind("c0", deleted, evicted)}, want: yes + "Eviction is allowed, resources propagated by placement is currently being removed from cluster targeted by eviction"},
		"on its way out":                      {placement: pickAll, bindings: []v1beta1.BindingObject{bind("c0", deleted, unscheduled)}, want: yes + "Eviction is allowed, resources propagated by placement is currently being removed from cluster targeted by eviction"},
		"a binding that somebody has deleted": {placement: pickAll, bindings: []v1beta1.BindingObject{bind("c0", deleted)}, want: no + "Eviction is blocked, somebody has deleted the binding of the cluster and what was placed there stays: evict the placement once it has a new binding"},
		"nothing placed yet":                  {placement: pickAll, bindings: []v1beta1.BindingObject{bind("c0", func(b *v1beta1.ClusterResourceBinding) { b.Spec.State = v1beta1.BindingStateScheduled })}, want: no + "Eviction is blocked, placement has not propagated resources to target cluster yet"},
		"unscheduled before anything":         {placement: pickAll, bindings: []v1beta1.BindingObject{bind("c0", func(b *v1beta1.ClusterResourceBinding) { b.Spec.State = v1beta1.BindingStateUnscheduled })}, want: no + "Eviction is blocked, placement has not propagated resources to target cluster yet"},
		"unscheduled":                         {placement: pickAll, bindings: []v1beta1.BindingObject{bind("c0", unscheduled)}, want: yes + none, evicts: true},
		"no budget":                           {placement: picking("", 0), bindings: bindings(1), want: yes + none, evicts: true},
		"rollout policies":                    {placement: pickAll, bindings: bindings(1), refusal: "guard: not c0", want: no + "Eviction is blocked by rollout policies: guard: not c0"},
		"rollout policies, and a failure":     {placement: pickAll, bindings: []v1beta1.BindingObject{bind("c0", failing("ManifestRefused"))}, refusal: "no", want: no + "Eviction is blocked by rollout policies: no"},
		"a failure that cannot heal":          {placement: pickN(1), bindings: []v1beta1.BindingObject{bind("c0", failing("ManifestRefused"))}, budget: maxUnavailable(number(0)), want: yes + "Eviction is allowed, placement has failed", evicts: true},
		"an override that does not fit":       {placement: pickN(1), bindings: []v1beta1.BindingObject{bind("c0", says("Overridden", "OverriddenFailed"))}, budget: maxUnavailable(number(0)), want: yes + "Eviction is allowed, placement has failed", evicts: true},
		"a failure that may pass is none":     {placement: pickN(1), bindings: []v1beta1.BindingObject{bind("c0", failing("FailedToApply"))}, budget: maxUnavailable(number(1)), want: no + "Eviction is blocked " + budget + "0, totalPlacements: 1" + wait("maxUnavailable 1")},
		"applying is no failure":              {placement: pickN(1), bindings: []v1beta1.BindingObject{bind("c0", says("Applied", "ApplyInProgress"))}, budget: minAvailable(number(1)), want: no + "Eviction is blocked " + budget + "0, totalPlacements: 1" + hopeless("minAvailable 1 leaves none of 1 cluster to evict: lower it")},
		"not being available is no failure":   {placement: pickN(1), bindings: []v1beta1.BindingObject{bind("c0", says("Available", "NotAllWorkAreAvailable"))}, budget: minAvailable(number(0)), want: no + "Eviction is blocked " + budget + "0, totalPlacements: 1" + wait("minAvailable 0")},
		"a reported difference is no failure": {placement: pickN(1), bindings: []v1beta1.BindingObject{bind("c0", says("DiffReported", "NotAllWorkHaveDiffReported"))}, budget: minAvailable(number(1)), want: no + "Eviction is blocked " + budget + "0, totalPlacements: 1" + hopeless("minAvailable 1 leaves none of 1 cluster to evict: lower it")},

		"all of PickN are available":            {placement: pickN(5), bindings: bindings(5), budget: maxUnavailable(number(1)), want: yes + "Eviction is allowed " + budget + "5, totalPlacements: 5", evicts: true},
		"and right after":                       {placement: pickN(5), bindings: bindings(4, bind("old", deleted, evicted), bind("new", func(b *v1beta1.ClusterResourceBinding) { b.Spec.State, b.Status.Conditions = "Scheduled", nil })), budget: maxUnavailable(number(1)), want: no + "Eviction is blocked " + budget + "4, totalPlacements: 6" + wait("maxUnavailable 1")},
		"and when the old one has gone":         {placement: pickN(5), bindings: bindings(4), budget: maxUnavailable(number(1)), want: no + "Eviction is blocked " + budget + "4, totalPlacements: 5" + wait("maxUnavailable 1")},
		"a percentage is rounded up":            {placement: pickN(4), bindings: bindings(3, bind("bad", says("Available", "x"))), budget: maxUnavailable(percent("30%")), want: yes + "Eviction is allowed " + budget + "3, totalPlacements: 4", evicts: true},
		"half of PickN":                         {placement: pickN(3), bindings: bindings(3), budget: minAvailable(percent("50%")), want: yes + "Eviction is allowed " + budget + "3, totalPlacements: 3", evicts: true},
		"less than half would be left":          {placement: pickN(3), bindings: bindings(2, bind("old", deleted, evicted)), budget: minAvailable(percent("50%")), want: no + "Eviction is blocked " + budget + "2, totalPlacements: 3" + wait("minAvailable 50%")},
		"clusters that are missing are counted": {placement: pickN(10), bindings: bindings(3), budget: maxUnavailable(number(1)), want: no + "Eviction is blocked " + budget + "3, totalPlacements: 10" + wait("maxUnavailable 1")},
		"a percentage of what is wanted":        {placement: pickN(10), bindings: bindings(3), budget: minAvailable(percent("80%")), want: no + "Eviction is blocked " + budget + "3, totalPlacements: 10" + wait("minAvailable 80%")},
		"PickAll":                               {placement: pickAll, bindings: bindings(3), budget: minAvailable(number(2)), want: yes + "Eviction is allowed " + budget + "3, totalPlacements: 3", evicts: true},
		"PickAll, and one has left":             {placement: pickAll, bindings: bindings(2), budget: minAvailable(number(2)), want: no + "Eviction is blocked " + budget + "2, totalPlacements: 2" + hopeless("minAvailable 2 leaves none of 2 clusters to evict: lower it")},
		"PickAll with a percentage":             {placement: pickAll, bindings: bindings(3), budget: minAvailable(percent("50%")), want: misfit},
		"PickAll with a maximum":                {placement: picking("", 0), bindings: bindings(3), budget: maxUnavailable(number(1)), want: misfit},
		"a budget that says nothing":            {placement: pickN(3), bindings: bindings(3), budget: maxUnavailable(nil), want: no + "Eviction is blocked " + budget + "3, totalPlacements: 3" + hopeless("it allows no eviction at all: set minAvailable")},
		"all must be available":                 {placement: pickN(3), bindings: bindings(3), budget: minAvailable(percent("100%")), want: no + "Eviction is blocked " + budget + "3, totalPlacements: 3" + hopeless("minAvailable 100% leaves none of 3 clusters to evict: lower it")},
		"all must be, by number":                {placement: pickN(3), bindings: bindings(3), budget: minAvailable(number(3)), want: no + "Eviction is blocked " + budget + "3, totalPlacements: 3" + hopeless("minAvailable 3 leaves none of 3 clusters to evict: lower it")},
		"a minimum that cannot be read":         {placement: pickN(3), bindings: bindings(3), budget: minAvailable(percent("few")), want: no + "Eviction is blocked " + budget + "3, totalPlacements: 3" + hopeless("minAvailable few leaves none of 3 clusters to evict: lower it")},
		"a maximum that cannot be read":         {placement: pickN(3), bindings: bindings(3), budget: maxUnavailable(percent("few")), want: no + "Eviction is blocked " + budget + "3, totalPlacements: 3" + hopeless("maxUnavailable few leaves none of 3 clusters to evict: raise it")},
	} {
		t.Run(name, func(t *testing.T) {
			eviction := &v1beta1.ClusterResourcePlacementEviction{
				ObjectMeta: metav1.ObjectMeta{Name: "e", CreationTimestamp: at(5)},
				Spec:       v1beta1.PlacementEvictionSpec{PlacementName: "p", ClusterName: "c0"},
			}
			d := Decide(eviction, World{
				Now: start.Add(Deadline), Placement: test.placement, Bindings: test.bindings, Budget: test.budget, Refused: func(string) string { return test.refusal },
			})
			var said []string
			for _, c := range d.Conditions {
				said = append(said, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
			}
			if diff := cmp.Diff(test.want, strings.Join(said, "; ")); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if (d.Evict != nil) != test.evicts {
				t.Errorf("deletes %v, want that it does: %t", d.Evict, test.evicts)
			}
			if d.Evict != nil && d.Evict.BindingSpec().TargetCluster != "c0" {
				t.Errorf("deletes %s", d.Evict.GetName())
			}
		})
	}
}

func TestWhatRolloutPoliciesSayFitsIntoTheCondition(t *testing.T) {
	d := Decide(&v1beta1.ClusterResourcePlacementEviction{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at(5)}, Spec: v1beta1.PlacementEvictionSpec{ClusterName: "c0"}},
		World{Placement: picking("", 0), Bindings: bindings(1), Refused: func(string) string { return strings.Repeat("x", 1<<20) }})
	if n := len(d.Conditions[1].Message); n > 32<<10 {
		t.Errorf("the message has %d bytes", n)
	}
}

func TestAnEvictionOfLongAgoIsNotCarriedOut(t *testing.T) {
	eviction := &v1beta1.ClusterResourcePlacementEviction{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at(5)}, Spec: v1beta1.PlacementEvictionSpec{ClusterName: "c0"}}
	for now, want := range map[time.Time]bool{at(5).Add(Deadline): true, at(6).Add(Deadline): false} {
		d := Decide(eviction, World{Now: now, Placement: picking("", 0), Bindings: bindings(1), Refused: func(string) string { return "" }})
		if evicts := d.Evict != nil; evicts != want || !want && (len(d.Conditions) != 1 || d.Conditions[0].Message != messageTooOld) {
			t.Errorf("after %s: evicts %t, says %v", now.Sub(start), evicts, d.Conditions)
		}
	}
}

func TestAMarkIsWorthNothingWithoutItsEviction(t *testing.T) {
	for name, test := range map[string]struct {
		mark     string
		binding  func(*v1beta1.ClusterResourceBinding)
		eviction func(*v1beta1.ClusterResourcePlacementEviction)
		want     bool
	}{
		"marked":                   {mark: "e/1", want: true},
		"decided":                  {mark: "e/1", eviction: func(e *v1beta1.ClusterResourcePlacementEviction) { executed(e, metav1.ConditionTrue) }, want: true},
		"not marked":               {},
		"marked by another":        {mark: "f/1"},
		"marked by an earlier one": {mark: "e/0"},
		"marked without a uid":     {mark: "e"},
		"blocked":                  {mark: "e/1", eviction: func(e *v1beta1.ClusterResourcePlacementEviction) { executed(e, metav1.ConditionFalse) }},
		"not valid": {mark: "e/1", eviction: func(e *v1beta1.ClusterResourcePlacementEviction) {
			e.Status.Conditions = []metav1.Condition{{Type: "Valid", Status: "False"}}
		}},
		"about another cluster":        {mark: "e/1", eviction: func(e *v1beta1.ClusterResourcePlacementEviction) { e.Spec.ClusterName = "c1" }},
		"about another placement":      {mark: "e/1", eviction: func(e *v1beta1.ClusterResourcePlacementEviction) { e.Spec.PlacementName = "q" }},
		"a binding without its parent": {mark: "e/1", binding: func(b *v1beta1.ClusterResourceBinding) { b.Labels = nil }},
		"a binding in a namespace":     {mark: "e/1", binding: func(b *v1beta1.ClusterResourceBinding) { b.Namespace = "team" }},
	} {
		t.Run(name, func(t *testing.T) {
			e := &v1beta1.ClusterResourcePlacementEviction{ObjectMeta: metav1.ObjectMeta{Name: "e", UID: "1"}, Spec: v1beta1.PlacementEvictionSpec{PlacementName: "p", ClusterName: "c0"}}
			if test.eviction != nil {
				test.eviction(e)
			}
			b := bind("c0", func(b *v1beta1.ClusterResourceBinding) {
				b.Annotations = map[string]string{wellknown.EvictedByAnnotation: test.mark}
			})
			if test.binding != nil {
				test.binding(b.(*v1beta1.ClusterResourceBinding))
			}
			if got := Takes(e, b); got != test.want {
				t.Errorf("takes the placement off the cluster: %t, want %t", got, test.want)
			}
		})
	}
}

func executed(e *v1beta1.ClusterResourcePlacementEviction, status metav1.ConditionStatus) {
	e.Status.Conditions = []metav1.Condition{{Type: v1beta1.EvictionValid, Status: metav1.ConditionTrue}, {Type: v1beta1.EvictionExecuted, Status: status}}
}

func TestAnEvictionIsDecidedOnce(t *testing.T) {
	for name, test := range map[string]struct {
		conditions []metav1.Condition
		want       bool
	}{
		"new":                        {nil, false},
		"valid":                      {[]metav1.Condition{{Type: "Valid", Status: "True", ObservedGeneration: 1}}, false},
		"not valid":                  {[]metav1.Condition{{Type: "Valid", Status: "False", ObservedGeneration: 1}}, true},
		"not valid for another spec": {[]metav1.Condition{{Type: "Valid", Status: "False"}}, false},
		"executed":                   {[]metav1.Condition{{Type: "Executed", Status: "True"}}, true},
		"blocked":                    {[]metav1.Condition{{Type: "Executed", Status: "False"}}, true},
	} {
		e := &v1beta1.ClusterResourcePlacementEviction{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
		e.Status.Conditions = test.conditions
		if got := IsDecided(e); got != test.want {
			t.Errorf("%s: decided %t, want %t", name, got, test.want)
		}
	}
}

func TestEvictionsThatHaveEndedAreCollected(t *testing.T) {
	now := start.Add(TTL)
	ended := func(n int, first, step time.Duration) (list []*v1beta1.ClusterResourcePlacementEviction) {
		for i := range n {
			e := &v1beta1.ClusterResourcePlacementEviction{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("e%03d", i)}}
			decided := metav1.NewTime(start.Add(first + time.Duration(i)*step))
			e.Status.Conditions = []metav1.Condition{{Type: "Valid", LastTransitionTime: metav1.NewTime(start.Add(-time.Hour))}, {Type: "Executed", LastTransitionTime: decided}}
			list = append(list, e)
		}
		return list
	}
	for name, test := range map[string]struct {
		ended []*v1beta1.ClusterResourcePlacementEviction
		want  []string
		next  time.Duration
	}{
		"none":                     {},
		"young ones stay":          {ended(2, time.Second, time.Minute), nil, time.Second},
		"old ones go":              {ended(3, -time.Second, time.Second), []string{"e001", "e000"}, time.Second},
		"the oldest of many go":    {ended(MaxEnded+2, time.Minute, time.Second), []string{"e001", "e000"}, time.Minute + 2*time.Second},
		"many of one time by name": {ended(MaxEnded+1, time.Minute, 0), []string{"e200"}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			expired, next := Collect(test.ended, now)
			var got []string
			for _, e := range expired {
				got = append(got, e.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || next != test.next {
				t.Errorf("next in %s, want %s; expired (-want +got):\n%s", next, test.next, diff)
			}
		})
	}
	undated := &v1beta1.ClusterResourcePlacementEviction{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-time.Second))}}
	if expired, _ := Collect([]*v1beta1.ClusterResourcePlacementEviction{undated}, now); len(expired) > 0 {
		t.Error("one without a time is collected at once")
	}
}

func TestABudgetFitsItsPlacement(t *testing.T) {
	const pickAll = "cluster resource placement policy type PickAll is not supported with "
	for name, test := range map[string]struct {
		placement *v1beta1.ClusterResourcePlacement
		budget    *v1beta1.ClusterResourcePlacementDisruptionBudget
		want      []string
	}{
		"PickAll with a number":     {picking("", 0), minAvailable(number(1)), nil},
		"PickAll with a percentage": {picking("", 0), minAvailable(percent("10%")), []string{pickAll + "min available as a percentage 10%: set minAvailable to a number"}},
		"PickAll with a maximum":    {picking(v1beta1.PickAllPlacementType, 0), maxUnavailable(number(2)), []string{pickAll + "any specified max unavailable 2: set minAvailable to a number"}},
		"PickN with a percentage":   {picking(v1beta1.PickNPlacementType, 3), minAvailable(percent("10%")), nil},
		"PickN with a maximum":      {picking(v1beta1.PickNPlacementType, 3), maxUnavailable(number(2)), nil},
	} {
		if diff := cmp.Diff(test.want, Misfits(test.placement, &test.budget.Spec)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestABudgetThatIsProbablyNotMeant(t *testing.T) {
	of := func(p *v1beta1.ClusterResourcePlacement, clusters int) *v1beta1.ClusterResourcePlacement {
		for i := range clusters {
			p.Status.PerClusterPlacementStatuses = append(p.Status.PerClusterPlacementStatuses, v1beta1.PerClusterPlacementStatus{ClusterName: fmt.Sprintf("c%d", i)})
		}
		// One that is not picked has no name.
		p.Status.PerClusterPlacementStatuses = append(p.Status.PerClusterPlacementStatuses, v1beta1.PerClusterPlacementStatus{})
		return p
	}
	const (
		missing = "metadata.name: there is no ClusterResourcePlacement p: the budget limits nothing before there is"
		fixed   = "metadata.name: ClusterResourcePlacement p is PickFixed, which is never evicted: the budget limits nothing"
		empty   = "spec: it allows no eviction at all: set minAvailable"
	)
	for name, test := range map[string]struct {
		placement *v1beta1.ClusterResourcePlacement
		budget    *v1beta1.ClusterResourcePlacementDisruptionBudget
		want      []string
	}{
		"no placement":                         {nil, minAvailable(number(1)), []string{missing}},
		"no placement, and nothing in it":      {nil, minAvailable(nil), []string{empty, missing}},
		"PickFixed":                            {picking(v1beta1.PickFixedPlacementType, 0), minAvailable(percent("50%")), []string{fixed}},
		"nothing in it":                        {picking(v1beta1.PickNPlacementType, 3), minAvailable(nil), []string{empty}},
		"PickN":                                {picking(v1beta1.PickNPlacementType, 3), minAvailable(number(2)), nil},
		"all of PickN":                         {picking(v1beta1.PickNPlacementType, 3), minAvailable(percent("100%")), []string{"spec: minAvailable 100% leaves none of 3 clusters to evict: lower it"}},
		"none of PickN":                        {picking(v1beta1.PickNPlacementType, 3), maxUnavailable(number(0)), []string{"spec: maxUnavailable 0 leaves none of 3 clusters to evict: raise it"}},
		"fewer than PickAll has":               {of(picking("", 0), 2), minAvailable(number(1)), nil},
		"as many as PickAll has":               {of(picking("", 0), 2), minAvailable(number(2)), []string{"spec: minAvailable 2 leaves none of 2 clusters to evict: lower it"}},
		"PickAll that has not looked yet":      {picking("", 0), minAvailable(number(2)), nil},
		"one cluster of PickAll with a number": {of(picking("", 0), 1), minAvailable(number(1)), []string{"spec: minAvailable 1 leaves none of 1 cluster to evict: lower it"}},
	} {
		test.budget.Name = "p"
		if diff := cmp.Diff(test.want, Doubts(test.placement, test.budget)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAPlacementComesBackToAClusterWithoutATaint(t *testing.T) {
	member := func(taints ...clusterv1beta1.Taint) *clusterv1beta1.MemberCluster {
		return &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "c0"}, Spec: clusterv1beta1.MemberClusterSpec{Taints: taints}}
	}
	taint := clusterv1beta1.Taint{Key: "maintenance", Effect: "NoSchedule"}
	tolerant := picking(v1beta1.PickAllPlacementType, 0)
	tolerant.Spec.Policy.Tolerations = []v1beta1.Toleration{{Operator: v1beta1.TolerationOpExists}}
	const keeps = "MemberCluster c0 has no taint that keeps ClusterResourcePlacement p off, which "
	for name, test := range map[string]struct {
		placement *v1beta1.ClusterResourcePlacement
		member    *clusterv1beta1.MemberCluster
		want      string
	}{
		"a taint":                 {picking("", 0), member(taint), ""},
		"no taint":                {picking("", 0), member(), keeps + "picks it again at once: set a taint first"},
		"no taint, and PickN":     {picking(v1beta1.PickNPlacementType, 1), member(), keeps + "may pick it again at once: set a taint first"},
		"a taint that it accepts": {tolerant, member(taint), keeps + "picks it again at once: set a taint first"},
	} {
		if got := Returns(test.placement, test.member); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
