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
	"k8s.io/klog/v2"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/importer"
)

// hubTimeout is for one request that a hub in good health answers within a second.
const hubTimeout = 15 * time.Second

var (
	servedGroups = []string{v1beta1.GroupName, clusterv1beta1.GroupName, rolloutv1alpha1.GroupName}
	crdResource  = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	// apiServiceResource are the APIServices. Those that the hub makes for CustomResourceDefinitions have importer.AutomanagedLabel.
	apiServiceResource = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
)

// hidden are the CustomResourceDefinitions whose objects the server would hide.
type hidden struct {
	hub         string
	definitions []metav1.PartialObjectMetadata
}

// refuse returns an error where there are any but those whose objects were imported, or are being imported, into the store of the server.
func (h hidden) refuse(record *importer.Record) error {
	var names []string
	for _, definition := range h.definitions {
		if record == nil || record.Obstacle() == "" && record.Definitions[definition.Name] != definition.UID {
			names = append(names, definition.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("hub %s has CustomResourceDefinitions of groups that this server is to serve, and would hide their objects: "+
		"move them by stagegate-apiserver import into an empty store, or delete the CustomResourceDefinitions if nothing is needed of them (%s)", h.hub, strings.Join(names, ", "))
}

// preflight finds what would make the server fail later, or do harm, and says so in one line. What is hidden is judged once the store is open.
func preflight(ctx context.Context, o *Options) (hidden, error) {
	certificate := o.Recommended.SecureServing.ServerCert.CertKey
	if err := checkCertificate(certificate.CertFile, certificate.KeyFile); err != nil {
		return hidden{}, err
	}
	if o.embedded() {
		if err := checkDataDir(o.Embedded.DataDir); err != nil {
			return hidden{}, err
		}
	}
	config, err := hubConfig(o.Recommended.CoreAPI.CoreAPIKubeconfigPath)
	if err != nil {
		return hidden{}, err
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

// checkHub wants a hub that answers, and returns its CustomResourceDefinitions of the groups served here: an APIService hides them, and
// with them their objects. One that came while the APIServices were there already has none that anybody could reach, and keeps no server
// that is restarted from starting.
func checkHub(ctx context.Context, config *rest.Config) (hidden, error) {
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return hidden{}, fmt.Errorf("hub %s: %w", config.Host, err)
	}
	list := func(resource schema.GroupVersionResource) ([]metav1.PartialObjectMetadata, error) {
		found, err := client.Resource(resource).List(ctx, metav1.ListOptions{})
		switch {
		case apierrors.IsForbidden(err):
			return nil, fmt.Errorf("hub %s: the server lacks the rights that its manifests give it: %w", config.Host, err)
		case err != nil:
			return nil, fmt.Errorf("cannot reach the hub %s: %w", config.Host, err)
		}
		return found.Items, nil
	}
	crds, err := list(crdResource)
	if err != nil {
		return hidden{}, err
	}
	crds = slices.DeleteFunc(crds, func(crd metav1.PartialObjectMetadata) bool { return !slices.Contains(servedGroups, groupOf(crd)) })
	if len(crds) == 0 {
		return hidden{}, nil
	}
	apiServices, err := list(apiServiceResource)
	if err != nil {
		return hidden{}, err
	}
	hides := hidden{hub: config.Host}
	var without []string
	for _, crd := range crds {
		if since := registered(apiServices, groupOf(crd)); !since.IsZero() && crd.CreationTimestamp.After(since) {
			without = append(without, crd.Name)
		} else {
			hides.definitions = append(hides.definitions, crd)
		}
	}
	if len(hides.definitions) > 0 {
		return hides, nil
	}
	logger := klog.FromContext(ctx).WithValues("hub", config.Host, "customResourceDefinitions", strings.Join(without, ", "))
	if others := servedByHub(apiServices); len(others) > 0 {
		logger.Info("CustomResourceDefinitions have no effect in the versions that this server serves, since its APIServices were there before them. "+
			"The hub serves their other versions itself, with objects that this server does not know: stop whoever installed them, export those "+
			"objects if you need them, and delete the CustomResourceDefinitions, which deletes those objects", "apiServicesOfHub", strings.Join(others, ", "))
		return hidden{}, nil
	}
	logger.Info("CustomResourceDefinitions have no effect, since the APIServices of this server were there before them: " +
		"delete them, and stop whoever installed them")
	return hidden{}, nil
}

// servedByHub returns the APIServices of the groups served here that the hub made for versions of CustomResourceDefinitions.
func servedByHub(apiServices []metav1.PartialObjectMetadata) []string {
	var names []string
	for i := range apiServices {
		if apiServices[i].Labels[importer.AutomanagedLabel] != "" && slices.Contains(servedGroups, groupOf(apiServices[i])) {
			names = append(names, apiServices[i].Name)
		}
	}
	return names
}

// groupOf is the group of a CustomResourceDefinition or an APIService, which its name ends in.
func groupOf(obj metav1.PartialObjectMetadata) string {
	_, group, _ := strings.Cut(obj.Name, ".")
	return group
}

// registered returns since when the hub passes all versions of a group that are served here on, zero where it does not.
func registered(apiServices []metav1.PartialObjectMetadata, group string) time.Time {
	var since time.Time
	for _, gv := range scheme.Scheme.PrioritizedVersionsForGroup(group) {
		i := slices.IndexFunc(apiServices, func(a metav1.PartialObjectMetadata) bool { return a.Name == gv.Version+"."+group })
		if i < 0 || apiServices[i].Labels[importer.AutomanagedLabel] != "" {
			return time.Time{}
		}
		if created := apiServices[i].CreationTimestamp.Time; created.After(since) {
			since = created
		}
	}
	return since
}
