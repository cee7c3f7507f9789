// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

// hubTimeout is for one request that a hub in good health answers within a second.
const hubTimeout = 15 * time.Second

var (
	servedGroups = []string{v1beta1.GroupName, clusterv1beta1.GroupName, rolloutv1alpha1.GroupName}
	crdResource  = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// preflight finds what would make the server fail later, or do harm, and says so in one line.
func preflight(ctx context.Context, o *Options) error {
	certificate := o.Recommended.SecureServing.ServerCert.CertKey
	if err := checkCertificate(certificate.CertFile, certificate.KeyFile); err != nil {
		return err
	}
	if o.embedded() {
		if err := checkDataDir(o.Embedded.DataDir); err != nil {
			return err
		}
	}
	config, err := hubConfig(o.Recommended.CoreAPI.CoreAPIKubeconfigPath)
	if err != nil {
		return err
	}
	return checkHub(ctx, config)
}

// checkCertificate wants a serving certificate from outside: one that is made here would be trusted by no hub.
func checkCertificate(certFile, keyFile string) error {
	if certFile == "" || keyFile == "" {
		return errors.New("--tls-cert-file and --tls-private-key-file must be set: the hub verifies the server by the caBundle of its APIServices")
	}
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		return fmt.Errorf("serving certificate: %w", err)
	}
	return nil
}

func checkDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".writable-")
	if err != nil {
		return fmt.Errorf("data directory is not writable: %w", err)
	}
	_ = probe.Close()
	return os.Remove(probe.Name())
}

func hubConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("no hub: --kubeconfig is not set, and outside of a pod there is no other: %w", err)
		}
		return config, nil
	}
	loading := &clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(loading, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of the hub: %w", err)
	}
	return config, nil
}

// checkHub wants a hub that answers and has no CustomResourceDefinitions of the groups served here: an APIService hides them, and
// with them their objects.
func checkHub(ctx context.Context, config *rest.Config) error {
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("hub %s: %w", config.Host, err)
	}
	crds, err := client.Resource(crdResource).List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("hub %s: the server lacks the rights that its manifests give it: %w", config.Host, err)
	case err != nil:
		return fmt.Errorf("cannot reach the hub %s: %w", config.Host, err)
	}
	var names []string
	for _, crd := range crds.Items {
		if slices.ContainsFunc(servedGroups, func(group string) bool { return strings.HasSuffix(crd.Name, "."+group) }) {
			names = append(names, crd.Name)
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("hub %s has CustomResourceDefinitions of groups that this server is to serve, and would hide their objects: "+
			"export the objects and delete the CustomResourceDefinitions first (%s)", config.Host, strings.Join(names, ", "))
	}
	return nil
}
