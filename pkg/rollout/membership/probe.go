// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/members"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

const (
	// probeTimeout limits how long a member may take to answer, withdrawTimeout how long the removal of what is on it may take.
	probeTimeout    = 10 * time.Second
	withdrawTimeout = time.Minute
	// firstReprobe is when a member that failed is looked at again; the pause doubles from there to the heartbeat period.
	firstReprobe = time.Second
	// jitter spreads the heartbeats of a fleet: each period is up to this part shorter or longer.
	jitter = 0.05
)

// Properties of a member, by upstream's names.
const (
	nodeCountProperty         v1beta1.PropertyName = "kubernetes-fleet.io/node-count"
	kubernetesVersionProperty v1beta1.PropertyName = "k8s.io/k8s-version"
)

// observation is what was last seen of a member.
type observation struct {
	at time.Time
	// failure is why the member could not be used, nil if it could.
	failure *failure
	// proxy is the URL of the proxy through which the member was asked, empty for none.
	proxy      string
	properties map[v1beta1.PropertyName]string
}

// probe is the last observation of a member and what it takes to make the next.
type probe struct {
	// leaving says that the member was not looked at but withdrawn from.
	leaving  bool
	clients  *clients
	seen     observation
	failures int
	stretch  float64
}

// due says when the member is to be looked at again.
func (p *probe) due(period time.Duration) time.Time {
	pause := period
	if p.failures > 0 {
		// 2^10 s is beyond the longest period.
		pause = min(firstReprobe<<min(p.failures-1, 10), period)
	}
	return p.seen.at.Add(time.Duration(float64(pause) * p.stretch))
}

// observe looks at a member where that is due: at each heartbeat, sooner after a failure, and at once with new credentials or where
// somebody has had no answer from it. From a
// member that leaves it withdraws instead. It returns what was last seen and when to look again, 0 if only new credentials can help.
func (c *Controller) observe(ctx context.Context, cluster *v1beta1.MemberCluster) (observation, time.Duration) {
	member, err := c.directory.Get(cluster.Name)
	if err != nil {
		c.forget(cluster.Name)
		return observation{at: c.clock.Now(), failure: classify(err)}, 0
	}
	leaving := !cluster.DeletionTimestamp.IsZero()
	last := c.lastProbe(cluster.Name)
	if c.directory.Doubted(cluster.Name) || last == nil || last.leaving != leaving || last.clients.generation != member.Generation ||
		!c.clock.Now().Before(last.due(period(cluster))) {
		last = c.probe(ctx, cluster, member, last, leaving)
		c.keep(cluster.Name, last)
	}
	exists := func(member string) bool {
		_, err := c.fleet.MemberClusters.Lister().Get(member)
		return err == nil
	}
	return last.seen.naming(c.directory.Secret(cluster.Name), exists), max(last.due(period(cluster)).Sub(c.clock.Now()), time.Millisecond)
}

func (c *Controller) probe(ctx context.Context, cluster *v1beta1.MemberCluster, member *members.Member, last *probe, leaving bool) *probe {
	next := &probe{leaving: leaving, stretch: 1 + jitter*(2*rand.Float64()-1)}
	if last != nil && last.clients.generation == member.Generation {
		next.clients, next.failures = last.clients, last.failures
	} else {
		next.clients = connect(member)
	}
	err := next.clients.err
	switch {
	case err != nil:
	case leaving:
		ctx, cancel := context.WithTimeout(ctx, withdrawTimeout)
		defer cancel()
		err = c.withdraw(ctx, cluster, next.clients)
	default:
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		next.seen.properties, err = c.look(ctx, cluster, next.clients)
	}
	next.seen.at, next.seen.proxy = c.clock.Now(), member.Proxy
	if err != nil {
		next.failures++
		next.seen.failure = classify(err)
		next.seen.failure.message += through(member.Proxy)
	} else {
		next.failures = 0
	}
	return next
}

// look asks a member whether it is ready, makes sure that it is this store's, and reads what is cheap to know of it.
func (c *Controller) look(ctx context.Context, cluster *v1beta1.MemberCluster, member *clients) (map[v1beta1.PropertyName]string, error) {
	if err := member.discovery.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return nil, err
	}
	version, err := member.discovery.ServerVersionWithContext(ctx)
	if err != nil {
		return nil, err
	}
	clusterUID, err := storeid.ClusterUID(ctx, member.kube)
	if err != nil {
		return nil, err
	}
	if err := c.own(ctx, member, c.membership(cluster, clusterUID), clusterUID); err != nil {
		return nil, err
	}
	properties := map[v1beta1.PropertyName]string{
		kubernetesVersionProperty: wording.Shorten(version.GitVersion, maxProperty), storeid.ClusterUIDProperty: clusterUID,
	}
	if count, ok := countNodes(ctx, member); ok {
		properties[nodeCountProperty] = strconv.FormatInt(count, 10)
	}
	return properties, nil
}

// countNodes has the member count its nodes: one object is sent, whatever their number. A member whose credentials do not allow
// that has no count.
func countNodes(ctx context.Context, member *clients) (int64, bool) {
	nodes, err := member.metadata.Resource(corev1.SchemeGroupVersion.WithResource("nodes")).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, false
	}
	count := int64(len(nodes.Items))
	if rest := nodes.RemainingItemCount; rest != nil {
		count += *rest
	}
	return count, count >= 0
}

// through notes that a member is reached through a proxy: its operator sees when the fleet does what.
func through(proxy string) string {
	if proxy == "" {
		return ""
	}
	return " (through the proxy " + wording.Shorten(proxy, maxProperty) + ")"
}

func (c *Controller) lastProbe(cluster string) *probe {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.probes[cluster]
}

func (c *Controller) keep(cluster string, p *probe) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probes[cluster] = p
}

func (c *Controller) forget(cluster string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.probes, cluster)
	delete(c.reports, cluster)
}
