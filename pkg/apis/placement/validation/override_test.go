// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func overridePolicy() *v1beta1.OverridePolicy {
	return &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
		ClusterSelector: &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{{
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}},
		}}},
		OverrideType:       v1beta1.JSONPatchOverrideType,
		JSONPatchOverrides: []v1beta1.JSONPatchOverride{{Operator: "add", Path: "/metadata/labels/a", Value: apiextensionsv1.JSON{Raw: []byte(`"b"`)}}},
	}}}
}

func clusterOverride() *v1beta1.ClusterResourceOverride {
	return &v1beta1.ClusterResourceOverride{Spec: v1beta1.ClusterResourceOverrideSpec{
		Placement:                &v1beta1.PlacementRef{Name: "example-placement", Scope: v1beta1.ClusterScoped},
		ClusterResourceSelectors: []v1beta1.ResourceSelectorTerm{{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "reader"}},
		Policy:                   overridePolicy(),
	}}
}

func namespacedOverride() *v1beta1.ResourceOverride {
	return &v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace"}, Spec: v1beta1.ResourceOverrideSpec{
		Placement:         &v1beta1.PlacementRef{Name: "example-placement", Scope: v1beta1.NamespaceScoped},
		ResourceSelectors: []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "test-cm"}},
		Policy:            overridePolicy(),
	}}
}

func TestClusterResourceOverride(t *testing.T) {
	check(t, []*v1beta1.ClusterResourceOverride{clusterOverride()}, ValidateClusterResourceOverride, []rule[*v1beta1.ClusterResourceOverride]{
		{"for a cluster-scoped placement", func(o *v1beta1.ClusterResourceOverride) { o.Spec.Placement.Scope = v1beta1.NamespaceScoped }, []string{
			`spec.placement.scope: Invalid value: "Namespaced": clusterResourceOverride placement reference cannot be Namespaced scope`,
		}},
		{"objects are named", func(o *v1beta1.ClusterResourceOverride) { o.Spec.ClusterResourceSelectors[0].Name = "" }, []string{
			"spec.clusterResourceSelectors[0].name: Required value: resource name is required for resource selection {Group:rbac.authorization.k8s.io Version:v1 Kind:ClusterRole Name: LabelSelector:nil SelectionScope:}",
		}},
		{"objects are not labeled", func(o *v1beta1.ClusterResourceOverride) {
			o.Spec.ClusterResourceSelectors[0].LabelSelector = &metav1.LabelSelector{}
		}, []string{
			"spec.clusterResourceSelectors[0].labelSelector: Forbidden: label selector is not supported for resource selection {Group:rbac.authorization.k8s.io Version:v1 Kind:ClusterRole Name:reader LabelSelector:&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{},} SelectionScope:}",
		}},
		{"objects are unique", func(o *v1beta1.ClusterResourceOverride) {
			o.Spec.ClusterResourceSelectors = append(o.Spec.ClusterResourceSelectors, o.Spec.ClusterResourceSelectors[0])
		}, []string{
			`spec.clusterResourceSelectors[1]: Invalid value: "": resource selector {Group:rbac.authorization.k8s.io Version:v1 Kind:ClusterRole Name:reader LabelSelector:nil SelectionScope:} already exists, and must be unique`,
		}},
		{"something is changed", func(o *v1beta1.ClusterResourceOverride) { o.Spec.Policy = nil }, []string{"spec.policy: Required value: must say what is changed"}},
	})
	checkUpdate(t, []*v1beta1.ClusterResourceOverride{clusterOverride()}, ValidateClusterResourceOverrideUpdate, []rule[*v1beta1.ClusterResourceOverride]{
		{"the placement stays", func(o *v1beta1.ClusterResourceOverride) { o.Spec.Placement = nil }, []string{"spec.placement: Forbidden: The placement field is immutable"}},
		{"the new spec is looked at", func(o *v1beta1.ClusterResourceOverride) { o.Spec.Policy = nil }, []string{"spec.policy: Required value: must say what is changed"}},
	})
}

func TestResourceOverride(t *testing.T) {
	check(t, []*v1beta1.ResourceOverride{namespacedOverride()}, ValidateResourceOverride, []rule[*v1beta1.ResourceOverride]{
		{"objects are unique", func(o *v1beta1.ResourceOverride) {
			o.Spec.ResourceSelectors = append(o.Spec.ResourceSelectors, o.Spec.ResourceSelectors[0])
		}, []string{
			`spec.resourceSelectors[1]: Invalid value: "": resource selector {Group: Version:v1 Kind:ConfigMap Name:test-cm} already exists, and must be unique`,
		}},
		{"something is changed", func(o *v1beta1.ResourceOverride) { o.Spec.Policy = nil }, []string{"spec.policy: Required value: must say what is changed"}},
	})
	checkUpdate(t, []*v1beta1.ResourceOverride{namespacedOverride()}, ValidateResourceOverrideUpdate, []rule[*v1beta1.ResourceOverride]{
		{"the placement stays", func(o *v1beta1.ResourceOverride) { o.Spec.Placement.Name = "other" }, []string{"spec.placement: Forbidden: The placement field is immutable"}},
	})
}

func TestOverrideRules(t *testing.T) {
	type ruleOf = rule[*v1beta1.ResourceOverride]
	edit := func(spoil func(*v1beta1.OverrideRule)) func(*v1beta1.ResourceOverride) {
		return func(o *v1beta1.ResourceOverride) { spoil(&o.Spec.Policy.OverrideRules[0]) }
	}
	term := func(spoil func(*v1beta1.ClusterSelectorTerm)) func(*v1beta1.ResourceOverride) {
		return edit(func(r *v1beta1.OverrideRule) { spoil(&r.ClusterSelector.ClusterSelectorTerms[0]) })
	}
	const path = "spec.policy.overrideRules[0]"
	rules := []ruleOf{
		{"no clusters", edit(func(r *v1beta1.OverrideRule) { r.ClusterSelector = nil }), nil},
		{"all clusters", edit(func(r *v1beta1.OverrideRule) { r.ClusterSelector.ClusterSelectorTerms = nil }), nil},
		{"left out", edit(func(r *v1beta1.OverrideRule) {
			r.OverrideType, r.JSONPatchOverrides = v1beta1.DeleteOverrideType, nil
		}), nil},
		{"clusters by label", term(func(c *v1beta1.ClusterSelectorTerm) { c.PropertySelector = &v1beta1.PropertySelector{} }), []string{
			path + ".clusterSelector.clusterSelectorTerms[0]: Forbidden: invalid clusterSelector: only labelSelector is supported",
		}},
		{"clusters not by rank", term(func(c *v1beta1.ClusterSelectorTerm) { c.PropertySorter = &v1beta1.PropertySorter{} }), []string{
			path + ".clusterSelector.clusterSelectorTerms[0]: Forbidden: invalid clusterSelector: only labelSelector is supported",
		}},
		{"clusters by any label", term(func(c *v1beta1.ClusterSelectorTerm) { c.LabelSelector = nil }), []string{
			path + ".clusterSelector.clusterSelectorTerms[0].labelSelector: Required value: invalid clusterSelector: labelSelector is required",
		}},
		{"clusters by labels that can match", term(func(c *v1beta1.ClusterSelectorTerm) {
			c.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In"}}}
		}), []string{
			path + ".clusterSelector.clusterSelectorTerms[0].labelSelector.matchExpressions[0].values: Required value: the labelSelector in cluster selector is invalid: must be specified when `operator` is 'In' or 'NotIn'",
		}},
		{"what is left out is not patched", edit(func(r *v1beta1.OverrideRule) { r.OverrideType = v1beta1.DeleteOverrideType }), []string{
			path + ".jsonPatchOverrides: Forbidden: invalid JSONPatchOverrides: JSONPatchOverrides cannot be set when the override type is Delete",
		}},
		{"a patch has steps", edit(func(r *v1beta1.OverrideRule) { r.JSONPatchOverrides = nil }), []string{
			path + ".jsonPatchOverrides: Required value: invalid JSONPatchOverrides: JSONPatchOverrides cannot be empty",
		}},
		{"what is removed has no value", edit(func(r *v1beta1.OverrideRule) { r.JSONPatchOverrides[0].Operator = "remove" }), []string{
			path + ".jsonPatchOverrides[0].value: Forbidden: invalid JSONPatchOverride: remove operation cannot have value",
		}},
	}
	for pointer, why := range map[string]string{
		"/spec/replicas":          "",
		"/metadata/annotations/a": "",
		"/metadata/labels":        "",
		"":                        "",
		"spec":                    "path must start with /",
		"/kind":                   "cannot override typeMeta fields",
		"/apiVersion":             "cannot override typeMeta fields",
		"/metadata":               "cannot override field metadata",
		"/metadata/name":          "cannot override metadata fields except annotations and labels",
		"/metadata/finalizers/0":  "cannot override metadata fields except annotations and labels",
		"/status":                 "cannot override status fields",
		"/status/replicas":        "cannot override status fields",
		"/":                       "path cannot contain empty string",
		"/spec//x":                "path cannot contain empty string",
	} {
		var want []string
		if why != "" {
			want = []string{fmt.Sprintf("%s.jsonPatchOverrides[0].path: Invalid value: %q: invalid JSONPatchOverride: %s", path, pointer, why)}
		}
		rules = append(rules, ruleOf{"path " + pointer, edit(func(r *v1beta1.OverrideRule) { r.JSONPatchOverrides[0].Path = pointer }), want})
	}
	check(t, []*v1beta1.ResourceOverride{namespacedOverride()}, ValidateResourceOverride, rules)
}

func TestPathsOfOverridesFitSomeObject(t *testing.T) {
	const path = "spec.policy.overrideRules[0].jsonPatchOverrides[0].path"
	withPath := func(pointer string) *v1beta1.ResourceOverride {
		o := namespacedOverride()
		o.Spec.Policy.OverrideRules[0].JSONPatchOverrides[0].Path = pointer
		return o
	}
	keys := func(field, pointer string) string {
		return field + " have keys and nothing below them: write ~1 for / in a key, as in " + pointer
	}
	const escapes = "~ must be followed by 0 or 1: write ~0 for ~ in a key, and ~1 for /"
	const variables = "variables such as ${MEMBER-CLUSTER-NAME} are replaced in values only: replace the parent with a value that has them, or write a rule for each cluster"
	for pointer, why := range map[string]string{
		"/metadata/labels/example.com~1team":          "",
		"/metadata/annotations/Example.com~1Team":     "",
		"/metadata/labels":                            "",
		"/data/a~0b":                                  "",
		"/data/~01":                                   "",
		"/data/-":                                     "",
		"/spec/metadata/labels/a/b":                   "",
		"/metadata/labels/example.com/team":           keys("labels", "/metadata/labels/example.com~1team"),
		"/metadata/annotations/example.com/a/b":       keys("annotations", "/metadata/annotations/example.com~1a~1b"),
		"/data/a~b":                                   escapes,
		"/data/a~":                                    escapes,
		"/data/a~2":                                   escapes,
		"/data/${MEMBER-CLUSTER-NAME}":                variables,
		"/data/${MEMBER-CLUSTER-LABEL-KEY-region}":    variables,
		"/metadata/labels/${MEMBER-CLUSTER-NAME}":     variables,
		"/metadata/name/${MEMBER-CLUSTER-NAME}":       "cannot override metadata fields except annotations and labels",
		"/metadata/labels/":                           "path cannot contain empty string",
		"/metadata/annotations/Example.com~1":         `"Example.com/" is no key of annotations: ` + nameOf("Example.com/"),
		"/metadata/labels/Example.com~1team":          `"Example.com/team" is no key of labels: ` + nameOf("Example.com/team"),
		"/metadata/labels/" + strings.Repeat("a", 64): `"` + strings.Repeat("a", 64) + `" is no key of labels: ` + nameOf(strings.Repeat("a", 64)),
	} {
		t.Run(pointer, func(t *testing.T) {
			want := ""
			if why != "" {
				want = fmt.Sprintf("%s: Invalid value: %q: invalid JSONPatchOverride: %s", path, pointer, why)
			}
			text := func(errs field.ErrorList) string {
				if err := errs.ToAggregate(); err != nil {
					return err.Error()
				}
				return ""
			}
			if got := text(ValidateResourceOverride(withPath(pointer))); got != want {
				t.Errorf("got:  %s\nwant: %s", got, want)
			}
			if got := text(ValidateResourceOverrideUpdate(withPath(pointer), withPath("/data/a"))); got != want {
				t.Errorf("a changed one: got:  %s\nwant: %s", got, want)
			}
			if refusedPath(pointer) != "" {
				return
			}
			// An earlier version took it.
			edited := withPath(pointer)
			edited.Spec.ResourceSelectors[0].Name = "other"
			if errs := ValidateResourceOverrideUpdate(edited, withPath(pointer)); len(errs) > 0 {
				t.Errorf("one that is stored can no longer be edited: %v", errs)
			}
			version := &v1beta1.ResourceOverrideSnapshot{Spec: v1beta1.ResourceOverrideSnapshotSpec{OverrideSpec: withPath(pointer).Spec}}
			if errs := ValidateResourceOverrideSnapshot(version); len(errs) > 0 {
				t.Errorf("one that is stored gets no version: %v", errs)
			}
		})
	}
}

// nameOf is why Kubernetes refuses a key.
func nameOf(key string) string {
	if strings.HasSuffix(key, "/") {
		key = strings.ToLower(key)
	}
	return strings.Join(utilvalidation.IsQualifiedName(key), "; ")
}

func TestOverrideSnapshots(t *testing.T) {
	const immutable = "spec: Forbidden: The spec field is immutable"
	ofCluster := &v1beta1.ClusterResourceOverrideSnapshot{Spec: v1beta1.ClusterResourceOverrideSnapshotSpec{OverrideSpec: clusterOverride().Spec}}
	check(t, []*v1beta1.ClusterResourceOverrideSnapshot{ofCluster}, ValidateClusterResourceOverrideSnapshot, []rule[*v1beta1.ClusterResourceOverrideSnapshot]{
		{"the override is looked at", func(s *v1beta1.ClusterResourceOverrideSnapshot) { s.Spec.OverrideSpec.Policy = nil }, []string{
			"spec.overrideSpec.policy: Required value: must say what is changed",
		}},
	})
	checkUpdate(t, []*v1beta1.ClusterResourceOverrideSnapshot{ofCluster}, ValidateClusterResourceOverrideSnapshotUpdate, []rule[*v1beta1.ClusterResourceOverrideSnapshot]{
		{"it stays", func(s *v1beta1.ClusterResourceOverrideSnapshot) { s.Spec.OverrideHash = []byte("x") }, []string{immutable}},
	})
	ofNamespace := &v1beta1.ResourceOverrideSnapshot{Spec: v1beta1.ResourceOverrideSnapshotSpec{OverrideSpec: namespacedOverride().Spec}}
	check(t, []*v1beta1.ResourceOverrideSnapshot{ofNamespace}, ValidateResourceOverrideSnapshot, []rule[*v1beta1.ResourceOverrideSnapshot]{
		{"the override is looked at", func(s *v1beta1.ResourceOverrideSnapshot) { s.Spec.OverrideSpec.Policy = nil }, []string{
			"spec.overrideSpec.policy: Required value: must say what is changed",
		}},
	})
	checkUpdate(t, []*v1beta1.ResourceOverrideSnapshot{ofNamespace}, ValidateResourceOverrideSnapshotUpdate, []rule[*v1beta1.ResourceOverrideSnapshot]{
		{"it stays", func(s *v1beta1.ResourceOverrideSnapshot) { s.Spec.OverrideHash = []byte("x") }, []string{immutable}},
	})
}

func TestOverridesHaveSoManyStepsOfSoManyBytes(t *testing.T) {
	// In two rules, so that it is the sum that counts.
	withSteps := func(n int) *v1beta1.ResourceOverride {
		o := namespacedOverride()
		rules := &o.Spec.Policy.OverrideRules
		*rules = append(*rules, *(*rules)[0].DeepCopy())
		for range n - 2 {
			(*rules)[1].JSONPatchOverrides = append((*rules)[1].JSONPatchOverrides, (*rules)[0].JSONPatchOverrides[0])
		}
		return o
	}
	withValue := func(n int) *v1beta1.ResourceOverride {
		o := namespacedOverride()
		o.Spec.Policy.OverrideRules[0].JSONPatchOverrides[0].Value.Raw = []byte(strings.Repeat("1", n))
		return o
	}
	withPath := func(n int) *v1beta1.ResourceOverride {
		o := namespacedOverride()
		o.Spec.Policy.OverrideRules[0].JSONPatchOverrides[0].Path = "/data" + strings.Repeat("/a", n-1)
		return o
	}
	tooDeep := func(n int) string {
		return fmt.Sprintf("spec.policy.overrideRules[0].jsonPatchOverrides[0].path: Forbidden: the path goes down %d levels, and may go down 64: replace more of the object in one step", n)
	}
	tooMany := func(n int) string {
		return fmt.Sprintf("spec.policy.overrideRules: Forbidden: the rules have %d JSON patch steps together, and may have 500: put what several add into one value", n)
	}
	tooLarge := func(n int) string {
		return fmt.Sprintf("spec.policy.overrideRules[0].jsonPatchOverrides[0].value: Forbidden: the value has %d bytes, and may have 262144", n)
	}
	for name, test := range map[string]struct {
		object, old *v1beta1.ResourceOverride
		want        string
	}{
		"as many as may be":      {object: withSteps(500)},
		"one more":               {object: withSteps(501), want: tooMany(501)},
		"as large as may be":     {object: withValue(256 << 10)},
		"a byte more":            {object: withValue(256<<10 + 1), want: tooLarge(256<<10 + 1)},
		"an update to too many":  {object: withSteps(501), old: withSteps(500), want: tooMany(501)},
		"an update of too many":  {object: withSteps(700), old: withSteps(701)},
		"more of too many":       {object: withSteps(702), old: withSteps(701), want: tooMany(702)},
		"an update of too large": {object: withValue(300 << 10), old: withValue(301 << 10)},
		"larger than too large":  {object: withValue(302 << 10), old: withValue(301 << 10), want: tooLarge(302 << 10)},
		"as deep as may be":      {object: withPath(64)},
		"a level more":           {object: withPath(65), want: tooDeep(65)},
		"an update of too deep":  {object: withPath(70), old: withPath(71)},
		"deeper than too deep":   {object: withPath(72), old: withPath(71), want: tooDeep(72)},
	} {
		t.Run(name, func(t *testing.T) {
			validate := func() field.ErrorList {
				if test.old == nil {
					return ValidateResourceOverride(test.object)
				}
				return ValidateResourceOverrideUpdate(test.object, test.old)
			}
			got := ""
			if err := validate().ToAggregate(); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got:  %s\nwant: %s", got, test.want)
			}
		})
	}
}

func TestTheVersionOfAnOverrideWithTooManyStepsCanBeStored(t *testing.T) {
	s := &v1beta1.ResourceOverrideSnapshot{Spec: v1beta1.ResourceOverrideSnapshotSpec{OverrideSpec: namespacedOverride().Spec}}
	rule := &s.Spec.OverrideSpec.Policy.OverrideRules[0]
	for range 600 {
		rule.JSONPatchOverrides = append(rule.JSONPatchOverrides, rule.JSONPatchOverrides[0])
	}
	if errs := ValidateResourceOverrideSnapshot(s); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
}
