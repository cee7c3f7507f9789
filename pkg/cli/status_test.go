// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/view"
)

func TestCodes(t *testing.T) {
	const open = -1
	stages := func(canary view.StageState) []view.Stage {
		return []view.Stage{{Name: "staging", State: view.StageSucceeded}, {Name: "canary", State: canary}}
	}
	over := func(outcome v1beta1.UpdateRunOutcome, canary view.StageState) *view.Run {
		return &view.Run{Over: true, Outcome: outcome, Stages: stages(canary)}
	}
	progressing := &view.Run{Stages: stages(view.StageUpdating)}
	waiting := &view.Run{Stages: stages(view.StageWaiting), NeedsPerson: true}
	for name, tc := range map[string]struct {
		run                                                 *view.Run
		plain, succeeded, staging, canary, wrong, attention int
	}{
		"progressing":              {progressing, open, open, 0, open, open, open},
		"needs a person":           {waiting, open, open, 0, open, open, 4},
		"succeeded":                {over(v1beta1.OutcomeSucceeded, view.StageSucceeded), 0, 0, 0, 0, 1, 0},
		"a stage without clusters": {over(v1beta1.OutcomeSucceeded, view.StageSkipped), 0, 0, 0, 0, 1, 0},
		"with failures":            {over(v1beta1.OutcomeSucceededWithFailures, view.StageSucceeded), 3, 3, 0, 0, 3, 3},
		"failed":                   {over(v1beta1.OutcomeFailed, view.StageFailed), 2, 2, 0, 2, 2, 2},
		"rejected":                 {over(v1beta1.OutcomeRejected, view.StageFailed), 2, 2, 0, 2, 2, 2},
		"expired":                  {over(v1beta1.OutcomeExpired, view.StageFailed), 2, 2, 0, 2, 2, 2},
		"rolled back":              {over(v1beta1.OutcomeRolledBack, view.StageFailed), 2, 2, 0, 2, 2, 2},
		"not initialized":          {&view.Run{Over: true, Outcome: v1beta1.OutcomeNotInitialized}, 2, 2, 2, 2, 2, 2},
		"of an older server":       {&view.Run{Over: true}, 2, 2, 2, 2, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			for text, want := range map[string]int{
				"": tc.plain, "succeeded": tc.succeeded, "stage=staging": tc.staging, "stage=canary": tc.canary, "stage=prod": tc.wrong, "attention": tc.attention,
			} {
				reached, err := parseUntil(text)
				if err != nil {
					t.Fatal(err)
				}
				got := open
				if done, code := reached(tc.run, false); done {
					got = code
				}
				if got != want {
					t.Errorf("--until=%s: got %d, want %d", text, got, want)
				}
			}
		})
	}
	if got := codeOf(v1beta1.OutcomeSucceededWithFailures, true); got != exitOK {
		t.Errorf("--allow-failures: got %d", got)
	}
	for _, wrong := range []string{"over", "stage=", "stage"} {
		if _, err := parseUntil(wrong); err == nil {
			t.Errorf("--until=%s is accepted", wrong)
		}
	}
}
