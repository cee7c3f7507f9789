// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package objectlimit

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

type controllerKey struct{}

// newPlugin is a plugin of a server that has so many objects of the resource in the namespace, and none elsewhere.
func newPlugin(t *testing.T, limit int, namespace, resource string, existing int64) (*Plugin, *metadatafake.FakeMetadataClient) {
	t.Helper()
	client := metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme())
	client.PrependReactor("list", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		list := &metav1.List{}
		if action.GetNamespace() == namespace && action.GetResource().Resource == resource && existing > 0 {
			list.Items = []runtime.RawExtension{{Object: &metav1.PartialObjectMetadata{}}}
			if existing > 1 {
				list.RemainingItemCount = ptr.To(existing - 1)
			}
		}
		return true, list, nil
	})
	plugin := New()
	NewInitializer(client, limit, func(ctx context.Context) bool { return ctx.Value(controllerKey{}) != nil }).Initialize(plugin)
	if err := plugin.ValidateInitialization(); err != nil {
		t.Fatal(err)
	}
	return plugin, client
}

func TestNamespacesHaveSoManyObjectsOfAKind(t *testing.T) {
	for name, test := range map[string]struct {
		limit                                         int
		existing                                      int64
		group, namespace, resource, kind, subresource string
		controller                                    bool
		want                                          string
	}{
		"the first":                {limit: 2, existing: 0, namespace: "team", resource: "resourceenvelopes"},
		"the last":                 {limit: 2, existing: 1, namespace: "team", resource: "resourceenvelopes"},
		"one more":                 {limit: 2, existing: 2, namespace: "team", resource: "resourceenvelopes", kind: "ResourceEnvelope", want: `resourceenvelopes.placement.kubernetes-fleet.io "o" is forbidden: namespace team has 2 objects of kind ResourceEnvelope, and no more than 2 can be created: delete those that are no longer needed, or have the administrator raise --max-objects-per-namespace`},
		"one more outside of any":  {limit: 500, existing: 501, resource: "clusterresourceplacements", kind: "ClusterResourcePlacement", want: `clusterresourceplacements.placement.kubernetes-fleet.io "o" is forbidden: there are 501 objects of kind ClusterResourcePlacement, and no more than 500 can be created: delete those that are no longer needed, or have the administrator raise --max-objects-per-namespace`},
		"one more policy":          {limit: 2, existing: 2, group: rolloutv1alpha1.GroupName, namespace: "team", resource: "rolloutpolicies", kind: "RolloutPolicy", want: `rolloutpolicies.rollout.stagegate.dev "o" is forbidden: namespace team has 2 objects of kind RolloutPolicy, and no more than 2 can be created: delete those that are no longer needed, or have the administrator raise --max-objects-per-namespace`},
		"one more sink":            {limit: 500, existing: 50, group: rolloutv1alpha1.GroupName, resource: "notificationsinks", kind: "NotificationSink", want: `notificationsinks.rollout.stagegate.dev "o" is forbidden: there are 50 objects of kind NotificationSink, and no more than 50 can be created: the server sends to each of them: delete one, or have one endpoint pass notifications on`},
		"one more sink, no limit":  {limit: 0, existing: 50, group: rolloutv1alpha1.GroupName, resource: "notificationsinks", kind: "NotificationSink", want: `notificationsinks.rollout.stagegate.dev "o" is forbidden: there are 50 objects of kind NotificationSink, and no more than 50 can be created: the server sends to each of them: delete one, or have one endpoint pass notifications on`},
		"one more of a controller": {limit: 2, existing: 2, namespace: "team", resource: "resourceenvelopes", controller: true},
		"without a limit":          {limit: 0, existing: 5000, namespace: "team", resource: "resourceenvelopes"},
		"a subresource":            {limit: 2, existing: 2, namespace: "team", resource: "resourceenvelopes", subresource: "approve"},
		"a member":                 {limit: 2, existing: 2, group: clusterv1beta1.GroupName, resource: "memberclusters"},
	} {
		t.Run(name, func(t *testing.T) {
			plugin, client := newPlugin(t, test.limit, test.namespace, test.resource, test.existing)
			ctx := t.Context()
			if test.controller {
				ctx = context.WithValue(ctx, controllerKey{}, true)
			}
			group := v1beta1.GroupName
			if test.group != "" {
				group = test.group
			}
			err := plugin.Validate(ctx, admission.NewAttributesRecord(&metav1.PartialObjectMetadata{}, nil, schema.GroupVersionKind{Group: group, Version: "v1", Kind: test.kind},
				test.namespace, "o", schema.GroupVersionResource{Group: group, Version: "v1", Resource: test.resource}, test.subresource, admission.Create, nil, false, nil), nil)
			if got := message(err); got != test.want {
				t.Errorf("got:  %s\nwant: %s", got, test.want)
			}
			if test.want != "" && !apierrors.IsForbidden(err) {
				t.Errorf("%v is no 403", err)
			}
			if asked := len(client.Actions()); test.controller && asked > 0 {
				t.Errorf("%d requests are made to count for a controller", asked)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestUpdatesAreNotCounted(t *testing.T) {
	if New().Handles(admission.Update) {
		t.Error("updates are handled")
	}
}
