// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterprofile

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// Name of the controller.
const Name = "clusterprofile"

const (
	workers      = 2
	fieldManager = "stagegate-" + Name
	// reasonNotOwned is that of the Event for a profile that somebody else has created.
	reasonNotOwned = "ClusterProfileNotOwned"
)

// theKind is the key for whether the hub has the kind. No member has an empty name.
var theKind = reconcile.Key{}

// Controller writes ClusterProfiles. It serves one term of leadership.
type Controller struct {
	fleet    *fleet.Fleet
	hub      dynamic.Interface
	store    string
	recorder record.EventRecorder
	clock    clock.WithTicker
	queue    *reconcile.Queue
	// definitions has the CustomResourceDefinition of the kind, if there is one.
	definitions cache.SharedIndexInformer

	running sync.WaitGroup
	mu      sync.Mutex
	// profiles has the ClusterProfiles while the hub has the kind, and is nil while it has not; unfollow ends it.
	profiles cache.SharedIndexInformer
	unfollow context.CancelFunc
}

// New returns the controller. It owns the profiles that carry the id of the store; Events on MemberClusters go to the recorder.
func New(f *fleet.Fleet, hub dynamic.Interface, store string, recorder record.EventRecorder, c clock.WithTicker) *Controller {
	controller := &Controller{
		fleet:    f,
		hub:      hub,
		store:    store,
		recorder: recorder,
		clock:    c,
		definitions: dynamicinformer.NewFilteredDynamicInformer(hub,
			schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
			metav1.NamespaceAll, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
				o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, definition).String()
			}).Informer(),
	}
	controller.queue = reconcile.NewWithClock(Name, workers, controller.reconcile, c)
	controller.queue.Watch(f.MemberClusters.Informer(), reconcile.Self)
	controller.queue.Watch(controller.definitions, func(any, any) []reconcile.Key { return []reconcile.Key{theKind} })
	return controller
}

// Run serves until the context ends.
func (c *Controller) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer c.running.Wait()
	defer cancel()
	c.running.Go(func() { c.definitions.RunWithContext(ctx) })
	return c.queue.Run(ctx)
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	if key == theKind {
		return 0, c.follow(ctx)
	}
	cluster, err := c.fleet.MemberClusters.Lister().Get(key.Name)
	if apierrors.IsNotFound(err) {
		// A profile without a MemberCluster is left alone: the store may have been lost or restored.
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !cluster.DeletionTimestamp.IsZero() {
		return 0, c.withdraw(ctx, cluster)
	}
	profiles := c.following()
	if profiles == nil {
		if c.hasKind() {
			return 0, nil
		}
		return 0, c.release(ctx, cluster)
	}
	return c.show(ctx, cluster, profiles)
}

// hasKind reports whether the hub has a definition of the kind, served or not.
func (c *Controller) hasKind() bool { return c.kind() != nil }

func (c *Controller) kind() *unstructured.Unstructured {
	if obj, found, _ := c.definitions.GetStore().GetByKey(definition); found {
		return obj.(*unstructured.Unstructured)
	}
	return nil
}

// follow watches profiles while the hub serves the kind.
func (c *Controller) follow(ctx context.Context) error {
	serves := isServed(c.kind())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case serves && c.unfollow == nil:
		profiles := dynamicinformer.NewFilteredDynamicInformer(c.hub, resource, wellknown.SystemNamespace, 0, cache.Indexers{}, nil).Informer()
		if _, err := profiles.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    c.changed,
			UpdateFunc: func(_, obj any) { c.changed(obj) },
			DeleteFunc: c.changed,
		}); err != nil {
			return fmt.Errorf("watching ClusterProfiles: %w", err)
		}
		// The context is that of the controller, not of one key.
		var following context.Context
		following, c.unfollow = context.WithCancel(ctx)
		c.running.Go(func() { profiles.RunWithContext(following) })
		c.running.Go(func() {
			if cache.WaitForCacheSync(following.Done(), profiles.HasSynced) {
				c.begin(following, profiles)
			}
		})
		klog.FromContext(ctx).V(2).Info("The hub has ClusterProfiles")
	case !serves && c.unfollow != nil:
		c.unfollow()
		c.unfollow, c.profiles = nil, nil
	}
	if !serves {
		c.enqueueAll()
	}
	return nil
}

// begin has all members shown, once it is known which profiles there are.
func (c *Controller) begin(following context.Context, profiles cache.SharedIndexInformer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if following.Err() != nil {
		return
	}
	c.profiles = profiles
	c.enqueueAll()
}

func (c *Controller) following() cache.SharedIndexInformer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.profiles
}

func (c *Controller) enqueueAll() {
	// A cache is always readable.
	clusters, _ := c.fleet.MemberClusters.Lister().List(labels.Everything())
	for _, cluster := range clusters {
		c.queue.Enqueue(reconcile.KeyOf(cluster))
	}
}

func (c *Controller) changed(obj any) {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	if profile, ok := obj.(metav1.Object); ok {
		c.queue.Enqueue(reconcile.Key{Name: profile.GetName()})
	}
}

// isServed reports whether a definition of the kind is established, with the version that is written here.
func isServed(definition *unstructured.Unstructured) bool {
	if definition == nil || definition.GetDeletionTimestamp() != nil {
		return false
	}
	established := false
	conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		established = established || condition["type"] == "Established" && condition["status"] == "True"
	}
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, v := range versions {
		if version, _ := v.(map[string]any); version["name"] == group.Version && version["served"] == true {
			return established
		}
	}
	return false
}

// show writes the profile of a member that has joined, and keeps it from then on, whatever becomes of the member.
func (c *Controller) show(ctx context.Context, cluster *v1beta1.MemberCluster, profiles cache.SharedIndexInformer) (time.Duration, error) {
	obj, found, err := profiles.GetStore().GetByKey(wellknown.SystemNamespace + "/" + cluster.Name)
	if err != nil {
		return 0, err
	}
	profile := &unstructured.Unstructured{Object: map[string]any{}}
	switch {
	case found:
		profile = obj.(*unstructured.Unstructured)
	case !meta.IsStatusConditionTrue(cluster.Status.Conditions, v1beta1.ConditionTypeMemberClusterJoined):
		return 0, nil
	}
	if found && !isOurs(profile, c.store) {
		c.recorder.Eventf(cluster, corev1.EventTypeWarning, reasonNotOwned,
			"ClusterProfile %s/%s was not created by this server (annotation kubernetes-fleet.io/store-id), so the server does not write it: "+
				"if nobody needs it, delete it, and the server creates its own", wellknown.SystemNamespace, cluster.Name)
		return 0, nil
	}
	if profile.GetDeletionTimestamp() != nil {
		return 0, nil
	}
	// Whoever deletes the MemberCluster is to have the profile go with it.
	if err := c.hold(ctx, cluster); err != nil {
		return 0, err
	}
	if profile, err = c.write(ctx, cluster, profile, found); err != nil {
		return 0, err
	}
	now := c.clock.Now()
	condition, changes := health(cluster, now)
	want, differs, err := withStatus(profile, cluster, condition, now)
	if err != nil {
		return 0, fmt.Errorf("status of ClusterProfile %s/%s: %w", wellknown.SystemNamespace, cluster.Name, err)
	}
	if differs {
		if _, err := c.hub.Resource(resource).Namespace(wellknown.SystemNamespace).UpdateStatus(ctx, want, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
			return 0, fmt.Errorf("status of ClusterProfile %s/%s: %w", wellknown.SystemNamespace, cluster.Name, err)
		}
	}
	if changes.IsZero() {
		return 0, nil
	}
	return max(changes.Sub(now), time.Millisecond), nil
}

// write creates or mends a profile, all but its status.
func (c *Controller) write(ctx context.Context, cluster *v1beta1.MemberCluster, profile *unstructured.Unstructured, found bool) (*unstructured.Unstructured, error) {
	want, differs, err := withSpec(profile, cluster.Name, c.store)
	client := c.hub.Resource(resource).Namespace(wellknown.SystemNamespace)
	switch {
	case err != nil:
	case !found:
		profile, err = client.Create(ctx, want, metav1.CreateOptions{FieldManager: fieldManager})
	case differs:
		profile, err = client.Update(ctx, want, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	if err != nil {
		return nil, fmt.Errorf("writing ClusterProfile %s/%s: %w", wellknown.SystemNamespace, cluster.Name, err)
	}
	return profile, nil
}

// withdraw deletes the profile of a member that leaves, if this store has created it.
func (c *Controller) withdraw(ctx context.Context, cluster *v1beta1.MemberCluster) error {
	if !reconcile.HasFinalizer(cluster, wellknown.ClusterProfileFinalizer) {
		return nil
	}
	client := c.hub.Resource(resource).Namespace(wellknown.SystemNamespace)
	profile, err := client.Get(ctx, cluster.Name, metav1.GetOptions{})
	if err == nil && isOurs(profile, c.store) {
		err = client.Delete(ctx, cluster.Name, metav1.DeleteOptions{
			// Whoever takes the profile over meanwhile keeps it.
			Preconditions: &metav1.Preconditions{UID: new(profile.GetUID()), ResourceVersion: new(profile.GetResourceVersion())},
		})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting ClusterProfile %s/%s: %w", wellknown.SystemNamespace, cluster.Name, err)
	}
	return c.release(ctx, cluster)
}

func (c *Controller) hold(ctx context.Context, cluster *v1beta1.MemberCluster) error {
	cluster = cluster.DeepCopy()
	if !reconcile.AddFinalizer(cluster, wellknown.ClusterProfileFinalizer) {
		return nil
	}
	return c.update(ctx, cluster)
}

// release lets the MemberCluster go.
func (c *Controller) release(ctx context.Context, cluster *v1beta1.MemberCluster) error {
	cluster = cluster.DeepCopy()
	if !reconcile.RemoveFinalizer(cluster, wellknown.ClusterProfileFinalizer) {
		return nil
	}
	return c.update(ctx, cluster)
}

func (c *Controller) update(ctx context.Context, cluster *v1beta1.MemberCluster) error {
	_, err := c.fleet.Clientset.ClusterV1beta1().MemberClusters().Update(ctx, cluster, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("finalizers of MemberCluster %s: %w", cluster.Name, err)
	}
	return nil
}
