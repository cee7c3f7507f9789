// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/keymutex"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/internal/revisions"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// lockBuckets is how many placements can be snapshotted at once without one waiting for another.
const lockBuckets = 1024

// Source makes snapshots. The controller and the planning of runs share one, so that they do not make the same snapshot twice.
type Source struct {
	fleet     *fleet.Fleet
	discovery discoverer
	metadata  metadata.Interface
	dynamic   dynamic.Interface
	resources revisions.History[v1beta1.ResourceSnapshotObject]
	policies  revisions.History[v1beta1.PolicySnapshotObject]
	locks     keymutex.KeyMutex
	// limits are what is not selected on this hub, nil for what is selected nowhere alone.
	limits *placeable.Limits
	// partBytes is how much one snapshot object holds at most.
	partBytes int
}

// NewSource makes a source that selects objects of the hub within limits. It asks the hub nothing yet.
func NewSource(f *fleet.Fleet, hub *rest.Config, limits *placeable.Limits) (*Source, error) {
	// Whole namespaces are read at once; what that may cost the hub is for its priority and fairness to say.
	hub = rest.CopyConfig(hub)
	hub.QPS = -1
	kinds, err := NewKindReader(hub)
	if err != nil {
		return nil, err
	}
	dynamicClient, err := dynamic.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("dynamic client of the hub: %w", err)
	}
	source := newSource(f, kinds.discovery, kinds.metadata, dynamicClient)
	source.limits = limits
	return source, nil
}

func newSource(f *fleet.Fleet, discovery discoverer, metadata metadata.Interface, dynamic dynamic.Interface) *Source {
	return &Source{
		fleet:     f,
		discovery: discovery,
		metadata:  metadata,
		dynamic:   dynamic,
		resources: resourceHistory(f),
		policies:  policyHistory(f),
		locks:     keymutex.NewHashed(lockBuckets),
		partBytes: maxPartBytes,
	}
}

// Snapshot reads what a placement selects on the hub now, and returns it with the index of the resource snapshot that holds it: the
// newest one, or else one that it makes. A dry run makes nothing and returns the index that it would be. An error is a reconcile.TerminalError where only a change of the selectors or the hub mends it; any
// other, such as a hub of which not everything can be seen, is worth another try. It works on replicas that do not lead.
func (s *Source) Snapshot(ctx context.Context, placement v1beta1.PlacementObject, dryRun bool) (snapshotrules.Selection, error) {
	selection := snapshotrules.Selection{}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		defer s.lock(placement)()
		limits, err := s.limitsOf(ctx, placement)
		if err != nil {
			return err
		}
		found, err := selectItems(ctx, &liveView{hub: s.dynamic, served: discover(ctx, s.discovery, s.metadata)}, limits, placement)
		if err != nil {
			return err
		}
		c, err := newContent(found.items)
		if err != nil {
			return fmt.Errorf("resources of placement %s: %w", nameOf(placement), err)
		}
		selection = snapshotrules.Selection{Warnings: s.warnings(placement, found)}
		if len(found.items) == 0 {
			selection.Nothing = found.missing()
		}
		for part, held := range split(c.all, s.partBytes) {
			for range held {
				i := found.items[len(selection.Resources)]
				selection.Resources = append(selection.Resources, snapshotrules.Resource{ID: i.id, Manifest: i.raw, Work: part})
			}
		}
		selection.Index, err = s.ensure(ctx, placement, c, dryRun)
		return err
	})
	if err != nil {
		return snapshotrules.Selection{}, err
	}
	return selection, nil
}

// lock has one writer at a time select and record what a placement selects. It returns what unlocks.
func (s *Source) lock(placement v1beta1.PlacementObject) (unlock func()) {
	key := reconcile.KeyOf(placement).String()
	s.locks.LockKey(key)
	// The mutexes of this kind never fail to unlock what was locked.
	return func() { _ = s.locks.UnlockKey(key) }
}

func (s *Source) owner(placement v1beta1.PlacementObject) metav1.OwnerReference {
	gvk := s.fleet.Placements.GroupVersionKind(placement.GetNamespace())
	return metav1.OwnerReference{
		APIVersion:         gvk.GroupVersion().String(),
		Kind:               gvk.Kind,
		Name:               placement.GetName(),
		UID:                placement.GetUID(),
		Controller:         ptr.To(true),
		BlockOwnerDeletion: ptr.To(true),
	}
}

// hub returns the uid of the hub that the resources are read from.
func (s *Source) hub(ctx context.Context) (string, error) {
	system, err := s.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("reading namespace %s, which identifies the hub: %w", metav1.NamespaceSystem, err)
	}
	return string(system.GetUID()), nil
}
