// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestALargerQuotaCuresAFullStore(t *testing.T) {
	dir := t.TempDir()
	const small, large = 4 << 20, 64 << 20

	// Etcd compares the quota with the size of its last commit, so that a fast machine writes far past it before it is refused:
	// filling up ends with the refusal, and writes the same keys again until then.
	put := func(ctx context.Context, quota int64, puts int) error {
		server, err := Start(t.Context(), Options{DataDir: dir, QuotaBytes: quota})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
		for i := range puts {
			if _, err := client.Put(ctx, key(i%20), strings.Repeat("v", 1<<20)); err != nil {
				return err
			}
		}
		return nil
	}

	filling, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := put(filling, small, math.MaxInt); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("filling the store up: %v, want %v", err, rpctypes.ErrNoSpace)
	}
	if err := put(t.Context(), large, 1); err != nil {
		t.Errorf("writing with a larger quota: %v", err)
	}
}
