// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-base/metrics"

	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
)

// Results of notifications.
const (
	// NotificationsDelivered are those that an endpoint has accepted.
	NotificationsDelivered = "Delivered"
	// NotificationsFailed are those that no attempt delivered in time.
	NotificationsFailed = "Failed"
	// NotificationsDropped are those that were gone before they were sent: with their run, or from its history.
	NotificationsDropped = "Dropped"
)

var notificationResults = []string{NotificationsDelivered, NotificationsFailed, NotificationsDropped}

var notificationsTotal = metrics.NewCounterVec(&metrics.CounterOpts{
	Namespace: "stagegate", Name: "notifications_total", StabilityLevel: metrics.ALPHA,
	Help: "Notifications of each NotificationSink that are delivered, given up, or gone before they were sent.",
}, []string{"sink", "result"})

var notificationsPendingDesc = describe("notifications_pending", "Notifications that wait to be sent, of each NotificationSink that is not suspended.", "sink")

// NotifiesSink has the results of a sink there before there is something to count.
func NotifiesSink(sink string) {
	for _, result := range notificationResults {
		notificationsTotal.WithLabelValues(sink, result)
	}
}

// Notified counts notifications of a sink by what became of them.
func Notified(sink, result string, count int) {
	notificationsTotal.WithLabelValues(sink, result).Add(float64(count))
}

// ForgetSink ends the series of a sink that is gone.
func ForgetSink(sink string) {
	// Nothing is there before it is registered.
	if !notificationsTotal.IsCreated() {
		return
	}
	for _, result := range notificationResults {
		notificationsTotal.DeleteLabelValues(sink, result)
	}
}

// forgetSinks ends the series of all sinks.
func forgetSinks() {
	if notificationsTotal.IsCreated() {
		notificationsTotal.Reset()
	}
}

func collectNotifications(f *fleet.Fleet, gauge gaugeFunc) {
	// Only a selector that cannot be parsed is an error.
	sinks, _ := f.Sinks.Lister().List(labels.Everything())
	for _, sink := range sinks {
		// What is held back on purpose alarms nobody.
		if sink.Spec.Suspend {
			continue
		}
		gauge(notificationsPendingDesc, float64(sink.Status.Pending), sink.Name)
	}
}
