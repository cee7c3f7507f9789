// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Limits of what this server asks of a member. The member's own priority and fairness protects it, so they only stop runaways.
const (
	memberQPS   = 200
	memberBurst = 400
)

// read makes of a kubeconfig's current context how to reach a member. Whoever may write the Secret must not gain what the
// server's own machine can do or has: what runs a program or reads a file is refused. So is what does not prove that the member is the
// member, since its credentials are sent there, unless that is allowed. A proxy is allowed, since it sees no more than the network does,
// and so is impersonation, since it is the member that decides on it.
func read(kubeconfig []byte, options Options) (*Member, Reason, error) {
	parsed, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, KubeconfigInvalid, err
	}
	current, ok := parsed.Contexts[parsed.CurrentContext]
	if !ok {
		return nil, KubeconfigInvalid, fmt.Errorf("current-context %q is not among the contexts", parsed.CurrentContext)
	}
	cluster, ok := parsed.Clusters[current.Cluster]
	if !ok || cluster.Server == "" {
		return nil, KubeconfigInvalid, fmt.Errorf("cluster %q of context %q has no server", current.Cluster, parsed.CurrentContext)
	}
	user, ok := parsed.AuthInfos[current.AuthInfo]
	if !ok {
		return nil, KubeconfigInvalid, fmt.Errorf("user %q of context %q is not among the users", current.AuthInfo, parsed.CurrentContext)
	}
	if err := refuse(cluster, user, options); err != nil {
		return nil, KubeconfigRefused, err
	}
	proxy, ok := proxyOf(cluster)
	if !ok {
		// What is there may have a password.
		return nil, KubeconfigInvalid, fmt.Errorf("the proxy-url of cluster %q is no URL with http, https or socks5", current.Cluster)
	}
	config, err := clientcmd.NewDefaultClientConfig(*parsed, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, KubeconfigInvalid, err
	}
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, KubeconfigInvalid, err
	}
	if server.Scheme != "https" && !options.AllowInsecure {
		return nil, KubeconfigRefused, notAllowed("a server without TLS", "use an https:// address", allowInsecure)
	}
	// Built here, so that a bad certificate is found where the Secret can be named.
	if err := bind(config, memberBounds); err != nil {
		return nil, KubeconfigInvalid, err
	}
	config.QPS = memberQPS
	config.Burst = memberBurst
	config.UserAgent = rest.DefaultKubernetesUserAgent()
	// Warnings are about users' manifests, not about this server.
	config.WarningHandler = rest.NoWarnings{}
	return &Member{Config: config, Proxy: proxy}, "", nil
}

// allowInsecure is the way out for whoever knows what they do.
const allowInsecure = "or start the server with --allow-insecure-members"

func notAllowed(what string, fixes ...string) error {
	return fmt.Errorf("%s is not allowed; %s", what, strings.Join(fixes, ", "))
}

func refuse(cluster *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo, options Options) error {
	var refused []error
	no := func(field string, fixes ...string) {
		refused = append(refused, notAllowed(field, fixes...))
	}
	if cluster.InsecureSkipTLSVerify && !options.AllowInsecure {
		no("insecure-skip-tls-verify", "use certificate-authority-data", allowInsecure)
	}
	if user.Exec != nil {
		no("exec", "use a token or a client certificate")
	}
	if user.AuthProvider != nil {
		no("auth-provider", "use a token or a client certificate")
	}
	for _, file := range []struct{ path, field, instead string }{
		{cluster.CertificateAuthority, "certificate-authority", "use certificate-authority-data"},
		{user.ClientCertificate, "client-certificate", "use client-certificate-data"},
		{user.ClientKey, "client-key", "use client-key-data"},
		{user.TokenFile, "tokenFile", "use token"},
	} {
		if file.path != "" {
			no(file.field, file.instead)
		}
	}
	return errors.Join(refused...)
}

// proxyOf returns the proxy through which a member is reached, without a user or a password, and empty where there is none. It returns
// false where the proxy is none that there can be.
func proxyOf(cluster *clientcmdapi.Cluster) (string, bool) {
	if cluster.ProxyURL == "" {
		return "", true
	}
	proxy, err := url.Parse(cluster.ProxyURL)
	if err != nil || !slices.Contains([]string{"http", "https", "socks5"}, proxy.Scheme) {
		return "", false
	}
	return (&url.URL{Scheme: proxy.Scheme, Host: proxy.Host}).String(), true
}
