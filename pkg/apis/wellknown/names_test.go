// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package wellknown

import "testing"

func TestReservedNamespaces(t *testing.T) {
	for name, want := range map[string]bool{
		"default": true, "kube-system": true, "kube-node-lease": true, SystemNamespace: true, MemberNamespace("a"): true,
		"": false, "app": false, "default-app": false, "kubeflow": false, "fleet": false,
	} {
		if got := IsReservedNamespace(name); got != want {
			t.Errorf("%q is reserved: %t, want %t", name, got, want)
		}
	}
}
