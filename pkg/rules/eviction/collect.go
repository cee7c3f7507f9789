// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const (
	// TTL is how long an eviction stays once it is decided and nothing of it is left to do.
	TTL = time.Hour
	// MaxEnded is how many of those there are at most. The oldest go first.
	MaxEnded = 200
)

// Collect returns which evictions are no longer needed, and in how long the next one will be, 0 for never. All of them must have ended.
func Collect(ended []*v1beta1.ClusterResourcePlacementEviction, now time.Time) (expired []*v1beta1.ClusterResourcePlacementEviction, next time.Duration) {
	newestFirst := slices.Clone(ended)
	slices.SortFunc(newestFirst, func(a, b *v1beta1.ClusterResourcePlacementEviction) int {
		return cmp.Or(decidedAt(b).Compare(decidedAt(a)), cmp.Compare(a.Name, b.Name))
	})
	for i, e := range newestFirst {
		if left := decidedAt(e).Add(TTL).Sub(now); i >= MaxEnded || left <= 0 {
			expired = append(expired, e)
		} else {
			next = left
		}
	}
	return expired, next
}

// decidedAt is when an eviction was decided: the time of the last of its conditions, or of the object where there is none.
func decidedAt(e *v1beta1.ClusterResourcePlacementEviction) time.Time {
	at := e.CreationTimestamp.Time
	for _, t := range []string{v1beta1.EvictionValid, v1beta1.EvictionExecuted} {
		if c := meta.FindStatusCondition(e.Status.Conditions, t); c != nil && c.LastTransitionTime.After(at) {
			at = c.LastTransitionTime.Time
		}
	}
	return at
}
