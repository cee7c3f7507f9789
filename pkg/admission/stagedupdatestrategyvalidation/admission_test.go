// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package stagedupdatestrategyvalidation

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
)

// warnings records what a client would be told.
type warnings struct {
	lock sync.Mutex
	text []string
}

func (w *warnings) AddWarning(_, text string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.text = append(w.text, text)
}

// newPlugin makes an initialized plugin whose caches hold the objects.
func newPlugin(t *testing.T, objects ...runtime.Object) (*Plugin, *fake.Clientset) {
	t.Helper()
	client := fake.NewClientset(objects...)
	informers := externalversions.NewSharedInformerFactory(client, 0)
	plugin := New()
	initializer.New(client, informers).Initialize(plugin)
	if err := plugin.ValidateInitialization(); err != nil {
		t.Fatalf("initializing the plugin: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	informers.StartWithContext(ctx)
	t.Cleanup(func() { cancel(); informers.Shutdown() })
	informers.WaitForCacheSyncWithContext(ctx)
	return plugin, client
}

func attributes(resource string, object, old placementObject, operation admission.Operation, subresource string) admission.Attributes {
	meta := object
	if meta == nil {
		meta = old
	}
	var newObject, oldObject runtime.Object
	if object != nil {
		newObject = object
	}
	if old != nil {
		oldObject = old
	}
	return admission.NewAttributesRecord(newObject, oldObject, schema.GroupVersionKind{}, meta.GetNamespace(), meta.GetName(),
		schema.GroupVersionResource{Group: v1beta1.GroupName, Version: "v1", Resource: resource}, subresource, operation, nil, false, &user.DefaultInfo{})
}

type placementObject interface {
	metav1.Object
	runtime.Object
}

// validate answers the warnings and the refusal.
func validate(plugin *Plugin, a admission.Attributes) ([]string, error) {
	recorder := &warnings{}
	err := plugin.Validate(warning.WithWarningRecorder(context.Background(), recorder), a, nil)
	return recorder.text, err
}

// scopes makes the kinds of either scope.
var scopes = []struct {
	name, namespace, placementKind, strategyKind string
	strategy                                     func(metav1.ObjectMeta, v1beta1.UpdateStrategySpec) placementObject
	run                                          func(metav1.ObjectMeta, v1beta1.UpdateRunSpec) placementObject
	storedPlacement                              func(metav1.ObjectMeta, v1beta1.PlacementSpec) runtime.Object
	storedStrategy                               func(metav1.ObjectMeta) runtime.Object
	storedRun                                    func(metav1.ObjectMeta, v1beta1.UpdateRunSpec, v1beta1.UpdateRunStatus) runtime.Object
}{
	{
		name: "cluster-scoped", placementKind: "ClusterResourcePlacement", strategyKind: "ClusterStagedUpdateStrategy",
		strategy: func(meta metav1.ObjectMeta, spec v1beta1.UpdateStrategySpec) placementObject {
			return &v1beta1.ClusterStagedUpdateStrategy{ObjectMeta: meta, Spec: spec}
		},
		run: func(meta metav1.ObjectMeta, spec v1beta1.UpdateRunSpec) placementObject {
			return &v1beta1.ClusterStagedUpdateRun{ObjectMeta: meta, Spec: spec}
		},
		storedPlacement: func(meta metav1.ObjectMeta, spec v1beta1.PlacementSpec) runtime.Object {
			return &v1beta1.ClusterResourcePlacement{ObjectMeta: meta, Spec: spec}
		},
		storedStrategy: func(meta metav1.ObjectMeta) runtime.Object {
			return &v1beta1.ClusterStagedUpdateStrategy{ObjectMeta: meta}
		},
		storedRun: func(meta metav1.ObjectMeta, spec v1beta1.UpdateRunSpec, status v1beta1.UpdateRunStatus) runtime.Object {
			return &v1beta1.ClusterStagedUpdateRun{ObjectMeta: meta, Spec: spec, Status: status}
		},
	},
	{
		name: "namespaced", namespace: "test-namespace", placementKind: "ResourcePlacement", strategyKind: "StagedUpdateStrategy",
		strategy: func(meta metav1.ObjectMeta, spec v1beta1.UpdateStrategySpec) placementObject {
			return &v1beta1.StagedUpdateStrategy{ObjectMeta: meta, Spec: spec}
		},
		run: func(meta metav1.ObjectMeta, spec v1beta1.UpdateRunSpec) placementObject {
			return &v1beta1.StagedUpdateRun{ObjectMeta: meta, Spec: spec}
		},
		storedPlacement: func(meta metav1.ObjectMeta, spec v1beta1.PlacementSpec) runtime.Object {
			return &v1beta1.ResourcePlacement{ObjectMeta: meta, Spec: spec}
		},
		storedStrategy: func(meta metav1.ObjectMeta) runtime.Object {
			return &v1beta1.StagedUpdateStrategy{ObjectMeta: meta}
		},
		storedRun: func(meta metav1.ObjectMeta, spec v1beta1.UpdateRunSpec, status v1beta1.UpdateRunStatus) runtime.Object {
			return &v1beta1.StagedUpdateRun{ObjectMeta: meta, Spec: spec, Status: status}
		},
	},
}

func member(name string, labels ...string) runtime.Object {
	cluster := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for _, label := range labels {
		key, value, _ := strings.Cut(label, "=")
		cluster.Labels[key] = value
	}
	return cluster
}

func selects(name, label string) v1beta1.StageConfig {
	key, value, _ := strings.Cut(label, "=")
	return v1beta1.StageConfig{Name: name, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}}
}

func sortedBy(stage v1beta1.StageConfig, key string) v1beta1.StageConfig {
	stage.SortingLabelKey = ptr.To(key)
	return stage
}

// tutorial is the fleet and the strategy of the tutorial.
func tutorial() ([]runtime.Object, []v1beta1.StageConfig) {
	return []runtime.Object{
			member("member1", "environment=canary", "order=2"),
			member("member2", "environment=staging"),
			member("member3", "environment=canary", "order=1"),
		}, []v1beta1.StageConfig{
			selects("staging", "environment=staging"),
			sortedBy(selects("canary", "environment=canary"), "order"),
		}
}

func TestAStrategyIsComparedWithTheFleet(t *testing.T) {
	fleet, stages := tutorial()
	leaving := member("leaving").(*clusterv1beta1.MemberCluster)
	leaving.DeletionTimestamp, leaving.Finalizers = ptr.To(metav1.Now()), []string{"example.com/wait"}
	var many []runtime.Object
	for i := range 12 {
		many = append(many, member(fmt.Sprintf("m%02d", i)))
	}

	for _, tc := range []struct {
		name   string
		fleet  []runtime.Object
		stages []v1beta1.StageConfig
		want   []string
	}{
		{"the tutorial's fits", fleet, stages, nil},
		{"a leaving member needs no stage", append(fleet[:3:3], leaving), stages, nil},
		{"a stage is empty", fleet, append(stages[:2:2], selects("prod", "environment=prod")), []string{
			"stage prod selects no member cluster",
		}},
		{"a stage without a selector is empty", fleet, append(stages[:2:2], v1beta1.StageConfig{Name: "none"}), []string{
			"stage none selects no member cluster",
		}},
		{"stages overlap", fleet, append(stages[:2:2], selects("second", "order=2")), []string{
			"member cluster member1 is in the stages canary, second at once; a run that moves it cannot be initialized",
		}},
		{"a stage selects everything", fleet, append(stages[:2:2], v1beta1.StageConfig{Name: "all", LabelSelector: &metav1.LabelSelector{}}), []string{
			"member clusters member1, member3 are in the stages canary, all at once; a run that moves them cannot be initialized",
			"member cluster member2 is in the stages staging, all at once; a run that moves it cannot be initialized",
		}},
		{"stages are twins", nil, []v1beta1.StageConfig{selects("one", "a=b"), selects("two", "a=b")}, []string{
			"the stages one and two have the same label selector, but a cluster can be in one stage only",
			"stage one selects no member cluster",
			"stage two selects no member cluster",
		}},
		{"a member is in no stage", append(fleet[:3:3], member("member4"), member("member5")), stages, []string{
			"member clusters member4, member5 are in no stage; a run that moves them cannot be initialized",
		}},
		{"a member cannot be sorted", append(fleet[:3:3], member("member4", "environment=canary", "order=first"), member("member5", "environment=canary")), stages, []string{
			"member clusters member4, member5 are in stage canary without an integer in the label order that it is sorted by; a run that moves them cannot be initialized",
		}},
		{"names are cut short", many, nil, []string{
			"member clusters m00, m01, m02, m03, m04, m05, m06, m07, m08, m09 and 2 more are in no stage; a run that moves them cannot be initialized",
		}},
	} {
		for _, in := range scopes {
			t.Run(in.name+"/"+tc.name, func(t *testing.T) {
				plugin, _ := newPlugin(t, tc.fleet...)
				meta := metav1.ObjectMeta{Name: "example-strategy", Namespace: in.namespace}
				strategy := in.strategy(meta, v1beta1.UpdateStrategySpec{Stages: tc.stages})
				other := in.strategy(meta, v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{Name: "other"}}})
				for operation, old := range map[admission.Operation]placementObject{admission.Create: nil, admission.Update: other} {
					got, err := validate(plugin, attributes("strategies", strategy, old, operation, ""))
					if err != nil {
						t.Fatalf("%s refused: %v", operation, err)
					}
					if diff := cmp.Diff(tc.want, got); diff != "" {
						t.Errorf("warnings on %s, -want +got:\n%s", operation, diff)
					}
				}
			})
		}
	}
}

func TestAStrategyWhoseStagesStayIsLeftAlone(t *testing.T) {
	for _, in := range scopes {
		t.Run(in.name, func(t *testing.T) {
			plugin, _ := newPlugin(t)
			old := in.strategy(metav1.ObjectMeta{Name: "s", Namespace: in.namespace}, v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{Name: "empty"}}})
			labeled := in.strategy(metav1.ObjectMeta{Name: "s", Namespace: in.namespace, Labels: map[string]string{"a": "b"}}, v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{Name: "empty"}}})
			got, err := validate(plugin, attributes("strategies", labeled, old, admission.Update, ""))
			if err != nil || len(got) > 0 {
				t.Errorf("warnings %q, refusal %v", got, err)
			}
		})
	}
}

func TestARunNeedsAnExternalPlacement(t *testing.T) {
	for _, in := range scopes {
		meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: in.namespace} }
		external := in.storedPlacement(meta("example-placement"), v1beta1.PlacementSpec{Strategy: v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType}})
		rolling := in.storedPlacement(meta("example-placement"), v1beta1.PlacementSpec{Strategy: v1beta1.RolloutStrategy{Type: v1beta1.RollingUpdateRolloutStrategyType}})
		nothing := external.DeepCopyObject()
		nothing.(v1beta1.PlacementObject).PlacementStatus().Conditions = []metav1.Condition{{
			Type: v1beta1.PlacementConditionType(in.namespace, "ResourcesSelected"), Status: metav1.ConditionFalse, Message: "the hub has no such thing",
		}}
		strategy := in.storedStrategy(meta("example-strategy"))
		for _, tc := range []struct {
			name    string
			objects []runtime.Object
			want    []string
			refusal string
		}{
			{"all is there", []runtime.Object{external, strategy}, nil, ""},
			{"no placement", []runtime.Object{strategy}, []string{
				in.placementKind + ` "example-placement" does not exist yet; the run cannot be initialized without it`,
			}, ""},
			{"no strategy", []runtime.Object{external}, []string{
				in.strategyKind + ` "example-strategy" does not exist yet; the run cannot be initialized without it`,
			}, ""},
			{"a placement that selects nothing", []runtime.Object{nothing, strategy}, []string{in.placementKind + ` "example-placement": the hub has no such thing`}, ""},
			{"rolls by itself", []runtime.Object{rolling, strategy}, nil,
				`runs.placement.kubernetes-fleet.io "example-run" is forbidden: parent placement does not have an external rollout strategy, current strategy: RollingUpdate; set its spec.strategy.type to External`},
		} {
			t.Run(in.name+"/"+tc.name, func(t *testing.T) {
				plugin, _ := newPlugin(t, tc.objects...)
				run := in.run(meta("example-run"), v1beta1.UpdateRunSpec{PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy"})
				got, err := validate(plugin, attributes("runs", run, nil, admission.Create, ""))
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("warnings, -want +got:\n%s", diff)
				}
				if diff := cmp.Diff(tc.refusal, text(err)); diff != "" {
					t.Errorf("refusal, -want +got:\n%s", diff)
				}
			})
		}
	}
}

func TestARunIsNotWrongedByAStaleCache(t *testing.T) {
	for _, in := range scopes {
		meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: in.namespace} }
		external := in.storedPlacement(meta("example-placement"), v1beta1.PlacementSpec{Strategy: v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType}})
		rolling := in.storedPlacement(meta("example-placement"), v1beta1.PlacementSpec{Strategy: v1beta1.RolloutStrategy{Type: v1beta1.RollingUpdateRolloutStrategyType}})
		for name, cached := range map[string][]runtime.Object{
			"not created yet": {in.storedStrategy(meta("example-strategy"))},
			"not changed yet": {in.storedStrategy(meta("example-strategy")), rolling},
		} {
			t.Run(in.name+"/"+name, func(t *testing.T) {
				plugin, client := newPlugin(t, cached...)
				client.PrependReactor("get", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
					return strings.HasSuffix(action.GetResource().Resource, "placements"), external, nil
				})
				run := in.run(meta("example-run"), v1beta1.UpdateRunSpec{PlacementName: "example-placement", StagedUpdateStrategyName: "example-strategy"})
				got, err := validate(plugin, attributes("runs", run, nil, admission.Create, ""))
				if err != nil || len(got) > 0 {
					t.Errorf("warnings %q, refusal %v", got, err)
				}
			})
		}
	}
}

func TestAStrategyThatIsNeededIsMissed(t *testing.T) {
	initialized := func(status metav1.ConditionStatus) v1beta1.UpdateRunStatus {
		return v1beta1.UpdateRunStatus{Conditions: []metav1.Condition{{Type: "Initialized", Status: status}}}
	}
	triesAgain := initialized("False")
	triesAgain.InitializationStartTime = &metav1.Time{Time: time.Unix(0, 0)}
	for _, in := range scopes {
		meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: in.namespace} }
		spec := v1beta1.UpdateRunSpec{StagedUpdateStrategyName: "example-strategy"}
		for _, tc := range []struct {
			name string
			run  runtime.Object
			want []string
		}{
			{"new", in.storedRun(meta("run"), spec, v1beta1.UpdateRunStatus{}), []string{"the strategy is still needed to initialize: run"}},
			{"tries again", in.storedRun(meta("run"), spec, triesAgain), []string{"the strategy is still needed to initialize: run"}},
			{"initialized", in.storedRun(meta("run"), spec, initialized("True")), nil},
			{"given up", in.storedRun(meta("run"), spec, initialized("False")), nil},
			{"follows another", in.storedRun(meta("run"), v1beta1.UpdateRunSpec{StagedUpdateStrategyName: "other"}, v1beta1.UpdateRunStatus{}), nil},
			{"elsewhere", &v1beta1.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "run", Namespace: "elsewhere"}, Spec: spec}, nil},
		} {
			t.Run(in.name+"/"+tc.name, func(t *testing.T) {
				plugin, _ := newPlugin(t, tc.run)
				strategy := in.strategy(meta("example-strategy"), v1beta1.UpdateStrategySpec{})
				got, err := validate(plugin, attributes("strategies", nil, strategy, admission.Delete, ""))
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("warnings, -want +got:\n%s", diff)
				}
			})
		}
	}
}

func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	// Without informers, the plugin could look nothing up.
	plugin := New()
	meta := metav1.ObjectMeta{Name: "x"}
	for name, a := range map[string]admission.Attributes{
		"a placement":    attributes("clusterresourceplacements", &v1beta1.ClusterResourcePlacement{ObjectMeta: meta}, nil, admission.Create, ""),
		"a run's status": attributes("clusterstagedupdateruns", &v1beta1.ClusterStagedUpdateRun{ObjectMeta: meta}, nil, admission.Update, "status"),
		"a run's update": attributes("clusterstagedupdateruns", &v1beta1.ClusterStagedUpdateRun{ObjectMeta: meta}, &v1beta1.ClusterStagedUpdateRun{ObjectMeta: meta}, admission.Update, ""),
	} {
		if got, err := validate(plugin, a); err != nil || len(got) > 0 {
			t.Errorf("%s: warnings %q, refusal %v", name, got, err)
		}
	}
}

func TestAPluginThatCannotLookAnythingUpIsNotStarted(t *testing.T) {
	if err := New().ValidateInitialization(); err == nil {
		t.Error("a plugin without a client was taken for initialized")
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
