// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/admission"
	genericinitializer "k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"
	hubinformers "k8s.io/client-go/informers"
	hubfake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

const team = "team-a"

// judgeFunc is a PolicyJudge.
type judgeFunc func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error)

func (f judgeFunc) Judge(_ context.Context, run v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
	return f(run)
}

func (f judgeFunc) RemovalHandovers(context.Context, v1beta1.PlacementObject, []string) ([]policy.Handover, error) {
	return nil, nil
}

// handing is a PolicyJudge that knows what is handed over on each cluster.
type handing map[string]policy.Handover

func (h handing) Judge(context.Context, v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
	return policy.Verdict{}, false, nil
}

func (h handing) RemovalHandovers(_ context.Context, _ v1beta1.PlacementObject, clusters []string) (found []policy.Handover, err error) {
	for _, cluster := range clusters {
		if handed, ok := h[cluster]; ok {
			found = append(found, handed)
		}
	}
	return found, nil
}

// server is a plugin with what it reads.
type server struct {
	t      *testing.T
	plugin *Plugin
	fleet  *fake.Clientset
	hub    *hubfake.Clientset
}

// newServer makes a plugin whose caches hold the objects: Namespaces those of the hub, all others those of the fleet.
func newServer(t *testing.T, judge initializer.PolicyJudge, objects ...runtime.Object) *server {
	t.Helper()
	var ofHub, ofFleet []runtime.Object
	for _, object := range objects {
		if _, ok := object.(*corev1.Namespace); ok {
			ofHub = append(ofHub, object)
		} else {
			ofFleet = append(ofFleet, object)
		}
	}
	s := &server{t: t, plugin: New(), fleet: fake.NewClientset(ofFleet...), hub: hubfake.NewClientset(ofHub...)}
	fleet, hub := externalversions.NewSharedInformerFactory(s.fleet, 0), hubinformers.NewSharedInformerFactory(s.hub, 0)
	initializer.New(s.fleet, fleet).Initialize(s.plugin)
	initializer.NewPolicyJudge(judge).Initialize(s.plugin)
	genericinitializer.New(s.hub, nil, hub, nil, nil, nil, nil, nil).Initialize(s.plugin)
	if err := s.plugin.ValidateInitialization(); err != nil {
		t.Fatalf("initializing the plugin: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	fleet.StartWithContext(ctx)
	hub.StartWithContext(ctx)
	t.Cleanup(func() { cancel(); fleet.Shutdown(); hub.Shutdown() })
	fleet.WaitForCacheSyncWithContext(ctx)
	hub.WaitForCacheSyncWithContext(ctx)
	return s
}

// answer is what a client is told, and what the audit log is.
type answered struct {
	warnings []string
	err      error
	audited  string
}

// AddWarning implements warning.Recorder.
func (a *answered) AddWarning(_, text string) { a.warnings = append(a.warnings, text) }

type object interface {
	metav1.Object
	runtime.Object
}

var tenant = &user.DefaultInfo{Name: "tenant"}

// ask has the plugin validate a request of a user. Nil objects are none.
func (s *server) ask(who user.Info, operation admission.Operation, subresource string, written, old object) answered {
	var newObject, oldObject runtime.Object
	meta := written
	if written != nil {
		newObject = written
	} else {
		meta = old
	}
	if old != nil {
		oldObject = old
	}
	kind := s.kind(meta)
	if _, ok := meta.(v1alpha1.RolloutPolicyObject); ok {
		kind = v1alpha1.SchemeGroupVersion.WithKind(kind.Kind)
	}
	resource := schema.GroupVersionResource{Group: kind.Group, Version: "v1", Resource: strings.ToLower(kind.Kind) + "s"}
	// A collection is deleted without the names of its objects.
	name := meta.GetName()
	if operation == admission.Delete {
		name = ""
	}
	a := admission.NewAttributesRecord(newObject, oldObject, kind, meta.GetNamespace(), name, resource, subresource, operation, nil, false, who)
	var got answered
	ctx := audit.WithAuditContext(warning.WithWarningRecorder(genericapirequest.WithUser(s.t.Context(), who), &got))
	got.err = s.plugin.Validate(ctx, a, nil)
	got.audited, _ = audit.AuditContextFrom(ctx).GetEventAnnotation("rollout.stagegate.dev/refused-by")
	return got
}

func (s *server) kind(of object) schema.GroupVersionKind {
	return v1beta1.SchemeGroupVersion.WithKind(strings.TrimPrefix(strings.TrimPrefix(fmt.Sprintf("%T", of), "*v1beta1."), "*v1alpha1."))
}

func (s *server) want(got answered, want string, isError func(error) bool, warnings ...string) {
	s.t.Helper()
	if diff := cmp.Diff(warnings, got.warnings); diff != "" {
		s.t.Errorf("warnings, -want +got:\n%s", diff)
	}
	switch {
	case want == "" && got.err == nil:
	case want == "" || got.err == nil || got.err.Error() != want:
		s.t.Errorf("got  %v\nwant %s", got.err, want)
	case !isError(got.err):
		s.t.Errorf("it is a %s", apierrors.ReasonForError(got.err))
	}
}

// place is a scope.
type place struct {
	name, namespace string
	of              func(metav1.ObjectMeta) kinds
}

// kinds makes objects of a scope.
type kinds struct {
	placement v1beta1.PlacementObject
	run       v1beta1.UpdateRunObject
	strategy  v1beta1.UpdateStrategyObject
	binding   v1beta1.BindingObject
}

var places = []place{
	{"cluster-scoped", "", func(m metav1.ObjectMeta) kinds {
		return kinds{&v1beta1.ClusterResourcePlacement{ObjectMeta: m}, &v1beta1.ClusterStagedUpdateRun{ObjectMeta: m}, &v1beta1.ClusterStagedUpdateStrategy{ObjectMeta: m}, &v1beta1.ClusterResourceBinding{ObjectMeta: m}}
	}},
	{"namespaced", team, func(m metav1.ObjectMeta) kinds {
		return kinds{&v1beta1.ResourcePlacement{ObjectMeta: m}, &v1beta1.StagedUpdateRun{ObjectMeta: m}, &v1beta1.StagedUpdateStrategy{ObjectMeta: m}, &v1beta1.ResourceBinding{ObjectMeta: m}}
	}},
}

func (p place) new(name string) kinds {
	return p.of(metav1.ObjectMeta{Namespace: p.namespace, Name: name})
}

// resource names what a refusal is about.
func (p place) resource(placement, of string) string {
	if p.namespace == "" {
		placement = "cluster" + placement
	}
	return fmt.Sprintf(`%s.placement.kubernetes-fleet.io "%s" is forbidden: `, placement, of)
}

// placement makes one that picks clusters by their names, or all where there are none.
func (p place) placement(strategy v1beta1.RolloutStrategyType, names ...string) v1beta1.PlacementObject {
	placement := p.new("app").placement
	spec := placement.PlacementSpec()
	spec.Strategy.Type = strategy
	if len(names) > 0 {
		spec.Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: names}
	}
	return placement
}

// binding has a version unless that is empty.
func (p place) binding(cluster, version string, change ...func(v1beta1.BindingObject)) runtime.Object {
	binding := p.new("app-" + cluster).binding
	binding.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "app"})
	binding.BindingSpec().TargetCluster, binding.BindingSpec().ResourceSnapshotName = cluster, version
	for _, c := range change {
		c(binding)
	}
	return binding
}

// moving is a run of the placement that has a turn, and is not done with a cluster.
func (p place) moving(turn v1beta1.UpdateRunTurn, cluster string) runtime.Object {
	run := p.new("moving").run
	run.RunSpec().PlacementName, run.RunSpec().State = "app", v1beta1.StateRun
	run.RunStatus().Turn = &turn
	run.RunStatus().StagesStatus = []v1beta1.StageUpdatingStatus{{StageName: "all", Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: cluster}}}}
	return run
}

func onlyIn(env string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"env": env}}
}

// guard is a ClusterRolloutPolicy of prod, everywhere.
func guard(rules v1alpha1.PolicyRules, change ...func(*v1alpha1.RolloutPolicySpec)) runtime.Object {
	p := &v1alpha1.ClusterRolloutPolicy{ObjectMeta: metav1.ObjectMeta{Name: "prod-guard"}, Spec: v1alpha1.RolloutPolicySpec{
		Match:       &v1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}},
		Description: "Production needs SRE", Clusters: onlyIn("prod"), Rules: rules,
	}}
	for _, c := range change {
		c(&p.Spec)
	}
	return p
}

func namespace(change ...func(*corev1.Namespace)) runtime.Object {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team, Labels: map[string]string{"team": "a"}}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}
	for _, c := range change {
		c(n)
	}
	return n
}

func member(name, env string) runtime.Object {
	return &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"env": env}}}
}

// fleet has a canary and two clusters of prod. A third is leaving.
func fleet(more ...runtime.Object) []runtime.Object {
	leaving := member("prod3", "prod").(*clusterv1beta1.MemberCluster)
	leaving.DeletionTimestamp, leaving.Finalizers = ptr.To(metav1.Now()), []string{"example.com/wait"}
	return append([]runtime.Object{namespace(), member("canary1", "canary"), member("prod1", "prod"), member("prod2", "prod"), leaving}, more...)
}

const (
	external = v1beta1.ExternalRolloutStrategyType
	rolling  = v1beta1.RollingUpdateRolloutStrategyType
	guarded  = " (ClusterRolloutPolicy prod-guard: Production needs SRE)"
)

// violated is the verdict of prod-guard on a run that it refuses.
func violated(override *v1beta1.PolicyOverride) policy.Verdict {
	p := policy.New(guard(v1alpha1.PolicyRules{MaxConcurrency: ptr.To(intstr.FromInt32(1))}).(v1alpha1.RolloutPolicyObject))
	spec := &v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{Name: "prod", LabelSelector: onlyIn("prod"), MaxConcurrency: ptr.To(intstr.FromInt32(2))}}}
	rollout, err := policy.OfStrategy(spec, []strategy.Cluster{{Name: "prod1", Labels: map[string]string{"env": "prod"}}, {Name: "prod2", Labels: map[string]string{"env": "prod"}}})
	if err != nil {
		panic(err)
	}
	rollout.Override = override
	return policy.Judge([]*policy.Policy{p}, rollout)
}

func TestANewRunIsHeldToThePoliciesThatBindIt(t *testing.T) {
	verdict := violated(nil)
	refusal := verdict.Refusal()
	if refusal == "" {
		t.Fatal("nothing is violated")
	}
	override := &v1beta1.PolicyOverride{Policies: []string{"prod-guard"}, Reason: "INC-7"}
	typo := &v1beta1.PolicyOverride{Policies: []string{"prod-gard"}, Reason: "INC-7"}
	const idle = "there is no ClusterRolloutPolicy prod-gard: correct the name, or remove it from spec.policyOverride.policies"
	warned := violated(override)
	for _, p := range places {
		for name, tt := range map[string]struct {
			policies []runtime.Object
			override *v1beta1.PolicyOverride
			judge    judgeFunc
			want     string
			isError  func(error) bool
			warning  string
			audited  string
		}{
			"violated": {policies: []runtime.Object{guard(v1alpha1.PolicyRules{})}, judge: func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { return violated(nil), true, nil },
				want: p.resource("stagedupdateruns", "next") + refusal, isError: apierrors.IsForbidden, audited: "ClusterRolloutPolicy prod-guard"},
			"not violated": {policies: []runtime.Object{guard(v1alpha1.PolicyRules{})}, judge: func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { return policy.Verdict{}, true, nil }},
			"no plan yet, and an override": {policies: []runtime.Object{guard(v1alpha1.PolicyRules{})}, override: override,
				judge: func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { return policy.Verdict{}, false, nil },
				want:  p.resource("stagedupdateruns", "next") + "nobody can tell what the run overrides before it can be planned: create its placement and strategy first", isError: apierrors.IsForbidden},
			"no plan yet": {policies: []runtime.Object{guard(v1alpha1.PolicyRules{})}, judge: func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { return violated(typo), false, nil }},
			"overridden": {policies: []runtime.Object{guard(v1alpha1.PolicyRules{})}, override: override,
				judge: func(run v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
					return violated(run.RunSpec().PolicyOverride), true, nil
				},
				warning: warned.Warning()},
			"a misspelled override": {policies: []runtime.Object{guard(v1alpha1.PolicyRules{})}, override: typo,
				judge: func(run v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
					return violated(run.RunSpec().PolicyOverride), true, nil
				},
				want: p.resource("stagedupdateruns", "next") + idle + "; " + refusal, isError: apierrors.IsForbidden, audited: "ClusterRolloutPolicy prod-guard"},
			"an override of what binds nothing, where there is no policy": {override: typo,
				judge: func(run v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
					return policy.Verdict{Idle: run.RunSpec().PolicyOverride.Policies}, true, nil
				},
				want: fmt.Sprintf(`%T.placement.kubernetes-fleet.io "next" is invalid: spec.policyOverride.policies: Invalid value: "prod-gard": %s`, p.new("next").run, idle), isError: apierrors.IsInvalid},
			"nobody can judge": {policies: []runtime.Object{guard(v1alpha1.PolicyRules{})}, judge: func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
				return policy.Verdict{}, false, apierrors.NewServiceUnavailable("not yet")
			}, want: "not yet", isError: apierrors.IsServiceUnavailable},
			"the judge fails": {policies: []runtime.Object{guard(v1alpha1.PolicyRules{})}, judge: func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
				return policy.Verdict{}, false, errors.New("no cache")
			},
				want: "rollout policies cannot be looked at: no cache: try again", isError: apierrors.IsServiceUnavailable},
			"no policy is asked about": {judge: func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { panic("asked") }},
			"a policy of another namespace": {policies: []runtime.Object{&v1alpha1.RolloutPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team-b", Name: "own"}}},
				judge: func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { panic("asked") }},
			"a policy that matches nothing": {policies: []runtime.Object{guard(v1alpha1.PolicyRules{}, func(s *v1alpha1.RolloutPolicySpec) { s.Match = &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(false)} })},
				judge: func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { panic("asked") }},
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				s := newServer(t, tt.judge, fleet(tt.policies...)...)
				run := p.new("next").run
				run.RunSpec().PolicyOverride = tt.override
				got := s.ask(tenant, admission.Create, "", run, nil)
				var warnings []string
				if tt.warning != "" {
					warnings = []string{tt.warning}
				}
				s.want(got, strings.ReplaceAll(tt.want, "*v1beta1.", ""), tt.isError, warnings...)
				if got.audited != tt.audited {
					t.Errorf("audited as refused by %q, want %q", got.audited, tt.audited)
				}
			})
		}
	}
}

func TestRunsAreLookedAtWhenUsersCreateThem(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			s := newServer(t, judgeFunc(func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { return violated(nil), true, nil }), fleet(guard(v1alpha1.PolicyRules{}))...)
			run := p.new("next").run
			for what, got := range map[string]answered{
				"a rollback that the controllers create": s.ask(registry.Controllers(), admission.Create, "", run, nil),
				"an update":                              s.ask(tenant, admission.Update, "", run, run),
				"a deletion":                             s.ask(tenant, admission.Delete, "", nil, run),
				"a stop":                                 s.ask(tenant, admission.Create, "stop", run, nil),
				"its status":                             s.ask(tenant, admission.Update, "status", run, run),
			} {
				t.Run(what, func(t *testing.T) { s.want(got, "", nil) })
			}
		})
	}
}

func TestARunIsNotStartedAgainstThePolicies(t *testing.T) {
	verdict := violated(nil)
	for _, p := range places {
		planned := func(state v1beta1.State, change func(*v1beta1.UpdateRunStatus)) v1beta1.UpdateRunObject {
			run := p.new("next").run
			run.RunSpec().State = state
			run.RunStatus().Conditions = []metav1.Condition{{Type: v1beta1.RunInitialized, Status: metav1.ConditionTrue}}
			if change != nil {
				change(run.RunStatus())
			}
			return run
		}
		hasMoved := func(status *v1beta1.UpdateRunStatus) {
			status.Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 1}
		}
		unplanned := func(status *v1beta1.UpdateRunStatus) { status.Conditions = nil }
		refusal := p.resource("stagedupdateruns", "next") + verdict.Refusal()
		for name, tt := range map[string]struct {
			old, run v1beta1.UpdateRunObject
			want     string
		}{
			"started":                      {planned(v1beta1.StateInitialize, nil), planned(v1beta1.StateRun, nil), refusal},
			"resumed before it has moved":  {planned(v1beta1.StateStop, nil), planned(v1beta1.StateRun, nil), refusal},
			"resumed after it has moved":   {planned(v1beta1.StateStop, hasMoved), planned(v1beta1.StateRun, hasMoved), ""},
			"stopped":                      {planned(v1beta1.StateRun, nil), planned(v1beta1.StateStop, nil), ""},
			"labeled":                      {planned(v1beta1.StateRun, nil), planned(v1beta1.StateRun, nil), ""},
			"started before it has a plan": {planned(v1beta1.StateInitialize, unplanned), planned(v1beta1.StateRun, unplanned), ""},
			"a client that empties a plan": {planned(v1beta1.StateInitialize, nil), planned(v1beta1.StateRun, unplanned), refusal},
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				s := newServer(t, judgeFunc(func(run v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
					if run.RunSpec().State == v1beta1.StateRun {
						t.Error("judged by what the request has, not by what is stored")
					}
					return violated(nil), true, nil
				}), fleet(guard(v1alpha1.PolicyRules{}))...)
				s.want(s.ask(tenant, admission.Update, "", tt.run, tt.old), tt.want, apierrors.IsForbidden)
			})
		}
	}
}

func TestARunIsNotResumedIntoItsFirstClusterAgainstThePolicies(t *testing.T) {
	verdict := violated(nil)
	for _, p := range places {
		for name, tt := range map[string]struct {
			number int64
			want   string
		}{
			"it has moved nothing": {0, p.resource("stagedupdateruns", "next") + verdict.Refusal()},
			"it has moved":         {1, ""},
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				run := p.new("next").run
				run.RunSpec().State = v1beta1.StateStop
				run.RunStatus().Conditions = []metav1.Condition{{Type: v1beta1.RunInitialized, Status: metav1.ConditionTrue}}
				run.RunStatus().Turn = &v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: tt.number}
				s := newServer(t, judgeFunc(func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { return violated(nil), true, nil }),
					append(fleet(guard(v1alpha1.PolicyRules{})), run)...)
				s.want(s.operate(p, "resume"), tt.want, apierrors.IsForbidden)
			})
		}
	}
}

// operate has the plugin validate an operation on the run next.
func (s *server) operate(p place, subresource string) answered {
	asked := &v1beta1.UpdateRunOperation{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "next"}}
	resource, _, _ := strings.Cut(p.resource("stagedupdateruns", "next"), ".")
	a := admission.NewAttributesRecord(asked, nil, v1beta1.SchemeGroupVersion.WithKind("UpdateRunOperation"), p.namespace, "next",
		v1beta1.SchemeGroupVersion.WithResource(resource), subresource, admission.Create, nil, false, tenant)
	var got answered
	ctx := warning.WithWarningRecorder(genericapirequest.WithUser(s.t.Context(), tenant), &got)
	got.err = s.plugin.Validate(ctx, a, nil)
	return got
}

func TestARollbackThatWouldBeDeniedIsNotRecorded(t *testing.T) {
	for _, p := range places {
		moved := func(cluster string) v1beta1.UpdateRunObject {
			run := p.new("next").run
			run.RunSpec().PlacementName = "app"
			run.RunStatus().ResourceSnapshotIndexUsed = "1"
			run.RunStatus().StagesStatus = []v1beta1.StageUpdatingStatus{{StageName: "a", Clusters: []v1beta1.ClusterUpdatingStatus{
				{ClusterName: cluster, PreviousResourceSnapshotIndex: ptr.To("0")},
			}}}
			return run
		}
		denied := p.resource("stagedupdateruns", "next") + `stage "a" (1 cluster, 1 protected): no version may reach prod1, nor an earlier one: ` +
			"a user who may override the policy can create a run with rollbackOf and policyOverride" + guarded
		for name, tt := range map[string]struct {
			rules   v1alpha1.PolicyRules
			cluster string
			want    string
		}{
			"denied":          {v1alpha1.PolicyRules{Deny: true}, "prod1", denied},
			"of others":       {v1alpha1.PolicyRules{Deny: true}, "canary1", ""},
			"by another rule": {v1alpha1.PolicyRules{Approval: &v1alpha1.ApprovalRule{}}, "prod1", ""},
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				s := newServer(t, judgeFunc(func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { panic("asked") }),
					append(fleet(guard(tt.rules)), moved(tt.cluster), p.placement(external))...)
				s.want(s.operate(p, "rollback"), tt.want, apierrors.IsForbidden)
			})
		}
	}
}

func TestPlacementsAreHeldToPolicies(t *testing.T) {
	staged, deny := v1alpha1.PolicyRules{Staged: true}, v1alpha1.PolicyRules{Deny: true}
	warns := func(s *v1alpha1.RolloutPolicySpec) { s.Enforcement = v1alpha1.PolicyEnforcementWarn }
	canaries := func(placement v1beta1.PlacementObject) v1beta1.PlacementObject {
		placement.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType, Affinity: &v1beta1.Affinity{
			ClusterAffinity: &v1beta1.ClusterAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1beta1.ClusterSelector{
				ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{{LabelSelector: onlyIn("canary")}},
			}},
		}}
		return placement
	}
	for _, p := range places {
		forbidden := p.resource("resourceplacements", "app")
		mustBeExternal := func(clusters string) string {
			return "the placement (protected: " + clusters + "): spec.strategy.type must be External" + guarded
		}
		mustNotHave := func(clusters string) string {
			return "the placement (protected: " + clusters + "): spec.policy of the placement must not pick " + clusters + guarded
		}
		for name, tt := range map[string]struct {
			policy       runtime.Object
			bindings     []runtime.Object
			written, old v1beta1.PlacementObject
			want         string
			warning      string
		}{
			"created, names a protected cluster, rolls by itself": {policy: guard(staged), written: p.placement(rolling, "canary1", "prod1"), want: mustBeExternal("prod1")},
			"created, rolls by itself without saying so":          {policy: guard(staged), written: p.placement("", "prod1"), want: mustBeExternal("prod1")},
			"created, names a protected cluster, is staged":       {policy: guard(staged), written: p.placement(external, "prod1")},
			"created, names no protected cluster":                 {policy: guard(staged), written: p.placement(rolling, "canary1", "unknown")},
			"created, names a cluster that is to come, where all are protected": {
				policy: guard(staged, func(s *v1alpha1.RolloutPolicySpec) { s.Clusters = nil }), written: p.placement(rolling, "unknown"), want: mustBeExternal("unknown")},
			"created, picks all, rolls by itself":                {policy: guard(staged), written: p.placement(rolling), want: mustBeExternal("prod1, prod2")},
			"created, picks all, is staged":                      {policy: guard(staged), written: p.placement(external)},
			"created, its affinity keeps protected clusters out": {policy: guard(staged), written: canaries(p.placement(rolling))},
			"created, under a policy that warns":                 {policy: guard(staged, warns), written: p.placement(rolling, "prod1"), warning: mustBeExternal("prod1")},
			"created, names a denied cluster":                    {policy: guard(deny), written: p.placement(external, "canary1", "prod2"), want: mustNotHave("prod2")},
			"created, picks denied clusters by the way": {policy: guard(deny), written: p.placement(external),
				warning: "the placement (protected: prod1, prod2): no version may reach prod1, prod2: spec.policy of the placement should leave them out" + guarded},
			"created, violates all there is": {policy: guard(v1alpha1.PolicyRules{Staged: true, Deny: true}), written: p.placement(rolling, "prod2"),
				want: "the placement (protected: prod2): spec.policy of the placement must not pick prod2; spec.strategy.type must be External" + guarded},
			"updated, comes to a protected cluster": {policy: guard(staged), old: p.placement(rolling, "canary1"), written: p.placement(rolling, "prod1"), want: mustBeExternal("prod1")},
			"updated, leaves a protected cluster by itself": {policy: guard(staged), bindings: []runtime.Object{p.binding("prod1", "v1")},
				old: p.placement(rolling, "prod1"), written: p.placement(rolling, "canary1"), want: mustBeExternal("prod1")},
			"updated, leaves a protected cluster that has no version": {policy: guard(staged), bindings: []runtime.Object{p.binding("prod1", "")},
				old: p.placement(rolling, "prod1"), written: p.placement(rolling, "canary1")},
			"updated, no longer staged": {policy: guard(staged), bindings: []runtime.Object{p.binding("prod1", "v1")},
				old: p.placement(external, "prod1"), written: p.placement(rolling, "prod1"), want: mustBeExternal("prod1")},
			"updated, no longer staged, and leaves at once": {policy: guard(staged), bindings: []runtime.Object{p.binding("prod1", "v1")},
				old: p.placement(external, "prod1"), written: p.placement(rolling, "canary1"), want: mustBeExternal("prod1")},
			"updated, leaves a protected cluster for a run to remove": {policy: guard(staged), bindings: []runtime.Object{p.binding("prod1", "v1")},
				old: p.placement(external, "prod1"), written: p.placement(external, "canary1")},
			"updated, is staged now":          {policy: guard(staged), old: p.placement(rolling, "prod1"), written: p.placement(external, "prod1")},
			"updated, names a denied cluster": {policy: guard(deny), old: p.placement(external, "canary1"), written: p.placement(external, "prod1"), want: mustNotHave("prod1")},
			"updated, leaves a denied cluster that it has": {policy: guard(deny), bindings: []runtime.Object{p.binding("prod1", "v1")},
				old: p.placement(external, "prod1"), written: p.placement(external, "canary1")},
			"updated, in what policies do not look at": {policy: guard(v1alpha1.PolicyRules{Staged: true, Deny: true}), old: p.placement(rolling, "prod1"), written: func() v1beta1.PlacementObject {
				placement := p.placement("", "prod1")
				placement.SetLabels(map[string]string{"a": "b"})
				placement.SetFinalizers([]string{"example.com/a"})
				placement.PlacementSpec().RevisionHistoryLimit = ptr.To(int32(5))
				return placement
			}()},
			"a policy that does not bind": {policy: guard(staged, func(s *v1alpha1.RolloutPolicySpec) { s.Match = &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(false)} }), written: p.placement(rolling)},
			"leaving": {policy: guard(staged), old: p.placement(rolling, "canary1"), written: func() v1beta1.PlacementObject {
				placement := p.placement(rolling, "prod1")
				placement.SetDeletionTimestamp(ptr.To(metav1.Now()))
				return placement
			}()},
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				s := newServer(t, judgeFunc(nil), fleet(append(tt.bindings, tt.policy)...)...)
				operation, old := admission.Create, object(nil)
				if tt.old != nil {
					operation, old = admission.Update, tt.old
				}
				got := s.ask(tenant, operation, "", tt.written, old)
				want, audited := "", ""
				if tt.want != "" {
					want, audited = forbidden+tt.want, "ClusterRolloutPolicy prod-guard"
				}
				var warnings []string
				if tt.warning != "" {
					warnings = []string{tt.warning}
				}
				s.want(got, want, apierrors.IsForbidden, warnings...)
				if got.audited != audited {
					t.Errorf("audited as refused by %q, want %q", got.audited, audited)
				}
				for who, ask := range map[string]answered{
					"controllers": s.ask(registry.Controllers(), operation, "", tt.written, old), "status": s.ask(tenant, operation, "status", tt.written, old),
				} {
					if ask.err != nil || len(ask.warnings) > 0 {
						t.Errorf("%s: %v %v", who, ask.err, ask.warnings)
					}
				}
			})
		}
	}
}

func TestADeletionLeavesProtectedClustersToRuns(t *testing.T) {
	staged := guard(v1alpha1.PolicyRules{Staged: true})
	terminating := func(n *corev1.Namespace) { n.Status.Phase = corev1.NamespaceTerminating }
	removed := func(b v1beta1.BindingObject) {
		b.SetDeletionTimestamp(ptr.To(metav1.Now()))
		b.SetFinalizers([]string{"example.com/wait"})
	}
	for _, p := range places {
		for name, tt := range map[string]struct {
			objects []runtime.Object
			// whenNamespaced is what a namespaced one is told where that is something else.
			refused, passesNamespaced bool
		}{
			"has a protected cluster":                   {objects: fleet(staged, p.binding("prod1", "v1")), refused: true},
			"picks it no more, and no run was there":    {objects: fleet(staged, p.binding("prod1", "v1", func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateUnscheduled })), refused: true},
			"a run is about to move it there":           {objects: fleet(staged, p.binding("prod1", ""), p.moving(v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1}, "prod1")), refused: true},
			"a run has not started":                     {objects: fleet(staged, p.binding("prod1", ""), p.moving(v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1, AwaitsStart: true}, "prod1"))},
			"a run was stopped before it moved it":      {objects: fleet(staged, p.binding("prod1", ""), p.moving(v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 1}, "prod1"))},
			"a run moves others":                        {objects: fleet(staged, p.binding("prod1", ""), p.moving(v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1}, "canary1"))},
			"has others only":                           {objects: fleet(staged, p.binding("canary1", "v1"))},
			"has no version there":                      {objects: fleet(staged, p.binding("prod1", ""))},
			"a run is removing it":                      {objects: fleet(staged, p.binding("prod1", "v1", removed))},
			"the cluster has left":                      {objects: fleet(staged, p.binding("prod9", "v1"))},
			"the cluster has left, and all are guarded": {objects: fleet(guard(v1alpha1.PolicyRules{Staged: true}, func(s *v1alpha1.RolloutPolicySpec) { s.Clusters = nil }), p.binding("prod9", "v1"))},
			"the policy wants no stages":                {objects: fleet(guard(v1alpha1.PolicyRules{Deny: true}), p.binding("prod1", "v1"))},
			"there is no policy":                        {objects: fleet(p.binding("prod1", "v1"))},
			"its Namespace is being deleted":            {objects: []runtime.Object{namespace(terminating), member("prod1", "prod"), staged, p.binding("prod1", "v1")}, refused: true, passesNamespaced: true},
			"its Namespace is gone":                     {objects: []runtime.Object{member("prod1", "prod"), staged, p.binding("prod1", "v1")}, refused: true, passesNamespaced: true},
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				s := newServer(t, judgeFunc(nil), tt.objects...)
				got := s.ask(tenant, admission.Delete, "", nil, p.placement(external, "prod1"))
				refused := tt.refused && !(tt.passesNamespaced && p.namespace != "")
				if apierrors.IsForbidden(got.err) != refused || !refused && got.err != nil {
					t.Fatalf("got %v, want a refusal: %v", got.err, refused)
				}
				if refused && (!strings.HasPrefix(got.err.Error(), p.resource("resourceplacements", "app")) || !strings.Contains(got.err.Error(), "prod1") || !strings.Contains(got.err.Error(), guarded)) {
					t.Errorf("got %v", got.err)
				}
				leaving := p.placement(external, "prod1")
				leaving.SetDeletionTimestamp(ptr.To(metav1.Now()))
				if again := s.ask(tenant, admission.Delete, "", nil, leaving); again.err != nil {
					t.Errorf("once more: %v", again.err)
				}
			})
		}
	}
}

// What another placement waits with would come to the cluster though no version may.
func TestADeletionHandsProtectedClustersOverToNobody(t *testing.T) {
	settings := []v1beta1.ResourceIdentifier{{Kind: "ConfigMap", Namespace: "shop", Name: "settings"}}
	judge := handing{}
	for _, cluster := range []string{"prod1", "canary1"} {
		judge[cluster] = policy.Handover{Cluster: cluster, Placement: "ResourcePlacement shop/other", Objects: settings}
	}
	deny := guard(v1alpha1.PolicyRules{Deny: true})
	for _, p := range places {
		for name, tt := range map[string]struct {
			objects []runtime.Object
			refused bool
		}{
			"of a protected cluster":    {fleet(deny, p.binding("prod1", "v1")), true},
			"of another one":            {fleet(deny, p.binding("canary1", "v1")), false},
			"where there is no policy":  {fleet(p.binding("prod1", "v1")), false},
			"where nothing was applied": {fleet(deny, p.binding("prod1", "")), false},
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				got := newServer(t, judge, tt.objects...).ask(tenant, admission.Delete, "", nil, p.placement(external, "prod1"))
				if apierrors.IsForbidden(got.err) != tt.refused || !tt.refused && got.err != nil {
					t.Fatalf("got %v, want a refusal: %v", got.err, tt.refused)
				}
				const demand = "the removal of resources (1 cluster, 1 protected): must not hand ConfigMap shop/settings on prod1 over to the version of ResourcePlacement shop/other"
				if tt.refused && !strings.Contains(got.err.Error(), demand) {
					t.Errorf("got %v", got.err)
				}
			})
		}
	}
}

func TestAnEvictionLeavesProtectedClustersToRuns(t *testing.T) {
	staged, p := guard(v1alpha1.PolicyRules{Staged: true}), places[0]
	placed := p.placement(external)
	leaving := member("prod1", "prod").(*clusterv1beta1.MemberCluster)
	leaving.DeletionTimestamp, leaving.Finalizers = ptr.To(metav1.Now()), []string{"example.com/wait"}
	for name, tt := range map[string]struct {
		cluster string
		objects []runtime.Object
		refused bool
	}{
		"from a protected cluster":         {"prod1", fleet(staged, placed, p.binding("prod1", "v1"), p.binding("canary1", "v1")), true},
		"from another cluster":             {"canary1", fleet(staged, placed, p.binding("prod1", "v1"), p.binding("canary1", "v1")), false},
		"from where it has no version":     {"prod1", fleet(staged, placed, p.binding("prod1", "")), false},
		"from a cluster that has left":     {"prod9", fleet(staged, placed, p.binding("prod9", "v1")), false},
		"from a cluster that leaves":       {"prod1", []runtime.Object{leaving, staged, placed, p.binding("prod1", "v1")}, false},
		"of a placement that is not there": {"prod1", fleet(staged, p.binding("prod1", "v1")), false},
		"of one that is not bound": {"prod1", fleet(guard(v1alpha1.PolicyRules{Staged: true}, func(s *v1alpha1.RolloutPolicySpec) {
			s.Match = &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(false)}
		}), placed, p.binding("prod1", "v1")), false},
		"where versions are denied": {"prod1", fleet(guard(v1alpha1.PolicyRules{Deny: true}), placed, p.binding("prod1", "v1")), false},
		"without a policy":          {"prod1", fleet(placed, p.binding("prod1", "v1")), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, judgeFunc(nil), tt.objects...)
			eviction := &v1beta1.ClusterResourcePlacementEviction{
				ObjectMeta: metav1.ObjectMeta{Name: "e"}, Spec: v1beta1.PlacementEvictionSpec{PlacementName: "app", ClusterName: tt.cluster},
			}
			got := s.ask(tenant, admission.Create, "", eviction, nil)
			if apierrors.IsForbidden(got.err) != tt.refused || !tt.refused && got.err != nil || tt.refused && !strings.Contains(got.err.Error(), guarded) {
				t.Fatalf("got %v, want a refusal: %v", got.err, tt.refused)
			}
			for operation, got := range map[string]answered{
				"update": s.ask(tenant, admission.Update, "", eviction, eviction), "delete": s.ask(tenant, admission.Delete, "", nil, eviction),
			} {
				if got.err != nil {
					t.Errorf("%s: %v", operation, got.err)
				}
			}
		})
	}
	t.Run("that cannot be told is refused", func(t *testing.T) {
		for _, resource := range []string{"clusterresourceplacements", "clusterresourcebindings"} {
			s := newServer(t, judgeFunc(nil), fleet(staged, placed, p.binding("prod1", "v1"))...)
			s.fleet.PrependReactor("*", resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("etcd is away") })
			got := s.ask(tenant, admission.Create, "", &v1beta1.ClusterResourcePlacementEviction{
				ObjectMeta: metav1.ObjectMeta{Name: "e"}, Spec: v1beta1.PlacementEvictionSpec{PlacementName: "app", ClusterName: "prod1"},
			}, nil)
			if !apierrors.IsServiceUnavailable(got.err) {
				t.Errorf("without %s: %v", resource, got.err)
			}
		}
	})
}

// The labels by which a placement is bound go in the write that they would have refused.
func TestAPlacementDoesNotLeaveAPolicyInTheWriteThatViolatesIt(t *testing.T) {
	s := newServer(t, judgeFunc(nil), fleet(guard(v1alpha1.PolicyRules{Staged: true}, func(s *v1alpha1.RolloutPolicySpec) {
		s.Match = &v1alpha1.PolicyMatch{PlacementSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "1"}}}
	}))...)
	old, written := places[0].placement(external, "prod1"), places[0].placement(rolling, "prod1")
	old.SetLabels(map[string]string{"tier": "1"})
	if got := s.ask(tenant, admission.Update, "", written, old); !apierrors.IsForbidden(got.err) {
		t.Errorf("got %v", got.err)
	}
	if got := s.ask(tenant, admission.Create, "", written, nil); got.err != nil {
		t.Errorf("one that is not bound: %v", got.err)
	}
}

func TestAStrategyIsWarnedOfWhatItsRunsWouldMeet(t *testing.T) {
	spec := v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{
		{Name: "canary", LabelSelector: onlyIn("canary")},
		{Name: "prod", LabelSelector: onlyIn("prod"), MaxConcurrency: ptr.To(intstr.FromString("100%"))},
	}}
	one := v1alpha1.PolicyRules{MaxConcurrency: ptr.To(intstr.FromInt32(1))}
	for _, p := range places {
		for name, tt := range map[string]struct {
			policy runtime.Object
			spec   v1beta1.UpdateStrategySpec
			want   string
		}{
			"violated":           {guard(one), spec, "a run of all present member clusters would be refused: " + `stage "prod" (2 clusters, 2 protected): maxConcurrency must be `},
			"only warned of":     {guard(one, func(s *v1alpha1.RolloutPolicySpec) { s.Enforcement = v1alpha1.PolicyEnforcementWarn }), spec, "a run of all present member clusters would be warned: "},
			"not violated":       {guard(v1alpha1.PolicyRules{}), spec, ""},
			"denied clusters":    {guard(v1alpha1.PolicyRules{Deny: true}), spec, ""},
			"not bound":          {guard(one, func(s *v1alpha1.RolloutPolicySpec) { s.Match = &v1alpha1.PolicyMatch{ClusterScoped: ptr.To(false)} }), spec, ""},
			"no selector at all": {guard(one), v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{Name: "a", LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "k", Operator: "Like"}}}}}}, ""},
		} {
			t.Run(p.name+"/"+name, func(t *testing.T) {
				s := newServer(t, judgeFunc(nil), fleet(tt.policy)...)
				written := p.new("s").strategy
				*written.StrategySpec() = tt.spec
				for operation, old := range map[admission.Operation]object{admission.Create: nil, admission.Update: p.new("s").strategy} {
					got := s.ask(tenant, operation, "", written, old)
					text := strings.Join(got.warnings, "|")
					if got.err != nil || (text != "") != (tt.want != "") || !strings.HasPrefix(text, tt.want) {
						t.Errorf("%s: %v, warned %s\nwant %s", operation, got.err, text, tt.want)
					}
				}
				for what, got := range map[string]answered{"the same": s.ask(tenant, admission.Update, "", written, written), "deleted": s.ask(tenant, admission.Delete, "", nil, written)} {
					if got.err != nil || len(got.warnings) > 0 {
						t.Errorf("%s: %v %v", what, got.err, got.warnings)
					}
				}
			})
		}
	}
}

func TestAPolicyThatMissesTheFleetIsWarnedOf(t *testing.T) {
	misspelled := onlyIn("prdo")
	soak := v1alpha1.PolicyRules{Soak: &v1alpha1.SoakRule{Clusters: onlyIn("cnary")}}
	const (
		protects = "spec.clusters picks none of 3 member clusters: the policy protects nothing now"
		soaks    = "spec.rules.soak.clusters picks none of 3 member clusters: no run that reaches other protected clusters can meet it now"
	)
	for name, tt := range map[string]struct {
		fleet []runtime.Object
		spec  v1alpha1.RolloutPolicySpec
		want  []string
	}{
		"it protects some":         {fleet(), v1alpha1.RolloutPolicySpec{Clusters: onlyIn("prod")}, nil},
		"it protects none":         {fleet(), v1alpha1.RolloutPolicySpec{Clusters: misspelled}, []string{protects}},
		"nor does it have a soak":  {fleet(), v1alpha1.RolloutPolicySpec{Clusters: misspelled, Rules: soak}, []string{protects, soaks}},
		"the fleet has no cluster": {nil, v1alpha1.RolloutPolicySpec{Clusters: misspelled}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, judgeFunc(nil), tt.fleet...)
			for _, kind := range []func(v1alpha1.RolloutPolicySpec) object{
				func(spec v1alpha1.RolloutPolicySpec) object { return &v1alpha1.ClusterRolloutPolicy{Spec: spec} },
				func(spec v1alpha1.RolloutPolicySpec) object { return &v1alpha1.RolloutPolicy{Spec: spec} },
			} {
				written, other := kind(tt.spec), kind(v1alpha1.RolloutPolicySpec{Description: "before"})
				s.want(s.ask(tenant, admission.Create, "", written, nil), "", nil, tt.want...)
				s.want(s.ask(tenant, admission.Update, "", written, other), "", nil, tt.want...)
				s.want(s.ask(tenant, admission.Update, "", written, written), "", nil)
				s.want(s.ask(tenant, admission.Update, "status", written, other), "", nil)
				s.want(s.ask(tenant, admission.Delete, "", nil, written), "", nil)
				s.plugin.isReady = func() bool { return false }
				s.want(s.ask(tenant, admission.Create, "", written, nil), "", nil)
				s.plugin.isReady = func() bool { return true }
			}
		})
	}
}

func TestWhatCannotBeToldIsNotLetThrough(t *testing.T) {
	staged := guard(v1alpha1.PolicyRules{Staged: true})
	for _, p := range places {
		asks := func(s *server) map[string]answered {
			return map[string]answered{
				"run":               s.ask(tenant, admission.Create, "", p.new("next").run, nil),
				"created placement": s.ask(tenant, admission.Create, "", p.placement(rolling, "prod1"), nil),
				"updated placement": s.ask(tenant, admission.Update, "", p.placement(rolling, "prod1"), p.placement(rolling)),
				"deleted placement": s.ask(tenant, admission.Delete, "", nil, p.placement(external)),
			}
		}
		t.Run(p.name+"/caches are not filled", func(t *testing.T) {
			s := newServer(t, judgeFunc(nil), fleet(staged)...)
			s.plugin.isReady = func() bool { return false }
			for what, got := range asks(s) {
				if !apierrors.IsServiceUnavailable(got.err) {
					t.Errorf("%s: %v", what, got.err)
				}
			}
			if got := s.ask(tenant, admission.Update, "", p.placement(rolling, "prod1"), p.placement(rolling, "prod1")); got.err != nil {
				t.Errorf("a write that policies do not look at: %v", got.err)
			}
			if got := s.ask(tenant, admission.Create, "", p.new("s").strategy, nil); got.err != nil {
				t.Errorf("a strategy: %v", got.err)
			}
		})
		t.Run(p.name+"/bindings cannot be read", func(t *testing.T) {
			s := newServer(t, judgeFunc(func(v1beta1.UpdateRunObject) (policy.Verdict, bool, error) { return policy.Verdict{}, true, nil }), fleet(staged)...)
			s.fleet.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("etcd is away") })
			for what, got := range asks(s) {
				if needs := what == "updated placement" || what == "deleted placement"; needs != apierrors.IsServiceUnavailable(got.err) {
					t.Errorf("%s: %v", what, got.err)
				}
			}
		})
	}
	t.Run("the Namespace cannot be read", func(t *testing.T) {
		s := newServer(t, judgeFunc(nil), member("prod1", "prod"), staged)
		s.hub.PrependReactor("get", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("the hub is away")
		})
		got := s.ask(tenant, admission.Create, "", places[1].placement(rolling, "prod1"), nil)
		s.want(got, "rollout policies cannot be looked at: reading Namespace team-a, by whose labels they select: the hub is away: try again", apierrors.IsServiceUnavailable)
		if got := s.ask(tenant, admission.Delete, "", nil, places[1].placement(rolling, "prod1")); !apierrors.IsServiceUnavailable(got.err) {
			t.Errorf("deletion: %v", got.err)
		}
	})
	t.Run("the Namespace is gone", func(t *testing.T) {
		s := newServer(t, judgeFunc(nil), member("prod1", "prod"), staged)
		for what, got := range map[string]answered{
			"run":               s.ask(tenant, admission.Create, "", places[1].new("next").run, nil),
			"updated placement": s.ask(tenant, admission.Update, "", places[1].placement(rolling, "prod1"), places[1].placement(rolling)),
		} {
			if !apierrors.IsServiceUnavailable(got.err) {
				t.Errorf("%s: %v", what, got.err)
			}
		}
	})
	t.Run("a Namespace that is not in the cache yet", func(t *testing.T) {
		s := newServer(t, judgeFunc(nil), member("prod1", "prod"), staged)
		s.hub.PrependReactor("get", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) { return true, namespace(), nil })
		if got := s.ask(tenant, admission.Create, "", places[1].placement(rolling, "prod1"), nil); !apierrors.IsForbidden(got.err) {
			t.Errorf("got %v", got.err)
		}
	})
}

// A run that ends between the looks at runs and at bindings has brought the placement to a protected cluster all the same.
func TestADeletionMissesNoRunThatEndsWhileItIsLookedAt(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			s := newServer(t, judgeFunc(nil), fleet(guard(v1alpha1.PolicyRules{Staged: true}), p.binding("prod1", ""),
				p.moving(v1beta1.UpdateRunTurn{State: v1beta1.TurnHeld, Number: 1}, "prod1"))...)
			bindings, runs := "resourcebindings", "stagedupdateruns"
			if p.namespace == "" {
				bindings, runs = "clusterresourcebindings", "clusterstagedupdateruns"
			}
			update := func(resource string, o runtime.Object) {
				if err := s.fleet.Tracker().Update(v1beta1.SchemeGroupVersion.WithResource(resource), o, p.namespace); err != nil {
					t.Error(err)
				}
			}
			first := ""
			s.fleet.PrependReactor("list", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
				resource := a.GetResource().Resource
				switch {
				case resource != bindings && resource != runs || resource == first:
				case first == "":
					first = resource
				default:
					update(bindings, p.binding("prod1", "v1"))
					update(runs, p.moving(v1beta1.UpdateRunTurn{State: v1beta1.TurnReleased, Number: 1}, "prod1"))
				}
				return false, nil, nil
			})
			if got := s.ask(tenant, admission.Delete, "", nil, p.placement(external, "prod1")); !apierrors.IsForbidden(got.err) {
				t.Errorf("first %s: got %v, want a refusal", first, got.err)
			}
		})
	}
}
