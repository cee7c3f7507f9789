// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"context"
	"errors"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// Who works in a namespace that a cluster-scoped placement places may not read the placement. Where it says so, its status is in a
// ClusterResourcePlacementStatus of its name there as well: the mirror.

const (
	reasonSynced    = "StatusSyncSucceeded"
	reasonNotSynced = "StatusSyncFailed"
	messageSynced   = "Successfully created or updated ClusterResourcePlacementStatus in namespace '%s'"
	messageUnsynced = "Failed to create or update ClusterResourcePlacementStatus: %v"
	// maxSyncError is how many bytes of an error the condition has.
	maxSyncError = 1 << 10
)

// errNoNamespace is why a placement without the name of a namespace has no mirror. Validation refuses it; this is for one that is stored.
var errNoNamespace = errors.New("NamespaceAccessible ClusterResourcePlacement doesn't specify a resource selector which selects a namespace: " +
	"give its selector of kind Namespace a name")

// isMirrored reports whether the status of a placement is to be read in the namespace that it places.
func isMirrored(placement v1beta1.PlacementObject) bool {
	return placement.GetNamespace() == "" && placement.PlacementSpec().StatusReportingScope == v1beta1.NamespaceAccessible
}

// mirrored returns the namespace that a placement selects by its name, empty where there is none.
func mirrored(spec *v1beta1.PlacementSpec) string {
	for _, term := range spec.ResourceSelectors {
		if term.Group == "" && term.Version == "v1" && term.Kind == "Namespace" {
			return term.Name
		}
	}
	return ""
}

// reflect returns what of a status is for everybody who may read the namespace: not the values of fields that drifted or differ, which are
// those of objects that not all of them may read, and not whether the mirror itself is written.
func reflect(status *v1beta1.PlacementStatus) *v1beta1.PlacementStatus {
	shown := status.DeepCopy()
	conditions.Remove(&shown.Conditions, v1beta1.PlacementConditionType("", v1beta1.PlacementStatusSynced))
	for i := range shown.PerClusterPlacementStatuses {
		cluster := &shown.PerClusterPlacementStatuses[i]
		for j := range cluster.DriftedPlacements {
			withoutValues(cluster.DriftedPlacements[j].ObservedDrifts)
		}
		for j := range cluster.DiffedPlacements {
			withoutValues(cluster.DiffedPlacements[j].ObservedDiffs)
		}
	}
	return shown
}

func withoutValues(details []v1beta1.PatchDetail) {
	for i := range details {
		details[i] = v1beta1.PatchDetail{Path: details[i].Path}
	}
}

// mirror makes the mirror of a placement what its new status is to be, and says in that status whether it is. It is written before the
// placement, so that both are one write each.
func (c *Controller) mirror(ctx context.Context, placement v1beta1.PlacementObject, status *v1beta1.PlacementStatus, now metav1.Time) error {
	conditionType := v1beta1.PlacementConditionType("", v1beta1.PlacementStatusSynced)
	if !isMirrored(placement) {
		return nil
	}
	namespace := mirrored(placement.PlacementSpec())
	err := c.writeMirror(ctx, placement, namespace, reflect(status), now)
	if apierrors.IsConflict(err) {
		// What is in the way is on its way to the cache.
		return err
	}
	condition := metav1.Condition{
		Type: conditionType, Status: metav1.ConditionTrue, Reason: reasonSynced, Message: fmt.Sprintf(messageSynced, namespace),
		ObservedGeneration: placement.GetGeneration(), LastTransitionTime: now,
	}
	if err != nil {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, reasonNotSynced, wording.Shorten(fmt.Sprintf(messageUnsynced, err), maxSyncError)
	}
	meta.SetStatusCondition(&status.Conditions, condition)
	if errors.Is(err, errNoNamespace) {
		// Only an edit helps.
		return nil
	}
	return err
}

func (c *Controller) writeMirror(ctx context.Context, placement v1beta1.PlacementObject, namespace string, status *v1beta1.PlacementStatus, now metav1.Time) error {
	if namespace == "" {
		return errNoNamespace
	}
	client := c.fleet.Clientset.PlacementV1beta1().ClusterResourcePlacementStatuses(namespace)
	existing, err := c.fleet.Mirrors.Lister().ClusterResourcePlacementStatuses(namespace).Get(placement.GetName())
	var written *v1beta1.ClusterResourcePlacementStatus
	switch {
	case apierrors.IsNotFound(err):
		created := &v1beta1.ClusterResourcePlacementStatus{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: placement.GetName(),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(placement, c.fleet.Placements.GroupVersionKind(""))},
		}}
		created.SourceStatus, created.LastUpdatedTime = *status, now
		written, err = client.Create(ctx, created, metav1.CreateOptions{})
	case err != nil:
	case !metav1.IsControlledBy(existing, placement):
		return fmt.Errorf("ClusterResourcePlacementStatus %s/%s belongs to somebody else: ask an administrator to delete it, and the server creates its own",
			namespace, placement.GetName())
	case existing.DeletionTimestamp != nil || apiequality.Semantic.DeepEqual(&existing.SourceStatus, status):
		return nil
	default:
		changed := existing.DeepCopy()
		changed.SourceStatus, changed.LastUpdatedTime = *status, now
		written, err = client.Update(ctx, changed, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("namespace %s: %w", namespace, err)
	}
	c.written.Wrote(reconcile.KeyOf(placement), c.fleet.Mirrors.Informer().GetStore(), written)
	klog.FromContext(ctx).V(2).Info("Mirror of the placement status written", "namespace", namespace)
	return nil
}

// mirrorChanged wakes the placement of a mirror, so that it is created again when it is deleted, and put right when somebody edits it.
func mirrorChanged(oldObj, newObj any) []reconcile.Key {
	return reconcile.ByObject(func(o metav1.Object) []reconcile.Key { return []reconcile.Key{{Name: o.GetName()}} })(oldObj, newObj)
}
