// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// In messages, kinds are named as the user writes them, and keys are <namespace>/<name>, with nothing before the slash for
// cluster-scoped objects.

func runKind(o metav1.Object) string { return kind(o, "StagedUpdateRun") }

func requestKind(o metav1.Object) string { return kind(o, "ApprovalRequest") }

func kind(o metav1.Object, base string) string {
	if o.GetNamespace() == "" {
		return "Cluster" + base
	}
	return base
}

func key(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}
