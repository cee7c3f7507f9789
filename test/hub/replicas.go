// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// endTimeout is how long a replica may take to end: terminationGracePeriodSeconds of the Deployment.
const endTimeout = 90 * time.Second

// Replicas returns the names of the processes that are stagegate-apiserver: one, or those behind Options.Service.
func (e *Environment) Replicas() []string {
	if e.service == nil {
		return []string{serverName}
	}
	var names []string
	for i := range e.overlay.replicas {
		names = append(names, fmt.Sprintf("%s-%d", serverName, i+1))
	}
	return names
}

// ReplicaURL is where a replica listens.
func (e *Environment) ReplicaURL(replica string) string { return "https://" + e.address(replica) }

// replaced returns what the flags of the overlay have in a pod, as it is here.
func (e *Environment) replaced() map[string]string {
	var etcd []string
	for _, node := range e.StoreNodes() {
		etcd = append(etcd, "https://"+e.address(node))
	}
	return map[string]string{
		"--tls-cert-file":        e.pki(HubName, serverName+".crt"),
		"--tls-private-key-file": e.pki(HubName, serverName+".key"),
		"--etcd-servers":         strings.Join(etcd, ","),
		"--etcd-cafile":          e.pki(storeName, "ca.crt"),
		"--etcd-certfile":        e.pki(storeName, "client.crt"),
		"--etcd-keyfile":         e.pki(storeName, "client.key"),
	}
}

// ensureReplicas brings up the replicas with the flags of the overlay, and lets the Service have them.
func (e *Environment) ensureReplicas(ctx context.Context, ca *authority) error {
	if err := e.ensureStore(ctx); err != nil {
		return err
	}
	if err := e.service.serve(e.address(serverName)); err != nil {
		return err
	}
	starting, ctx := errgroup.WithContext(ctx)
	for _, replica := range e.Replicas() {
		starting.Go(func() error { return e.ensureReplica(ctx, ca, replica) })
	}
	return starting.Wait()
}

func (e *Environment) ensureReplica(ctx context.Context, ca *authority, replica string) error {
	args, err := e.overlay.args(e.replaced())
	if err != nil {
		return err
	}
	client := serverClient(ca)
	readiness := e.overlay.container.ReadinessProbe
	if readiness.HTTPGet == nil {
		return errors.New("the overlay ha has no readiness probe by HTTP")
	}
	ready := e.ReplicaURL(replica) + readiness.HTTPGet.Path
	err = e.ensure(ctx, process{
		name:  replica,
		path:  e.bin(serverName),
		args:  append(append(e.connection(replica), args...), e.state.ServerFlags...),
		ready: func(ctx context.Context) error { return probe(ctx, client, ready) },
	})
	if err == nil {
		e.service.admit(replica, e.address(replica), ready, client, readiness)
	}
	return err
}

// Replace ends a replica as the deletion of its pod does, and returns once it has ended. Up brings one in its place; a rollout of the
// Deployment would have started that before.
func (e *Environment) Replace(replica string) error {
	return e.withProcess(replica, func(h *handle) error {
		if err := h.signal(syscall.SIGTERM); err != nil {
			return err
		}
		e.service.drain(replica)
		ended, err := h.ended(endTimeout)
		if err == nil && !ended {
			err = fmt.Errorf("%s still runs %s after it was asked to end", replica, endTimeout)
		}
		return err
	})
}
