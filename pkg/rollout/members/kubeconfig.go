// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Limits of what this server asks of a member. The member's own priority and fairness protects it, so they only stop runaways.
const (
	memberQPS   = 200
	memberBurst = 400
)

// configOf makes a client configuration of a kubeconfig's current context. Whoever may write the Secret must not gain what the
// server's own machine can do or has: what runs a program or reads a file is refused.
func configOf(kubeconfig []byte) (*rest.Config, Reason, error) {
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
	if err := refuse(cluster, user); err != nil {
		return nil, KubeconfigRefused, err
	}
	config, err := clientcmd.NewDefaultClientConfig(*parsed, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, KubeconfigInvalid, err
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
	return config, "", nil
}

func refuse(cluster *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo) error {
	var refused []error
	no := func(field, instead string) {
		refused = append(refused, fmt.Errorf("%s is not allowed; %s", field, instead))
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
