// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// strategies are the tutorial's.
func strategies() []v1beta1.UpdateStrategyObject {
	spec := v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{
		{
			Name:            "staging",
			LabelSelector:   &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "staging"}},
			AfterStageTasks: []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: time.Minute}}},
			MaxConcurrency:  ptr.To(intstr.FromInt32(1)),
		},
		{
			Name:             "canary",
			LabelSelector:    &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}},
			SortingLabelKey:  ptr.To("order"),
			BeforeStageTasks: []v1beta1.StageTask{{Type: v1beta1.StageTaskTypeApproval}},
			MaxConcurrency:   ptr.To(intstr.FromString("50%")),
		},
	}}
	return []v1beta1.UpdateStrategyObject{
		&v1beta1.ClusterStagedUpdateStrategy{ObjectMeta: metav1.ObjectMeta{Name: "example-strategy"}, Spec: spec},
		&v1beta1.StagedUpdateStrategy{ObjectMeta: metav1.ObjectMeta{Name: "example-strategy", Namespace: "test-namespace"}, Spec: spec},
	}
}

func strategyRules() []rule[v1beta1.UpdateStrategyObject] {
	stage := func(spoil func(*v1beta1.StageConfig)) func(v1beta1.UpdateStrategyObject) {
		return func(strategy v1beta1.UpdateStrategyObject) { spoil(&strategy.StrategySpec().Stages[0]) }
	}
	maxConcurrency := func(value intstr.IntOrString) func(v1beta1.UpdateStrategyObject) {
		return stage(func(s *v1beta1.StageConfig) { s.MaxConcurrency = &value })
	}
	after := func(tasks ...v1beta1.StageTask) func(v1beta1.UpdateStrategyObject) {
		return stage(func(s *v1beta1.StageConfig) { s.AfterStageTasks = tasks })
	}
	before := func(task v1beta1.StageTask) func(v1beta1.UpdateStrategyObject) {
		return stage(func(s *v1beta1.StageConfig) { s.BeforeStageTasks = []v1beta1.StageTask{task} })
	}
	wait := func(duration time.Duration) v1beta1.StageTask {
		return v1beta1.StageTask{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: duration}}
	}
	approval := func(policy v1beta1.ApprovalPolicy) v1beta1.StageTask {
		return v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval, Approval: &policy}
	}
	return []rule[v1beta1.UpdateStrategyObject]{
		{"no stages are legal", func(s v1beta1.UpdateStrategyObject) { s.StrategySpec().Stages = nil }, nil},
		{"no selector is legal", stage(func(s *v1beta1.StageConfig) { s.LabelSelector = nil }), nil},
		{"a stage's name has letters and digits only", stage(func(s *v1beta1.StageConfig) { s.Name = "my-Stage" }), []string{
			`spec.stages[0].name: Invalid value: "my-Stage": spec.stages[0].name in body should match '^[a-z0-9]+$': write small letters and digits only, such as useast1`,
		}},
		{"a selector's values are label values", stage(func(s *v1beta1.StageConfig) { s.LabelSelector.MatchLabels["environment"] = "not a value" }), []string{
			`spec.stages[0].labelSelector.matchLabels: Invalid value: "not a value": the stage label selector is invalid: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
		}},
		{"a selector's operators are known", stage(func(s *v1beta1.StageConfig) {
			s.LabelSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}
		}), []string{
			`spec.stages[0].labelSelector.matchExpressions[0].operator: Invalid value: "Like": the stage label selector is invalid: not a valid selector operator`,
		}},
		{"the sorting label is a label", stage(func(s *v1beta1.StageConfig) { s.SortingLabelKey = ptr.To("a b") }), []string{
			`spec.stages[0].sortingLabelKey: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
		}},
		{"all at once is legal", maxConcurrency(intstr.FromString("100%")), nil},
		{"any number at once is legal", maxConcurrency(intstr.FromInt32(1000)), nil},
		{"none at once moves nothing", maxConcurrency(intstr.FromInt32(0)), []string{
			`spec.stages[0].maxConcurrency: Invalid value: 0: maxConcurrency must be at least 1`,
		}},
		{"no percent at once moves nothing", maxConcurrency(intstr.FromString("0%")), []string{
			`spec.stages[0].maxConcurrency: Invalid value: "0%": spec.stages[0].maxConcurrency in body should match '^(100|[1-9][0-9]?)%$': write a number such as 2, or a percentage from "1%" to "100%"`,
		}},
		{"more than all at once means nothing", maxConcurrency(intstr.FromString("101%")), []string{
			`spec.stages[0].maxConcurrency: Invalid value: "101%": spec.stages[0].maxConcurrency in body should match '^(100|[1-9][0-9]?)%$': write a number such as 2, or a percentage from "1%" to "100%"`,
		}},
		{"text is a percentage", maxConcurrency(intstr.FromString("50")), []string{
			`spec.stages[0].maxConcurrency: Invalid value: "50": spec.stages[0].maxConcurrency in body should match '^(100|[1-9][0-9]?)%$': write a number such as 2, or a percentage from "1%" to "100%"`,
		}},
		{"an approval and a wait after a stage", after(wait(time.Second), v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval}), nil},
		{"a wait has a time", after(v1beta1.StageTask{Type: v1beta1.StageTaskTypeTimedWait}), []string{
			`spec.stages[0].afterStageTasks[0].waitTime: Required value: AfterStageTaskType is TimedWait, waitTime is required`,
		}},
		{"a wait takes some time", after(wait(0)), []string{
			`spec.stages[0].afterStageTasks[0].waitTime: Invalid value: "0s": waitTime must be longer than zero`,
		}},
		{"a wait does not go back", after(wait(-time.Second)), []string{
			`spec.stages[0].afterStageTasks[0].waitTime: Invalid value: "-1s": waitTime must be longer than zero`,
		}},
		{"an approval takes its time", after(v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval, WaitTime: &metav1.Duration{Duration: 1}}), []string{
			`spec.stages[0].afterStageTasks[0].waitTime: Forbidden: AfterStageTaskType is Approval, waitTime is not allowed`,
		}},
		{"one task of a type", after(wait(1), wait(2)), []string{
			`spec.stages[0].afterStageTasks[1].type: Invalid value: "TimedWait": afterStageTasks cannot have two tasks of the same type: TimedWait`,
		}},
		{"no wait before a stage", before(wait(time.Minute)), []string{
			`spec.stages[0].beforeStageTasks[0].type: Invalid value: "TimedWait": BeforeStageTaskType cannot be TimedWait`,
		}},
		{"an approval before a stage takes its time", before(v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval, WaitTime: &metav1.Duration{}}), []string{
			`spec.stages[0].beforeStageTasks[0].waitTime: Forbidden: AfterStageTaskType is Approval, waitTime is not allowed`,
		}},
		{"a policy may leave everything out", before(approval(v1beta1.ApprovalPolicy{})), nil},
		{"a policy may say everything", after(approval(v1beta1.ApprovalPolicy{
			Required: 10, Groups: []string{"sre", "release"}, AllowRequester: ptr.To(false), ExpiresAfter: &metav1.Duration{Duration: time.Hour},
		})), nil},
		{"nobody is asked for more than ten approvals", before(approval(v1beta1.ApprovalPolicy{Required: 11})), []string{
			`spec.stages[0].beforeStageTasks[0].approval.required: Invalid value: 11: required must be from 1 to 10`,
		}},
		{"a number of approvals is not negative", after(approval(v1beta1.ApprovalPolicy{Required: -1})), []string{
			`spec.stages[0].afterStageTasks[0].approval.required: Invalid value: -1: required must be from 1 to 10`,
		}},
		{"groups have names and are named once", before(approval(v1beta1.ApprovalPolicy{Groups: []string{"sre", "", "sre"}})), []string{
			`spec.stages[0].beforeStageTasks[0].approval.groups[1]: Required value: a group needs a name`,
			`spec.stages[0].beforeStageTasks[0].approval.groups[2]: Duplicate value: "sre"`,
		}},
		{"there is time to approve", before(approval(v1beta1.ApprovalPolicy{ExpiresAfter: &metav1.Duration{}})), []string{
			`spec.stages[0].beforeStageTasks[0].approval.expiresAfter: Invalid value: "0s": expiresAfter must be longer than zero`,
		}},
		{"a strategy may give clusters up", func(s v1beta1.UpdateStrategyObject) {
			s.StrategySpec().FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: time.Hour}, MaxFailures: ptr.To(intstr.FromString("0%"))}
		}, nil},
		{"a policy for failures says when", func(s v1beta1.UpdateStrategyObject) {
			s.StrategySpec().FailurePolicy = &v1beta1.FailurePolicy{}
		}, []string{`spec.failurePolicy.clusterTimeout: Required value: say how long the update of a cluster may take, such as 15m`}},
		{"a cluster has time", stage(func(s *v1beta1.StageConfig) {
			s.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: -time.Hour}, MaxFailures: ptr.To(intstr.FromInt32(-1))}
		}), []string{
			`spec.stages[0].failurePolicy.clusterTimeout: Invalid value: "-1h0m0s": clusterTimeout must be longer than zero`,
			"spec.stages[0].failurePolicy.maxFailures: Invalid value: \"-1\": maxFailures must be greater than or equal to 0, got `-1`",
		}},
		{"no more than all fail", stage(func(s *v1beta1.StageConfig) {
			s.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: time.Hour}, MaxFailures: ptr.To(intstr.FromString("101%"))}
		}), []string{
			`spec.stages[0].failurePolicy.maxFailures: Invalid value: "101%": spec.stages[0].failurePolicy.maxFailures in body should match '^(100|[0-9]{1,2})%$': write a number such as 2, or a percentage from "0%" to "100%"`,
		}},
		{"nobody approves a wait", after(v1beta1.StageTask{
			Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: time.Hour}, Approval: &v1beta1.ApprovalPolicy{},
		}), []string{
			`spec.stages[0].afterStageTasks[0].approval: Forbidden: the task is of type TimedWait, approval is only allowed for Approval`,
		}},
	}
}

func TestUpdateStrategy(t *testing.T) {
	check(t, strategies(), ValidateUpdateStrategy, strategyRules())
}

func TestUpdateStrategyUpdate(t *testing.T) {
	checkUpdate(t, strategies(), ValidateUpdateStrategyUpdate, strategyRules())
}

func TestAnOldStrategyCanBeLabeled(t *testing.T) {
	for _, old := range strategies() {
		old.StrategySpec().Stages[0].Name = "Old-Rules"
		labeled := old.DeepCopyObject().(v1beta1.UpdateStrategyObject)
		labeled.SetLabels(map[string]string{"a": "b"})
		expect(t, ValidateUpdateStrategyUpdate(labeled, old))
	}
}
