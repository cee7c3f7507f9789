// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/availability"
)

// A member may be the hub itself. What is placed there is the very object that it was selected from: written to, an override would
// spread to the whole fleet and an edit would be undone before it is seen; created, what a user has deleted would come back; deleted, it
// would be gone for all. So nothing is written there, and the hub counts as having what it has. Nothing there is owned by an AppliedWork
// either: on a hub AppliedWorks are objects of the fleet's own store, and without that store the hub's garbage collector would delete all
// that they own.

// onHub is the result of a manifest of which the hub is the source.
func (p *pass) onHub(ctx context.Context, m *manifest) *result {
	gone := func() *result {
		const message = "The cluster is the hub, and does not have the object any more"
		return &result{applied: &verdict{ok: true, reason: reasonApplied, message: message}, available: &verdict{ok: true, reason: availability.ReasonAvailable, message: message}}
	}
	switch {
	case m.refused != nil:
		return blocked(m.refused.reason, m.refused.message)
	case !m.isResolved() && meta.IsNoMatchError(m.unknown):
		return gone()
	case !m.isResolved():
		return failed(m.unknown)
	}
	live, err := get(ctx, p.member.client(m), m.key.Name)
	switch {
	case err != nil:
		return failed(err)
	case live == nil:
		return gone()
	}
	return p.observe(&result{
		applied:   &verdict{ok: true, reason: reasonApplied, message: "The cluster is the hub, and the object is the one that is selected"},
		available: availabilityOf(live),
	}, live)
}

// disownOnHub takes AppliedWorks out of the owners of what an earlier version has placed on the hub, before anything else is done there.
func (a *Applier) disownOnHub(ctx context.Context) error {
	var failures []error
	err := a.member.eachAppliedWork(ctx, func(object *unstructured.Unstructured) error {
		owner, err := toAppliedWork(object)
		if err != nil {
			failures = append(failures, err)
			return nil
		}
		if owner.Spec.WorkNamespace != wellknown.MemberNamespace(a.options.Cluster) {
			return nil
		}
		for _, r := range owner.Status.AppliedResources {
			if err := a.disown(ctx, owner.Name, r); err != nil {
				failures = append(failures, fmt.Errorf("taking AppliedWork %s out of the owners of %s %s/%s: %w", owner.Name, r.Kind, r.Namespace, r.Name, err))
			}
		}
		return nil
	})
	return errors.Join(append(failures, err)...)
}

// disown makes an object that an AppliedWork owns nobody's.
func (a *Applier) disown(ctx context.Context, owner string, r v1beta1.AppliedResourceMeta) error {
	client, live, err := a.member.lookUp(ctx, r)
	if err != nil || live == nil || !ownersOf(live, owner).ours {
		return err
	}
	_, err = reown(ctx, client, live, []string{owner}, nil)
	return err
}
