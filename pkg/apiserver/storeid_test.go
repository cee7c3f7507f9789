// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"strings"
	"sync"
	"testing"

	"k8s.io/apiserver/pkg/storage/storagebackend"

	"github.com/stagegate/stagegate/pkg/apiserver/etcd"
)

func TestAStoreHasOneID(t *testing.T) {
	member, err := etcd.Start(t.Context(), etcd.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(member.Close)
	config := *storagebackend.NewDefaultConfig(storagePrefix, nil)
	config.Transport.ServerList = []string{member.Endpoint()}

	const replicas = 5
	ids := make([]string, replicas)
	var wait sync.WaitGroup
	for i := range ids {
		wait.Go(func() {
			var err error
			if ids[i], err = ensureStoreID(t.Context(), config); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("replicas got ids %v", ids)
		}
	}
	config.Prefix = "/registry/other"
	other, err := ensureStoreID(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if other == ids[0] || strings.TrimSpace(other) == "" {
		t.Errorf("another store has id %q", other)
	}
}

func TestIdentityIsStableWhereThereCanBeOneReplicaOnly(t *testing.T) {
	for range 2 {
		if got, err := identity(true, "store"); got != "store" || err != nil {
			t.Errorf("embedded: got %q, %v", got, err)
		}
	}
	first, _ := identity(false, "store")
	second, _ := identity(false, "store")
	if first == second || first == "store" {
		t.Errorf("external: %q and %q do not tell replicas apart", first, second)
	}
}
