// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func TestWhatIsNotKeptIsRemovedWhateverItsVersion(t *testing.T) {
	id := func(group, version, kind, namespace, name string) v1beta1.ResourceIdentifier {
		return v1beta1.ResourceIdentifier{Group: group, Version: version, Kind: kind, Namespace: namespace, Name: name}
	}
	had := []v1beta1.ResourceIdentifier{
		id("", "v1", "Namespace", "", "web"), id("apps", "v1", "Deployment", "web", "shop"), id("", "v1", "ConfigMap", "web", "a"),
		// Other clusters have it of an earlier version.
		id("", "v1", "Namespace", "", "web"),
	}
	kept := []v1beta1.ResourceIdentifier{id("apps", "v1beta1", "Deployment", "web", "shop"), id("", "v1", "ConfigMap", "web", "b")}
	if got, want := Listed(Removed(had, kept)), "Namespace web, ConfigMap web/a"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

const (
	wrapped = `{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"ResourceEnvelope","metadata":{"namespace":"web","name":"e"},"data":{
		"a":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"web","name":"a"}}}}`
	broken = `{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"ResourceEnvelope","metadata":{"namespace":"web","name":"broken"},"data":{
		"a":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"web","name":"b"}},"b":{}}}`
	plain = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"web","name":"plain"}}`
)

func version(index string, manifests ...string) v1beta1.ResourceSnapshotObject {
	s := &v1beta1.ClusterResourceSnapshot{ObjectMeta: metav1.ObjectMeta{
		Name: "p-" + index + "-snapshot", Labels: map[string]string{wellknown.ResourceIndexLabel: index},
		Annotations: map[string]string{wellknown.ResourceHashAnnotation: "h"},
	}}
	for _, m := range manifests {
		content := v1beta1.ResourceContent{}
		content.Raw = []byte(m)
		s.Spec.SelectedResources = append(s.Spec.SelectedResources, content)
	}
	return s
}

func TestAnEnvelopeCountsForWhatIsInIt(t *testing.T) {
	snapshots := []v1beta1.ResourceSnapshotObject{version("0", plain, wrapped, broken), version("1", plain, wrapped)}
	selected := Resources(snapshots, "0")
	if got, want := Listed(IDs(selected)), "ConfigMap web/plain, ResourceEnvelope web/e, ResourceEnvelope web/broken"; got != want {
		t.Errorf("selected are %q, want %q", got, want)
	}
	if got, want := Listed(IDs(Contents(selected))), "ConfigMap web/plain, ConfigMap web/a, ConfigMap web/b"; got != want {
		t.Errorf("clusters get %q, want %q", got, want)
	}
	if got, want := Listed(WithoutEnvelopes(IDs(selected))), "ConfigMap web/plain"; got != want {
		t.Errorf("without envelopes: %q, want %q", got, want)
	}
	// What moves into an envelope or out of one is no removal; what an envelope has no more is one.
	bound := &v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, ResourceSnapshotName: "p-0-snapshot"}}
	had := OnClusters([]v1beta1.BindingObject{bound}, snapshots)
	unwrapped := version("2", plain, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"web","name":"a"}}`)
	for _, next := range []v1beta1.ResourceSnapshotObject{snapshots[1], unwrapped} {
		kept := IDs(Contents(Resources([]v1beta1.ResourceSnapshotObject{next}, Index(next))))
		if got, want := Listed(Removed(had, kept)), "ConfigMap web/b"; got != want {
			t.Errorf("version %s removes %q, want %q", Index(next), got, want)
		}
	}
}

func TestWhyEnvelopesCannotBePlaced(t *testing.T) {
	const why = "ResourceEnvelope web/broken cannot be used: failed to parse the wrapped manifest data to a Kubernetes runtime object " +
		"(manifestKey=b,envelopeObjRef=web/broken): it must be a JSON object with apiVersion, kind and metadata.name, spelled so"
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf(`{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"ResourceEnvelope","metadata":{"namespace":"web","name":"e%d"}}`, i)
	}
	for name, tc := range map[string]struct {
		manifests []string
		want      string
	}{
		"none":                    {[]string{plain}, ""},
		"one that can":            {[]string{plain, wrapped}, ""},
		"one that cannot":         {[]string{wrapped, broken}, why},
		"two that cannot":         {[]string{broken, wrapped, broken}, why + " (and 1 more envelope)"},
		"as many as there may be": {many[1:], ""},
		"more":                    {many, "it has 1001 envelopes, and no version may have more than 1000: divide them among several placements"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := Unusable(Resources([]v1beta1.ResourceSnapshotObject{version("0", tc.manifests...)}, "0")); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
