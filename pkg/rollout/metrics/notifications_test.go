// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/testutil"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

func TestNotificationsThatWaitAreThoseOfSinksThatAreNotSuspended(t *testing.T) {
	w := newWorld(t)
	for name, sink := range map[string]v1alpha1.NotificationSink{
		"chatops": {Status: v1alpha1.NotificationSinkStatus{Pending: 3}},
		"idle":    {},
		"held":    {Spec: v1alpha1.NotificationSinkSpec{Suspend: true}, Status: v1alpha1.NotificationSinkStatus{Pending: 7}},
	} {
		sink.ObjectMeta = metav1.ObjectMeta{Name: name}
		w.must(w.fleet.Sinks.Informer().GetStore().Add(&sink))
	}
	want := `
# HELP stagegate_notifications_pending [ALPHA] Notifications that wait to be sent, of each NotificationSink that is not suspended.
# TYPE stagegate_notifications_pending gauge
stagegate_notifications_pending{sink="chatops"} 3
stagegate_notifications_pending{sink="idle"} 0
`
	w.must(testutil.GatherAndCompare(w.registry, strings.NewReader(want), "stagegate_notifications_pending"))
}

func TestTheSeriesOfASinkGoWithIt(t *testing.T) {
	w := newWorld(t)
	NotifiesSink("chatops")
	Notified("chatops", NotificationsDelivered, 2)
	want := `
# HELP stagegate_notifications_total [ALPHA] Notifications of each NotificationSink that are delivered, given up, or gone before they were sent.
# TYPE stagegate_notifications_total counter
stagegate_notifications_total{result="Delivered",sink="chatops"} 2
stagegate_notifications_total{result="Dropped",sink="chatops"} 0
stagegate_notifications_total{result="Failed",sink="chatops"} 0
`
	w.must(testutil.GatherAndCompare(legacyregistry.DefaultGatherer, strings.NewReader(want), "stagegate_notifications_total"))
	ForgetSink("chatops")
	w.must(testutil.GatherAndCompare(legacyregistry.DefaultGatherer, strings.NewReader(""), "stagegate_notifications_total"))
}

// TestTheSeriesOfSinksGoWithTheLeadership since a sink may be deleted while another replica leads.
func TestTheSeriesOfSinksGoWithTheLeadership(t *testing.T) {
	w := newWorld(t)
	end := Lead(w.fleet)
	NotifiesSink("chatops")
	end()
	w.must(testutil.GatherAndCompare(legacyregistry.DefaultGatherer, strings.NewReader(""), "stagegate_notifications_total"))
}
