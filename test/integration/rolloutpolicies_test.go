// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// forEachPolicy tests the kinds of policies on one server. What every kind has in common is tested with the others.
func forEachPolicy(t *testing.T, test func(t *testing.T, s *testserver.Server, r served), opts ...testserver.Option) {
	t.Helper()
	s := testserver.Start(t, opts...)
	found := 0
	for _, r := range discover(t, s.As(testserver.Alice)) {
		if r.gv.Group == rolloutv1alpha1.GroupName && strings.HasSuffix(r.Name, "policies") {
			found++
			t.Run(r.Name, func(t *testing.T) { test(t, s, r) })
		}
	}
	if found != 2 {
		t.Errorf("discovery lists %d kinds of policies in all versions, want 2", found)
	}
}

func TestPolicies(t *testing.T) {
	forEachPolicy(t, func(t *testing.T, s *testserver.Server, r served) {
		for name, test := range map[string]func(*testing.T, *testserver.Server, served){
			"are discovered":                       testPolicyIsDiscovered,
			"are defaulted":                        testPolicyIsDefaulted,
			"that are unclear are refused":         testUnclearPolicyIsRefused,
			"match if they are in no namespace":    testMatchIsOfClusterRolloutPolicies,
			"are printed with what is in a status": testPolicyInATable,
		} {
			t.Run(name, func(t *testing.T) { test(t, s, r) })
		}
	})
}

func testPolicyIsDiscovered(t *testing.T, _ *testserver.Server, r served) {
	short := map[string]string{"clusterrolloutpolicies": "crpol", "rolloutpolicies": "rpol"}
	if diff := cmp.Diff([]string{short[r.Name]}, r.ShortNames); diff != "" {
		t.Errorf("short names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"fleet"}, r.Categories); diff != "" {
		t.Errorf("categories (-want +got):\n%s", diff)
	}
	if r.gv.Version != "v1alpha1" || r.Namespaced != (r.Name == "rolloutpolicies") || !r.has("status") {
		t.Errorf("%s, namespaced %t, status %t", r.gv, r.Namespaced, r.has("status"))
	}
}

func testPolicyIsDefaulted(t *testing.T, s *testserver.Server, r served) {
	client := r.client(t, s.As(testserver.Alice))
	obj := sample(t, r, "kept")
	want := obj.DeepCopy().Object["spec"].(map[string]any)
	want["enforcement"] = "Enforce"
	approval := want["rules"].(map[string]any)["approval"].(map[string]any)
	approval["position"], approval["required"] = "Before", int64(1)
	// It is a duration, which has one form.
	approval["maxExpiresAfter"] = "72h0m0s"
	want["rules"].(map[string]any)["soak"].(map[string]any)["duration"] = "30m0s"
	// The samples are read as YAML, whose numbers are floats.
	want["rules"].(map[string]any)["failurePolicy"].(map[string]any)["maxFailures"] = int64(1)

	obj.Object["status"] = map[string]any{"governs": map[string]any{"clusters": int64(7)}}
	create(t, client, obj)
	got, err := client.Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Object["spec"]); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if status, ok := got.Object["status"]; ok && len(status.(map[string]any)) > 0 {
		t.Errorf("a user's status is kept: %v", status)
	}
}

func testUnclearPolicyIsRefused(t *testing.T, s *testserver.Server, r served) {
	tests := map[string]struct {
		set  func(spec map[string]any)
		want string
	}{
		"no rule":     {func(spec map[string]any) { spec["rules"] = map[string]any{} }, "spec.rules: Required value: write what the policy demands: deny, staged, approval"},
		"no rules":    {func(spec map[string]any) { delete(spec, "rules") }, "spec.rules: Required value: write what the policy demands: deny, staged, approval"},
		"no soak":     {func(spec map[string]any) { spec["rules"] = map[string]any{"soak": map[string]any{"duration": "1h"}} }, "spec.rules.soak.clusters: Required value"},
		"a long text": {func(spec map[string]any) { spec["description"] = strings.Repeat("x", 257) }, "spec.description: Too long: may not be more than 256"},
		"eleven users": {func(spec map[string]any) {
			spec["rules"] = map[string]any{"approval": map[string]any{"required": int64(11)}}
		}, "spec.rules.approval.required: Invalid value: 11"},
		"a bare number": {func(spec map[string]any) {
			spec["rules"] = map[string]any{"soak": map[string]any{"duration": int64(30)}}
		}, `spec.rules.soak.duration: Invalid value: 30: must be of type string: write it in quotes and with its unit, such as "30m"`},
	}
	for name, test := range tests {
		obj := sample(t, r, "guard")
		test.set(obj.Object["spec"].(map[string]any))
		_, err := r.client(t, s.As(testserver.Alice)).Create(t.Context(), obj, metav1.CreateOptions{})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want Invalid with %s", name, err, test.want)
		}
	}
}

func testMatchIsOfClusterRolloutPolicies(t *testing.T, s *testserver.Server, r served) {
	obj := sample(t, r, "matching")
	obj.Object["spec"].(map[string]any)["match"] = map[string]any{"namespaceSelector": map[string]any{}}
	_, err := r.client(t, s.As(testserver.Alice)).Create(t.Context(), obj, metav1.CreateOptions{})
	if !r.Namespaced && err != nil {
		t.Error(err)
	}
	if want := "spec.match: Forbidden: a RolloutPolicy binds the rollouts of its namespace"; r.Namespaced && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), want)) {
		t.Errorf("got %v, want Invalid with %s", err, want)
	}
}

func TestThereAreSoManyPolicies(t *testing.T) {
	forEachPolicy(t, func(t *testing.T, s *testserver.Server, r served) {
		client := r.client(t, s.As(testserver.Alice))
		create(t, client, sample(t, r, "first"))
		create(t, client, sample(t, r, "second"))
		_, err := client.Create(t.Context(), sample(t, r, "third"), metav1.CreateOptions{})
		if want := "2 objects of kind " + r.Kind + ", and no more than 2 can be created"; !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want Forbidden with %s", err, want)
		}
	}, testserver.WithOptions(func(o *apiserver.Options) { o.MaxObjects = 2 }))
}

func testPolicyInATable(t *testing.T, s *testserver.Server, r served) {
	client := r.client(t, s.As(testserver.Alice))
	obj := create(t, client, sample(t, r, "printed"))
	if err := unstructured.SetNestedMap(obj.Object, map[string]any{
		"observedGeneration": int64(1), "governs": map[string]any{
			"clusters": int64(120), "placements": int64(14), "activeRuns": int64(2), "violatingPlacements": int64(3), "violatingRuns": int64(1),
		},
		"conditions": []any{map[string]any{
			"type": "Effective", "status": "True", "reason": "Effective", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
		}},
	}, "status"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UpdateStatus(t.Context(), obj, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	k := newKubectl(t, s.As(testserver.Alice))
	lines := strings.Split(strings.TrimSpace(k.run("get", r.ShortNames[0], "printed", "-n", sampleNamespace, "-o", "wide")), "\n")
	got := strings.Fields(lines[len(lines)-1])
	// The age is not the same each time.
	got = slices.Delete(got, 6, 7)
	want := []string{"printed", "Enforce", "True", "120", "14", "2", "4", "approval,soak,maxConcurrency,failurePolicy", "Production", "needs", "SRE"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", lines, diff)
	}
}

// TestWhoBindsRollouts holds that a role which writes runs writes no policy that binds them, and that none is aggregated which can lift one.
func TestWhoBindsRollouts(t *testing.T) {
	roles := rolesForUsers(t)
	for name, want := range map[string][]string{
		"create clusterrolloutpolicies":   {"stagegate-policy-admin"},
		"update clusterrolloutpolicies":   {"stagegate-policy-admin"},
		"patch clusterrolloutpolicies":    {"stagegate-policy-admin"},
		"delete clusterrolloutpolicies":   {"stagegate-policy-admin"},
		"override clusterrolloutpolicies": {"stagegate-breakglass"},
		"create rolloutpolicies":          {"stagegate-admin"},
		"delete rolloutpolicies":          {"stagegate-admin"},
		"get clusterrolloutpolicies":      {"stagegate-breakglass", "stagegate-operator", "stagegate-policy-admin", "stagegate-view"},
		"get rolloutpolicies":             {"stagegate-admin", "stagegate-operator", "stagegate-policy-admin", "stagegate-view"},
		"update rolloutpolicies/status":   nil,
		"create notificationsinks":        {"stagegate-policy-admin"},
		"update notificationsinks":        {"stagegate-policy-admin"},
		"delete notificationsinks":        {"stagegate-policy-admin"},
		"get notificationsinks":           {"stagegate-policy-admin"},
		"update notificationsinks/status": nil,
	} {
		verb, resource, _ := strings.Cut(name, " ")
		var got []string
		for role := range roles {
			if allows(roles[role], verb, rolloutv1alpha1.GroupName, resource) {
				got = append(got, role)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("who may %s (-want +got):\n%s", name, diff)
		}
	}
	aggregated := map[string]string{"rbac.authorization.k8s.io/aggregate-to-admin": "true"}
	if diff := cmp.Diff(aggregated, roles["stagegate-admin"].Labels); diff != "" {
		t.Errorf("labels of stagegate-admin (-want +got):\n%s", diff)
	}
	for _, role := range []string{"stagegate-policy-admin", "stagegate-breakglass"} {
		if len(roles[role].Labels) > 0 {
			t.Errorf("%s is aggregated by its labels %v", role, roles[role].Labels)
		}
	}
}
