// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

type mirror = v1beta1.ClusterResourcePlacementStatus

// content is what a mirror has in place of a spec. Its fields are exported for the comparison, which looks at no others.
type content struct {
	SourceStatus    v1beta1.PlacementStatus
	LastUpdatedTime metav1.Time
}

// Resources is the one kind of the family.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[mirror, v1beta1.ClusterResourcePlacementStatusList](
			v1beta1.GroupName, registry.Namespaced("clusterresourceplacementstatuses", "crps"),
			store.Family[*mirror, content, struct{}]{
				Spec:           func(o *mirror) *content { return &content{o.SourceStatus, o.LastUpdatedTime} },
				Validate:       validation.ValidatePlacementStatusMirror,
				ValidateUpdate: validation.ValidatePlacementStatusMirrorUpdate,
				Columns: []store.Column[*mirror]{
					{Name: "Resource-Index", Description: "Version that the clusters have.", Text: func(o *mirror) string { return o.SourceStatus.ObservedResourceIndex }},
					{Name: "Last-Updated", Description: "When the status was mirrored.", Text: lastUpdated},
					store.Age[*mirror](),
					condition("Scheduled", v1beta1.PlacementScheduled),
					condition("Available", v1beta1.PlacementAvailable),
				},
			}),
	}
}

// condition is the status of a condition of the placement.
func condition(name, of string) store.Column[*mirror] {
	conditionType := v1beta1.PlacementConditionType("", of)
	return store.Condition(name, conditionType, func(o *mirror) []metav1.Condition { return o.SourceStatus.Conditions }).OnlyWide()
}

func lastUpdated(o *mirror) string {
	if o.LastUpdatedTime.IsZero() {
		return ""
	}
	return o.LastUpdatedTime.UTC().Format(time.RFC3339)
}
