// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/metrics"
	"github.com/stagegate/stagegate/pkg/rules/notification"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

const (
	// senderName is the name of the queues of all senders, in logs and metrics.
	senderName = Name + "-sender"
	// atOnce is how many requests a sink gets at once, each about another run.
	atOnce = 4
	// between is the time from one request to the next: ten a second.
	between = 100 * time.Millisecond
	// unknownNamespace is when to look again for a Namespace that the cache does not have yet. Of an older run it is probably gone: it is looked for
	// less often, down to every lastRetry.
	unknownNamespace = time.Second
	// requestTakes is how long after a run has said that it waits for an approval its request is waited for.
	requestTakes = 30 * time.Second
)

// sender sends what one generation of a sink is to be told. Its keys are runs.
type sender struct {
	sink    *v1alpha1.NotificationSink
	match   policy.Match
	ledger  *ledger
	client  *http.Client
	fleet   *fleet.Fleet
	secrets cache.SharedIndexInformer
	hub     string
	clock   clock.WithTicker
	// changed is called when the ledger has changed.
	changed func()

	pace sync.Mutex
	// next is when the next request may be made.
	next time.Time
}

// run sends until the context ends.
func (s *sender) run(ctx context.Context) error {
	// The keys are those of the runs of both scopes, which do not collide: one scope has no namespace.
	queue := reconcile.NewWithClock(senderName, atOnce, s.handle, s.clock)
	s.fleet.Runs.Watch(queue, reconcile.Self)
	s.fleet.Approvals.Watch(queue, reconcile.ByObject(func(request metav1.Object) []reconcile.Key {
		return []reconcile.Key{{Namespace: request.GetNamespace(), Name: request.(v1beta1.ApprovalRequestObject).RequestSpec().TargetUpdateRun}}
	}))
	queue.Watch(s.secrets, reconcile.ByObject(s.ofSecret))
	return queue.Run(ctx)
}

// ofSecret has what failed tried again once a Secret of the sink has changed.
func (s *sender) ofSecret(secret metav1.Object) []reconcile.Key {
	if secret.GetLabels()[wellknown.NotificationSinkLabel] != s.sink.Name {
		return nil
	}
	return s.ledger.retry()
}

// handle sends the next entry of a run, if it is time to.
func (s *sender) handle(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	run, err := s.fleet.Runs.Get(key)
	if err != nil {
		s.gone(ctx, key, nil)
		return 0, reconcile.IgnoreNotFound(err)
	}
	s.gone(ctx, key, run)
	matches, known := s.isAbout(run)
	if !known {
		return min(max(unknownNamespace, s.clock.Since(run.GetCreationTimestamp().Time)/10), lastRetry), nil
	}
	s.ledger.see(key, run, matches, s.wants)
	defer s.changed()
	for ctx.Err() == nil {
		entry, dropped := s.ledger.next(run)
		if entry == nil {
			return 0, nil
		}
		if matches && dropped > 0 {
			s.ledger.pass(run, entry.Number-1)
			s.miss(ctx, dropped, fmt.Sprintf("the history of run %s had dropped %s before their turn: up to as many notifications are not sent",
				key, wording.Count(int(dropped), "entry")))
		}
		if !matches || !s.wants(entry) {
			s.ledger.pass(run, entry.Number)
			continue
		}
		if s.sink.Spec.Suspend {
			return 0, nil
		}
		now := s.clock.Now()
		if rest := s.ledger.rest(run, now); rest > 0 {
			return rest, nil
		}
		if age := now.Sub(entry.Time.Time); age > tooOld {
			why := fmt.Sprintf("notification %d of run %s was more than a day old", entry.Number, key)
			s.giveUp(ctx, run, entry.Number, why)
			continue
		}
		event := notification.New(run, entry, s.fleet.Approvals.ByIndex(fleet.ByRun, key), s.hub, now)
		if wait := entry.Time.Add(requestTakes).Sub(now); wait > 0 && event.LacksRequest() {
			// Its creation is an event. The clock may have gone back since the entry.
			return min(wait, requestTakes), nil
		}
		if !s.turn(ctx) {
			return between, nil
		}
		if again := s.try(ctx, key, run, event); again > 0 {
			return again, nil
		}
	}
	return 0, nil
}

// try sends an entry, and returns when to try again, 0 if it is handled.
func (s *sender) try(ctx context.Context, key reconcile.Key, run v1beta1.UpdateRunObject, event notification.Event) time.Duration {
	entry := &event.Data.Entry
	logger := klog.FromContext(ctx).WithValues("number", entry.Number)
	err := s.send(ctx, event)
	if err == nil {
		s.ledger.accept(run, entry.Number)
		metrics.Notified(s.sink.Name, metrics.NotificationsDelivered, 1)
		logger.V(4).Info("Notification delivered")
		return 0
	}
	if ctx.Err() != nil {
		// Whether it arrived is not known: it is sent once more by whoever comes next.
		return between
	}
	again, over := s.ledger.fail(run, s.clock.Now(), err.Error())
	if !over {
		logger.V(2).Info("Notification not delivered, trying again", "err", err, "after", again)
		return again
	}
	why := fmt.Sprintf("notification %d of run %s was given up after %s: %v", entry.Number, key, giveUpAfter, err)
	s.giveUp(ctx, run, entry.Number, why)
	return 0
}

// giveUp passes over an entry that no attempt has delivered in time.
func (s *sender) giveUp(ctx context.Context, run v1beta1.UpdateRunObject, number int64, why string) {
	s.ledger.giveUp(run, number, why)
	metrics.Notified(s.sink.Name, metrics.NotificationsFailed, 1)
	klog.FromContext(ctx).Info("Notification given up", "reason", why)
}

// miss notes entries that the history has dropped. Whether the sink asks for them is not known any more, so that they do not count as failed.
func (s *sender) miss(ctx context.Context, count int64, why string) {
	s.ledger.note(why)
	metrics.Notified(s.sink.Name, metrics.NotificationsDropped, int(count))
	klog.FromContext(ctx).Info("Entries dropped before they were told of", "count", count, "reason", why)
}

// lose counts notifications that were gone with their runs before they could be sent.
func lose(ctx context.Context, sink string, l *ledger, count int64, why string) {
	l.lose(count, why)
	metrics.Notified(sink, metrics.NotificationsDropped, int(count))
	klog.FromContext(ctx).Info("Notifications dropped", "count", count, "reason", why)
}

func (s *sender) send(ctx context.Context, event notification.Event) error {
	to, err := resolve(s.sink, s.secrets.GetStore())
	if err != nil {
		return err
	}
	content, contentType, err := body(s.sink.Spec.Format, event)
	if err != nil {
		return err
	}
	return post(ctx, s.client, to, content, contentType)
}

// wants reports whether the sink asks for an entry.
func (s *sender) wants(entry *v1beta1.UpdateRunHistoryEntry) bool {
	return notification.IsWanted(s.sink.Spec.Types, notification.Type(entry))
}

// isAbout reports whether the sink is about a run, and whether that is known. A placement that is gone is judged as it was last seen.
func (s *sender) isAbout(run v1beta1.UpdateRunObject) (matches, known bool) {
	subject := policy.Subject{Namespace: run.GetNamespace()}
	if subject.Namespace != "" {
		subject.NamespaceLabels = s.fleet.NamespaceLabels(subject.Namespace)
		selects := s.sink.Spec.Match != nil && s.sink.Spec.Match.NamespaceSelector != nil
		if selects && subject.NamespaceLabels == nil && s.fleet.Namespaces != nil {
			return false, false
		}
		return s.match.Matches(subject), true
	}
	placement, err := s.fleet.Placements.Get(reconcile.Key{Name: run.RunSpec().PlacementName})
	if err != nil && s.ledger.matched(run) {
		return true, true
	}
	if err == nil {
		subject.PlacementLabels = placement.GetLabels()
	}
	return s.match.Matches(subject), true
}

// gone forgets a run that was deleted, or whose name another one has by now. run is the one that has the name, nil for none.
func (s *sender) gone(ctx context.Context, key reconcile.Key, run v1beta1.UpdateRunObject) {
	var lost int64
	if run == nil {
		lost = s.ledger.replaced(key, "")
	} else {
		lost = s.ledger.replaced(key, run.GetUID())
	}
	if lost == 0 {
		return
	}
	why := fmt.Sprintf("run %s was deleted before %s about it were sent", key, wording.Count(int(lost), "notification"))
	lose(ctx, s.sink.Name, s.ledger, lost, why)
	s.changed()
}

// turn waits for the next turn for a request, and reports whether it has come before the context has ended. With a worker for each request at once,
// nothing else could be sent meanwhile.
func (s *sender) turn(ctx context.Context) bool {
	s.pace.Lock()
	now := s.clock.Now()
	at := s.next
	if at.Before(now) {
		at = now
	}
	s.next = at.Add(between)
	s.pace.Unlock()
	if !at.After(now) {
		return ctx.Err() == nil
	}
	timer := s.clock.NewTimer(at.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}
