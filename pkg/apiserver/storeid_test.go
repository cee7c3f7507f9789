// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"k8s.io/apiserver/pkg/storage/storagebackend"

	"github.com/stagegate/stagegate/pkg/apiserver/etcd"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// newStore is the storage of a store that is new.
func newStore(t *testing.T) storagebackend.Config {
	t.Helper()
	member, err := etcd.Start(t.Context(), etcd.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(member.Close)
	config := *storagebackend.NewDefaultConfig(storagePrefix, nil)
	config.Transport.ServerList = []string{member.Endpoint()}
	return config
}

func TestAStoreHasOneID(t *testing.T) {
	config := newStore(t)
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

func TestAStoreRecordsOneHub(t *testing.T) {
	config := newStore(t)
	record := hubRecord{config}
	expect := func(want string) {
		t.Helper()
		if got, err := record.Hub(t.Context()); got != want || err != nil {
			t.Fatalf("the store rules hub %q, %v, want %q", got, err, want)
		}
	}
	expect("")

	// Of several replicas that find none recorded, each on a hub of its own, one is right.
	hubs := []string{"hub-0", "hub-1", "hub-2", "hub-3", "hub-4"}
	errs := make([]error, len(hubs))
	var wait sync.WaitGroup
	for i, hub := range hubs {
		wait.Go(func() { errs[i] = record.SetHub(t.Context(), "", hub) })
	}
	wait.Wait()
	first := ""
	for i, hub := range hubs {
		switch {
		case errs[i] == nil && first == "":
			first = hub
		case !errors.Is(errs[i], storeid.ErrHubRecordChanged):
			t.Errorf("recording %s after %q: %v, want %v", hub, first, errs[i], storeid.ErrHubRecordChanged)
		}
	}
	expect(first)

	for _, step := range []struct {
		from, to, then string
		err            error
	}{
		{from: "", to: "other", then: first, err: storeid.ErrHubRecordChanged},
		{from: "other", to: "third", then: first, err: storeid.ErrHubRecordChanged},
		{from: first, to: "adopted", then: "adopted"},
		{from: first, to: "late", then: "adopted", err: storeid.ErrHubRecordChanged},
	} {
		if err := record.SetHub(t.Context(), step.from, step.to); !errors.Is(err, step.err) {
			t.Errorf("SetHub(%q, %q) = %v, want %v", step.from, step.to, err, step.err)
		}
		expect(step.then)
	}

	config.Prefix = "/registry/other"
	if got, err := (hubRecord{config}).Hub(t.Context()); got != "" || err != nil {
		t.Errorf("another store in the same etcd rules hub %q, %v", got, err)
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
