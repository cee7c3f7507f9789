// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

var (
	clusterEnvelope    = v1beta1.EnvelopeIdentifier{Name: "e", Type: v1beta1.ClusterResourceEnvelopeType}
	namespacedEnvelope = v1beta1.EnvelopeIdentifier{Name: "e", Namespace: "team", Type: v1beta1.ResourceEnvelopeType}
)

func manifest(apiVersion, kind, namespace, name string) string {
	if namespace != "" {
		namespace = fmt.Sprintf(`,"namespace":%q`, namespace)
	}
	return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q%s}}`, apiVersion, kind, name, namespace)
}

func TestWhatAnEnvelopeMustNotCarry(t *testing.T) {
	const unparsed = "failed to parse the wrapped manifest data to a Kubernetes runtime object (manifestKey=k,envelopeObjRef=team/e): " +
		"it must be a JSON object with apiVersion, kind and metadata.name, spelled so"
	for name, tc := range map[string]struct {
		envelope v1beta1.EnvelopeIdentifier
		manifest string
		want     string
	}{
		"a cluster-scoped object":           {clusterEnvelope, manifest("rbac.authorization.k8s.io/v1", "ClusterRole", "", "r"), ""},
		"an object of the namespace":        {namespacedEnvelope, manifest("v1", "ConfigMap", "team", "c"), ""},
		"a kind that the hub does not have": {namespacedEnvelope, manifest("example.com/v1", "Widget", "team", "w"), ""},
		"a namespaced object in a cluster envelope": {
			clusterEnvelope, manifest("v1", "ConfigMap", "team", "c"),
			"a namespaced object k (team/c) has been wrapped in a cluster resource envelope e: use a ResourceEnvelope in namespace team",
		},
		"an object without a namespace": {
			namespacedEnvelope, manifest("v1", "ConfigMap", "", "c"),
			"a cluster scope object k (c) has been wrapped in a resource envelope team/e: set metadata.namespace to team, or use a ClusterResourceEnvelope for an object without a namespace",
		},
		"an object of another namespace": {
			namespacedEnvelope, manifest("v1", "ConfigMap", "other", "c"),
			"a namespaced object k (other/c) has been wrapped in a resource envelope from another namespace (team/e): use a ResourceEnvelope in namespace other",
		},
		"no object":                {namespacedEnvelope, `"hunter2"`, unparsed},
		"nothing":                  {namespacedEnvelope, `null`, unparsed},
		"no kind":                  {namespacedEnvelope, `{"apiVersion":"v1","metadata":{"name":"c","namespace":"team"},"data":{"p":"hunter2"}}`, unparsed},
		"a kind in another case":   {namespacedEnvelope, `{"apiVersion":"v1","Kind":"Secret","metadata":{"name":"c","namespace":"team"},"data":{"p":"hunter2"}}`, unparsed},
		"no name":                  {namespacedEnvelope, `{"apiVersion":"v1","kind":"Secret","metadata":{"generateName":"c","namespace":"team"},"data":{"p":"hunter2"}}`, unparsed},
		"a Pod":                    {namespacedEnvelope, manifest("v1", "Pod", "team", "p"), "k in envelope team/e: Pod team/p is of a kind that is never placed: leave it out"},
		"a kind of the fleet":      {namespacedEnvelope, manifest("placement.kubernetes-fleet.io/v1", "ResourcePlacement", "team", "p"), "k in envelope team/e: ResourcePlacement team/p is of a kind that is never placed: leave it out"},
		"an envelope":              {namespacedEnvelope, manifest("placement.kubernetes-fleet.io/v1", "ResourceEnvelope", "team", "p"), "k in envelope team/e: ResourceEnvelope team/p is an envelope, and no envelope carries another: select it by itself"},
		"what every cluster makes": {namespacedEnvelope, manifest("v1", "ConfigMap", "team", "kube-root-ca.crt"), "k in envelope team/e: ConfigMap team/kube-root-ca.crt is never placed, since every cluster makes its own: leave it out"},
		"a name of another path":   {namespacedEnvelope, manifest("v1", "ConfigMap", "team", "../secrets/x"), `k in envelope team/e: metadata.name "../secrets/x" of ConfigMap may not contain '/'`},
		"a name that is no name":   {clusterEnvelope, manifest("v1", "Namespace", "", ".."), `k in envelope e: metadata.name ".." of Namespace may not be '..'`},
		"a namespace of another path": {clusterEnvelope, manifest("v1", "ConfigMap", "a%2fb", "c"),
			`k in envelope e: metadata.namespace "a%2fb" of ConfigMap may not contain '%'`},
		"a reserved namespace": {clusterEnvelope, manifest("v1", "Namespace", "", "kube-system"), "k in envelope e: Namespace kube-system belongs to clusters or the fleet and is not allowed to propagate"},
		"what is in a reserved one": {
			v1beta1.EnvelopeIdentifier{Name: "e", Namespace: "kube-system", Type: v1beta1.ResourceEnvelopeType}, manifest("v1", "ConfigMap", "kube-system", "c"),
			"k in envelope kube-system/e: ConfigMap kube-system/c is in namespace kube-system, which belongs to clusters or the fleet and is not allowed to propagate",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if _, err := Check(tc.envelope, "k", []byte(tc.manifest)); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestWhatAnEnvelopeCarries(t *testing.T) {
	id := v1beta1.ResourceIdentifier{Group: v1beta1.GroupName, Version: "v1", Kind: "ResourceEnvelope", Namespace: "team", Name: "e"}
	configMap := func(name, rest string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"team"}%s}`, name, rest)
	}
	for name, tc := range map[string]struct {
		manifest string
		want     []string
		wantErr  string
		culprit  string
	}{
		"objects in the order of their keys": {manifest: `{"data":{"b":` + configMap("first", "") + `,"a":` + configMap("second", "") + `}}`, want: []string{"second", "first"}},
		"as they are written":                {manifest: `{"data":{"b":` + configMap("c", `,"data":{"n":"1.0"},"x":12345678901234567890`) + `}}`, want: []string{"c"}},
		"nothing":                            {manifest: `{}`},
		"data in another case":               {manifest: `{"Data":{"b":` + configMap("c", "") + `}}`},
		"no data":                            {manifest: `{"data":["hunter2"]}`, wantErr: "ResourceEnvelope team/e cannot be read: its data must map names to objects"},
		"what cannot be told is left out, and the first is the reason": {
			manifest: `{"data":{"a":` + configMap("a", "") + `,"b":{"hunter2":1},"c":` + manifest("v1", "Pod", "team", "p") + `}}`, want: []string{"a", "p"},
			wantErr: "failed to parse the wrapped manifest data to a Kubernetes runtime object (manifestKey=b,envelopeObjRef=team/e): " +
				"it must be a JSON object with apiVersion, kind and metadata.name, spelled so",
		},
		"what must not be carried is told": {
			manifest: `{"data":{"a":` + configMap("a", "") + `,"c":` + manifest("v1", "Pod", "team", "p") + `}}`, want: []string{"a", "p"},
			wantErr: "c in envelope team/e: Pod team/p is of a kind that is never placed: leave it out", culprit: "p",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := Open(id, []byte(tc.manifest))
			if e.ID != namespacedEnvelope {
				t.Errorf("it is %v", e.ID)
			}
			var names []string
			for _, c := range e.Contents {
				names = append(names, c.ID.Name)
				if *c.ID.Envelope != namespacedEnvelope || !strings.Contains(tc.manifest, string(c.Manifest)) {
					t.Errorf("content %v of %v: %s", c.ID, c.ID.Envelope, c.Manifest)
				}
			}
			if diff := cmp.Diff(tc.want, names); diff != "" {
				t.Errorf("contents (-want +got):\n%s", diff)
			}
			got, culprit := "", ""
			if e.Err != nil {
				got = e.Err.Error()
			}
			if e.Culprit != nil {
				culprit = e.Culprit.Name
			}
			if got != tc.wantErr || culprit != tc.culprit {
				t.Errorf("got %q about %q, want %q about %q", got, culprit, tc.wantErr, tc.culprit)
			}
		})
	}
}

func TestWhichResourcesAreEnvelopes(t *testing.T) {
	for id, want := range map[v1beta1.ResourceIdentifier]bool{
		{Group: v1beta1.GroupName, Version: "v1", Kind: "ResourceEnvelope"}:             true,
		{Group: v1beta1.GroupName, Version: "v1beta1", Kind: "ClusterResourceEnvelope"}: true,
		{Group: "example.com", Version: "v1", Kind: "ResourceEnvelope"}:                 false,
		{Version: "v1", Kind: "ConfigMap"}:                                              false,
	} {
		if got := Is(id); got != want {
			t.Errorf("%v: %t, want %t", id, got, want)
		}
	}
}

func TestAnEnvelopeStaysWithinTheLimitsOfTheHub(t *testing.T) {
	limits, err := placeable.ParseLimits(placeable.LimitOptions{SkippedAPIs: "v1/Secret", SkippedNamespaces: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		id             v1beta1.EnvelopeIdentifier
		manifest, want string
	}{
		"what the limits do not name": {namespacedEnvelope, manifest("v1", "ConfigMap", "team", "c"), ""},
		"a kind that they skip": {namespacedEnvelope, manifest("v1", "Secret", "team", "s"),
			"ResourceEnvelope team/e: Secret team/s is not allowed to propagate on this hub, because the server's flag --skipped-propagating-apis excludes it: take it out of the selection, or ask an administrator to change the flag"},
		"a Namespace that they skip": {clusterEnvelope, manifest("v1", "Namespace", "", "kept"),
			"ClusterResourceEnvelope e: Namespace kept is not allowed to propagate on this hub, because the server's flag --skipped-propagating-namespaces excludes it: take it out of the selection, or ask an administrator to change the flag"},
	} {
		t.Run(name, func(t *testing.T) {
			opened := Open(v1beta1.ResourceIdentifier{Group: v1beta1.GroupName, Kind: string(tc.id.Type), Namespace: tc.id.Namespace, Name: tc.id.Name},
				[]byte(`{"data":{"k":`+tc.manifest+`}}`))
			if opened.Err != nil || opened.Within(nil).Err != nil {
				t.Errorf("without limits: %v, %v", opened.Err, opened.Within(nil).Err)
			}
			limited, got := opened.Within(limits), ""
			if limited.Err != nil {
				got = limited.Err.Error()
			}
			if got != tc.want || (limited.Culprit != nil) != (tc.want != "") {
				t.Errorf("got %q about %v", got, limited.Culprit)
			}
		})
	}
}

func TestAnEnvelopeHasAnObjectOnce(t *testing.T) {
	for name, tc := range map[string]struct{ first, second, want string }{
		"the same object": {manifest("v1", "ConfigMap", "team", "c"), manifest("v1", "ConfigMap", "team", "c"),
			"dup1 and dup2 in envelope team/e are both ConfigMap team/c: take one of them out"},
		"in another version": {manifest("apps/v1", "Deployment", "team", "c"), manifest("apps/v2", "Deployment", "team", "c"),
			"dup1 and dup2 in envelope team/e are both Deployment team/c: take one of them out"},
		"another group": {manifest("apps/v1", "Deployment", "team", "c"), manifest("example.com/v1", "Deployment", "team", "c"), ""},
		"another kind":  {manifest("v1", "Secret", "team", "c"), manifest("v1", "ConfigMap", "team", "c"), ""},
		"another name":  {manifest("v1", "ConfigMap", "team", "c"), manifest("v1", "ConfigMap", "team", "d"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			check, got := Checker(namespacedEnvelope), ""
			if err := check("dup1", []byte(tc.first)); err != nil {
				t.Fatal(err)
			}
			if err := check("dup2", []byte(tc.second)); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
