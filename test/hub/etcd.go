// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	etcdName  = "etcd"
	etcdPeers = "etcd-peers"

	probeTimeout = 5 * time.Second
	maxProbeBody = 4096
)

// etcd is one process for all clusters, each under a prefix of its own: a member's control plane costs a kube-apiserver and
// a kube-controller-manager less. It syncs to disk, as everywhere.
func (e *Environment) etcd() process {
	clients, peers := "http://"+e.address(etcdName), "http://"+e.address(etcdPeers)
	return process{
		name: etcdName,
		path: e.bin("etcd"),
		args: []string{
			"--name=" + etcdName,
			"--data-dir=" + e.dataDir(etcdName),
			"--listen-client-urls=" + clients,
			"--advertise-client-urls=" + clients,
			"--listen-peer-urls=" + peers,
			"--initial-advertise-peer-urls=" + peers,
			"--initial-cluster=" + etcdName + "=" + peers,
			"--log-level=warn",
		},
		ready: func(ctx context.Context) error { return probe(ctx, http.DefaultClient, clients+"/readyz") },
	}
}

// probe returns nil if a GET of url is answered with 200.
func probe(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxProbeBody))
		return fmt.Errorf("%s: %s: %s", url, resp.Status, bytes.TrimSpace(body))
	}
	return nil
}

// EtcdURL is where the etcd of the clusters takes clients. The objects of a cluster are below a prefix that is its name.
func (e *Environment) EtcdURL() string { return "http://" + e.address(etcdName) }
