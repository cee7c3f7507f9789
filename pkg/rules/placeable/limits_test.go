// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placeable

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestLimitsAreReadStrictly(t *testing.T) {
	for value, tt := range map[string]struct {
		// skips are kinds that are skipped by it, and keeps some that are not.
		skips, keeps string
		// err is what the refusal has.
		err string
	}{
		"":                             {keeps: "Secret Deployment.apps"},
		"apps":                         {skips: "Deployment.apps DaemonSet.apps", keeps: "Secret Deployment.extensions"},
		"apps/v1":                      {skips: "Deployment.apps", keeps: "ConfigMap"},
		"apps/v1/Deployment,DaemonSet": {skips: "Deployment.apps DaemonSet.apps", keeps: "StatefulSet.apps"},
		"v1/ConfigMap,Secret":          {skips: "ConfigMap Secret", keeps: "Service"},
		"networking.k8s.io/v1beta1/Ingress,IngressClass; v1/ConfigMap": {skips: "Ingress.networking.k8s.io IngressClass.networking.k8s.io ConfigMap", keeps: "Secret"},
		"v1":                                   {err: "is a version and no group"},
		"v1beta1":                              {err: "is a version and no group"},
		"v1beta1/Foo":                          {err: "begins with a version"},
		"apps/v1;":                             {err: "an entry is empty"},
		";":                                    {err: "an entry is empty"},
		"v1/Secret,v1/ConfigMap":               {err: "begins with a version"},
		"apps/v1/Deployment,apps/v1/DaemonSet": {err: "too many slashes"},
		"apps/Deployment":                      {err: "no version after the group"},
		"apps/v1/deployments":                  {err: "is no kind"},
		"v1/":                                  {err: "is no kind"},
		"Secret":                               {err: `"Secret" is a kind and no group: write it as v1/Secret if it is of the core group, and with its group`},
		"a_b":                                  {err: "no name of a group"},
		"/v1/Secret":                           {err: "no name of a group"},
	} {
		t.Run(value, func(t *testing.T) {
			limits, err := ParseLimits(LimitOptions{SkippedAPIs: value})
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), "--skipped-propagating-apis: ") || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range strings.Fields(tt.skips) {
				if !limits.Skips(schema.ParseGroupKind(kind)) {
					t.Errorf("%s is not skipped", kind)
				}
			}
			for _, kind := range strings.Fields(tt.keeps) {
				if limits.Skips(schema.ParseGroupKind(kind)) {
					t.Errorf("%s is skipped", kind)
				}
			}
		})
	}
}

func TestWhatIsAllowedIsAllThatIsPlaced(t *testing.T) {
	limits, err := ParseLimits(LimitOptions{AllowedAPIs: "apps; v1/Namespace,ConfigMap", SkippedNamespaces: "vault, infra"})
	if err != nil {
		t.Fatal(err)
	}
	for kind, skipped := range map[string]bool{"Deployment.apps": false, "Namespace": false, "ConfigMap": false, "Secret": true, "Job.batch": true} {
		if got := limits.Skips(schema.ParseGroupKind(kind)); got != skipped {
			t.Errorf("%s is skipped: %t, want %t", kind, got, skipped)
		}
	}
	for group, skipped := range map[string]bool{"": false, "apps": false, "batch": true} {
		if got := limits.SkipsGroup(group); got != skipped {
			t.Errorf("group %q is skipped: %t, want %t", group, got, skipped)
		}
	}
	for namespace, skipped := range map[string]bool{"vault": true, "infra": true, "shop": false, "default": true, "kube-system": true, "fleet-member-a": true, "": false} {
		if got := limits.SkipsNamespace(namespace); got != skipped {
			t.Errorf("namespace %q is skipped: %t, want %t", namespace, got, skipped)
		}
	}
	var none *Limits
	if none.Skips(schema.GroupKind{Kind: "Secret"}) || none.SkipsGroup("apps") || none.SkipsNamespace("shop") || !none.SkipsNamespace("default") || none.LimitKinds() {
		t.Error("no limits do not skip what is reserved alone")
	}
}

func TestLimitsThatCannotBeMeantAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		options LimitOptions
		want    string
	}{
		"both lists":                 {LimitOptions{SkippedAPIs: "apps", AllowedAPIs: "apps"}, "--skipped-propagating-apis and --allowed-propagating-apis exclude each other: what is not allowed is skipped"},
		"a kind that nobody places":  {LimitOptions{AllowedAPIs: "v1/Pod"}, "--allowed-propagating-apis: Pod is never placed: remove it"},
		"a kind of the fleet":        {LimitOptions{AllowedAPIs: "placement.kubernetes-fleet.io/v1beta1/Work"}, "--allowed-propagating-apis: Work.placement.kubernetes-fleet.io is never placed: remove it"},
		"a group that nobody places": {LimitOptions{AllowedAPIs: "coordination.k8s.io"}, "--allowed-propagating-apis: nothing of the group coordination.k8s.io is ever placed: remove it"},
		"a bad list of kinds":        {LimitOptions{AllowedAPIs: "v1"}, `--allowed-propagating-apis: "v1" is a version and no group: write kinds of the core group as v1/ConfigMap,Secret`},
		"another divider":            {LimitOptions{SkippedNamespaces: "a;b"}, `--skipped-propagating-namespaces: "a;b" is no name of a namespace`},
		"an empty name":              {LimitOptions{SkippedNamespaces: "a,"}, `--skipped-propagating-namespaces: "" is no name of a namespace`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseLimits(tt.options); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestARefusalNamesTheFlag(t *testing.T) {
	for flag, o := range map[string]LimitOptions{
		"--skipped-propagating-apis":       {SkippedAPIs: "v1/Secret"},
		"--allowed-propagating-apis":       {AllowedAPIs: "v1/ConfigMap"},
		"--skipped-propagating-namespaces": {SkippedAPIs: "v1/Secret", SkippedNamespaces: "team"},
	} {
		limits, err := ParseLimits(o)
		if err != nil {
			t.Fatal(err)
		}
		want := "Secret team/s is not allowed to propagate on this hub, because the server's flag " + flag +
			" excludes it: take it out of the selection, or ask an administrator to change the flag"
		if err := limits.Refuse(schema.GroupKind{Kind: "Secret"}, "team", "s"); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", flag, err, want)
		}
		if err := limits.Refuse(schema.GroupKind{Kind: "ConfigMap"}, "other", "c"); err != nil {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
