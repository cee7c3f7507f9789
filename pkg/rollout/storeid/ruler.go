// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storeid

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"
)

// Ruler is what places objects on a cluster: a store, and the hub that the store belongs to.
type Ruler struct {
	// Store is the id of the store.
	Store string
	// Hub is the uid of the hub: that of its namespace kube-system, which lives as long as the hub's own etcd.
	Hub string
}

// HubRecord is where a store keeps which hub it rules.
type HubRecord interface {
	// Hub returns the uid of the hub that the store rules, or "" if it has never ruled one.
	Hub(ctx context.Context) (string, error)
	// SetHub replaces one uid by another in a single transaction; from is "" where the store has never ruled a hub. It fails with
	// ErrHubRecordChanged, and writes nothing, if the store does not hold from.
	SetHub(ctx context.Context, from, to string) error
}

// ClusterUID returns the uid of a cluster, be it a hub or a member: that of its namespace kube-system, which lives as long as the
// cluster's etcd. It fails where the namespace cannot be read.
func ClusterUID(ctx context.Context, cluster kubernetes.Interface) (string, error) {
	system, err := cluster.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("reading namespace %s, whose uid identifies the cluster: %w", metav1.NamespaceSystem, err)
	}
	if system.UID == "" {
		return "", fmt.Errorf("namespace %s, whose uid identifies the cluster, has none", metav1.NamespaceSystem)
	}
	// The messages about a cluster have its uid in commands for the administrator, and the cluster is not trusted.
	if errs := validation.IsValidLabelValue(string(system.UID)); len(errs) > 0 {
		return "", fmt.Errorf("namespace %s, whose uid identifies the cluster, has none that can be one: %s", metav1.NamespaceSystem, errs[0])
	}
	return string(system.UID), nil
}
