// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"

	"k8s.io/client-go/dynamic"

	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// readers is how many reads of the hub one selection makes at once.
const readers = 16

// liveView reads the hub as it is now.
type liveView struct {
	hub    dynamic.Interface
	served *kinds
}

func (v *liveView) kinds() *kinds { return v.served }

func (v *liveView) list(ctx context.Context, queries ...query) ([][]*item, error) {
	return inParallel(ctx, queries, func(q query) ([]*item, error) {
		objects, err := q.read(ctx, v.hub)
		if err != nil {
			return nil, err
		}
		var items []*item
		for _, object := range objects {
			i, err := newItem(object)
			if err != nil {
				return nil, err
			}
			if i != nil {
				items = append(items, i)
			}
		}
		return items, nil
	})
}

// inParallel runs queries, returns what each finds, and tells all that failed.
func inParallel(ctx context.Context, queries []query, run func(query) ([]*item, error)) ([][]*item, error) {
	results := make([][]*item, len(queries))
	errs := reconcile.Each(ctx, readers, len(queries), func(i int) (err error) {
		results[i], err = run(queries[i])
		return err
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	missing := &incomplete{}
	for i := range queries {
		if err := errs[i]; err != nil && missing.merge(err) != nil {
			missing.addf("%s: %v", queries[i], err)
			missing.again = true
		}
	}
	return results, missing.orNil()
}
