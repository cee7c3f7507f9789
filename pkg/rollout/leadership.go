// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	componentbaseconfig "k8s.io/component-base/config"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/election"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// Pauses between attempts to lead that fail for the same reason. They stay short, since an outage of the hub is one.
const (
	firstAttemptPause = time.Second
	lastAttemptPause  = 10 * time.Second
)

// leadership decides when a replica leads: after its store and its hub are known to belong together, while it holds the lease, and
// until the hub names another ruler. Whoever may not rule the hub does not campaign, so that it keeps nobody else from leading.
type leadership struct {
	hub kubernetes.Interface
	// store is the id of the store.
	store string
	// record is where the store keeps which hub it rules.
	record storeid.HubRecord
	// election has the lease and its times. Without LeaderElect there is none.
	election componentbaseconfig.LeaderElectionConfiguration
	// identity of this replica in the election.
	identity string
	// mayLead returns why this replica must not lead now; nil never keeps it from that.
	mayLead func(context.Context) error
	// lead does what a leader does until the context ends.
	lead func(context.Context, storeid.Ruler)
	// told is called with what keeps this replica from leading, nil where that is at most another leader.
	told func(error)
}

// run leads in one term after the other until the context ends. A new reason not to lead is logged, and soon tried again; one that
// stays is tried again less and less often, and not logged any more.
func (l *leadership) run(ctx context.Context) {
	logger := klog.FromContext(ctx)
	said := ""
	var backoff wait.Backoff
	for ctx.Err() == nil {
		err := l.term(ctx)
		l.told(err)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			said = ""
			continue
		}
		if err.Error() != said {
			said = err.Error()
			backoff = wait.Backoff{Duration: firstAttemptPause, Factor: 2, Jitter: 0.1, Steps: 20, Cap: lastAttemptPause}
			logger.Error(err, "This server leads nothing: the API is served, and nothing is rolled out")
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff.Step()):
		}
	}
}

// term claims the hub, campaigns, and leads once. It returns nil if another replica took the lease.
func (l *leadership) term(ctx context.Context) error {
	if !l.election.LeaderElect {
		return l.rule(ctx)
	}
	if _, err := l.claim(ctx); err != nil {
		return err
	}
	l.told(nil)
	return election.Campaign(ctx, l.hub, l.election, l.identity, l.rule)
}

// rule leads until the context ends or the hub names another ruler, which is the error then. The campaign may have been long, so the
// hub is claimed again first.
func (l *leadership) rule(ctx context.Context) error {
	ruler, err := l.claim(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil && l.mayLead != nil {
		err = l.mayLead(ctx)
	}
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	var other error
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := storeid.AwaitOther(ctx, l.hub, wellknown.SystemNamespace, ruler); ctx.Err() == nil {
			other = err
			end()
		}
	})
	logger := klog.FromContext(ctx).WithValues("identity", l.identity)
	l.told(nil)
	logger.Info("Leading", "store", ruler.Store, "hub", ruler.Hub)
	l.lead(ctx, ruler)
	end()
	watching.Wait()
	logger.Info("Not leading")
	return other
}

func (l *leadership) claim(ctx context.Context) (storeid.Ruler, error) {
	return storeid.Claim(ctx, l.hub, wellknown.SystemNamespace, l.store, l.record)
}
