// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reportback

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/stagegate/stagegate/pkg/rules/reportback"
)

// attempts is how often an object is read again that changes between reading and writing.
const attempts = 3

// write gives the object of the hub the status that is reported, through the subresource alone. It returns why it does not; an object that
// is not on the hub any more needs none. A placement of a namespace writes in that namespace only.
func (c *Controller) write(ctx context.Context, within string, r reportback.Report) *reportback.Refusal {
	status, refused := r.Status()
	if refused != nil {
		return refused
	}
	k, served, err := c.kinds.of(ctx, r.GroupVersion().WithKind(r.ID.Kind))
	switch {
	case err != nil:
		return r.Failed(err)
	case !served || !k.status || k.namespaced != (r.ID.Namespace != "") || within != "" && r.ID.Namespace != within:
		return r.NoStatus()
	}
	var objects dynamic.ResourceInterface = c.hub.Resource(k.GroupVersionResource)
	if k.namespaced {
		objects = c.hub.Resource(k.GroupVersionResource).Namespace(r.ID.Namespace)
	}
	for range attempts {
		refused, err = write(ctx, objects, r, status)
		if !apierrors.IsConflict(err) {
			break
		}
	}
	switch {
	case refused != nil:
		return refused
	case err == nil, apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err):
		return r.Forbidden(err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return r.Refused(err)
	}
	return r.Failed(err)
}

// write writes a status to an object that has another one, unless somebody else writes it.
func write(ctx context.Context, objects dynamic.ResourceInterface, r reportback.Report, status map[string]any) (*reportback.Refusal, error) {
	live, err := objects.Get(ctx, r.ID.Name, metav1.GetOptions{})
	if err != nil || equality.Semantic.DeepEqual(live.Object["status"], any(status)) {
		return nil, err
	}
	if others := reportback.OtherWriters(live, fieldManager); len(others) > 0 {
		return r.OtherWriter(others), nil
	}
	// With the version that was read: a status that somebody has begun to write meanwhile is theirs.
	live.Object["status"] = status
	_, err = objects.UpdateStatus(ctx, live, metav1.UpdateOptions{FieldManager: fieldManager})
	return nil, err
}
