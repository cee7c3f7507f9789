// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// fieldManager of what the controller writes.
const fieldManager = "stagegate-" + Name

// join makes everything ready on the hub, looks at the member when it is time to, and reports.
func (c *Controller) join(ctx context.Context, cluster *v1beta1.MemberCluster) (time.Duration, error) {
	cluster, err := c.register(ctx, cluster)
	if err != nil {
		return 0, err
	}
	r := newReporter(cluster)
	internal, err := c.prepare(ctx, cluster)
	if err != nil {
		if apierrors.IsConflict(err) {
			return 0, err
		}
		r.ReadyToJoin(metav1.ConditionFalse, inspect.ReasonNotReadyToJoin, wording.Shorten(err.Error(), inspect.MaxMessage))
		return 0, errors.Join(err, c.write(ctx, r, nil))
	}
	r.ReadyToJoin(metav1.ConditionTrue, inspect.ReasonReadyToJoin, inspect.MessageReadyToJoin)
	if wellknown.IsPulled(cluster.Annotations) {
		return c.joinByPull(ctx, r, internal)
	}
	seen, again := c.observe(ctx, cluster)
	if ctx.Err() != nil {
		// The member was not given the time to answer.
		return 0, ctx.Err()
	}
	r.Observed(seen)
	if report := c.reportOf(cluster.Name); seen.Failure == nil && report != nil {
		r.Collected(report)
	}
	return again, c.write(ctx, r, internal)
}

// register marks a MemberCluster as looked after: it cannot go without having left, and can be selected by its name.
func (c *Controller) register(ctx context.Context, cluster *v1beta1.MemberCluster) (*v1beta1.MemberCluster, error) {
	if reconcile.HasFinalizer(cluster, wellknown.MemberClusterFinalizer) && cluster.Labels[wellknown.MemberNameLabel] == cluster.Name {
		return cluster, nil
	}
	cluster = cluster.DeepCopy()
	reconcile.AddFinalizer(cluster, wellknown.MemberClusterFinalizer)
	metav1.SetMetaDataLabel(&cluster.ObjectMeta, wellknown.MemberNameLabel, cluster.Name)
	registered, err := c.fleet.Clientset.ClusterV1beta1().MemberClusters().Update(ctx, cluster, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil {
		return nil, fmt.Errorf("registering MemberCluster %s: %w", cluster.Name, err)
	}
	return registered, nil
}

// prepare makes the member's namespace on the hub and the InternalMemberCluster in it.
func (c *Controller) prepare(ctx context.Context, cluster *v1beta1.MemberCluster) (*v1beta1.InternalMemberCluster, error) {
	if err := c.prepareNamespace(ctx, cluster); err != nil {
		return nil, err
	}
	if err := c.settle(ctx, cluster); err != nil {
		return nil, err
	}
	internal, err := c.prepareInternal(ctx, cluster)
	if err != nil {
		return nil, err
	}
	return internal, c.grant(ctx, cluster)
}

func (c *Controller) prepareNamespace(ctx context.Context, cluster *v1beta1.MemberCluster) error {
	name := wellknown.MemberNamespace(cluster.Name)
	if obj, found, _ := c.namespaces.GetStore().GetByKey(name); found && usable(obj.(*corev1.Namespace)) {
		return nil
	}
	namespaces := c.hub.CoreV1().Namespaces()
	namespace, err := namespaces.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		// Without an owner reference, or the hub would remove it with all that lies in it when the store is lost.
		namespace, err = namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name:   name,
			Labels: map[string]string{wellknown.FleetResourceLabel: "true"},
		}}, metav1.CreateOptions{FieldManager: fieldManager})
		if err == nil {
			c.recorder.Eventf(cluster, corev1.EventTypeNormal, "NamespaceCreated", "Namespace %s was created", name)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("namespace %s on the hub: %w", name, err)
	case usable(namespace):
		return nil
	case !namespace.DeletionTimestamp.IsZero():
		return fmt.Errorf("namespace %s on the hub is still being deleted", name)
	}
	if err := c.ownNamespace(ctx, namespace); err != nil {
		return err
	}
	c.recorder.Eventf(cluster, corev1.EventTypeNormal, "NamespacePatched", "Namespace %s was patched", name)
	return nil
}

func usable(namespace *corev1.Namespace) bool {
	return namespace.DeletionTimestamp.IsZero() && namespace.Labels[wellknown.FleetResourceLabel] == "true" &&
		!slices.ContainsFunc(namespace.OwnerReferences, isMemberCluster)
}

// isMemberCluster recognizes the owner that upstream gives to the namespace of a member.
func isMemberCluster(owner metav1.OwnerReference) bool {
	version, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && version.Group == v1beta1.GroupName && owner.Kind == "MemberCluster"
}

// ownNamespace labels an existing namespace so that the controller sees it, and removes its owners so that only the member's leave deletes it.
func (c *Controller) ownNamespace(ctx context.Context, namespace *corev1.Namespace) error {
	namespace = namespace.DeepCopy()
	metav1.SetMetaDataLabel(&namespace.ObjectMeta, wellknown.FleetResourceLabel, "true")
	namespace.OwnerReferences = slices.DeleteFunc(namespace.OwnerReferences, isMemberCluster)
	if _, err := c.hub.CoreV1().Namespaces().Update(ctx, namespace, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("namespace %s on the hub: %w", namespace.Name, err)
	}
	return nil
}

func (c *Controller) prepareInternal(ctx context.Context, cluster *v1beta1.MemberCluster) (*v1beta1.InternalMemberCluster, error) {
	namespace := wellknown.MemberNamespace(cluster.Name)
	client := c.fleet.Clientset.ClusterV1beta1().InternalMemberClusters(namespace)
	want := v1beta1.InternalMemberClusterSpec{
		State:                  v1beta1.ClusterStateJoin,
		HeartbeatPeriodSeconds: int32(period(cluster) / time.Second),
	}
	internal := c.internal(cluster.Name)
	if internal == nil {
		internal = &v1beta1.InternalMemberCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: cluster.Name, Annotations: c.tellAgent(cluster, nil)},
			Spec:       want,
		}
		created, err := client.Create(ctx, internal, metav1.CreateOptions{FieldManager: fieldManager})
		switch {
		case apierrors.IsAlreadyExists(err):
			// The cache does not have it yet.
			if internal, err = client.Get(ctx, cluster.Name, metav1.GetOptions{}); err != nil {
				return nil, fmt.Errorf("reading InternalMemberCluster %s/%s: %w", namespace, cluster.Name, err)
			}
		case err != nil:
			return nil, fmt.Errorf("creating InternalMemberCluster %s/%s: %w", namespace, cluster.Name, err)
		default:
			c.recorder.Eventf(cluster, corev1.EventTypeNormal, "InternalMemberClusterCreated", "InternalMemberCluster %s/%s was created", namespace, cluster.Name)
			return created, nil
		}
	}
	annotations := c.tellAgent(cluster, internal.Annotations)
	if equality.Semantic.DeepEqual(internal.Spec, want) && maps.Equal(internal.Annotations, annotations) {
		return internal, nil
	}
	internal = internal.DeepCopy()
	internal.Spec, internal.Annotations = want, annotations
	updated, err := client.Update(ctx, internal, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil {
		return nil, fmt.Errorf("updating InternalMemberCluster %s/%s: %w", namespace, cluster.Name, err)
	}
	if !wellknown.IsPulled(updated.Annotations) {
		// The server may have waited for the agent to lose its rights.
		c.directory.Wake(cluster.Name)
	}
	c.recorder.Eventf(cluster, corev1.EventTypeNormal, "InternalMemberClusterSpecUpdated", "The spec of InternalMemberCluster %s/%s was updated", namespace, cluster.Name)
	return updated, nil
}

// internal reads the InternalMemberCluster of a member from the cache, nil where there is none.
func (c *Controller) internal(cluster string) *v1beta1.InternalMemberCluster {
	key := cache.NewObjectName(wellknown.MemberNamespace(cluster), cluster).String()
	if obj, found, _ := c.internals.GetStore().GetByKey(key); found {
		return obj.(*v1beta1.InternalMemberCluster)
	}
	return nil
}

// period is the time between two heartbeats.
func period(cluster *v1beta1.MemberCluster) time.Duration {
	if seconds := cluster.Spec.HeartbeatPeriodSeconds; seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return time.Minute
}
