// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// A member may be the hub itself. What is placed there is the very object that it was selected from: written to, an override would
// spread to the whole fleet and an edit would be undone before it is seen; deleted, it would be gone for all. So what the hub has is
// left alone, and only what it lacks is created. Nothing there is owned by an AppliedWork: on a hub AppliedWorks are objects of the
// fleet's own store, and without that store the hub's garbage collector would delete all that they own.

// disownOnHub takes AppliedWorks out of the owners of what an earlier version has placed on the hub, before anything else is done there.
func (a *Applier) disownOnHub(ctx context.Context) error {
	list, err := a.member.resource(appliedWorks, "").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing AppliedWorks: %w", err)
	}
	var failures []error
	for i := range list.Items {
		owner, err := toAppliedWork(&list.Items[i])
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if owner.Spec.WorkNamespace != wellknown.MemberNamespace(a.options.Cluster) {
			continue
		}
		for _, r := range owner.Status.AppliedResources {
			if err := a.disown(ctx, owner.Name, r); err != nil {
				failures = append(failures, fmt.Errorf("taking AppliedWork %s out of the owners of %s %s/%s: %w", owner.Name, r.Kind, r.Namespace, r.Name, err))
			}
		}
	}
	return errors.Join(failures...)
}

// disown makes an object that an AppliedWork owns nobody's.
func (a *Applier) disown(ctx context.Context, owner string, r v1beta1.AppliedResourceMeta) error {
	if r.Resource == "" {
		return nil
	}
	client := a.member.resource(resourceOf(r), r.Namespace)
	live, err := get(ctx, client, r.Name)
	if err != nil || live == nil || !ownersOf(live, owner).ours {
		return err
	}
	_, err = reown(ctx, client, live, []string{owner}, nil)
	return err
}
