// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/members"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// view is how the controller looks at a member that it reaches.
type view struct {
	*inspect.Cluster
	// generation of the credentials that it looks with. With others it may be another cluster.
	generation string
}

// observe looks at a member where that is due: at each heartbeat, sooner after a failure, and at once with new credentials or where
// somebody has had no answer from it. From a member that leaves it withdraws instead. It returns what was last seen and when to look again,
// 0 if only new credentials can help.
func (c *Controller) observe(ctx context.Context, cluster *v1beta1.MemberCluster) (inspect.Observation, time.Duration) {
	member, err := c.directory.Get(cluster.Name)
	if err != nil {
		c.forget(cluster.Name)
		return inspect.Observation{At: c.clock.Now(), Failure: classify(err)}, 0
	}
	seen, again := c.viewOf(cluster.Name, member).Observe(ctx, inspect.Look{
		Period:  period(cluster),
		As:      c.identity(cluster),
		Leaving: !cluster.DeletionTimestamp.IsZero(),
		Doubted: c.directory.Doubted(cluster.Name),
	})
	seen.Failure = naming(seen.Failure, c.directory.Secret(cluster.Name), func(member string) bool {
		_, err := c.fleet.MemberClusters.Lister().Get(member)
		return err == nil
	})
	return seen, again
}

// naming has a failure that the kubeconfig of a member can be the cause of name the member's Secret, and what to do with it. It leaves out how
// to take a cluster from another member that exists.
func naming(failure *inspect.Failure, secret string, exists func(member string) bool) *inspect.Failure {
	if failure == nil {
		return nil
	}
	named := *failure
	if named.Holder != "" && exists(named.Holder) {
		named.Message = named.HeldMessage
		return &named
	}
	mend := map[string]string{
		inspect.ReasonUnreachable:  "; if that is not its address, put its kubeconfig into Secret " + secret,
		inspect.ReasonUnauthorized: "; put a kubeconfig that it accepts into Secret " + secret,
		inspect.ReasonForbidden:    "; grant that on the member to the user of the kubeconfig in Secret " + secret,
	}[named.Reason]
	if mend != "" {
		named.Message = wording.Shorten(named.Message, inspect.MaxMessage-len(mend)) + mend
	}
	return &named
}

// classify returns why a member cannot be used, in words that are bounded.
func classify(err error) *inspect.Failure {
	var credentials *members.CredentialsError
	if errors.As(err, &credentials) {
		return &inspect.Failure{Reason: string(credentials.Reason), Message: wording.Shorten(err.Error(), inspect.MaxMessage)}
	}
	return inspect.Classify(err)
}

// identity is as what a MemberCluster is to have joined.
func (c *Controller) identity(cluster *v1beta1.MemberCluster) inspect.Identity {
	return inspect.As(c.options.Ruler, cluster.Name, cluster.Status.Properties[storeid.ClusterUIDProperty].Value,
		cluster.Annotations[wellknown.AdoptClusterUIDAnnotation])
}

// collect reads what a member that belongs to the fleet and answers has, where that is due, and has it reported. It has a queue of its
// own, so that a large or a slow member delays no heartbeat.
func (c *Controller) collect(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	cluster, err := c.fleet.MemberClusters.Lister().Get(key.Name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	known := c.lastView(key.Name)
	if known == nil || !cluster.DeletionTimestamp.IsZero() {
		// The next look at the member that succeeds is a change of its MemberCluster.
		return 0, nil
	}
	again, news := known.Collect(ctx, period(cluster), func(last *inspect.Report) bool { return c.isAwaited(key.Name, last) })
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if news {
		c.queue.Enqueue(key)
	}
	return again, nil
}

func (c *Controller) viewOf(cluster string, member *members.Member) *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.views[cluster]
	if known == nil || known.generation != member.Generation {
		known = &view{inspect.New(member.Config, member.Proxy, c.clock), member.Generation}
		c.views[cluster] = known
	}
	return known
}

// lastView is how a member was last looked at, nil where it was not.
func (c *Controller) lastView(cluster string) *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.views[cluster]
}

// reportOf returns what was last collected from a member with the credentials that it has now, nil if nothing was.
func (c *Controller) reportOf(cluster string) *inspect.Report {
	if known := c.lastView(cluster); known != nil {
		return known.Report()
	}
	return nil
}

func (c *Controller) forget(cluster string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.views, cluster)
	delete(c.pulls, cluster)
}
