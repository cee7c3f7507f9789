// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// judgeFunc is a PolicyJudge.
type judgeFunc func() (policy.Verdict, bool, error)

func (f judgeFunc) Judge(context.Context, v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
	return f()
}

func (f judgeFunc) RemovalHandovers(context.Context, v1beta1.PlacementObject, []string) ([]policy.Handover, error) {
	return []policy.Handover{{Cluster: "a"}}, nil
}

func TestAJudgeLetsNothingThroughBeforeItKnowsWhomToAsk(t *testing.T) {
	j, run := &judge{}, &v1beta1.StagedUpdateRun{}
	if _, known, err := j.Judge(t.Context(), run); known || !apierrors.IsServiceUnavailable(err) {
		t.Errorf("before: known %v, %v", known, err)
	}
	if _, err := j.RemovalHandovers(t.Context(), nil, nil); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("before: handovers are known, %v", err)
	}
	j.ask(judgeFunc(func() (policy.Verdict, bool, error) { return policy.Verdict{Idle: []string{"x"}}, true, nil }))
	if verdict, known, err := j.Judge(t.Context(), run); !known || err != nil || len(verdict.Idle) != 1 {
		t.Errorf("after: known %v, %v, %v", known, verdict, err)
	}
	if handed, err := j.RemovalHandovers(t.Context(), nil, nil); err != nil || len(handed) != 1 {
		t.Errorf("after: handovers %v, %v", handed, err)
	}
}

func TestAServerWithoutControllersPlansNoRunThatCouldBeJudged(t *testing.T) {
	j := &judge{}
	j.ask(nil)
	if _, known, err := j.Judge(t.Context(), &v1beta1.StagedUpdateRun{}); known || err != nil {
		t.Errorf("known %v, %v", known, err)
	}
}
