// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	certutil "k8s.io/client-go/util/cert"
)

const (
	// HubName is the name of the hub cluster.
	HubName = "hub"

	loopback = "127.0.0.1"

	auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`
)

// MemberName returns the name of the i-th member cluster, counted from 1.
func MemberName(i int) string { return fmt.Sprintf("member%d", i) }

func apiserverName(cluster string) string         { return cluster + "-apiserver" }
func controllerManagerName(cluster string) string { return cluster + "-controller-manager" }

// ensureCluster brings up a cluster's control plane and writes its administrator's kubeconfig.
func (e *Environment) ensureCluster(ctx context.Context, cluster string) error {
	if err := e.ensureCertificates(cluster); err != nil {
		return fmt.Errorf("certificates of %s: %w", cluster, err)
	}
	client, err := e.probeClient(cluster)
	if err != nil {
		return err
	}
	before, err := readPIDFile(e.pidFile(apiserverName(cluster)))
	if err != nil {
		return err
	}
	if err := e.ensure(ctx, e.kubeAPIServer(cluster, client)); err != nil {
		return err
	}
	after, err := readPIDFile(e.pidFile(apiserverName(cluster)))
	if err != nil {
		return err
	}
	// One that has tried to reach an API server that was away tries again half a minute later, and collects no garbage until then.
	if before != nil && after != nil && *before != *after {
		if err := e.stop(controllerManagerName(cluster)); err != nil {
			return err
		}
	}
	return e.ensure(ctx, e.kubeControllerManager(cluster, client))
}

// ensureCertificates gives each cluster authorities of its own, so that no credential of one is good for another.
func (e *Environment) ensureCertificates(cluster string) error {
	dir := e.pkiDir(cluster)
	ca, err := ensureAuthority(dir, "ca")
	if err != nil {
		return err
	}
	frontProxyCA, err := ensureAuthority(dir, "front-proxy-ca")
	if err != nil {
		return err
	}
	if _, err := ensureKey(e.pki(cluster, "service-accounts.key")); err != nil {
		return err
	}
	if err := frontProxyCA.ensure(e.pki(cluster, "front-proxy-client"), leaf{commonName: "front-proxy-client"}); err != nil {
		return err
	}
	if err := ca.ensure(e.pki(cluster, "server"), leaf{
		commonName: "kube-apiserver",
		names:      []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
	}); err != nil {
		return err
	}
	if err := e.ensureUser(cluster, controllerManagerName(cluster), e.componentConfig(controllerManagerName(cluster)),
		"system:kube-controller-manager"); err != nil {
		return err
	}
	if err := e.ensureUser(cluster, "admin", e.kubeconfig(cluster), "admin", "system:masters"); err != nil {
		return err
	}
	return writeFile(e.auditPolicy(), []byte(auditPolicy))
}

// ensureUser writes a kubeconfig for a user of a cluster, authenticated by a client certificate, unless it is there.
func (e *Environment) ensureUser(cluster, file, kubeconfig, user string, groups ...string) error {
	if exists(kubeconfig) {
		return nil
	}
	return e.issueUser(cluster, file, kubeconfig, user, groups...)
}

func (e *Environment) issueUser(cluster, file, kubeconfig, user string, groups ...string) error {
	ca, err := ensureAuthority(e.pkiDir(cluster), "ca")
	if err != nil {
		return err
	}
	if err := ca.issue(e.pki(cluster, file), leaf{commonName: user, groups: groups}); err != nil {
		return err
	}
	var pem [3][]byte
	for i, name := range []string{"ca.crt", file + ".crt", file + ".key"} {
		if pem[i], err = os.ReadFile(e.pki(cluster, name)); err != nil {
			return err
		}
	}
	return writeKubeconfig(kubeconfig, cluster, e.server(cluster), pem[0], user, clientcmdapi.AuthInfo{
		ClientCertificateData: pem[1],
		ClientKeyData:         pem[2],
	})
}

func (e *Environment) server(cluster string) string {
	return "https://" + e.address(apiserverName(cluster))
}

func (e *Environment) kubeAPIServer(cluster string, client *http.Client) process {
	args := []string{
		"--etcd-servers=http://" + e.address(etcdName),
		"--etcd-prefix=/" + cluster,
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", e.state.Ports[apiserverName(cluster)]),
		"--tls-cert-file=" + e.pki(cluster, "server.crt"),
		"--tls-private-key-file=" + e.pki(cluster, "server.key"),
		"--client-ca-file=" + e.pki(cluster, "ca.crt"),
		"--authorization-mode=RBAC",
		// Loopback is no address that the endpoints of the kubernetes Service may have.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--service-account-issuer=" + serviceAccountIssuer,
		"--service-account-key-file=" + e.pki(cluster, "service-accounts.key"),
		"--service-account-signing-key-file=" + e.pki(cluster, "service-accounts.key"),
		"--requestheader-client-ca-file=" + e.pki(cluster, "front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-uid-headers=X-Remote-Uid",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + e.pki(cluster, "front-proxy-client.crt"),
		"--proxy-client-key-file=" + e.pki(cluster, "front-proxy-client.key"),
		"--enable-aggregator-routing=false",
		// Without it a server that is asked to stop waits a minute for the watches of its clients to end by themselves.
		"--shutdown-watch-termination-grace-period=1s",
		"--audit-policy-file=" + e.auditPolicy(),
		"--audit-log-path=" + e.AuditLog(cluster),
		"--audit-log-maxsize=100",
		"--audit-log-maxbackup=1",
	}
	return process{
		name:  apiserverName(cluster),
		path:  e.kubeBin("kube-apiserver"),
		args:  args,
		ready: func(ctx context.Context) error { return probe(ctx, client, e.server(cluster)+"/readyz") },
	}
}

// kubeBin is a binary of the clusters' control planes.
func (e *Environment) kubeBin(name string) string {
	if e.state.OldKubernetes {
		return e.oldBin(name)
	}
	return e.bin(name)
}

func (e *Environment) kubeControllerManager(cluster string, client *http.Client) process {
	return e.kubeController("kube-controller-manager", controllerManagerName(cluster), cluster, client,
		"--root-ca-file="+e.pki(cluster, "ca.crt"),
		"--service-account-private-key-file="+e.pki(cluster, "service-accounts.key"),
		"--use-service-account-credentials=true",
	)
}

// kubeController is a process of a cluster's control plane that works as its own user of the cluster.
func (e *Environment) kubeController(binary, name, cluster string, client *http.Client, more ...string) process {
	kubeconfig := e.componentConfig(name)
	return process{
		name: name,
		path: e.kubeBin(binary),
		args: append([]string{
			"--kubeconfig=" + kubeconfig,
			"--authentication-kubeconfig=" + kubeconfig,
			"--authorization-kubeconfig=" + kubeconfig,
			"--bind-address=" + loopback,
			fmt.Sprintf("--secure-port=%d", e.state.Ports[name]),
			"--tls-cert-file=" + e.pki(cluster, "server.crt"),
			"--tls-private-key-file=" + e.pki(cluster, "server.key"),
			// A restarted process would wait out the Lease of its predecessor.
			"--leader-elect=false",
			// Deleting a namespace asks for every resource of every group; the default of 20 a second makes that seconds.
			"--kube-api-qps=200",
			"--kube-api-burst=400",
		}, more...),
		ready: func(ctx context.Context) error { return probe(ctx, client, "https://"+e.address(name)+"/healthz") },
	}
}

// probeClient trusts the cluster's authority only, so a stranger on a remembered port is not taken for the cluster.
func (e *Environment) probeClient(cluster string) (*http.Client, error) {
	roots, err := certutil.NewPool(e.pki(cluster, "ca.crt"))
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}, nil
}
