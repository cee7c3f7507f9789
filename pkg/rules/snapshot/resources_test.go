// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
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
