// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"
)

const (
	storeName  = "store"
	storeNodes = 3
)

// StoreNodes returns the names of the nodes of the etcd that replicas share; one server has its own within it.
func (e *Environment) StoreNodes() []string {
	if e.service == nil {
		return nil
	}
	var names []string
	for i := range storeNodes {
		names = append(names, fmt.Sprintf("%s-%d", storeName, i+1))
	}
	return names
}

func storePeer(node string) string { return node + "-peer" }

// ensureStore brings up the nodes, which are ready only together. Clients and peers show certificates of one authority, which no cluster has.
func (e *Environment) ensureStore(ctx context.Context) error {
	ca, err := ensureAuthority(e.pkiDir(storeName), "ca")
	if err != nil {
		return err
	}
	if err := ca.ensure(e.pki(storeName, "server"), leaf{commonName: storeName, names: []string{"localhost"}, both: true}); err != nil {
		return err
	}
	if err := ca.ensure(e.pki(storeName, "client"), leaf{commonName: serverName}); err != nil {
		return err
	}
	client, err := e.storeClient()
	if err != nil {
		return err
	}
	starting, ctx := errgroup.WithContext(ctx)
	for _, node := range e.StoreNodes() {
		starting.Go(func() error { return e.ensure(ctx, e.storeNode(node, client)) })
	}
	return starting.Wait()
}

func (e *Environment) storeNode(node string, client *http.Client) process {
	clients, peers := "https://"+e.address(node), "https://"+e.address(storePeer(node))
	var cluster []string
	for _, other := range e.StoreNodes() {
		cluster = append(cluster, other+"=https://"+e.address(storePeer(other)))
	}
	ca, cert, key := e.pki(storeName, "ca.crt"), e.pki(storeName, "server.crt"), e.pki(storeName, "server.key")
	return process{
		name: node,
		path: e.bin("etcd"),
		args: []string{
			"--name=" + node,
			"--data-dir=" + e.dataDir(node),
			"--listen-client-urls=" + clients,
			"--advertise-client-urls=" + clients,
			"--listen-peer-urls=" + peers,
			"--initial-advertise-peer-urls=" + peers,
			"--initial-cluster=" + strings.Join(cluster, ","),
			"--client-cert-auth", "--trusted-ca-file=" + ca, "--cert-file=" + cert, "--key-file=" + key,
			"--peer-client-cert-auth", "--peer-trusted-ca-file=" + ca, "--peer-cert-file=" + cert, "--peer-key-file=" + key,
			"--log-level=warn",
		},
		ready: func(ctx context.Context) error { return probe(ctx, client, clients+"/readyz") },
	}
}

func (e *Environment) storeClient() (*http.Client, error) {
	ca, err := ensureAuthority(e.pkiDir(storeName), "ca")
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(e.pki(storeName, "client.crt"), e.pki(storeName, "client.key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}}, nil
}

// StoreLeader returns the node that the others of the store follow, which is the one whose death costs most.
func (e *Environment) StoreLeader(ctx context.Context) (string, error) {
	client, err := e.storeClient()
	if err != nil {
		return "", err
	}
	for _, node := range e.StoreNodes() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+e.address(node)+"/metrics", nil)
		if err != nil {
			return "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && strings.Contains(string(body), "\netcd_server_is_leader 1\n") {
			return node, nil
		}
	}
	return "", fmt.Errorf("no node of %v leads", e.StoreNodes())
}
