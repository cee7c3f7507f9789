// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestTheManifestsSayWhatIsServed(t *testing.T) {
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	served, err := servedVersions(root)
	if err != nil {
		t.Fatal(err)
	}
	want := servedVersion{schema.GroupVersion{Group: "placement.kubernetes-fleet.io", Version: "v1"}, 120}
	if len(served) < 5 || !slices.Contains(served, want) {
		t.Errorf("served are %v, which lack %v", served, want)
	}
}
