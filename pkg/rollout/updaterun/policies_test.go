// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// guard makes a ClusterRolloutPolicy that demands an approval before the staging stage, of cluster-scoped runs and of those in namespaces of a
// tier.
func (f *fixture) guard(tier string) {
	f.Helper()
	p := f.fleet.Policies.New(reconcile.Key{Name: "guard"})
	*p.PolicySpec() = v1alpha1.RolloutPolicySpec{
		Match:    &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(true), NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": tier}}},
		Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "staging"}},
		Rules:    v1alpha1.PolicyRules{Approval: &v1alpha1.ApprovalRule{}},
	}
	_, err := f.fleet.Policies.Client("").Create(f.ctx, p, metav1.CreateOptions{})
	f.must(err)
	f.eventually("the policy is in the cache", func() bool { return len(f.fleet.Policies.All()) == 1 })
}

// tier labels the namespace.
func (f *fixture) tier(tier string) {
	f.Helper()
	namespace, err := f.hub.CoreV1().Namespaces().Get(f.ctx, "team", metav1.GetOptions{})
	f.must(err)
	namespace.Labels["tier"] = tier
	_, err = f.hub.CoreV1().Namespaces().Update(f.ctx, namespace, metav1.UpdateOptions{})
	f.must(err)
}

const refusal = `stage "staging" (1 cluster, 1 protected): beforeStageTasks must have an Approval (ClusterRolloutPolicy guard)`

func TestARunThatViolatesAPolicyIsNotPlanned(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.guard("1")
		defer f.start()()
		f.newRun("example-run", v1beta1.StateRun)
		f.untilCondition("example-run", v1beta1.RunInitialized, "False UpdateRunInitializedFailed")
		if got := f.message("example-run", v1beta1.RunInitialized); !strings.HasSuffix(got, refusal) {
			f.Errorf("the message is %q", got)
		}
	})
}

func TestAPolicyEndsARunThatHasNotStarted(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		// Its first approval is never given.
		update(f, f.fleet.Strategies, "example-strategy", false, func(s v1beta1.UpdateStrategyObject) {
			s.StrategySpec().Stages[0].BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval, Approval: &v1beta1.ApprovalPolicy{Required: 1}}}
		})
		defer f.start()()
		f.newRun("example-run", v1beta1.StateRun)
		f.untilCondition("example-run", v1beta1.RunProgressing, "False UpdateRunWaiting")
		p := f.fleet.Policies.New(reconcile.Key{Namespace: f.namespace, Name: "guard"})
		p.PolicySpec().Rules.Approval = &v1alpha1.ApprovalRule{Required: 2}
		_, err := f.fleet.Policies.Client(f.namespace).Create(f.ctx, p, metav1.CreateOptions{})
		f.must(err)
		f.untilCondition("example-run", v1beta1.RunSucceeded, "False UpdateRunPolicyChanged")
		if outcome := f.run("example-run").RunStatus().Outcome; outcome != v1beta1.OutcomeFailed {
			f.Errorf("the outcome is %q", outcome)
		}
	})
}

// The cache may not have seen a deletion that nothing was there to refuse, and one that is about to be stored must be looked at once more.
func TestARunUnderPoliciesMarksThePlacementBeforeItMovesIt(t *testing.T) {
	for name, tt := range map[string]struct {
		isLeaving, isHeld bool
		want              string
	}{
		"a placement that stays":               {false, true, "example-placement-1-snapshot"},
		"a placement that is being deleted":    {true, true, ""},
		"a run that no rollout policy governs": {true, false, "example-placement-1-snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			forBothScopes(t, func(f *fixture) {
				f.tutorial()
				update(f, f.fleet.Strategies, "example-strategy", false, func(s v1beta1.UpdateStrategyObject) {
					s.StrategySpec().Stages[0].BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}}
				})
				if tt.isHeld {
					f.guard("1")
				}
				var marks atomic.Int32
				f.client.PrependReactor("patch", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
					if !strings.HasSuffix(a.GetResource().Resource, "resourceplacements") {
						return false, nil, nil
					}
					if f.binding("member2").BindingSpec().ResourceSnapshotName != "" {
						f.Error("the placement is marked after a cluster was moved")
					}
					placement, err := f.fleet.Placements.Get(f.key("example-placement"))
					f.must(err)
					placement = fleet.Copy(placement)
					if tt.isLeaving {
						placement.SetDeletionTimestamp(ptr.To(metav1.Now()))
					}
					marks.Add(1)
					f.notify()
					return true, placement, nil
				})
				stop := f.start()
				f.newRun("example-run", v1beta1.StateRun)
				f.untilCondition("example-run", v1beta1.RunProgressing, "False UpdateRunWaiting")
				f.decide("example-run-before-staging", v1beta1.DecisionApproved)
				f.eventually("the run has started", func() bool { return runrules.HasStarted(f.run("example-run").RunStatus()) })
				if tt.want == "" {
					f.eventually("the placement is marked", func() bool { return marks.Load() > 0 })
				} else {
					f.eventually("the cluster is moved", func() bool { return f.binding("member2").BindingSpec().ResourceSnapshotName != "" })
				}
				stop()
				if got := f.binding("member2").BindingSpec().ResourceSnapshotName; got != tt.want {
					f.Errorf("the cluster has %q, want %q", got, tt.want)
				}
				if isMarked := marks.Load() > 0; isMarked != tt.isHeld || !tt.isLeaving && marks.Load() > 1 {
					f.Errorf("marked %d times", marks.Load())
				}
			})
		})
	}
}

func TestARunSaysThatItsPlacementCannotBeMarked(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		update(f, f.fleet.Strategies, "example-strategy", false, func(s v1beta1.UpdateStrategyObject) {
			s.StrategySpec().Stages[0].BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}}
		})
		f.guard("1")
		f.client.PrependReactor("patch", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
			return strings.HasSuffix(a.GetResource().Resource, "resourceplacements"), nil, apierrors.NewForbidden(a.GetResource().GroupResource(), "example-placement", errors.New("a policy of the hub"))
		})
		stop := f.start()
		f.newRun("example-run", v1beta1.StateRun)
		f.decide("example-run-before-staging", v1beta1.DecisionApproved)
		f.eventually("the run tells of it", func() bool { return slices.Contains(f.events.reasons(), eventNotMarked) })
		f.eventually("the approval is acted on", func() bool {
			request, err := f.fleet.Approvals.Get(f.key("example-run-before-staging"))
			return err == nil && meta.IsStatusConditionTrue(request.RequestStatus().Conditions, v1beta1.RequestApprovalAccepted)
		})
		stop()
		if got := f.binding("member2").BindingSpec().ResourceSnapshotName; got != "" {
			f.Errorf("the cluster was moved to %s", got)
		}
	})
}

func TestALabelOfANamespaceBindsARunThatHasNotStarted(t *testing.T) {
	f := newFixture(t, "team")
	f.tutorial()
	f.guard("2")
	update(f, f.fleet.Strategies, "example-strategy", false, func(s v1beta1.UpdateStrategyObject) {
		s.StrategySpec().Stages[0].BeforeStageTasks = []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}}
	})
	policy, err := f.fleet.Policies.Client("").Get(f.ctx, "guard", metav1.GetOptions{})
	f.must(err)
	policy.PolicySpec().Rules.Approval.Required = 2
	_, err = f.fleet.Policies.Client("").Update(f.ctx, policy, metav1.UpdateOptions{})
	f.must(err)
	defer f.start()()
	f.newRun("example-run", v1beta1.StateRun)
	f.untilCondition("example-run", v1beta1.RunProgressing, "False UpdateRunWaiting")
	f.tier("2")
	f.untilCondition("example-run", v1beta1.RunSucceeded, "False UpdateRunPolicyChanged")
}

func TestARunIsJudgedAsItWouldBePlanned(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		f.tutorial()
		f.guard("1")
		run := f.fleet.Runs.New(f.key("example-run"))
		// No version is asked for, which a plan would have to be taken.
		*run.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy"}
		f.client.ClearActions()
		verdict, known, err := NewPlanner(f.fleet, f.snapshots).Judge(f.ctx, run)
		f.must(err)
		if !known || verdict.Refusal() != refusal {
			f.Errorf("known %v, refusal %q", known, verdict.Refusal())
		}
		if n := len(f.asked()); n > 0 || f.snapshots.calls > 0 {
			f.Errorf("judging asked the API %d times, and for %d snapshots", n, f.snapshots.calls)
		}
		run.RunSpec().StagedUpdateStrategyName = "missing"
		if _, known, err := NewPlanner(f.fleet, f.snapshots).Judge(f.ctx, run); known || err != nil {
			f.Errorf("without a strategy: known %v, error %v", known, err)
		}
	})
}

func TestNoRunIsJudgedByWhatIsNotKnown(t *testing.T) {
	caches := fleet.New(fake.NewClientset())
	if _, _, err := NewPlanner(caches, &fakeSnapshots{}).Judge(t.Context(), &v1beta1.ClusterStagedUpdateRun{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("caches that are not filled: error is %v, want ServiceUnavailable", err)
	}
	f := newFixture(t, "team")
	f.tutorial()
	f.guard("1")
	f.fleet.Namespaces = nil
	run := f.fleet.Runs.New(f.key("example-run"))
	*run.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy"}
	_, _, err := NewPlanner(f.fleet, f.snapshots).Judge(f.ctx, run)
	if want := "judging the run by rollout policies: the labels of Namespace team are not known, by which ClusterRolloutPolicies select"; !apierrors.IsServiceUnavailable(err) || err.Error() != want {
		t.Errorf("error is %v, want ServiceUnavailable: %s", err, want)
	}
}
