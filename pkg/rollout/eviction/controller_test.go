// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	evictionrules "github.com/stagegate/stagegate/pkg/rules/eviction"
)

// drain is a PickN placement p on the clusters a, b and c, all available, of which one may be unavailable.
type drain struct {
	*fleettest.World
	clock  *clocktesting.FakeClock
	events *record.FakeRecorder
}

func newDrain(t *testing.T) drain {
	d := drain{fleettest.New(t, ""), clocktesting.NewFakeClock(time.Now().Add(time.Minute)), record.NewFakeRecorder(2 * evictionrules.MaxEnded)}
	// A server keeps a binding that is being deleted as long as it has finalizers, and holds preconditions.
	d.Client.PrependReactor("delete", "clusterresourcebindings", func(a clienttesting.Action) (bool, runtime.Object, error) {
		b := d.stored(a.(clienttesting.DeleteActionImpl).Name)
		options := a.(clienttesting.DeleteActionImpl).DeleteOptions
		if p := options.Preconditions; p == nil || *p.UID != b.UID || *p.ResourceVersion != b.ResourceVersion {
			return true, nil, apierrors.NewConflict(a.GetResource().GroupResource(), b.Name, errors.New("it was changed"))
		}
		b.DeletionTimestamp = ptr.To(metav1.NewTime(d.clock.Now()))
		return true, nil, d.store(b)
	})
	fleettest.Create(d.World, d.Fleet.Placements, "p", func(p v1beta1.PlacementObject) {
		p.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType, NumberOfClusters: ptr.To(int32(3))}
	})
	for _, cluster := range []string{"a", "b", "c"} {
		_, err := d.Client.ClusterV1beta1().MemberClusters().Create(t.Context(), &clusterv1beta1.MemberCluster{
			ObjectMeta: metav1.ObjectMeta{Name: cluster, Labels: map[string]string{"name": cluster}},
		}, metav1.CreateOptions{})
		d.Must(err)
		fleettest.Create(d.World, d.Fleet.Bindings, cluster, func(b v1beta1.BindingObject) {
			b.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "p"})
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, TargetCluster: cluster}
			b.BindingStatus().Conditions = []metav1.Condition{{Type: v1beta1.BindingAvailable, Status: metav1.ConditionTrue, ObservedGeneration: 1}}
		})
	}
	return d
}

func (d drain) budget(maxUnavailable int32) {
	d.Helper()
	_, err := d.Client.PlacementV1beta1().ClusterResourcePlacementDisruptionBudgets().Create(d.Context(), &v1beta1.ClusterResourcePlacementDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1beta1.PlacementDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(maxUnavailable))},
	}, metav1.CreateOptions{})
	d.Must(err)
}

// stored is a binding as the server has it. A reactor may not ask the client, which waits for it.
func (d drain) stored(name string) *v1beta1.ClusterResourceBinding {
	d.Helper()
	o, err := d.Client.Tracker().Get(bindings, "", name)
	d.Must(err)
	return o.(*v1beta1.ClusterResourceBinding).DeepCopy()
}

// store makes a later version of a binding.
func (d drain) store(b *v1beta1.ClusterResourceBinding) error {
	b.ResourceVersion += "000"
	return d.Client.Tracker().Update(bindings, b, "")
}

var bindings = v1beta1.SchemeGroupVersion.WithResource("clusterresourcebindings")

func (d drain) binding(name string) *v1beta1.ClusterResourceBinding {
	d.Helper()
	b, err := d.Client.PlacementV1beta1().ClusterResourceBindings().Get(d.Context(), name, metav1.GetOptions{})
	d.Must(err)
	return b
}

// evict asks for an eviction of p from a cluster, and waits until the cache has it.
func (d drain) evict(cluster string) {
	d.Helper()
	_, err := d.Client.PlacementV1beta1().ClusterResourcePlacementEvictions().Create(d.Context(), &v1beta1.ClusterResourcePlacementEviction{
		ObjectMeta: metav1.ObjectMeta{Name: "e-" + cluster}, Spec: v1beta1.PlacementEvictionSpec{PlacementName: "p", ClusterName: cluster},
	}, metav1.CreateOptions{})
	d.Must(err)
	d.Eventually("the eviction is in the cache", func() bool { _, err := d.Fleet.Evictions.Lister().Get("e-" + cluster); return err == nil })
}

func (d drain) controller() *Controller { return New(d.Fleet, d.events, d.clock) }

// said is what the evictions say, as "cluster Executed" or, where one is not valid, as "cluster invalid".
func (d drain) said() string {
	list, err := d.Client.PlacementV1beta1().ClusterResourcePlacementEvictions().List(d.Context(), metav1.ListOptions{})
	d.Must(err)
	var said []string
	for i := range list.Items {
		e := &list.Items[i]
		switch {
		case meta.IsStatusConditionFalse(e.Status.Conditions, v1beta1.EvictionValid):
			said = append(said, e.Spec.ClusterName+" invalid")
		default:
			if c := meta.FindStatusCondition(e.Status.Conditions, v1beta1.EvictionExecuted); c != nil {
				said = append(said, e.Spec.ClusterName+" "+string(c.Status))
			}
		}
	}
	slices.Sort(said)
	return strings.Join(said, ", ")
}

// leaving are the clusters whose bindings are being deleted, each with the eviction that it is marked by.
func (d drain) leaving() string {
	list, err := d.Client.PlacementV1beta1().ClusterResourceBindings().List(d.Context(), metav1.ListOptions{})
	d.Must(err)
	var leaving []string
	for i := range list.Items {
		if b := &list.Items[i]; b.DeletionTimestamp != nil {
			by, _ := evictionrules.MarkedBy(b)
			leaving = append(leaving, b.Spec.TargetCluster+" by "+by)
		}
	}
	slices.Sort(leaving)
	return strings.Join(leaving, ", ")
}

func (d drain) want(what, got, want string) {
	d.Helper()
	if got != want {
		d.Errorf("%s: %q, want %q", what, got, want)
	}
}

// message is what an eviction says last.
func (d drain) message(cluster string) string {
	e, err := d.Client.PlacementV1beta1().ClusterResourcePlacementEvictions().Get(d.Context(), "e-"+cluster, metav1.GetOptions{})
	d.Must(err)
	if len(e.Status.Conditions) == 0 {
		return ""
	}
	return e.Status.Conditions[len(e.Status.Conditions)-1].Message
}

func TestAnEvictionTakesAPlacementOffACluster(t *testing.T) {
	d := newDrain(t)
	d.Run(d.controller().Run)
	d.evict("a")
	d.Eventually("it is carried out", func() bool { return d.said() == "a True" })
	d.want("bindings on their way out", d.leaving(), "a by e-a")
	e, err := d.Client.PlacementV1beta1().ClusterResourcePlacementEvictions().Get(t.Context(), "e-a", metav1.GetOptions{})
	d.Must(err)
	var said []string
	for _, c := range e.Status.Conditions {
		said = append(said, fmt.Sprintf("%s %s %s %d", c.Type, c.Status, c.Reason, c.ObservedGeneration))
	}
	want := []string{"Valid True ClusterResourcePlacementEvictionValid 1", "Executed True ClusterResourcePlacementEvictionExecuted 1"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	d.want("Event", <-d.events.Events, "Normal PlacementEvicted Eviction e-a takes the placement off cluster a")
}

func TestTwoEvictionsAtOnceSpendABudgetOnce(t *testing.T) {
	d := newDrain(t)
	d.budget(1)
	d.evict("a")
	d.evict("b")
	d.Run(d.controller().Run)
	d.Eventually("both are decided", func() bool { return strings.Contains(d.said(), ", ") })
	if one := d.leaving(); one != "a by e-a" && one != "b by e-b" {
		t.Errorf("bindings on their way out: %q, want one", one)
	}
	if said := d.said(); said != "a True, b False" && said != "a False, b True" {
		t.Errorf("the evictions say %q", said)
	}
}

// TestABudgetIsNotSpentTwiceByAStaleCache has a controller decide whose cache has not seen the first eviction yet.
func TestABudgetIsNotSpentTwiceByAStaleCache(t *testing.T) {
	d := newDrain(t)
	d.budget(1)
	d.evict("a")
	d.evict("b")
	before := d.binding("a")
	c := d.controller()
	d.reconcile(c, "a")
	d.Eventually("the cache sees the deletion", func() bool {
		b, err := d.Fleet.Bindings.Get(d.Key("a"))
		return err == nil && b.GetDeletionTimestamp() != nil
	})
	d.Must(d.Fleet.Bindings.Cache("").Update(before))
	d.reconcile(c, "b")
	d.want("bindings on their way out", d.leaving(), "a by e-a")
	d.want("the second says", d.message("b"), "Eviction is blocked by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: 2, totalPlacements: 3; "+
		"wait until more clusters are available, or change maxUnavailable 1 in ClusterResourcePlacementDisruptionBudget p, and create the eviction again")
}

// TestAnEvictionThatWasTakenBackIsNotCarriedOut has one deleted that the cache still has.
func TestAnEvictionThatWasTakenBackIsNotCarriedOut(t *testing.T) {
	d := newDrain(t)
	d.evict("a")
	e, err := d.Fleet.Evictions.Lister().Get("e-a")
	d.Must(err)
	d.Must(d.Client.PlacementV1beta1().ClusterResourcePlacementEvictions().Delete(t.Context(), "e-a", metav1.DeleteOptions{}))
	d.Eventually("the cache sees it", func() bool { _, err := d.Fleet.Evictions.Lister().Get("e-a"); return err != nil })
	d.Must(d.Fleet.Evictions.Informer().GetStore().Add(e))
	d.reconcile(d.controller(), "a")
	d.want("bindings on their way out", d.leaving(), "")
}

func (d drain) reconcile(c *Controller, cluster string) time.Duration {
	d.Helper()
	again, err := c.reconcile(d.Context(), reconcile.Key{Name: "e-" + cluster})
	d.Must(err)
	return again
}

// TestAKilledEvictionTakesNoMoreThanItsBudget ends the controller after each of its writes, and starts another.
func TestAKilledEvictionTakesNoMoreThanItsBudget(t *testing.T) {
	killed := errors.New("killed")
	for name, test := range map[string]struct {
		verb, resource, subresource string
		// meanwhile is what happens until the next one starts.
		meanwhile func(d drain)
		leaving   string
		said      string
	}{
		"before the mark":     {"update", "clusterresourcebindings", "", nil, "a by e-a", "a True"},
		"before the deletion": {"delete", "clusterresourcebindings", "", nil, "a by e-a", "a True"},
		"before the deletion, and the budget is spent otherwise": {"delete", "clusterresourcebindings", "", func(d drain) {
			fleettest.UpdateStatus(d.World, d.Fleet.Bindings, "b", func(b v1beta1.BindingObject) { b.BindingStatus().Conditions = nil })
		}, "", "a False"},
		"before the status":                           {"update", "clusterresourceplacementevictions", "status", nil, "a by e-a", "a True"},
		"before the status, and another is asked for": {"update", "clusterresourceplacementevictions", "status", func(d drain) { d.evict("b") }, "a by e-a", "a True, b False"},
		"before the status, and the cluster is picked again": {"update", "clusterresourceplacementevictions", "status", func(d drain) {
			d.Must(d.Client.Tracker().Delete(bindings, "", "a"))
			d.Eventually("it is gone", func() bool { _, err := d.Fleet.Bindings.Get(d.Key("a")); return err != nil })
			again := d.Fleet.Bindings.New(d.Key("a"))
			again.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "p"})
			again.SetCreationTimestamp(metav1.NewTime(time.Now().Add(time.Minute)))
			*again.BindingSpec() = v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, TargetCluster: "a"}
			d.Must(d.Client.Tracker().Add(again.(runtime.Object)))
		}, "", "a invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDrain(t)
			d.budget(1)
			d.evict("a")
			kill := true
			d.Client.PrependReactor(test.verb, test.resource, func(a clienttesting.Action) (bool, runtime.Object, error) {
				// The write of the binding by which the test marks it deleted is none of the controller's.
				if kill && a.GetSubresource() == test.subresource {
					return true, nil, killed
				}
				return false, nil, nil
			})
			if _, err := d.controller().reconcile(t.Context(), reconcile.Key{Name: "e-a"}); !errors.Is(err, killed) {
				t.Fatalf("the controller is not killed: %v", err)
			}
			kill = false
			if test.meanwhile != nil {
				test.meanwhile(d)
			}
			// The next one starts with caches that are whole.
			next := d.controller()
			d.reconcile(next, "a")
			if strings.Contains(test.said, "b ") {
				d.reconcile(next, "b")
			}
			d.want("bindings on their way out", d.leaving(), test.leaving)
			d.want("the evictions say", d.said(), test.said)
		})
	}
}

func TestABindingThatChangesMeanwhileIsLookedAtAgain(t *testing.T) {
	for _, verb := range []string{"update", "delete"} {
		t.Run(verb, func(t *testing.T) {
			d := newDrain(t)
			d.evict("a")
			changed := false
			d.Client.PrependReactor(verb, "clusterresourcebindings", func(a clienttesting.Action) (bool, runtime.Object, error) {
				if changed || a.GetSubresource() != "" {
					return false, nil, nil
				}
				changed = true
				b := d.stored("a")
				b.Status.Conditions = nil
				d.Must(d.store(b))
				return false, nil, nil
			})
			if _, err := d.controller().reconcile(t.Context(), reconcile.Key{Name: "e-a"}); !apierrors.IsConflict(err) {
				t.Errorf("the error is %v, want a conflict", err)
			}
			d.want("bindings on their way out", d.leaving(), "")
			d.want("the eviction says", d.said(), "")
		})
	}
}

func TestRolloutPoliciesKeepAPlacementOnACluster(t *testing.T) {
	for name, test := range map[string]struct {
		policy  v1alpha1.RolloutPolicySpec
		labels  map[string]string
		member  func(*clusterv1beta1.MemberCluster)
		refused bool
	}{
		"staged":                         {policy: v1alpha1.RolloutPolicySpec{Rules: v1alpha1.PolicyRules{Staged: true}}, refused: true},
		"staged elsewhere":               {policy: v1alpha1.RolloutPolicySpec{Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"name": "b"}}, Rules: v1alpha1.PolicyRules{Staged: true}}},
		"for another placement":          {policy: v1alpha1.RolloutPolicySpec{Match: &v1alpha1.PolicyMatch{PlacementSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"x": "y"}}}, Rules: v1alpha1.PolicyRules{Staged: true}}},
		"only warned of":                 {policy: v1alpha1.RolloutPolicySpec{Enforcement: v1alpha1.PolicyEnforcementWarn, Rules: v1alpha1.PolicyRules{Staged: true}}},
		"no version may be there":        {policy: v1alpha1.RolloutPolicySpec{Rules: v1alpha1.PolicyRules{Deny: true}}},
		"staged, and the cluster leaves": {policy: v1alpha1.RolloutPolicySpec{Rules: v1alpha1.PolicyRules{Staged: true}}, member: func(m *clusterv1beta1.MemberCluster) { m.DeletionTimestamp = ptr.To(metav1.Now()) }},
		"a policy that cannot be read":   {policy: v1alpha1.RolloutPolicySpec{Clusters: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "?"}}}}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDrain(t)
			// The caches do not have it yet: what counts is what there is.
			_, err := d.Client.RolloutV1alpha1().ClusterRolloutPolicies().Create(t.Context(), &v1alpha1.ClusterRolloutPolicy{
				ObjectMeta: metav1.ObjectMeta{Name: "guard"}, Spec: test.policy,
			}, metav1.CreateOptions{})
			d.Must(err)
			if test.member != nil {
				m, err := d.Client.ClusterV1beta1().MemberClusters().Get(t.Context(), "a", metav1.GetOptions{})
				d.Must(err)
				test.member(m)
				_, err = d.Client.ClusterV1beta1().MemberClusters().Update(t.Context(), m, metav1.UpdateOptions{})
				d.Must(err)
			}
			d.evict("a")
			d.reconcile(d.controller(), "a")
			if !test.refused {
				d.want("bindings on their way out", d.leaving(), "a by e-a")
				return
			}
			d.want("bindings on their way out", d.leaving(), "")
			if got := d.message("a"); !strings.HasPrefix(got, "Eviction is blocked by rollout policies: ") || !strings.Contains(got, "ClusterRolloutPolicy guard") {
				t.Errorf("the eviction says %q", got)
			}
			if e := <-d.events.Events; !strings.HasPrefix(e, "Warning PlacementEvictionBlocked ClusterResourcePlacement p stays on cluster a: Eviction is blocked by rollout policies") {
				t.Errorf("Event %q", e)
			}
		})
	}
}

func TestNothingIsDecidedOfAWorldThatCannotBeRead(t *testing.T) {
	for _, test := range []struct{ verb, resource string }{
		{"get", "clusterresourceplacements"}, {"list", "clusterresourcebindings"}, {"get", "clusterresourceplacementdisruptionbudgets"},
		{"list", "clusterrolloutpolicies"}, {"get", "memberclusters"}, {"get", "clusterresourceplacementevictions"},
	} {
		t.Run(test.resource, func(t *testing.T) {
			d := newDrain(t)
			_, err := d.Client.RolloutV1alpha1().ClusterRolloutPolicies().Create(t.Context(), &v1alpha1.ClusterRolloutPolicy{ObjectMeta: metav1.ObjectMeta{Name: "any"}}, metav1.CreateOptions{})
			d.Must(err)
			d.evict("a")
			d.Client.PrependReactor(test.verb, test.resource, func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewServiceUnavailable("down")
			})
			if _, err := d.controller().reconcile(t.Context(), reconcile.Key{Name: "e-a"}); !apierrors.IsServiceUnavailable(err) {
				t.Errorf("the error is %v", err)
			}
			for _, action := range d.Client.Actions() {
				if action.Matches("delete", "clusterresourcebindings") || action.Matches("update", "clusterresourceplacementevictions") {
					t.Errorf("%s %s", action.GetVerb(), action.GetResource().Resource)
				}
			}
		})
	}
}

func TestAnEvictionStaysUntilItsBindingHasGoneAndAWhileLonger(t *testing.T) {
	d := newDrain(t)
	d.evict("a")
	c := d.controller()
	d.Run(c.Run)
	d.Eventually("it is carried out", func() bool {
		e, err := d.Fleet.Evictions.Lister().Get("e-a")
		b, missing := d.Fleet.Bindings.Get(d.Key("a"))
		return err == nil && evictionrules.IsDecided(e) && missing == nil && b.GetDeletionTimestamp() != nil
	})
	d.clock.Step(2 * evictionrules.TTL)
	again := d.reconcile(c, "a")
	if _, err := d.Client.PlacementV1beta1().ClusterResourcePlacementEvictions().Get(t.Context(), "e-a", metav1.GetOptions{}); err != nil || again != 0 {
		t.Fatalf("the eviction goes before what it removes: again in %s, %v", again, err)
	}
	d.Must(d.Client.Tracker().Delete(bindings, "", "a"))
	d.Eventually("it goes with its binding", func() bool {
		all, err := d.Fleet.Evictions.Lister().List(labels.Everything())
		return err == nil && len(all) == 0
	})
}

func TestAnEvictionThatIsOverGoesAfterAWhile(t *testing.T) {
	d := newDrain(t)
	d.evict("z")
	c := d.controller()
	d.reconcile(c, "z")
	d.want("the eviction says", d.said(), "z invalid")
	d.Eventually("the cache sees it", func() bool {
		e, err := d.Fleet.Evictions.Lister().Get("e-z")
		return err == nil && evictionrules.IsDecided(e)
	})
	// What is stored has no fractions of a second.
	if again := d.reconcile(c, "z"); again <= evictionrules.TTL-time.Second || again > evictionrules.TTL {
		t.Errorf("it is looked at again in %s", again)
	}
	d.clock.Step(evictionrules.TTL)
	d.reconcile(c, "z")
	d.want("evictions", d.said(), "")
}

// TestEvictionsAreBounded has more of them than stay.
func TestEvictionsAreBounded(t *testing.T) {
	d := newDrain(t)
	c := d.controller()
	for i := range evictionrules.MaxEnded + 3 {
		name := fmt.Sprintf("z%03d", i)
		d.evict(name)
		d.reconcile(c, name)
		d.clock.Step(time.Second)
	}
	last := fmt.Sprintf("z%03d", evictionrules.MaxEnded+2)
	d.Eventually("the cache sees it", func() bool {
		e, err := d.Fleet.Evictions.Lister().Get("e-" + last)
		return err == nil && evictionrules.IsDecided(e)
	})
	d.reconcile(c, last)
	list, err := d.Client.PlacementV1beta1().ClusterResourcePlacementEvictions().List(t.Context(), metav1.ListOptions{})
	d.Must(err)
	if len(list.Items) != evictionrules.MaxEnded || list.Items[0].Name != "e-z003" {
		t.Errorf("%d are left from %s on", len(list.Items), list.Items[0].Name)
	}
}
