// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kindOrder puts what others need before them.
var kindOrder = func() map[string]int {
	order := map[string]int{}
	for i, kind := range []string{
		"PriorityClass", "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodDisruptionBudget", "ServiceAccount", "Secret",
		"ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition", "ClusterRole",
		"ClusterRoleBinding", "Role", "RoleBinding", "Service", "DaemonSet", "Pod", "ReplicationController", "ReplicaSet", "Deployment",
		"HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob", "IngressClass", "Ingress", "APIService",
		"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
	} {
		order[kind] = i
	}
	return order
}()

// sortItems gives the same selection the same hash: by kind as above, other kinds last and by name, then by version, then by name.
func sortItems(items []*item) {
	slices.SortStableFunc(items, func(a, b *item) int {
		return cmp.Or(
			cmp.Compare(a.rank(), b.rank()),
			cmp.Compare(a.otherKind(), b.otherKind()),
			cmp.Compare(a.gvk().GroupVersion().String(), b.gvk().GroupVersion().String()),
			cmp.Compare(a.id.Namespace+"/"+a.id.Name, b.id.Namespace+"/"+b.id.Name),
		)
	})
}

func (i *item) rank() int {
	if rank, known := kindOrder[i.id.Kind]; known {
		return rank
	}
	return len(kindOrder)
}

// otherKind is empty for the kinds that have a rank.
func (i *item) otherKind() string {
	if _, known := kindOrder[i.id.Kind]; known {
		return ""
	}
	return i.gvk().String()
}

func (i *item) gvk() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: i.id.Group, Version: i.id.Version, Kind: i.id.Kind}
}
