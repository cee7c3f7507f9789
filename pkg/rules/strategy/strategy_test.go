// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package strategy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func selects(name, key, value string) v1beta1.StageConfig {
	return v1beta1.StageConfig{Name: name, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}}
}

func TestAPercentageIsWrittenAsTheAPITakesIt(t *testing.T) {
	for text, want := range map[string]bool{
		"1%": true, "99%": true, "100%": true,
		"0%": false, "01%": false, "+5%": false, "101%": false, "-1%": false, "5": false, "%": false, "1.5%": false,
	} {
		stage := selects("a", "stage", "a")
		stage.MaxConcurrency = ptr.To(intstr.FromString(text))
		errs := Validate(&v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{stage}})
		if got := len(errs) == 0; got != want {
			t.Errorf("maxConcurrency %q is accepted: got %v, want %v: %v", text, got, want, errs)
		}
	}
}

func TestAStrategyIsRefusedByItsTypesAndByTheRulesBesideThem(t *testing.T) {
	stages := func(n int) (stages []v1beta1.StageConfig) {
		for i := range n {
			stages = append(stages, selects("stage"+string(rune('a'+i)), "stage", "a"))
		}
		return stages
	}
	ordered := selects("a", "stage", "a")
	ordered.SortingLabelKey = ptr.To("/")
	for name, tt := range map[string]struct {
		stages      []v1beta1.StageConfig
		want        string
		stage, part string
	}{
		"as many stages as may be":                 {stages: stages(26)},
		"a marker on the strategy":                 {stages: append(stages(26), stages(26)...), want: "spec.stages: Too many: 52: must have at most 31 items"},
		"a rule about a field":                     {[]v1beta1.StageConfig{ordered}, `spec.stages[0].sortingLabelKey: Invalid value: "/": prefix part must be non-empty`, "a", "sortingLabelKey"},
		"a marker on a field":                      {[]v1beta1.StageConfig{{}}, "spec.stages[0].name: Required value", "", "name"},
		"the second of ten and more stages":        {append(stages(11), v1beta1.StageConfig{Name: "No"}), `spec.stages[11].name: Invalid value: "No": spec.stages[11].name in body should match '^[a-z0-9]+$': write small letters and digits only, such as useast1`, "No", "name"},
		"a part of a list, whose index is no part": {[]v1beta1.StageConfig{{Name: "a", BeforeStageTasks: []v1beta1.StageTask{{Type: "Coffee"}}}}, `spec.stages[0].beforeStageTasks[0].type: Unsupported value: "Coffee": supported values: "Approval", "TimedWait"`, "a", "beforeStageTasks"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &v1beta1.UpdateStrategySpec{Stages: tt.stages}
			errs := Validate(spec)
			if tt.want == "" {
				if len(errs) > 0 {
					t.Errorf("it is refused: %v", errs)
				}
				return
			}
			if len(errs) == 0 || errs[0].Error() != tt.want {
				t.Fatalf("got %v, want %s", errs, tt.want)
			}
			stage, part := StageOf(spec, errs[0])
			if part != tt.part || (stage == nil) != (tt.part == "") || stage != nil && stage.Name != tt.stage {
				t.Errorf("it is about %q of the stage %v, want %q of %q", part, stage, tt.part, tt.stage)
			}
		})
	}
}

func TestARunKeepsNoTimeOfAnApproval(t *testing.T) {
	wait := &metav1.Duration{Duration: time.Hour}
	strategy := &v1beta1.StagedUpdateStrategy{Spec: v1beta1.UpdateStrategySpec{
		FailurePolicy: &v1beta1.FailurePolicy{ClusterTimeout: *wait},
		Stages: []v1beta1.StageConfig{{Name: "a", AfterStageTasks: []v1beta1.StageTask{
			{Type: v1beta1.StageTaskTypeApproval, WaitTime: wait}, {Type: v1beta1.StageTaskTypeTimedWait, WaitTime: wait},
		}}},
	}}
	stored := strategy.DeepCopy()
	got := Copy(strategy)
	want := &v1beta1.UpdateStrategySpec{
		FailurePolicy: &v1beta1.FailurePolicy{ClusterTimeout: *wait, OnFailure: v1beta1.FailureActionFail},
		Stages: []v1beta1.StageConfig{{Name: "a", MaxConcurrency: ptr.To(intstr.FromInt32(1)), AfterStageTasks: []v1beta1.StageTask{
			{Type: v1beta1.StageTaskTypeApproval}, {Type: v1beta1.StageTaskTypeTimedWait, WaitTime: wait},
		}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("copy, -want +got:\n%s", diff)
	}
	if errs := Validate(got); len(errs) > 0 {
		t.Errorf("the copy is refused: %v", errs)
	}
	if diff := cmp.Diff(stored, strategy); diff != "" {
		t.Errorf("the strategy is changed, -want +got:\n%s", diff)
	}
}

func TestEveryClusterBelongsInOneStageThatCanSortIt(t *testing.T) {
	cluster := func(name, stage, order string) Cluster {
		return Cluster{name, labels.Set{"stage": stage, "order": order}}
	}
	byOrder := selects("a", "stage", "a")
	byOrder.SortingLabelKey = ptr.To("order")
	everything := v1beta1.StageConfig{Name: "all", LabelSelector: &metav1.LabelSelector{}}
	for name, tt := range map[string]struct {
		stages                         []v1beta1.StageConfig
		clusters                       []Cluster
		want                           [][]string
		unplaced, overlaps, unsortable []string
	}{
		"by name": {
			[]v1beta1.StageConfig{selects("a", "stage", "a"), selects("b", "stage", "b")},
			[]Cluster{cluster("c2", "a", "1"), cluster("c1", "a", "2"), cluster("c3", "b", "")}, [][]string{{"c1", "c2"}, {"c3"}}, nil, nil, nil,
		},
		"by number, not by text, and by name where it is the same": {
			[]v1beta1.StageConfig{byOrder},
			[]Cluster{cluster("c1", "a", "10"), cluster("c4", "a", "9"), cluster("c3", "a", "9"), cluster("c2", "a", "-1")}, [][]string{{"c2", "c3", "c4", "c1"}}, nil, nil, nil,
		},
		"no number": {
			[]v1beta1.StageConfig{byOrder}, []Cluster{cluster("c1", "a", "first"), cluster("c2", "a", "")}, [][]string{{"c1", "c2"}}, nil, nil, []string{"c1=first", "c2="},
		},
		"no selector picks nothing": {
			[]v1beta1.StageConfig{{Name: "none"}}, []Cluster{cluster("c2", "a", ""), cluster("c1", "a", "")}, [][]string{nil}, []string{"c2", "c1"}, nil, nil,
		},
		"several stages": {
			[]v1beta1.StageConfig{selects("a", "stage", "a"), selects("b", "stage", "b"), everything},
			[]Cluster{cluster("c1", "a", ""), cluster("c2", "b", ""), cluster("c3", "a", "")}, [][]string{{"c1", "c3"}, {"c2"}, {"c1", "c2", "c3"}}, nil,
			[]string{"a all: c1 c3", "b all: c2"}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Assign(&v1beta1.UpdateStrategySpec{Stages: tt.stages}, tt.clusters)
			if err != nil {
				t.Fatal(err)
			}
			var got [][]string
			var overlaps, unsortable []string
			for _, stage := range a.Stages {
				got = append(got, stage.Clusters)
				for _, u := range stage.Unsortable {
					unsortable = append(unsortable, u.Cluster+"="+u.Value)
				}
			}
			for _, o := range a.Overlaps {
				overlaps = append(overlaps, strings.Join(o.Stages, " ")+": "+strings.Join(o.Clusters, " "))
			}
			for what, diff := range map[string]string{
				"stages": cmp.Diff(tt.want, got), "unplaced": cmp.Diff(tt.unplaced, a.Unplaced),
				"overlaps": cmp.Diff(tt.overlaps, overlaps), "unsortable": cmp.Diff(tt.unsortable, unsortable),
			} {
				if diff != "" {
					t.Errorf("%s, -want +got:\n%s", what, diff)
				}
			}
		})
	}
}

func TestASelectorThatIsNoneIsAnError(t *testing.T) {
	stage := v1beta1.StageConfig{Name: "a", LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "k", Operator: "Like"}}}}
	_, err := Assign(&v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{stage}}, nil)
	if want := `the label selector of stage a is invalid: "Like" is not a valid label selector operator`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
