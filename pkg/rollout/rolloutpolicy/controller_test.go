// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"context"
	"fmt"
	"testing"
	"time"

	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

var start = time.Date(2026, 7, 22, 21, 28, 8, 0, time.UTC)

// fixture is a fleet with policies of one scope.
type fixture struct {
	*fleettest.World
	clock *clocktesting.FakeClock
	// namespaces are those of the hub; nil where nobody watches them.
	namespaces *fake.Clientset
}

func inBothScopes(t *testing.T, test func(f *fixture)) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		test(&fixture{World: w, clock: clocktesting.NewFakeClock(start)})
	})
}

var prod = &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "prod"}}

// protect makes a policy that protects the clusters of a selector.
func (f *fixture) protect(name string, clusters *metav1.LabelSelector) {
	f.Helper()
	fleettest.Create(f.World, f.Fleet.Policies, name, func(o v1alpha1.RolloutPolicyObject) {
		*o.PolicySpec() = v1alpha1.RolloutPolicySpec{Clusters: clusters, Rules: v1alpha1.PolicyRules{Staged: true}}
	})
}

func (f *fixture) member(name, environment string) {
	f.Helper()
	_, err := f.Client.ClusterV1beta1().MemberClusters().Create(f.Context(), &clusterv1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"environment": environment}},
	}, metav1.CreateOptions{})
	f.Must(err)
}

// place makes a placement that picks clusters, on which runs move it.
func (f *fixture) place(name string, clusters ...string) {
	f.Helper()
	fleettest.Create(f.World, f.Fleet.Placements, name, func(o v1beta1.PlacementObject) {
		o.SetLabels(map[string]string{"name": name})
		o.PlacementSpec().Strategy.Type = v1beta1.ExternalRolloutStrategyType
	})
	for _, cluster := range clusters {
		fleettest.Create(f.World, f.Fleet.Bindings, name+"-"+cluster, func(o v1beta1.BindingObject) {
			o.SetLabels(map[string]string{wellknown.ParentPlacementLabel: name})
			*o.BindingSpec() = v1beta1.ResourceBindingSpec{TargetCluster: cluster, State: v1beta1.BindingStateBound}
		})
	}
}

// run makes a run that is governed by policies.
func (f *fixture) run(name string, policies ...string) {
	f.Helper()
	fleettest.Create(f.World, f.Fleet.Runs, name, func(v1beta1.UpdateRunObject) {})
	fleettest.UpdateStatus(f.World, f.Fleet.Runs, name, func(o v1beta1.UpdateRunObject) {
		for _, policy := range policies {
			o.RunStatus().Policies = append(o.RunStatus().Policies, v1beta1.GoverningPolicy{Name: policy, UID: f.policy(policy).GetUID()})
		}
	})
}

// policy is a policy as the API has it.
func (f *fixture) policy(name string) v1alpha1.RolloutPolicyObject {
	f.Helper()
	o, err := f.Fleet.Policies.Client(f.Namespace).Get(f.Context(), name, metav1.GetOptions{})
	f.Must(err)
	return o
}

// controller has caches that hold what the API has now, and never more.
func (f *fixture) controller() *Controller {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	caches := fleet.New(f.Client)
	if f.namespaces != nil {
		factory := informers.NewSharedInformerFactory(f.namespaces, 0)
		caches.Namespaces = factory.Core().V1().Namespaces()
		caches.Namespaces.Informer()
		factory.Start(ctx.Done())
	}
	caches.Start(ctx.Done())
	if !caches.WaitForSync(ctx.Done()) {
		f.Fatal("the caches do not fill")
	}
	return New(caches, f.clock)
}

// look reconciles once with fresh caches.
func (f *fixture) look() {
	f.Helper()
	again, err := f.controller().reconcile(f.Context(), everything)
	f.Must(err)
	if again != 0 {
		f.Errorf("looks again after %s", again)
	}
}

func (f *fixture) want(name string, want v1alpha1.PolicyGoverns) {
	f.Helper()
	f.look()
	if diff := cmp.Diff(want, f.policy(name).PolicyStatus().Governs); diff != "" {
		f.Errorf("policy %s governs (-want +got):\n%s", name, diff)
	}
}

func TestAPolicyGovernsWhatReachesItsClusters(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.protect("guard", prod)
		f.protect("other", &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}})
		f.protect("all", nil)
		f.want("guard", v1alpha1.PolicyGoverns{})
		f.member("canary", "canary")
		f.member("eu", "prod")
		f.member("us", "prod")
		f.place("both", "canary", "eu", "us")
		f.place("first", "canary")
		f.place("none")
		f.run("governed", "guard", "all")
		f.run("free")
		f.want("guard", v1alpha1.PolicyGoverns{Clusters: 2, Placements: 1, ActiveRuns: 1})
		f.want("other", v1alpha1.PolicyGoverns{Clusters: 1, Placements: 2})
		f.want("all", v1alpha1.PolicyGoverns{Clusters: 3, Placements: 2, ActiveRuns: 1})

		// What is over, and what is not picked any more, does not count.
		fleettest.UpdateStatus(f.World, f.Fleet.Runs, "governed", func(o v1beta1.UpdateRunObject) {
			o.RunStatus().Conditions = []metav1.Condition{{Type: v1beta1.RunSucceeded, Status: metav1.ConditionFalse}}
		})
		for _, cluster := range []string{"eu", "us"} {
			fleettest.Update(f.World, f.Fleet.Bindings, "both-"+cluster, func(o v1beta1.BindingObject) {
				o.BindingSpec().State = v1beta1.BindingStateUnscheduled
			})
		}
		f.want("guard", v1alpha1.PolicyGoverns{Clusters: 2})
		f.want("all", v1alpha1.PolicyGoverns{Clusters: 3, Placements: 2})
	})
}

// A placement counts until its resources are gone.
func TestWhatIsTakenOffAClusterCountsUntilItIsGone(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.protect("guard", prod)
		f.member("eu", "prod")
		f.place("web", "eu")
		fleettest.Update(f.World, f.Fleet.Bindings, "web-eu", func(o v1beta1.BindingObject) {
			o.BindingSpec().State, o.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateUnscheduled, "web-0-snapshot"
		})
		f.want("guard", v1alpha1.PolicyGoverns{Clusters: 1, Placements: 1})
		f.Must(f.Fleet.Bindings.Client(f.Namespace).Delete(f.Context(), "web-eu", metav1.DeleteOptions{}))
		f.Eventually("the binding is gone from the cache", func() bool { return len(f.Fleet.Bindings.All()) == 0 })
		f.want("guard", v1alpha1.PolicyGoverns{Clusters: 1})
	})
}

func TestAPolicyCountsWhatViolatesIt(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.protect("guard", prod)
		f.protect("closed", prod)
		fleettest.Update(f.World, f.Fleet.Policies, "closed", func(o v1alpha1.RolloutPolicyObject) {
			o.PolicySpec().Rules = v1alpha1.PolicyRules{Deny: true}
			o.PolicySpec().Enforcement = v1alpha1.PolicyEnforcementWarn
		})
		f.member("eu", "prod")
		f.member("us", "prod")
		f.place("rolling", "eu")
		f.place("staged", "eu")
		f.place("leaving", "us")
		fleettest.Update(f.World, f.Fleet.Placements, "rolling", func(o v1beta1.PlacementObject) {
			o.PlacementSpec().Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType
		})
		fleettest.Update(f.World, f.Fleet.Bindings, "leaving-us", func(o v1beta1.BindingObject) {
			o.BindingSpec().State, o.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateUnscheduled, "leaving-0-snapshot"
		})
		for name, change := range map[string]func(*v1beta1.GoverningPolicy){
			"met": func(*v1beta1.GoverningPolicy) {}, "warned": func(g *v1beta1.GoverningPolicy) { g.Violated = true },
			"overriding": func(g *v1beta1.GoverningPolicy) { g.Overridden, g.Violated = true, true }, "older": func(g *v1beta1.GoverningPolicy) { g.Overridden = true },
		} {
			f.run(name, "guard")
			fleettest.UpdateStatus(f.World, f.Fleet.Runs, name, func(o v1beta1.UpdateRunObject) { change(&o.RunStatus().Policies[0]) })
		}
		f.want("guard", v1alpha1.PolicyGoverns{Clusters: 2, Placements: 3, ActiveRuns: 4, ViolatingPlacements: 1, ViolatingRuns: 3})
		f.want("closed", v1alpha1.PolicyGoverns{Clusters: 2, Placements: 3, ViolatingPlacements: 2})
	})
}

func TestAPolicyIsToldWhichOneContradictsIt(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		asks := func(name string, clusters *metav1.LabelSelector, group string) {
			f.Helper()
			fleettest.Create(f.World, f.Fleet.Policies, name, func(o v1alpha1.RolloutPolicyObject) {
				*o.PolicySpec() = v1alpha1.RolloutPolicySpec{Clusters: clusters, Rules: v1alpha1.PolicyRules{Approval: &v1alpha1.ApprovalRule{Groups: []string{group}}}}
			})
		}
		want := func(name, want string) {
			f.Helper()
			c := meta.FindStatusCondition(f.policy(name).PolicyStatus().Conditions, v1alpha1.PolicyCompatible)
			if got := fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message); got != want {
				f.Errorf("policy %s is %s\nwant %s", name, got, want)
			}
			followsKstatus(f, name)
		}
		const compatible = "True Compatible: No other policy is known to contradict it"
		kind := "ClusterRolloutPolicy"
		if f.Namespace != "" {
			kind = "RolloutPolicy"
		}
		contradicted := func(by, own, other string) string {
			return fmt.Sprintf("False Contradicted: %s %s contradicts it for clusters that both protect: no strategy can have one Approval with groups: [%s] and with groups: [%s], change one of them",
				kind, by, own, other)
		}
		asks("sre", prod, "sre")
		asks("security", nil, "security")
		asks("canaries", &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}}, "sre")
		f.look()
		// There is no cluster yet that two of them protect.
		want("sre", compatible)
		f.member("eu", "prod")
		f.look()
		want("sre", contradicted("security", "sre", "security"))
		want("security", contradicted("sre", "security", "sre"))
		want("canaries", compatible)
		fleettest.Update(f.World, f.Fleet.Policies, "security", func(o v1alpha1.RolloutPolicyObject) { o.PolicySpec().Enforcement = v1alpha1.PolicyEnforcementWarn })
		f.look()
		want("sre", compatible)
	})
}

// Whoever may write policies in a namespace writes nothing into the status of the platform's.
func TestAClusterRolloutPolicyIsNotToldOfThoseOfNamespaces(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		if f.Namespace == "" {
			f.Skip("there is no policy of a namespace")
		}
		f.namespaces = fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.Namespace}})
		f.member("eu", "prod")
		rules := func(group string) v1alpha1.PolicyRules {
			return v1alpha1.PolicyRules{Approval: &v1alpha1.ApprovalRule{Groups: []string{group}}}
		}
		_, err := f.Client.RolloutV1alpha1().ClusterRolloutPolicies().Create(f.Context(), &v1alpha1.ClusterRolloutPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "platform"},
			Spec:       v1alpha1.RolloutPolicySpec{Match: &v1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{}}, Rules: rules("sre")},
		}, metav1.CreateOptions{})
		f.Must(err)
		fleettest.Create(f.World, f.Fleet.Policies, "own", func(o v1alpha1.RolloutPolicyObject) { o.PolicySpec().Rules = rules("team") })
		f.look()
		if c := meta.FindStatusCondition(f.policy("own").PolicyStatus().Conditions, v1alpha1.PolicyCompatible); c.Status != metav1.ConditionFalse {
			f.Errorf("the policy of the namespace is told %v", c)
		}
		platform, err := f.Client.RolloutV1alpha1().ClusterRolloutPolicies().Get(f.Context(), "platform", metav1.GetOptions{})
		f.Must(err)
		if c := meta.FindStatusCondition(platform.Status.Conditions, v1alpha1.PolicyCompatible); c.Status != metav1.ConditionTrue {
			f.Errorf("the platform's policy is told %v", c)
		}
	})
}

func TestARecreatedPolicyGovernsNoRunOfItsPredecessor(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.protect("guard", prod)
		f.run("governed", "guard")
		f.want("guard", v1alpha1.PolicyGoverns{ActiveRuns: 1})
		f.Must(f.Fleet.Policies.Client(f.Namespace).Delete(f.Context(), "guard", metav1.DeleteOptions{}))
		f.Eventually("the policy is gone from the cache", func() bool { return len(f.Fleet.Policies.All()) == 0 })
		f.look()
		f.protect("guard", prod)
		f.want("guard", v1alpha1.PolicyGoverns{})
	})
}

func TestAClusterRolloutPolicyGovernsTheNamespacesThatItSelects(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		if f.Namespace == "" {
			f.Skip("the policies are cluster-scoped in any case")
		}
		f.member("eu", "prod")
		f.place("web", "eu")
		none, some := metav1.LabelSelector{MatchLabels: map[string]string{"tier": "1"}}, metav1.LabelSelector{MatchLabels: map[string]string{"tier": "2"}}
		for name, match := range map[string]*v1alpha1.PolicyMatch{
			"default": nil, "none": {NamespaceSelector: &none}, "some": {NamespaceSelector: &some}, "all": {NamespaceSelector: &metav1.LabelSelector{}},
		} {
			o := &v1alpha1.ClusterRolloutPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.RolloutPolicySpec{Match: match}}
			_, err := f.Client.RolloutV1alpha1().ClusterRolloutPolicies().Create(f.Context(), o, metav1.CreateOptions{})
			f.Must(err)
		}
		f.namespaces = fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.Namespace, Labels: map[string]string{"tier": "2"}}})
		f.look()
		got := map[string]int32{}
		list, err := f.Client.RolloutV1alpha1().ClusterRolloutPolicies().List(f.Context(), metav1.ListOptions{})
		f.Must(err)
		for _, o := range list.Items {
			got[o.Name] = o.Status.Governs.Placements
		}
		if diff := cmp.Diff(map[string]int32{"default": 0, "none": 0, "some": 1, "all": 1}, got); diff != "" {
			f.Errorf("placements (-want +got):\n%s", diff)
		}
	})
}

func TestAPolicyIsEffectiveUnlessItsSelectorCannotBeRead(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		want := func(status metav1.ConditionStatus, reason, message string, generation int64) {
			f.Helper()
			f.look()
			condition := metav1.Condition{
				Type: "Effective", Status: status, Reason: reason, Message: message, ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(f.clock.Now()),
			}
			got := f.policy("guard").PolicyStatus()
			if diff := cmp.Diff(&condition, meta.FindStatusCondition(got.Conditions, "Effective")); diff != "" || got.ObservedGeneration != generation {
				f.Errorf("observed generation %d, conditions (-want +got):\n%s", got.ObservedGeneration, diff)
			}
			followsKstatus(f, "guard")
		}
		f.protect("guard", prod)
		const nothing = "; spec.clusters picks none of 0 member clusters: the policy protects nothing now"
		want("True", "Effective", "Rollouts that violate the policy are refused"+nothing, 1)
		fleettest.Update(f.World, f.Fleet.Policies, "guard", func(o v1alpha1.RolloutPolicyObject) { o.PolicySpec().Enforcement = v1alpha1.PolicyEnforcementWarn })
		want("True", "Effective", "Rollouts that violate the policy are warned of"+nothing, 2)
		f.member("prod1", "prod")
		want("True", "Effective", "Rollouts that violate the policy are warned of", 2)
		fleettest.Update(f.World, f.Fleet.Policies, "guard", func(o v1alpha1.RolloutPolicyObject) {
			o.PolicySpec().Rules.Soak = &v1alpha1.SoakRule{Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "stagin"}}}
		})
		want("True", "Effective", "Rollouts that violate the policy are warned of; spec.rules.soak.clusters picks none of 1 member cluster: "+
			"no run that reaches other protected clusters can meet it now", 3)
		f.clock.Step(time.Hour)
		fleettest.Update(f.World, f.Fleet.Policies, "guard", func(o v1alpha1.RolloutPolicyObject) {
			o.PolicySpec().Clusters = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "environment", Operator: "Is"}}}
		})
		want("False", "InvalidSelector", "correct the selector: rollouts to every cluster that the policy may protect are refused until then: "+
			`spec.clusters: "Is" is not a valid label selector operator`, 4)
	})
}

func TestAPolicyThatBindsNothingSaysSo(t *testing.T) {
	guard := &v1alpha1.ClusterRolloutPolicy{Spec: v1alpha1.RolloutPolicySpec{Match: &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(false)}}}
	const want = "Rollouts that violate the policy are refused; spec.match: the policy binds no rollout: set clusterScoped to true, or write a namespaceSelector"
	if got := effective(policy.New(guard), nil); got.Message != want {
		t.Errorf("got  %s\nwant %s", got.Message, want)
	}
}

func TestAStatusIsWrittenOnlyIfItChanges(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.protect("guard", prod)
		f.look()
		written := f.policy("guard").GetResourceVersion()
		f.clock.Step(time.Hour)
		f.look()
		if got := f.policy("guard").GetResourceVersion(); got != written {
			f.Errorf("version %s follows %s", got, written)
		}
		// What somebody else writes does not stay.
		fleettest.UpdateStatus(f.World, f.Fleet.Policies, "guard", func(o v1alpha1.RolloutPolicyObject) { o.PolicyStatus().Governs.Clusters = 7 })
		f.want("guard", v1alpha1.PolicyGoverns{})
	})
}

func TestOneThatChangedMeanwhileKeepsNoOtherBack(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.protect("guard", prod)
		f.protect("other", prod)
		c := f.controller()
		fleettest.Update(f.World, f.Fleet.Policies, "guard", func(o v1alpha1.RolloutPolicyObject) { o.PolicySpec().Description = "edited" })
		if _, err := c.reconcile(f.Context(), everything); err == nil {
			f.Error("a conflict is not tried again")
		}
		if got := f.policy("guard").PolicyStatus().ObservedGeneration; got != 0 {
			f.Errorf("generation %d was observed before it was", got)
		}
		if got := f.policy("other").PolicyStatus().ObservedGeneration; got != 1 {
			f.Errorf("generation %d of the other policy was observed, want 1", got)
		}
		f.look()
		if got := f.policy("guard").PolicyStatus().ObservedGeneration; got != 2 {
			f.Errorf("generation %d was observed, want 2", got)
		}
	})
}

func TestALookAtALargeFleetIsFollowedByARest(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		c := f.controller()
		c.pace.Worked(everything, start.Add(-time.Second), start)
		if again, err := c.reconcile(f.Context(), everything); err != nil || again != 20*time.Second {
			f.Errorf("looks again after %s, error %v", again, err)
		}
	})
}

// A change of each kind reaches the status while the controller runs.
func TestTheStatusFollowsTheFleet(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.Run(New(f.Fleet, clock.RealClock{}).Run)
		f.protect("guard", prod)
		follows := func(want v1alpha1.PolicyGoverns) {
			f.Helper()
			f.Eventually(fmt.Sprintf("the policy governs %+v", want), func() bool {
				status := f.policy("guard").PolicyStatus()
				return status.ObservedGeneration == 1 && status.Governs == want
			})
		}
		follows(v1alpha1.PolicyGoverns{})
		f.member("eu", "prod")
		follows(v1alpha1.PolicyGoverns{Clusters: 1})
		f.place("web", "eu")
		follows(v1alpha1.PolicyGoverns{Clusters: 1, Placements: 1})
		f.run("governed", "guard")
		follows(v1alpha1.PolicyGoverns{Clusters: 1, Placements: 1, ActiveRuns: 1})
	})
}

func TestWhatWakesTheController(t *testing.T) {
	object := func(uid types.UID, label string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: "o", UID: uid, Generation: 1, Labels: map[string]string{"a": label}}
	}
	member := func(uid types.UID, label string, state metav1.ConditionStatus) any {
		return &clusterv1beta1.MemberCluster{ObjectMeta: object(uid, label), Status: clusterv1beta1.MemberClusterStatus{Conditions: []metav1.Condition{{Type: "Healthy", Status: state}}}}
	}
	bound := func(cluster string, state v1beta1.BindingState, snapshot string) any {
		return &v1beta1.ResourceBinding{ObjectMeta: object("1", ""), Spec: v1beta1.ResourceBindingSpec{TargetCluster: cluster, State: state, ResourceSnapshotName: snapshot}}
	}
	placement := func(label string, strategy v1beta1.RolloutStrategyType) any {
		return &v1beta1.ResourcePlacement{ObjectMeta: object("1", label), Spec: v1beta1.PlacementSpec{Strategy: v1beta1.RolloutStrategy{Type: strategy}}}
	}
	run := func(succeeded metav1.ConditionStatus, policies ...types.UID) any {
		o := &v1beta1.StagedUpdateRun{ObjectMeta: object("1", ""), Status: v1beta1.UpdateRunStatus{Conditions: []metav1.Condition{{Type: v1beta1.RunSucceeded, Status: succeeded}}}}
		for _, uid := range policies {
			o.Status.Policies = append(o.Status.Policies, v1beta1.GoverningPolicy{UID: uid})
		}
		return o
	}
	policy := func(generation, clusters int) any {
		return &v1alpha1.RolloutPolicy{ObjectMeta: metav1.ObjectMeta{UID: "1", Generation: int64(generation)},
			Status: v1alpha1.RolloutPolicyStatus{Governs: v1alpha1.PolicyGoverns{Clusters: int32(clusters)}}}
	}
	for name, test := range map[string]struct {
		what     reconcile.MapFunc
		old, new any
		want     bool
	}{
		"a member comes":             {when(labelsChanged), nil, member("1", "x", "True"), true},
		"a member goes":              {when(labelsChanged), member("1", "x", "True"), nil, true},
		"a member is recreated":      {when(labelsChanged), member("1", "x", "True"), member("2", "x", "True"), true},
		"a member is labeled":        {when(labelsChanged), member("1", "x", "True"), member("1", "y", "True"), true},
		"a member reports":           {when(labelsChanged), member("1", "x", "True"), member("1", "x", "False"), false},
		"a binding moves":            {when(bindingChanged), bound("a", "Bound", "1"), bound("b", "Bound", "1"), true},
		"a binding is not picked":    {when(bindingChanged), bound("a", "Bound", "1"), bound("a", "Unscheduled", "1"), true},
		"a binding has a version":    {when(bindingChanged), bound("a", "Unscheduled", ""), bound("a", "Unscheduled", "1"), true},
		"a placement is labeled":     {when(placementChanged), placement("x", "External"), placement("y", "External"), true},
		"a placement rolls by runs":  {when(placementChanged), placement("x", "RollingUpdate"), placement("x", "External"), true},
		"a placement is resynced":    {when(placementChanged), placement("x", "External"), placement("x", "External"), false},
		"a binding is rolled out":    {when(bindingChanged), bound("a", "Scheduled", ""), bound("a", "Bound", "1"), false},
		"a run is governed":          {when(runChanged), run("Unknown"), run("Unknown", "1"), true},
		"a run is over":              {when(runChanged), run("Unknown", "1"), run("True", "1"), true},
		"a run goes on":              {when(runChanged), run("Unknown", "1"), run("Unknown", "1"), false},
		"a policy is edited":         {when(policyChanged), policy(1, 0), policy(2, 0), true},
		"a policy's status is taken": {when(policyChanged), policy(1, 0), policy(1, 5), true},
		"a policy is resynchronized": {when(policyChanged), policy(1, 5), policy(1, 5), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := len(test.what(test.old, test.new)) > 0; got != test.want {
				t.Errorf("wakes it: %t, want %t", got, test.want)
			}
		})
	}
}

// BenchmarkCount is the largest fleet with as many policies as there may be.
func BenchmarkCount(b *testing.B) {
	const members, placements, policies = 10_000, 100, 100
	client := fleettest.NewClientset()
	f := fleet.New(client)
	add := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := range members {
		add(f.MemberClusters.Informer().GetStore().Add(&clusterv1beta1.MemberCluster{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("member-%d", i), Labels: map[string]string{"environment": "prod", "shard": fmt.Sprint(i % policies)}},
		}))
	}
	for p := range placements {
		name := fmt.Sprintf("placement-%d", p)
		add(f.Placements.Cache("").Add(&v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: name}}))
		for i := range members / 10 {
			add(f.Bindings.Cache("").Add(&v1beta1.ClusterResourceBinding{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, i), Labels: map[string]string{wellknown.ParentPlacementLabel: name}},
				Spec:       v1beta1.ResourceBindingSpec{TargetCluster: fmt.Sprintf("member-%d", i), State: v1beta1.BindingStateBound},
			}))
		}
	}
	for i := range policies {
		o := &v1alpha1.ClusterRolloutPolicy{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("policy-%d", i), UID: types.UID(fmt.Sprint(i))}}
		o.Spec.Clusters = &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "prod"}}
		if i%2 == 0 {
			o.Spec.Clusters.MatchLabels["shard"] = fmt.Sprint(i)
		}
		add(f.Policies.Cache("").Add(o))
	}
	c := New(f, clocktesting.NewFakeClock(start))
	for b.Loop() {
		policies := read(f.Policies.All())
		protected := c.protected(policies)
		c.count(policies, protected)
		c.contradictions(policies, protected)
	}
}

// followsKstatus holds that a tool which follows kstatus takes a policy for current while all of its conditions are True.
func followsKstatus(f *fixture, name string) {
	f.Helper()
	policy := f.policy(name)
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	f.Must(err)
	result, err := kstatus.Compute(&unstructured.Unstructured{Object: object})
	f.Must(err)
	conditions := policy.PolicyStatus().Conditions
	want := kstatus.CurrentStatus
	for _, conditionType := range []string{v1alpha1.PolicyEffective, v1alpha1.PolicyCompatible} {
		if c := meta.FindStatusCondition(conditions, conditionType); c.Status == metav1.ConditionFalse && want == kstatus.CurrentStatus {
			want = kstatus.InProgressStatus
			if ready := meta.FindStatusCondition(conditions, v1alpha1.PolicyReady); ready.Message != c.Message || ready.Reason != c.Reason {
				f.Errorf("policy %s is not ready for %q, want %q", name, ready.Message, c.Message)
			}
		}
	}
	if result.Status != want {
		f.Errorf("policy %s is %s for kstatus (%s), want %s", name, result.Status, result.Message, want)
	}
}
