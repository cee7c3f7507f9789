// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// withdraw removes from a member what Stagegate itself has there, and leaves what was placed on it. The kind AppliedWork stays, since
// its end would be the end of whatever else is owned by objects of it.
func withdraw(ctx context.Context, member *clients, as Identity) error {
	clusterUID, err := storeid.ClusterUID(ctx, member.kube)
	if err != nil {
		return err
	}
	want := as(clusterUID)
	if clusterUID == want.Hub {
		if err := storeid.Mismatch(nil, clusterUID, want); err != nil {
			return err
		}
		// A hub keeps its store's id: it is that of the whole hub.
		if err := storeid.Verify(ctx, member.kube, wellknown.SystemNamespace, want.Ruler); err != nil {
			return err
		}
		return orphan(ctx, want.Member, member)
	}
	crd, err := member.crds.ApiextensionsV1().CustomResourceDefinitions().Get(ctx, storeid.MemberCRD, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		// Nothing is there that was ever made.
		return nil
	}
	if err != nil {
		return err
	}
	if err := storeid.Mismatch(crd.Annotations, clusterUID, want); err != nil {
		return err
	}
	identity := identityOf(want)
	joined := false
	for key := range identity {
		joined = joined || crd.Annotations[key] != ""
		identity[key] = ""
	}
	if err := orphan(ctx, want.Member, member); err != nil || !joined {
		return err
	}
	return annotate(ctx, member, crd, identity)
}

// orphan deletes the AppliedWorks of a member, so that what they own stays and is nobody's. Those of other members, as there may be
// where several are one cluster, are not touched.
func orphan(ctx context.Context, cluster string, member *clients) error {
	var failed []error
	err := member.eachAppliedWork(ctx, func(work *placementv1beta1.AppliedWork) error {
		if work.Spec.WorkNamespace != wellknown.MemberNamespace(cluster) {
			return nil
		}
		if err := orphanOne(ctx, member, work); err != nil && !apierrors.IsNotFound(err) {
			failed = append(failed, fmt.Errorf("deleting AppliedWork %s: %w", work.Name, err))
		}
		return nil
	})
	return errors.Join(append(failed, err)...)
}

// orphanOne deletes an AppliedWork, also one that somebody else is deleting, such that the garbage collector takes it out of the owners of
// what it owns before it goes. The finalizer that keeps it from going without that goes last.
func orphanOne(ctx context.Context, member *clients, work *placementv1beta1.AppliedWork) error {
	policy := metav1.DeletePropagationOrphan
	client := member.fleet.PlacementV1beta1().AppliedWorks()
	held := slices.Contains(work.Finalizers, wellknown.AppliedWorkFinalizer)
	if !work.DeletionTimestamp.IsZero() && (!held || slices.Contains(work.Finalizers, metav1.FinalizerOrphanDependents)) {
		// The policy is in force.
	} else if err := client.Delete(ctx, work.Name, metav1.DeleteOptions{
		PropagationPolicy: &policy,
		Preconditions:     metav1.NewUIDPreconditions(string(work.UID)),
	}); err != nil {
		return err
	}
	if !held {
		return nil
	}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := client.Get(ctx, work.Name, metav1.GetOptions{})
		if err != nil || live.UID != work.UID || !slices.Contains(live.Finalizers, wellknown.AppliedWorkFinalizer) {
			return err
		}
		live.Finalizers = slices.DeleteFunc(live.Finalizers, func(f string) bool { return f == wellknown.AppliedWorkFinalizer })
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": live.Finalizers, "resourceVersion": live.ResourceVersion}})
		if err != nil {
			return err
		}
		_, err = client.Patch(ctx, work.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
		return err
	})
}
