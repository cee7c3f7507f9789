// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notificationsink

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

func TestTable(t *testing.T) {
	const headers = "NAME | FORMAT | READY | DELIVERED | FAILED | PENDING | AGE | URL | TYPES | LAST-ERROR"
	created := metav1.NewTime(time.Now().Add(-90*time.Minute - 5*time.Second))
	for name, test := range map[string]struct {
		spec   v1alpha1.NotificationSinkSpec
		status v1alpha1.NotificationSinkStatus
		row    string
	}{
		"new": {
			spec: v1alpha1.NotificationSinkSpec{URL: "https://a.example/", Format: "CloudEvents"},
			row:  "chatops | CloudEvents |  |  |  |  | 90m | https://a.example/ |  | ",
		},
		"with a URL from a Secret": {
			spec: v1alpha1.NotificationSinkSpec{URLSecret: &v1alpha1.SecretKeyReference{Name: "chatops", Key: "url"}, Format: "Slack", Types: []string{"run.*", "approval.*"}},
			status: v1alpha1.NotificationSinkStatus{
				ObservedGeneration: 1, Delivered: 12, Failed: 3, Pending: 1, LastError: "the endpoint answers 500 Internal Server Error",
				Conditions: []metav1.Condition{{Type: v1alpha1.NotificationSinkReady, Status: metav1.ConditionFalse}},
			},
			row: "chatops | Slack | False | 12 | 3 | 1 | 90m | Secret chatops | run.*,approval.* | the endpoint answers 500 Internal Server Error",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &v1alpha1.NotificationSink{ObjectMeta: metav1.ObjectMeta{Name: "chatops", CreationTimestamp: created}, Spec: test.spec, Status: test.status}
			if h, row := storetest.Print(t, Resources()[0], o, true); h != headers || row != test.row {
				t.Errorf("prints\n%s\n%s\nwant\n%s\n%s", h, row, headers, test.row)
			}
		})
	}
}

func TestSinkThatAnOlderRuleLetInMayStay(t *testing.T) {
	old := &v1alpha1.NotificationSink{Spec: v1alpha1.NotificationSinkSpec{URL: "http://hooks.example.com/", Format: v1alpha1.NotificationFormatCloudEvents, Suspend: true}}
	changed := old.DeepCopy()
	changed.Labels = map[string]string{"team": "a"}
	if errs := validateUpdate(changed, old); len(errs) > 0 {
		t.Errorf("a label is refused: %v", errs)
	}
	changed.Spec.Suspend = false
	const want = `spec.url: Invalid value: "": the URL must begin with https://: whoever is on the way would read and change notifications`
	if errs := validateUpdate(changed, old); len(errs) != 1 || errs[0].Error() != want {
		t.Errorf("got %v, want %s", errs, want)
	}
}
