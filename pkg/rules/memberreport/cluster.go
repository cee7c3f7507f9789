// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memberreport

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
)

const (
	// maxCluster is how many bytes the status of an InternalMemberCluster may have, and clusterEntry what each entry of its lists and maps
	// counts besides its texts. 200 namespaces with the names of their Works, 100 properties and a dozen conditions, all as long as they can
	// be, are half of it.
	maxCluster, clusterEntry = 256 << 10, 64
)

// ValidateClusterStatus returns why the status of an InternalMemberCluster is too large. One that an earlier version has stored may stay, and
// shrink.
func ValidateClusterStatus(cluster, old *clusterv1beta1.InternalMemberCluster) field.ErrorList {
	is := sizeOfCluster(&cluster.Status)
	if is <= max(maxCluster, sizeOfCluster(&old.Status)) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("status"), is, fmt.Sprintf(
		"a member may report at most %d bytes of conditions, namespaces, properties, resources and agents", maxCluster))}
}

func sizeOfCluster(status *clusterv1beta1.InternalMemberClusterStatus) int {
	size := sizeOfConditions(status.Conditions)
	for name, work := range status.Namespaces {
		size += clusterEntry + len(name) + len(work)
	}
	for name, property := range status.Properties {
		size += clusterEntry + len(name) + len(property.Value)
	}
	for _, resources := range []corev1.ResourceList{status.ResourceUsage.Capacity, status.ResourceUsage.Allocatable, status.ResourceUsage.Available} {
		for name := range resources {
			// A quantity has no more digits than it has room for here.
			size += 2*clusterEntry + len(name)
		}
	}
	for i := range status.AgentStatus {
		size += clusterEntry + len(status.AgentStatus[i].Type) + sizeOfConditions(status.AgentStatus[i].Conditions)
	}
	return size
}

func sizeOfConditions(conditions []metav1.Condition) int {
	size := 0
	for i := range conditions {
		size += 2*clusterEntry + len(conditions[i].Type) + len(conditions[i].Reason) + len(conditions[i].Message)
	}
	return size
}
