// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// ensurePolicy has the newest policy snapshot hold the placement's policy and generation. The number of clusters is no part of the
// policy, so that scaling keeps the clusters that are picked.
func (s *Source) ensurePolicy(ctx context.Context, placement v1beta1.PlacementObject) error {
	defer s.lock(placement)()
	policy := placement.PlacementSpec().Policy.DeepCopy()
	if policy == nil {
		policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType}
	}
	annotations := map[string]string{wellknown.PlacementGenerationAnnotation: strconv.FormatInt(placement.GetGeneration(), 10)}
	if policy.PlacementType == v1beta1.PickNPlacementType && policy.NumberOfClusters != nil {
		annotations[wellknown.NumberOfClustersAnnotation] = strconv.Itoa(int(*policy.NumberOfClusters))
	}
	policy.NumberOfClusters = nil
	hash, err := hashOf(policy)
	if err != nil {
		return fmt.Errorf("policy of placement %s: %w", nameOf(placement), err)
	}

	list, err := s.policies.Read(ctx, reconcile.KeyOf(placement))
	if err != nil {
		return err
	}
	last := list.Newest()
	if last == nil || string(last.Master.PolicySnapshotSpec().PolicyHash) != hash || !ownedBy(last.Master, placement) {
		if last, err = s.createPolicy(ctx, placement, list, policy, hash, annotations); err != nil {
			return err
		}
	}
	if err := list.Mark(ctx, last); err != nil {
		return err
	}
	if !contains(last.Master.GetAnnotations(), annotations) {
		if err := list.Annotate(ctx, last, annotations); err != nil {
			return err
		}
	}
	return list.Prune(ctx, historyLimit(placement), func() func(int) bool { return policiesInUse(s.fleet, placement) })
}

func (s *Source) createPolicy(ctx context.Context, placement v1beta1.PlacementObject, list *policyRevisions,
	policy *v1beta1.PlacementPolicy, hash string, annotations map[string]string) (*policyRevision, error) {
	if err := list.Unmark(ctx); err != nil {
		return nil, err
	}
	index := list.Next()
	obj := newObject(s.policies.Kind, placement, s.owner(placement), wellknown.PolicyIndexLabel, index, wellknown.PolicySnapshotName(placement.GetName(), index))
	obj.GetLabels()[wellknown.LatestSnapshotLabel] = "true"
	obj.SetAnnotations(annotations)
	*obj.PolicySnapshotSpec() = v1beta1.SchedulingPolicySnapshotSpec{Policy: policy, PolicyHash: []byte(hash)}
	created, err := s.fleet.PolicySnapshots.Client(placement.GetNamespace()).Create(ctx, obj, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil, conflict(s.policies.Kind.GroupVersionKind(placement.GetNamespace()), obj)
	}
	if err != nil {
		return nil, fmt.Errorf("creating policy snapshot %s: %w", obj.GetName(), err)
	}
	klog.FromContext(ctx).V(2).Info("Policy snapshot made", "snapshot", klog.KObj(created))
	return list.Add(index, created), nil
}

func contains(all, some map[string]string) bool {
	for k, v := range some {
		if all[k] != v {
			return false
		}
	}
	return true
}
