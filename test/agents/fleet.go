// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/rollout/agent"
	"github.com/stagegate/stagegate/test/realhub"
)

const (
	agentNamespace = "stagegate-system"
	hubSecret      = "stagegate-hub"
	appConfig      = "settings"
	everywhere     = "everywhere"
	// patience is how long anything may take.
	patience = 20 * time.Minute
	// setters is how many requests prepare something at once.
	setters = 16
)

// fleet is the members with their agents.
type fleet struct {
	settings
	hub     *realhub.Hub
	config  *rest.Config
	api     versioned.Interface
	core    kubernetes.Interface
	members []*member

	running sync.WaitGroup
	// heartbeats counts those that the hub has taken.
	heartbeats atomic.Int64
	// awaited is what agents look for in what their watches of Works bring, nil for nothing.
	awaited atomic.Pointer[sighting]
}

// sighting is when something was first seen.
type sighting struct {
	text []byte
	once sync.Once
	seen chan time.Time
}

func newSighting(text string) *sighting {
	return &sighting{text: []byte(text), seen: make(chan time.Time, 1)}
}

func (s *sighting) see() { s.once.Do(func() { s.seen <- time.Now() }) }

func (s *sighting) after(ctx context.Context, start time.Time) (time.Duration, error) {
	select {
	case at := <-s.seen:
		return at.Sub(start), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for %s: %w", s.text, ctx.Err())
	}
}

func newFleet(hub *realhub.Hub, s settings) (*fleet, error) {
	f := &fleet{settings: s, hub: hub}
	var err error
	if f.config, err = hub.Config(); err != nil {
		return nil, err
	}
	// The agents are told the authority, whether the kubeconfig has it or a file.
	if err = rest.LoadTLSFiles(f.config); err != nil {
		return nil, err
	}
	if f.api, err = hub.Fleet(); err != nil {
		return nil, err
	}
	f.core, err = hub.Core()
	return f, err
}

func memberName(i int) string { return fmt.Sprintf("member-%04d", i) }

// each does something for each member, several at once.
func (f *fleet) each(ctx context.Context, do func(i int) error) error {
	errs := make([]error, f.agents)
	workqueue.ParallelizeUntil(ctx, setters, f.agents, func(i int) { errs[i] = do(i) })
	return errors.Join(append(errs, ctx.Err())...)
}

// await returns once a condition holds for as many objects as there are agents.
func (f *fleet) await(ctx context.Context, what string, lw cache.ListerWatcher, kind runtime.Object, holds func(runtime.Object) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found := sets.New[string]()
	_, err := watchtools.UntilWithSync(ctx, lw, kind, nil, func(event watch.Event) (bool, error) {
		o, err := meta.Accessor(event.Object)
		if err != nil {
			return false, nil
		}
		if key := o.GetNamespace() + "/" + o.GetName(); event.Type != watch.Deleted && holds(event.Object) {
			found.Insert(key)
		} else {
			found.Delete(key)
		}
		return found.Len() == f.agents, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %d %s, found %d: %w", f.agents, what, found.Len(), err)
	}
	return nil
}

// invite makes the MemberClusters, and waits until their agents have their rights.
func (f *fleet) invite(ctx context.Context) error {
	if err := f.each(ctx, func(i int) error {
		_, err := f.api.ClusterV1beta1().MemberClusters().Create(ctx, &clusterv1beta1.MemberCluster{
			ObjectMeta: metav1.ObjectMeta{Name: memberName(i), Annotations: map[string]string{wellknown.DeliveryAnnotation: wellknown.DeliveryPull}},
			Spec: clusterv1beta1.MemberClusterSpec{
				Identity:               rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: wellknown.MemberNamespace(memberName(i)), Name: agent.Account},
				HeartbeatPeriodSeconds: int32(f.heartbeat),
			},
		}, metav1.CreateOptions{})
		return err
	}); err != nil {
		return err
	}
	bindings := f.core.RbacV1().RoleBindings(metav1.NamespaceAll)
	return f.await(ctx, "RoleBindings of agents", &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return bindings.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return bindings.Watch(ctx, o)
		},
	}, &rbacv1.RoleBinding{}, func(o runtime.Object) bool { return o.(*rbacv1.RoleBinding).Name == wellknown.MemberAgentRole })
}

// start gives each agent its first token, starts it, and waits until all members are healthy.
func (f *fleet) start(ctx context.Context) error {
	f.members = make([]*member, f.agents)
	if err := f.each(ctx, func(i int) error {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(time.Hour / time.Second))}}
		token, err := f.core.CoreV1().ServiceAccounts(wellknown.MemberNamespace(memberName(i))).CreateToken(ctx, agent.Account, request, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		f.members[i] = newMember(memberName(i), secretOf(f.config, token.Status.Token))
		return f.serve(ctx, i)
	}); err != nil {
		return err
	}
	clusters := f.api.ClusterV1beta1().MemberClusters()
	return f.await(ctx, "healthy MemberClusters", &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return clusters.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return clusters.Watch(ctx, o)
		},
	}, &clusterv1beta1.MemberCluster{}, func(o runtime.Object) bool {
		conditions := o.(*clusterv1beta1.MemberCluster).Status.Conditions
		return meta.IsStatusConditionTrue(conditions, clusterv1beta1.ConditionTypeMemberClusterJoined) &&
			meta.IsStatusConditionTrue(conditions, clusterv1beta1.ConditionTypeMemberClusterHealthy)
	})
}

// serve runs an agent until the context ends, as its command does for a term.
func (f *fleet) serve(ctx context.Context, i int) error {
	config := f.members[i].config()
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	credentials := agent.NewCredentials(kube, agentNamespace, hubSecret, memberName(i), clock.RealClock{})
	hubConfig, err := credentials.Config(ctx)
	if err != nil {
		return err
	}
	hubConfig.Wrap(func(next http.RoundTripper) http.RoundTripper { return &tap{next, f} })
	// Clients with the same authority share their connections, where client-go does not take them for different by a function they have.
	hubConfig.Proxy = http.ProxyFromEnvironment
	connection, err := rest.HTTPClientFor(hubConfig)
	if err != nil {
		return err
	}
	hubKube, err := kubernetes.NewForConfigAndClient(hubConfig, connection)
	if err != nil {
		return err
	}
	api, err := versioned.NewForConfigAndClient(hubConfig, connection)
	if err != nil {
		return err
	}
	served, err := agent.New(api, config, agent.Options{Cluster: memberName(i), Version: "measured"})
	if err != nil {
		return err
	}
	f.running.Go(func() { credentials.Renew(ctx, hubKube) })
	f.running.Go(func() { _ = served.Run(ctx) })
	return nil
}

// tap looks at what an agent and the hub say to each other.
type tap struct {
	http.RoundTripper
	fleet *fleet
}

func (t *tap) WrappedRoundTripper() http.RoundTripper { return t.RoundTripper }

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(r)
	switch {
	case err != nil:
	case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/internalmemberclusters/") && response.StatusCode == http.StatusOK:
		t.fleet.heartbeats.Add(1)
	case strings.HasSuffix(r.URL.Path, "/works") && r.URL.Query().Get("watch") == "true":
		response.Body = &tapped{ReadCloser: response.Body, fleet: t.fleet}
	}
	return response, err
}

// tapped is the body of a watch of Works.
type tapped struct {
	io.ReadCloser
	fleet *fleet
	// end of what was read before, where what is looked for may have begun.
	end []byte
}

func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if awaited := t.fleet.awaited.Load(); awaited != nil && n > 0 {
		text := append(t.end, p[:n]...)
		if bytes.Contains(text, awaited.text) {
			awaited.see()
		}
		t.end = bytes.Clone(text[max(0, len(text)-len(awaited.text)):])
	}
	return n, err
}

// beatEvery has all agents send a heartbeat every so many seconds.
func (f *fleet) beatEvery(ctx context.Context, seconds int) error {
	patch := fmt.Appendf(nil, `{"spec":{"heartbeatPeriodSeconds":%d}}`, seconds)
	return f.each(ctx, func(i int) error {
		_, err := f.api.ClusterV1beta1().MemberClusters().Patch(ctx, memberName(i), types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// sendWorks creates one Work after the other, each for another agent, and measures when the agent has it and when the member has what is in it.
func (f *fleet) sendWorks(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var seen, applied []time.Duration
	for i := range min(f.works, f.agents) {
		name := fmt.Sprintf("sent-%04d", i)
		config, err := json.Marshal(&corev1.ConfigMap{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Namespace: "team-0", Name: name},
		})
		if err != nil {
			return err
		}
		work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Name: name}}
		work.Spec.Workload.Manifests = []v1beta1.Manifest{{RawExtension: runtime.RawExtension{Raw: config}}}
		at := i * f.agents / min(f.works, f.agents)
		reached, written := newSighting(fmt.Sprintf(`"name":%q`, name)), newSighting("/api/v1/namespaces/team-0/configmaps/"+name)
		f.awaited.Store(reached)
		f.members[at].tellOf(func(path string) {
			if path == string(written.text) {
				written.see()
			}
		})
		start := time.Now()
		if _, err := f.api.PlacementV1beta1().Works(wellknown.MemberNamespace(memberName(at))).Create(ctx, work, metav1.CreateOptions{}); err != nil {
			return err
		}
		for _, s := range []struct {
			*sighting
			times *[]time.Duration
		}{{reached, &seen}, {written, &applied}} {
			took, err := s.after(ctx, start)
			if err != nil {
				return err
			}
			*s.times = append(*s.times, took)
		}
	}
	f.awaited.Store(nil)
	say("%d Works, one after the other, from before the request that creates it until", len(seen))
	say("  the watch of its agent has it: %s", distribution(seen))
	say("  the member has its object:     %s", distribution(applied))
	return nil
}

// placeEverywhere places a ConfigMap on all members at once, and measures when each has it and what that costs.
func (f *fleet) placeEverywhere(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := f.core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: everywhere}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: appConfig}, Data: map[string]string{"version": "first"}}
	if _, err := f.core.CoreV1().ConfigMaps(everywhere).Create(ctx, config, metav1.CreateOptions{}); err != nil {
		return err
	}
	all := make([]*sighting, f.agents)
	for i, m := range f.members {
		s := newSighting(fmt.Sprintf("/api/v1/namespaces/%s/configmaps/%s", everywhere, appConfig))
		all[i] = s
		m.tellOf(func(path string) {
			if path == string(s.text) {
				s.see()
			}
		})
	}
	before, err := f.use()
	if err != nil {
		return err
	}
	start := time.Now()
	if _, err := f.api.PlacementV1beta1().ClusterResourcePlacements().Create(ctx, &v1beta1.ClusterResourcePlacement{
		ObjectMeta: metav1.ObjectMeta{Name: everywhere},
		Spec: v1beta1.PlacementSpec{
			ResourceSelectors: []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: everywhere}},
			Strategy: v1beta1.RolloutStrategy{
				Type: v1beta1.RollingUpdateRolloutStrategyType, RollingUpdate: &v1beta1.RollingUpdateConfig{MaxUnavailable: new(intstr.FromString("100%"))},
			},
		},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	var times []time.Duration
	for _, s := range all {
		took, err := s.after(ctx, start)
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	after, err := f.use()
	if err != nil {
		return err
	}
	say("a new placement on all %d, until a member has it: %s", f.agents, distribution(times))
	for i, process := range processes {
		say("  %-20s %6.1f CPU seconds until then, %6.0f MiB resident", process, (after[i].cpu - before[i].cpu).Seconds(), mebibytes(after[i].memory))
	}
	return nil
}
