// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package overrides

import "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"

// LeftOut is a version of an override that does not fit an object, and without which the object is rolled out.
type LeftOut struct {
	// Version of the override, by the name of its snapshot.
	Version v1beta1.NamespacedName `json:"version"`
	// Message names the version, the object, the cluster and the step that does not fit. It is cut where it is long.
	Message string `json:"message"`
}

// Vetoes reports whether a rollout stops at an override that does not fit, in which case the cluster keeps what it has. One that a
// namespace has stops what is placed from that namespace, and not what the platform places: it is left out there. One without a
// namespace stops both, since whoever owns the object could get rid of it otherwise.
func Vetoes(o v1beta1.Override, placementNamespace string) bool {
	return o.GetNamespace() == placementNamespace || o.GetNamespace() == ""
}
