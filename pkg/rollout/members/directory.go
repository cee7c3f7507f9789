// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/sets"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// Member is how to reach a member cluster.
type Member struct {
	// Name of the MemberCluster.
	Name string
	// Config of clients of the member. It is shared: copy it to change it. Its transport bounds what the member can answer and how long
	// that may take, so that a member which is not what it should be harms no other. Requests that must not take a minute bring a
	// context with a deadline.
	Config *rest.Config
	// Proxy is the URL of the proxy through which the member is reached, without a user or a password; empty where there is none.
	Proxy string
	// Generation differs whenever the credentials do.
	Generation string
}

// disconnect closes the connections to a member that nothing uses. One that is in use ends with its use, after a minute and a half of
// idleness at the latest.
func (m *Member) disconnect() {
	if m != nil {
		utilnet.CloseIdleConnectionsFor(m.Config.Transport)
	}
}

// Options of a Directory.
type Options struct {
	// AllowInsecure takes kubeconfigs with a server without TLS, and those that skip the verification of its certificate.
	AllowInsecure bool
}

// Directory has the members' credentials, as the Secrets in one namespace of the hub have them now, and knows which members are in
// use.
type Directory struct {
	namespace string
	options   Options
	secrets   cache.SharedIndexInformer

	mu      sync.Mutex
	parsed  map[string]*Member
	uses    map[string]*use
	doubted sets.Set[string]
	queues  []*reconcile.Queue
}

// NewDirectory makes a directory of the Secrets in a namespace of the hub. It is filled once Run runs.
func NewDirectory(hub kubernetes.Interface, namespace string, options Options) *Directory {
	d := &Directory{
		namespace: namespace,
		options:   options,
		secrets:   coreinformers.NewSecretInformer(hub, namespace, 0, cache.Indexers{}),
		parsed:    map[string]*Member{},
		uses:      map[string]*use{},
		doubted:   sets.New[string](),
	}
	if err := d.secrets.SetTransform(onlyKubeconfig); err != nil {
		// Only a running informer is refused.
		panic(err)
	}
	return d
}

// onlyKubeconfig keeps what is none of this package's business out of memory.
func onlyKubeconfig(obj any) (any, error) {
	secret, ok := obj.(*corev1.Secret)
	if !ok {
		return obj, nil
	}
	secret.ManagedFields = nil
	_, ofMember := memberOf(secret)
	maps.DeleteFunc(secret.Data, func(key string, _ []byte) bool { return !ofMember || key != wellknown.MemberKubeconfigKey })
	return secret, nil
}

func memberOf(secret metav1.Object) (string, bool) {
	return strings.CutPrefix(secret.GetName(), wellknown.MemberSecretName(""))
}

// Run keeps the directory up to date until the context ends.
func (d *Directory) Run(ctx context.Context) { d.secrets.RunWithContext(ctx) }

// Watch enqueues in a controller the names of members whose Secrets change, or which are doubted. The controller starts once the directory
// is filled.
// It must be called before anything runs.
func (d *Directory) Watch(queue *reconcile.Queue) {
	d.mu.Lock()
	d.queues = append(d.queues, queue)
	d.mu.Unlock()
	queue.Watch(d.secrets, reconcile.ByObject(func(secret metav1.Object) []reconcile.Key {
		if name, ok := memberOf(secret); ok {
			return []reconcile.Key{{Name: name}}
		}
		return nil
	}))
}

// Doubt says that a member has not answered, so that those who watch look at it before its next heartbeat is due.
func (d *Directory) Doubt(cluster string) {
	d.mu.Lock()
	d.doubted.Insert(cluster)
	d.mu.Unlock()
	d.Wake(cluster)
}

// Wake has those who watch look at a member once more, for what has changed that they do not watch.
func (d *Directory) Wake(cluster string) {
	d.mu.Lock()
	queues := slices.Clone(d.queues)
	d.mu.Unlock()
	for _, queue := range queues {
		queue.Enqueue(reconcile.Key{Name: cluster})
	}
}

// Doubted reports whether a member was doubted since this was asked last.
func (d *Directory) Doubted(cluster string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	doubted := d.doubted.Has(cluster)
	d.doubted.Delete(cluster)
	return doubted
}

// Secret is namespace/name of a member's Secret.
func (d *Directory) Secret(cluster string) string {
	return cache.NewObjectName(d.namespace, wellknown.MemberSecretName(cluster)).String()
}

// Get returns how to reach a member. It returns a CredentialsError if there are no usable credentials, and never asks the hub.
func (d *Directory) Get(cluster string) (*Member, error) {
	key := d.Secret(cluster)
	obj, found, err := d.secrets.GetStore().GetByKey(key)
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s from the cache: %w", key, err)
	}
	if !found {
		d.forget(cluster)
		return nil, &CredentialsError{Reason: SecretNotFound, Secret: key}
	}
	kubeconfig := obj.(*corev1.Secret).Data[wellknown.MemberKubeconfigKey]
	if len(kubeconfig) == 0 {
		d.forget(cluster)
		return nil, &CredentialsError{Reason: KubeconfigNotFound, Secret: key}
	}
	hash := sha256.Sum256(kubeconfig)
	generation := hex.EncodeToString(hash[:8])

	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.parsed[cluster]; m != nil && m.Generation == generation {
		return m, nil
	}
	d.drop(cluster)
	m, reason, err := read(kubeconfig, d.options)
	if err != nil {
		return nil, &CredentialsError{Reason: reason, Secret: key, Err: err}
	}
	m.Name, m.Generation = cluster, generation
	d.parsed[cluster] = m
	return m, nil
}

func (d *Directory) forget(cluster string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(cluster)
}

// drop takes credentials for gone, with the connections that were made with them. The lock is held.
func (d *Directory) drop(cluster string) {
	d.parsed[cluster].disconnect()
	delete(d.parsed, cluster)
}
