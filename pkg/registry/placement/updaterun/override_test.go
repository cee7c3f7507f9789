// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func overriding(s *service, policies ...string) v1beta1.UpdateRunObject {
	run := newRun(s.resource)
	run.RunSpec().PolicyOverride = &v1beta1.PolicyOverride{Policies: policies, Reason: "INC-7 hotfix"}
	return run
}

func TestAnOverrideTakesThePermissionOnEachPolicy(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		storage := s.paths[""].(rest.StandardStorage)
		may := func(names ...string) func(authorizer.Attributes) bool {
			return func(a authorizer.Attributes) bool {
				if a.GetVerb() != "override" || a.GetAPIGroup() != "rollout.stagegate.dev" || a.GetResource() != "clusterrolloutpolicies" || a.GetNamespace() != "" {
					return false
				}
				return strings.Contains(strings.Join(names, " "), a.GetName())
			}
		}
		for name, tt := range map[string]struct {
			policies []string
			allowed  func(authorizer.Attributes) bool
			want     string
		}{
			"all":  {[]string{"prod-guard", "eu-guard"}, may("prod-guard", "eu-guard"), ""},
			"some": {[]string{"prod-guard", "eu-guard"}, may("prod-guard"), "eu-guard"},
			"none": {[]string{"prod-guard", "eu-guard"}, may(), "prod-guard, eu-guard"},
		} {
			for way, create := range ways {
				for _, dryRun := range [][]string{nil, {metav1.DryRunAll}} {
					t.Run(name+"/"+way+"/"+strings.Join(dryRun, ""), func(t *testing.T) {
						s.allowed, s.asked = tt.allowed, nil
						ctx := s.as(alice, "")
						_, err := create(ctx, storage, overriding(s, tt.policies...), dryRun)
						annotation, annotated := audit.AuditContextFrom(ctx).GetEventAnnotation("rollout.stagegate.dev/policy-override")
						if want := tt.want == "" && dryRun == nil; annotated != want || want && annotation != "prod-guard,eu-guard: INC-7 hotfix" {
							t.Errorf("audited as %q", annotation)
						}
						if tt.want == "" {
							if err != nil {
								t.Fatal(err)
							}
							if dryRun == nil {
								s.delete("run")
							}
							return
						}
						want := s.resource.GroupResource().String() + ` "run" is forbidden: user "alice" needs the permission to override clusterrolloutpolicies.rollout.stagegate.dev` +
							" of the name " + tt.want + " for the spec.policyOverride of the run; ClusterRole stagegate-breakglass gives it, within ten seconds of its binding: no rule allows it"
						if !apierrors.IsForbidden(err) || err.Error() != want {
							t.Errorf("got  %v\nwant %s", err, want)
						}
						if _, err := storage.Get(ctx, "run", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
							t.Errorf("a run was stored: %v", err)
						}
					})
				}
			}
		}
	})
}

func TestARunWithoutAnOverrideTakesNoPermissionOnPolicies(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.allowed = func(authorizer.Attributes) bool { return false }
		if _, err := ways["create"](s.as(alice, ""), s.paths[""].(rest.StandardStorage), newRun(s.resource), nil); err != nil || len(s.asked) > 0 {
			t.Errorf("asked %v, refused with %v", s.asked, err)
		}
	})
}

// TestARunThatOverridesIsStartedByThoseWhoMay has the creator of a run lose the permission, or leave the start to somebody else.
func TestARunThatOverridesIsStartedByThoseWhoMay(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		may := true
		s.allowed = func(a authorizer.Attributes) bool { return a.GetVerb() != "override" || may }
		storage := s.paths[""].(rest.StandardStorage)
		for name, tt := range map[string]struct {
			state  v1beta1.State
			change func(v1beta1.UpdateRunObject)
			may    bool
			want   bool
		}{
			"it is started by a user who may":     {v1beta1.StateInitialize, nil, true, true},
			"it is started by a user who may not": {v1beta1.StateInitialize, nil, false, false},
			"it overrides nothing":                {v1beta1.StateInitialize, func(run v1beta1.UpdateRunObject) { run.RunSpec().PolicyOverride = nil }, false, true},
			"it is stopped":                       {v1beta1.StateRun, nil, false, true},
		} {
			t.Run(name, func(t *testing.T) {
				run := overriding(s, "prod-guard")
				run.RunSpec().State = tt.state
				if tt.change != nil {
					tt.change(run)
				}
				may = true
				if _, err := ways["create"](s.as(alice, ""), storage, run, nil); err != nil {
					t.Fatal(err)
				}
				defer s.delete("run")
				may = tt.may
				_, _, err := s.paths[""].(rest.Updater).Update(s.as(alice, ""), "run", changed(func(run v1beta1.UpdateRunObject) {
					run.RunSpec().State = map[v1beta1.State]v1beta1.State{v1beta1.StateInitialize: v1beta1.StateRun, v1beta1.StateRun: v1beta1.StateStop}[tt.state]
				}), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
				if (err == nil) != tt.want || err != nil && !apierrors.IsForbidden(err) {
					t.Errorf("got %v", err)
				}
			})
		}
	})
}

func TestAnAuthorizerThatFailsAllowsNoOverride(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.paths = Paths(s.storage, nil, authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
			return authorizer.DecisionNoOpinion, "", errors.New("the hub is away")
		}), testClock)
		_, err := ways["create"](s.as(alice, ""), s.paths[""].(rest.StandardStorage), overriding(s, "prod-guard"), nil)
		if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), `asking whether "alice" may override clusterrolloutpolicies.rollout.stagegate.dev: the hub is away`) {
			t.Errorf("got %v", err)
		}
	})
}

// What a mutating webhook adds comes with the object that the store is given, and is asked about like the rest.
func TestAnOverrideIsAskedAboutBeforeAdmission(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		s.allowed = func(authorizer.Attributes) bool { return false }
		admitted := false
		_, err := s.paths[""].(rest.Creater).Create(s.as(alice, ""), overriding(s, "prod-guard"), func(context.Context, runtime.Object) error {
			admitted = true
			return nil
		}, &metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) || admitted {
			t.Errorf("admitted: %v, got %v", admitted, err)
		}
	})
}

func TestAnOverrideHasPoliciesAndAReason(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		for name, tt := range map[string]struct {
			override v1beta1.PolicyOverride
			want     string
		}{
			"no policies": {v1beta1.PolicyOverride{Reason: "INC-7"}, "spec.policyOverride.policies: Required value"},
			"no reason":   {v1beta1.PolicyOverride{Policies: []string{"a"}}, "spec.policyOverride.reason: Required value"},
			"eleven policies": {v1beta1.PolicyOverride{Policies: strings.Split("abcdefghijk", ""), Reason: "INC-7"},
				"spec.policyOverride.policies: Too many: 11: must have at most 10 items"},
			"one twice":     {v1beta1.PolicyOverride{Policies: []string{"a", "a"}, Reason: "INC-7"}, `spec.policyOverride.policies[1]: Duplicate value: "a"`},
			"a long reason": {v1beta1.PolicyOverride{Policies: []string{"a"}, Reason: strings.Repeat("x", 1025)}, "spec.policyOverride.reason: Too long: may not be more than 1024"},
		} {
			t.Run(name, func(t *testing.T) {
				run := newRun(s.resource)
				run.RunSpec().PolicyOverride = &tt.override
				_, err := ways["create"](s.as(alice, ""), s.paths[""].(rest.StandardStorage), run, nil)
				if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got  %v\nwant %s", err, tt.want)
				}
			})
		}
	})
}

// A client built on KubeFleet's types drops what it does not know when it writes a run back.
func TestWhatKubeFleetDoesNotKnowOfARunIsKept(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		run := overriding(s, "prod-guard")
		run.RunSpec().RollbackOf = "earlier"
		if _, err := ways["create"](s.as(alice, ""), s.paths[""].(rest.StandardStorage), run, nil); err != nil {
			t.Fatal(err)
		}
		s.update(bob, "", "run", func(run v1beta1.UpdateRunObject) {
			run.SetLabels(map[string]string{"a": "b"})
			run.RunSpec().PolicyOverride, run.RunSpec().RollbackOf = nil, ""
		})
		same := s.get("run")
		if same.GetGeneration() != 1 {
			t.Errorf("generation %d after a change of a label", same.GetGeneration())
		}
		s.update(bob, "", "run", func(run v1beta1.UpdateRunObject) {
			run.RunSpec().State = v1beta1.StateRun
			run.RunSpec().PolicyOverride, run.RunSpec().RollbackOf = nil, ""
		})
		want := run.RunSpec()
		want.State = v1beta1.StateRun
		if diff := cmp.Diff(want, s.get("run").RunSpec()); diff != "" {
			t.Errorf("spec, -want +got:\n%s", diff)
		}
		for what, change := range map[string]func(*v1beta1.PolicyOverride){
			"reason":   func(o *v1beta1.PolicyOverride) { o.Reason = "none of your business" },
			"policies": func(o *v1beta1.PolicyOverride) { o.Policies = []string{"another"} },
		} {
			_, _, err := s.paths[""].(rest.Updater).Update(s.as(alice, ""), "run", changed(func(run v1beta1.UpdateRunObject) { change(run.RunSpec().PolicyOverride) }),
				rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.policyOverride: Forbidden: policyOverride is immutable") {
				t.Errorf("another %s: %v", what, err)
			}
		}
	})
}

// A patch says itself what goes, so that nothing of it may be dropped without a word.
func TestAPatchDoesNotTakeAnOverrideAway(t *testing.T) {
	bothScopes(t, func(t *testing.T, s *service) {
		run := overriding(s, "prod-guard")
		run.RunSpec().RollbackOf = "earlier"
		if _, err := ways["create"](s.as(alice, ""), s.paths[""].(rest.StandardStorage), run, nil); err != nil {
			t.Fatal(err)
		}
		for want, change := range map[string]func(v1beta1.UpdateRunObject){
			"spec.policyOverride: Forbidden: policyOverride is immutable and cannot be removed: delete the run": func(run v1beta1.UpdateRunObject) { run.RunSpec().PolicyOverride = nil },
			"rollbackOf is immutable": func(run v1beta1.UpdateRunObject) { run.RunSpec().RollbackOf = "" },
			"":                        func(run v1beta1.UpdateRunObject) { run.SetLabels(map[string]string{"a": "b"}) },
		} {
			ctx := s.as(alice, "")
			request, _ := genericapirequest.RequestInfoFrom(ctx)
			patch := *request
			patch.Verb = "patch"
			_, _, err := s.paths[""].(rest.Updater).Update(genericapirequest.WithRequestInfo(ctx, &patch), "run", changed(change),
				rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			if want == "" && err != nil || want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), want)) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		}
	})
}
