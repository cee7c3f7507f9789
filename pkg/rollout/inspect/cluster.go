// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
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
	KubernetesVersionProperty v1beta1.PropertyName = "k8s.io/k8s-version"
)

// Identity returns as what a cluster is to have joined, given the uid that it says it has.
type Identity func(clusterUID string) storeid.Membership

// As is the identity of a member whose cluster has a recorded uid, empty where none is known, or the one that a person lets it adopt.
func As(ruler storeid.Ruler, member, recorded, adopted string) Identity {
	return func(clusterUID string) storeid.Membership {
		m := storeid.Membership{Ruler: ruler, Member: member, ClusterUID: recorded}
		if adopted == clusterUID {
			m.ClusterUID = clusterUID
		}
		return m
	}
}

// Observation is what was last seen of a member.
type Observation struct {
	At time.Time
	// Failure is why the member could not be used, nil if it could.
	Failure *Failure
	// Proxy is the URL of the proxy through which the member was asked, empty for none.
	Proxy string
	// Properties are what is cheap to know of the member, nil after a failure.
	Properties map[v1beta1.PropertyName]string
}

// Cluster looks at one member with one set of credentials, and remembers what it saw. Its methods may be called at the same time.
type Cluster struct {
	clients *clients
	proxy   string
	clock   clock.PassiveClock

	mu     sync.Mutex
	probe  *probe
	report *Report
}

// New returns a Cluster that was not looked at yet. Proxy is the URL of the proxy through which the config reaches the member, without a
// password, and empty for none; it goes into messages. A config of which no clients can be made is a failure of each observation.
func New(config *rest.Config, proxy string, clock clock.PassiveClock) *Cluster {
	return &Cluster{clients: connect(config), proxy: proxy, clock: clock}
}

// probe is the last observation of a member and what it takes to make the next.
type probe struct {
	// leaving says that the member was not looked at but withdrawn from.
	leaving  bool
	seen     Observation
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
	return p.seen.At.Add(time.Duration(float64(pause) * p.stretch))
}

// Look says how to look at a member.
type Look struct {
	// Period is the time between two heartbeats.
	Period time.Duration
	// As is what the cluster is to have joined as. It is required.
	As Identity
	// Leaving withdraws from the member in place of looking at it.
	Leaving bool
	// Doubted looks at the member whether that is due or not.
	Doubted bool
}

// Observe looks at a member where that is due: at each heartbeat, sooner after a failure, and where somebody has had no answer from it.
// From a member that leaves it withdraws instead. It returns what was last seen and when to look again. Where the context ends during a look
// the member was not given the time to answer, and what is returned is worth nothing.
func (c *Cluster) Observe(ctx context.Context, look Look) (Observation, time.Duration) {
	last := c.lastProbe()
	if look.Doubted || last == nil || last.leaving != look.Leaving || !c.clock.Now().Before(last.due(look.Period)) {
		last = c.look(ctx, look, last)
		c.mu.Lock()
		c.probe = last
		c.mu.Unlock()
	}
	return last.seen, max(last.due(look.Period).Sub(c.clock.Now()), time.Millisecond)
}

func (c *Cluster) lastProbe() *probe {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.probe
}

func (c *Cluster) look(ctx context.Context, look Look, last *probe) *probe {
	next := &probe{leaving: look.Leaving, stretch: 1 + jitter*(2*rand.Float64()-1)}
	if last != nil {
		next.failures = last.failures
	}
	err := c.clients.err
	switch {
	case err != nil:
	case look.Leaving:
		ctx, cancel := context.WithTimeout(ctx, withdrawTimeout)
		defer cancel()
		err = withdraw(ctx, c.clients, look.As)
	default:
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		next.seen.Properties, err = see(ctx, c.clients, look.As)
	}
	next.seen.At, next.seen.Proxy = c.clock.Now(), c.proxy
	if err != nil {
		next.failures++
		next.seen.Failure = Classify(err)
		next.seen.Failure.Message += through(c.proxy)
	} else {
		next.failures = 0
	}
	return next
}

// see asks a member whether it is ready, makes sure that it is this store's, and reads what is cheap to know of it.
func see(ctx context.Context, member *clients, as Identity) (map[v1beta1.PropertyName]string, error) {
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
	if err := own(ctx, member, as(clusterUID), clusterUID); err != nil {
		return nil, err
	}
	properties := map[v1beta1.PropertyName]string{
		KubernetesVersionProperty: wording.Shorten(version.GitVersion, MaxProperty), storeid.ClusterUIDProperty: clusterUID,
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
	return " (through the proxy " + wording.Shorten(proxy, MaxProperty) + ")"
}
