// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// FuzzVerdicts holds, for whatever policies and rollout, that
//   - one more policy never lets through what was refused, nor takes anything out of the refusal, and one that binds nothing changes nothing;
//   - the order of the policies changes nothing;
//   - a rollout that does what its refusal demands is refused no more.
func FuzzVerdicts(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed, seed*7)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		d := &dice{rand.New(rand.NewPCG(a, b))}
		var policies []*Policy
		for i := range d.n(4) {
			policies = append(policies, d.policy(fmt.Sprintf("p%d", i)))
		}
		rollout := d.rollout()
		verdict := Judge(policies, rollout)

		if len(verdict.Contradictions) > 0 && len(verdict.Violations) == 0 {
			t.Errorf("nothing is refused, and %s", verdict.Contradictions[0])
		}
		more := append(slices.Clone(policies), d.policy("one-more"))
		if got := Judge(more, rollout); !isPart(verdict.Violations, got.Violations) {
			t.Errorf("one more policy hides a violation of\n%s\nin\n%s", verdict.Refusal(), got.Refusal())
		}
		nowhere := d.object("nowhere")
		nowhere.Spec.Clusters = &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "nowhere"}}
		if diff := cmp.Diff(verdict, Judge(append([]*Policy{New(nowhere)}, policies...), rollout), cmpopts.EquateEmpty(), comparePolicies); diff != "" {
			t.Errorf("a policy that protects nothing changes the verdict, -without +with:\n%s", diff)
		}
		shuffled := slices.Clone(policies)
		d.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if diff := cmp.Diff(verdict, Judge(shuffled, rollout), cmpopts.EquateEmpty(), comparePolicies); diff != "" {
			t.Errorf("the order of the policies changes the verdict, -want +got:\n%s", diff)
		}
		comply(t, policies, rollout)
	})
}

var comparePolicies = cmp.Comparer(func(a, b *Policy) bool { return a == b })

func isPart(violations, of []Violation) bool {
	return !slices.ContainsFunc(violations, func(v Violation) bool {
		return !slices.ContainsFunc(of, func(o Violation) bool { return v.String() == o.String() })
	})
}

// rounds is how often a rollout may be refused, and do what is demanded, until it is accepted. What is done for one policy may show another
// what it did not see: a stage that is divided is two stages.
const rounds = 12

// comply does what a refusal demands, as a user who knows nothing but the sentences. Policies that contradict each other are left out: then
// nothing is to be done but to ask their owners.
func comply(t *testing.T, policies []*Policy, rollout Rollout) {
	for _, p := range policies {
		rollout := copyOf(rollout)
		var last string
		for range rounds {
			verdict := Judge([]*Policy{p}, rollout)
			violations := append(verdict.Violations, verdict.Warnings...)
			if len(violations) == 0 {
				last = ""
				break
			}
			last = join(violations)
			for _, v := range violations {
				for _, demand := range v.Demands {
					if !do(&rollout, v.Where, demand) {
						t.Fatalf("nobody knows how to do %q of %s", demand, v)
					}
				}
			}
		}
		if last != "" {
			t.Errorf("done what it says, it is still refused: %s\nby %+v", last, p.spec.Rules)
		}
	}
}

var (
	quoted    = regexp.MustCompile(`^stage "([a-z0-9]+)"`)
	setting   = regexp.MustCompile(`(required|expiresAfter|allowRequester|clusterTimeout|maxFailures|onFailure): ([A-Za-z0-9%.]+)`)
	groupsSet = regexp.MustCompile(`groups: \[([^\]]*)\]`)
	atMost    = regexp.MustCompile(`must be at most ([0-9]+%?)`)
	pickNot   = regexp.MustCompile(`^(?:spec.policy of the placement must not pick|no version may reach) (.*?)(?: and \d+ more)?(?:, nor an earlier one: .*)?$`)
	pickMost  = regexp.MustCompile(`^labelSelector must pick at most (\d+) protected clusters?, not (\d+): divide the stage$`)
	pickAll   = regexp.MustCompile(`^spec.policy of the placement must pick all but (\d+) of the (\d+) protected clusters until a later run$`)
	before    = regexp.MustCompile(`^(.*?)(?: and \d+ more)? must be in a stage before it, with a TimedWait of \S+ or more \(soak: .*\)$`)
	clusters  = regexp.MustCompile(`^a stage before it must have clusters with ([a-z]+)=([a-z]+), with a TimedWait of \S+ or more; the placement must pick such clusters$`)
	wait      = regexp.MustCompile(`^afterStageTasks must have a TimedWait with waitTime: (\S+) or more$`)
)

// do changes a rollout as a demand says.
func do(r *Rollout, where, demand string) bool {
	at := slices.IndexFunc(r.Stages, func(s Stage) bool { return s.Removes })
	if m := quoted.FindStringSubmatch(where); m != nil {
		at = slices.IndexFunc(r.Stages, func(s Stage) bool { return s.Config.Name == m[1] })
	}
	stage := &r.Stages[at]
	switch {
	case strings.HasPrefix(demand, "must not get the later version back"):
		r.Rollback, r.Forward = false, false
	case pickNot.MatchString(demand):
		names := strings.Split(pickNot.FindStringSubmatch(demand)[1], ", ")
		stage.Clusters = without(stage.Clusters, names)
	case strings.Contains(demand, "must have an Approval") || strings.Contains(demand, "the Approval in") || strings.Contains(demand, "the last Approval"):
		tasks := &stage.Config.BeforeStageTasks
		if strings.Contains(demand, "afterStageTasks") && !strings.Contains(demand, "beforeStageTasks") {
			tasks = &stage.Config.AfterStageTasks
		}
		i := slices.IndexFunc(*tasks, func(task v1beta1.StageTask) bool { return task.Type == v1beta1.StageTaskTypeApproval })
		if i < 0 {
			*tasks = append(*tasks, v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval})
			i = len(*tasks) - 1
		}
		policy := ptr.Deref((*tasks)[i].Approval, v1beta1.ApprovalPolicy{})
		for _, m := range setting.FindAllStringSubmatch(demand, -1) {
			switch m[1] {
			case "required":
				n, _ := strconv.Atoi(m[2])
				policy.Required = int32(n)
			case "allowRequester":
				policy.AllowRequester = ptr.To(m[2] == "true")
			case "expiresAfter":
				policy.ExpiresAfter = duration(m[2])
			}
		}
		if m := groupsSet.FindStringSubmatch(demand); m != nil {
			policy.Groups = strings.Split(m[1], ", ")
		}
		(*tasks)[i].Approval = &policy
	case strings.HasPrefix(demand, "maxConcurrency"):
		stage.Config.MaxConcurrency = ptr.To(intstr.Parse(atMost.FindStringSubmatch(demand)[1]))
	case strings.HasPrefix(demand, "the failurePolicies of the stages"):
		for i := range r.Stages[:at+1] {
			if policy := r.Stages[i].FailurePolicy; policy != nil {
				policy.MaxFailures = nil
			}
		}
	case strings.Contains(demand, "failurePolicy"):
		policy := ptr.Deref(stage.FailurePolicy, v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: 100 * time.Hour}})
		for _, m := range setting.FindAllStringSubmatch(demand, -1) {
			switch m[1] {
			case "clusterTimeout":
				policy.ClusterTimeout = *duration(m[2])
			case "maxFailures":
				policy.MaxFailures = ptr.To(intstr.Parse(m[2]))
			case "onFailure":
				policy.OnFailure = v1beta1.FailureAction(m[2])
			}
		}
		stage.FailurePolicy = &policy
	case pickMost.MatchString(demand):
		m := pickMost.FindStringSubmatch(demand)
		limit, _ := strconv.Atoi(m[1])
		// As many stages as are needed even if all clusters are protected.
		divided := *stage
		var stages []Stage
		for i := 0; i < len(divided.Clusters); i += limit {
			part := divided
			part.Config = divided.Config.DeepCopy()
			part.Config.Name = fmt.Sprintf("%sx%d", divided.Config.Name, i)
			part.Clusters = divided.Clusters[i:min(i+limit, len(divided.Clusters))]
			stages = append(stages, part)
		}
		// The name is still that of the first, for the other demands.
		stages[0].Config.Name = divided.Config.Name
		r.Stages = slices.Replace(r.Stages, at, at+1, stages...)
	case pickAll.MatchString(demand):
		limit, _ := strconv.Atoi(pickAll.FindStringSubmatch(demand)[1])
		stage.Clusters = stage.Clusters[:limit]
	case before.MatchString(demand):
		names := strings.Split(before.FindStringSubmatch(demand)[1], ", ")
		var moved []strategy.Cluster
		for i := range r.Stages {
			if s := &r.Stages[i]; !s.Removes {
				moved = append(moved, those(s.Clusters, names)...)
				s.Clusters = without(s.Clusters, names)
			}
		}
		r.Stages = slices.Insert(r.Stages, at, newStage(r, moved))
	case clusters.MatchString(demand):
		m := clusters.FindStringSubmatch(demand)
		r.Stages = slices.Insert(r.Stages, at, newStage(r, []strategy.Cluster{{Name: "new", Labels: labels.Set{m[1]: m[2]}}}))
	case wait.MatchString(demand):
		task := v1beta1.StageTask{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: duration(wait.FindStringSubmatch(demand)[1])}
		tasks := slices.DeleteFunc(stage.Config.AfterStageTasks, func(t v1beta1.StageTask) bool { return t.Type == task.Type })
		stage.Config.AfterStageTasks = append(tasks, task)
	default:
		return false
	}
	return true
}

func duration(text string) *metav1.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return &metav1.Duration{Duration: d}
}

func newStage(r *Rollout, clusters []strategy.Cluster) Stage {
	return Stage{Config: &v1beta1.StageConfig{Name: fmt.Sprintf("new%d", len(r.Stages))}, Clusters: clusters}
}

func those(clusters []strategy.Cluster, names []string) []strategy.Cluster {
	return slices.DeleteFunc(slices.Clone(clusters), func(c strategy.Cluster) bool { return !slices.Contains(names, c.Name) })
}

func without(clusters []strategy.Cluster, names []string) []strategy.Cluster {
	return slices.DeleteFunc(slices.Clone(clusters), func(c strategy.Cluster) bool { return slices.Contains(names, c.Name) })
}

func copyOf(r Rollout) Rollout {
	r.Stages = slices.Clone(r.Stages)
	for i := range r.Stages {
		r.Stages[i].Config = r.Stages[i].Config.DeepCopy()
		r.Stages[i].FailurePolicy = r.Stages[i].FailurePolicy.DeepCopy()
	}
	return r
}

// dice makes what the API would take.
type dice struct{ *rand.Rand }

// n returns a number from 0 to max.
func (d *dice) n(most int) int { return d.IntN(most + 1) }

func (d *dice) oneIn(n int) bool { return d.IntN(n) == 0 }

func one[T any](d *dice, of ...T) T { return of[d.IntN(len(of))] }

func (d *dice) selector() *metav1.LabelSelector {
	return one(d,
		&metav1.LabelSelector{MatchLabels: map[string]string{"environment": "prod"}},
		&metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}},
		&metav1.LabelSelector{MatchLabels: map[string]string{"ring": "first"}},
	)
}

func (d *dice) amount(percentages ...string) *intstr.IntOrString {
	if d.oneIn(2) {
		return ptr.To(intstr.FromInt32(int32(d.n(4) + 1)))
	}
	return ptr.To(intstr.FromString(one(d, percentages...)))
}

func (d *dice) hours() *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(d.n(5)+1) * 30 * time.Minute}
}

func (d *dice) groups() []string {
	return one(d, nil, []string{"sre"}, []string{"release", "sre"}, []string{"team"})
}

func (d *dice) policy(name string) *Policy { return New(d.object(name)) }

func (d *dice) object(name string) *v1alpha1.ClusterRolloutPolicy {
	p := &v1alpha1.ClusterRolloutPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
	if !d.oneIn(4) {
		p.Spec.Clusters = d.selector()
	}
	if d.oneIn(4) {
		p.Spec.Enforcement = v1alpha1.PolicyEnforcementWarn
	}
	rules := &p.Spec.Rules
	rules.Deny = d.oneIn(8)
	if d.oneIn(2) {
		rules.Approval = &v1alpha1.ApprovalRule{
			Position: one(d, "", v1alpha1.ApprovalBefore, v1alpha1.ApprovalAfter, v1alpha1.ApprovalAny), Required: int32(d.n(3)), Groups: d.groups(),
			AllowRequester: one(d, nil, ptr.To(true), ptr.To(false)), MaxExpiresAfter: one(d, nil, d.hours()),
		}
	}
	if d.oneIn(2) {
		rules.Soak = &v1alpha1.SoakRule{Clusters: d.selector(), Duration: *d.hours()}
	}
	if d.oneIn(2) {
		rules.MaxConcurrency = d.amount("1%", "20%", "50%", "100%")
	}
	if d.oneIn(2) {
		rules.MaxStageClusters = ptr.To(int32(d.n(3) + 1))
	}
	if d.oneIn(2) {
		rules.FailurePolicy = &v1alpha1.FailurePolicyRule{
			MaxClusterTimeout: one(d, nil, d.hours()), MaxFailures: one(d, nil, ptr.To(intstr.FromInt32(0)), d.amount("0%", "25%", "60%")),
			OnFailure: one(d, nil, []v1beta1.FailureAction{v1beta1.FailureActionFail}, []v1beta1.FailureAction{v1beta1.FailureActionPause, v1beta1.FailureActionRollback}),
		}
	}
	return p
}

func (d *dice) approval() v1beta1.StageTask {
	task := v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval}
	if !d.oneIn(3) {
		task.Approval = &v1beta1.ApprovalPolicy{
			Required: int32(d.n(3)), Groups: d.groups(), AllowRequester: one(d, nil, ptr.To(true), ptr.To(false)), ExpiresAfter: one(d, nil, d.hours()),
		}
	}
	return task
}

func (d *dice) failurePolicy() *v1beta1.FailurePolicy {
	if d.oneIn(2) {
		return nil
	}
	return &v1beta1.FailurePolicy{
		ClusterTimeout: *d.hours(), MaxFailures: one(d, nil, d.amount("0%", "10%", "50%")),
		OnFailure: one(d, "", v1beta1.FailureActionFail, v1beta1.FailureActionPause, v1beta1.FailureActionRollback),
	}
}

func (d *dice) clusters(stage string) []strategy.Cluster {
	var clusters []strategy.Cluster
	kind := one(d, "prod", "canary", "first", "bare", "")
	for i := range d.n(6) {
		labels := labelsOf(kind)
		if kind == "" {
			labels = labelsOf(one(d, "prod", "canary", "first", "bare"))
		}
		clusters = append(clusters, strategy.Cluster{Name: fmt.Sprintf("%s%d", stage, i), Labels: labels})
	}
	return clusters
}

func (d *dice) rollout() Rollout {
	r := Rollout{Rollback: d.oneIn(12)}
	r.Forward = r.Rollback && d.oneIn(3)
	ofStrategy := d.failurePolicy()
	for i := range d.n(4) + 1 {
		stage := Stage{Config: &v1beta1.StageConfig{Name: string(rune('a' + i))}, FailurePolicy: ofStrategy}
		stage.Clusters = d.clusters(stage.Config.Name)
		if !r.Rollback {
			if d.oneIn(2) {
				stage.Config.BeforeStageTasks = append(stage.Config.BeforeStageTasks, d.approval())
			}
			if d.oneIn(2) {
				stage.Config.AfterStageTasks = append(stage.Config.AfterStageTasks, v1beta1.StageTask{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: d.hours()})
			}
			if d.oneIn(3) {
				stage.Config.AfterStageTasks = append(stage.Config.AfterStageTasks, d.approval())
			}
			if d.oneIn(3) {
				stage.FailurePolicy = d.failurePolicy()
			}
		}
		if !d.oneIn(3) {
			stage.Config.MaxConcurrency = d.amount("10%", "50%", "100%")
		}
		r.Stages = append(r.Stages, stage)
	}
	if !r.Rollback && d.oneIn(3) {
		spec := &v1beta1.UpdateStrategySpec{}
		for i := range r.Stages {
			spec.Stages = append(spec.Stages, *r.Stages[i].Config)
		}
		config := strategy.DeleteStage(spec)
		r.Stages = append(r.Stages, Stage{Config: config, FailurePolicy: r.Stages[len(r.Stages)-1].FailurePolicy, Clusters: d.clusters("gone"), Removes: true})
	}
	return r
}
