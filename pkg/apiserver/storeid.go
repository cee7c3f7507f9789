// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// Keys below the store's prefix, beside those of the API's objects.
const (
	storeIDKey = "store-id"
	hubUIDKey  = "hub-uid"
)

// etcdTimeout limits one access to these keys.
const etcdTimeout = 20 * time.Second

// ensureStoreID returns the id of the store, which is made once and lives as long as the store. Every replica gets the same.
func ensureStoreID(ctx context.Context, config storagebackend.Config) (string, error) {
	id := uuid.NewString()
	err := withEtcd(ctx, config, func(ctx context.Context, client *clientv3.Client) error {
		key := path.Join(config.Prefix, storeIDKey)
		response, err := client.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, id)).
			Else(clientv3.OpGet(key)).
			Commit()
		if err == nil && !response.Succeeded {
			id = string(response.Responses[0].GetResponseRange().Kvs[0].Value)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("store id: %w", err)
	}
	return id, nil
}

// hubRecord keeps in the store which hub it rules.
type hubRecord struct{ storage storagebackend.Config }

var _ storeid.HubRecord = hubRecord{}

// Hub returns the uid of the hub that the store rules, or "" if it has never ruled one.
func (r hubRecord) Hub(ctx context.Context) (string, error) {
	hub := ""
	err := withEtcd(ctx, r.storage, func(ctx context.Context, client *clientv3.Client) error {
		response, err := client.Get(ctx, r.key())
		if err == nil && len(response.Kvs) == 1 {
			hub = string(response.Kvs[0].Value)
		}
		return err
	})
	return hub, err
}

// SetHub replaces the uid from by the uid to, and fails with storeid.ErrHubRecordChanged if the store does not hold from.
func (r hubRecord) SetHub(ctx context.Context, from, to string) error {
	unchanged := clientv3.Compare(clientv3.Value(r.key()), "=", from)
	if from == "" {
		unchanged = clientv3.Compare(clientv3.CreateRevision(r.key()), "=", 0)
	}
	return withEtcd(ctx, r.storage, func(ctx context.Context, client *clientv3.Client) error {
		response, err := client.Txn(ctx).If(unchanged).Then(clientv3.OpPut(r.key(), to)).Commit()
		if err == nil && !response.Succeeded {
			return storeid.ErrHubRecordChanged
		}
		return err
	})
}

func (r hubRecord) key() string { return path.Join(r.storage.Prefix, hubUIDKey) }

// withEtcd calls a function with a client that is closed when it returns: what is kept beside the API's objects is rarely asked for.
func withEtcd(ctx context.Context, config storagebackend.Config, do func(context.Context, *clientv3.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	client, err := newEtcdClient(ctx, config.Transport)
	if err == nil {
		defer func() { _ = client.Close() }()
		err = do(ctx, client)
	}
	if err != nil {
		return fmt.Errorf("etcd at %v: %w", config.Transport.ServerList, err)
	}
	return nil
}

func newEtcdClient(ctx context.Context, t storagebackend.TransportConfig) (*clientv3.Client, error) {
	config := clientv3.Config{Context: ctx, Endpoints: t.ServerList, DialTimeout: etcdTimeout}
	files := transport.TLSInfo{CertFile: t.CertFile, KeyFile: t.KeyFile, TrustedCAFile: t.TrustedCAFile}
	if !files.Empty() || files.TrustedCAFile != "" {
		tlsConfig, err := files.ClientConfig()
		if err != nil {
			return nil, err
		}
		config.TLS = tlsConfig
	}
	return clientv3.New(config)
}
