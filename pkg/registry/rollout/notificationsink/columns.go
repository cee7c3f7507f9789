// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notificationsink

import (
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

type column = store.Column[*v1alpha1.NotificationSink]

func columns() []column {
	return []column{
		{Name: "Format", Description: "What the body of a notification is.", Text: func(o *v1alpha1.NotificationSink) string { return string(o.Spec.Format) }},
		store.Condition("Ready", v1alpha1.NotificationSinkReady, conditions),
		count("Delivered", "Number of notifications that the endpoint has accepted.", func(s *v1alpha1.NotificationSinkStatus) int64 { return s.Delivered }),
		count("Failed", "Number of notifications that were given up.", func(s *v1alpha1.NotificationSinkStatus) int64 { return s.Failed }),
		count("Pending", "Number of notifications that wait to be sent.", func(s *v1alpha1.NotificationSinkStatus) int64 { return int64(s.Pending) }),
		store.Age[*v1alpha1.NotificationSink](),
		{Name: "URL", Wide: true, Description: "Where notifications go, or the Secret that has it.", Text: address},
		{Name: "Types", Wide: true, Description: "Which notifications are sent.", Text: func(o *v1alpha1.NotificationSink) string { return strings.Join(o.Spec.Types, ",") }},
		{Name: "Last-Error", Wide: true, Description: "Why the last attempt that failed did.", Text: func(o *v1alpha1.NotificationSink) string { return o.Status.LastError }},
	}
}

func conditions(o *v1alpha1.NotificationSink) []metav1.Condition { return o.Status.Conditions }

// count is blank until the controller has looked at the sink.
func count(name, description string, of func(*v1alpha1.NotificationSinkStatus) int64) column {
	return column{Name: name, Description: description, Text: func(o *v1alpha1.NotificationSink) string {
		if o.Status.ObservedGeneration == 0 {
			return ""
		}
		return strconv.FormatInt(of(&o.Status), 10)
	}}
}

func address(o *v1alpha1.NotificationSink) string {
	if o.Spec.URLSecret != nil {
		return "Secret " + o.Spec.URLSecret.Name
	}
	return o.Spec.URL
}
