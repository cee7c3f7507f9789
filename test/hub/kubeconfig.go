// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	clientcmd "k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// writeKubeconfig writes a kubeconfig that holds everything it needs, so that it can be copied into a Secret.
func writeKubeconfig(path, cluster, server string, ca []byte, user string, credential clientcmdapi.AuthInfo) error {
	data, err := encodeKubeconfig(cluster, server, ca, user, credential)
	if err != nil {
		return err
	}
	return writeFile(path, data)
}

func encodeKubeconfig(cluster, server string, ca []byte, user string, credential clientcmdapi.AuthInfo) ([]byte, error) {
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{cluster: {Server: server, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{user: &credential},
		Contexts:       map[string]*clientcmdapi.Context{cluster: {Cluster: cluster, AuthInfo: user}},
		CurrentContext: cluster,
	})
}
