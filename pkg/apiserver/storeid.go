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
)

const storeIDTimeout = 20 * time.Second

// ensureStoreID returns the id of the store, which is made once and lives as long as the store. Every replica gets the same.
func ensureStoreID(ctx context.Context, config storagebackend.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, storeIDTimeout)
	defer cancel()
	client, err := newEtcdClient(ctx, config.Transport)
	if err != nil {
		return "", fmt.Errorf("etcd at %v: %w", config.Transport.ServerList, err)
	}
	defer func() { _ = client.Close() }()

	key := path.Join(config.Prefix, "store-id")
	id := uuid.NewString()
	response, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, id)).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		return "", fmt.Errorf("store id in etcd at %v: %w", config.Transport.ServerList, err)
	}
	if !response.Succeeded {
		id = string(response.Responses[0].GetResponseRange().Kvs[0].Value)
	}
	return id, nil
}

func newEtcdClient(ctx context.Context, t storagebackend.TransportConfig) (*clientv3.Client, error) {
	config := clientv3.Config{Context: ctx, Endpoints: t.ServerList, DialTimeout: storeIDTimeout}
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
