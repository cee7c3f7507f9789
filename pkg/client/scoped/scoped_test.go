// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scoped

import (
	"reflect"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/scheme"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
)

// bothScopes holds that either scope of a kind is created, read from the API and from the cache, and listed by its own client.
func bothScopes[O Object](t *testing.T, name string, kind func(*fake.Clientset, externalversions.SharedInformerFactory) Kind[O], clusterResource, namespacedResource string) {
	t.Run(name, func(t *testing.T) {
		clientset := fake.NewClientset()
		factory := externalversions.NewSharedInformerFactory(clientset, 0)
		k := kind(clientset, factory)
		for namespace, resource := range map[string]string{"": clusterResource, "team": namespacedResource} {
			key := types.NamespacedName{Namespace: namespace, Name: "one"}
			if _, err := k.Get(key); !apierrors.IsNotFound(err) || err.Error() != resource+`.placement.kubernetes-fleet.io "one" not found` {
				t.Errorf("a missing object: %v", err)
			}
			object := k.New(key)
			if kinds, _, err := scheme.Scheme.ObjectKinds(object); err != nil || k.GroupVersionKind(namespace) != kinds[0] {
				t.Errorf("the kind is %v, want %v %v", k.GroupVersionKind(namespace), kinds, err)
			}
			if _, err := k.Client(namespace).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			stored, err := k.Client(namespace).Get(t.Context(), "one", metav1.GetOptions{})
			if err != nil || stored.GetNamespace() != namespace || reflect.TypeOf(stored) != reflect.TypeOf(object) {
				t.Errorf("got %v %v", stored, err)
			}
			if actions := clientset.Actions(); actions[len(actions)-1].GetResource().Resource != resource {
				t.Errorf("%s is asked for", actions[len(actions)-1].GetResource().Resource)
			}
			listed, err := k.Client(namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil || len(listed) != 1 {
				t.Errorf("listed %v %v", listed, err)
			}
		}
		factory.Start(t.Context().Done())
		factory.WaitForCacheSync(t.Context().Done())
		for _, namespace := range []string{"", "team"} {
			cached, err := k.Get(types.NamespacedName{Namespace: namespace, Name: "one"})
			if err != nil || cached.GetNamespace() != namespace {
				t.Errorf("from the cache: got %v %v", cached, err)
			}
			if listed := k.List(namespace, labels.Everything()); len(listed) != 1 {
				t.Errorf("the cache lists %v", listed)
			}
		}
		if all := k.All(); len(all) != 2 {
			t.Errorf("the caches have %v", all)
		}
		for namespace, want := range map[string]int{"": 2, "team": 2, "other": 1} {
			if all, err := k.AllLive(t.Context(), namespace); err != nil || len(all) != want {
				t.Errorf("all with those of namespace %q: got %d %v, want %d", namespace, len(all), err, want)
			}
		}
	})
}

func TestEveryKindHasTwoScopes(t *testing.T) {
	bothScopes(t, "placements", func(c *fake.Clientset, f externalversions.SharedInformerFactory) Kind[v1beta1.PlacementObject] {
		return Placements(c.PlacementV1beta1(), f.Placement().V1beta1())
	}, "clusterresourceplacements", "resourceplacements")
	bothScopes(t, "runs", func(c *fake.Clientset, f externalversions.SharedInformerFactory) Kind[v1beta1.UpdateRunObject] {
		return Runs(c.PlacementV1beta1(), f.Placement().V1beta1())
	}, "clusterstagedupdateruns", "stagedupdateruns")
	bothScopes(t, "strategies", func(c *fake.Clientset, f externalversions.SharedInformerFactory) Kind[v1beta1.UpdateStrategyObject] {
		return Strategies(c.PlacementV1beta1(), f.Placement().V1beta1())
	}, "clusterstagedupdatestrategies", "stagedupdatestrategies")
	bothScopes(t, "approvals", func(c *fake.Clientset, f externalversions.SharedInformerFactory) Kind[v1beta1.ApprovalRequestObject] {
		return Approvals(c.PlacementV1beta1(), f.Placement().V1beta1())
	}, "clusterapprovalrequests", "approvalrequests")
	bothScopes(t, "snapshots", func(c *fake.Clientset, f externalversions.SharedInformerFactory) Kind[v1beta1.ResourceSnapshotObject] {
		return Snapshots(c.PlacementV1beta1(), f.Placement().V1beta1())
	}, "clusterresourcesnapshots", "resourcesnapshots")
	bothScopes(t, "policy snapshots", func(c *fake.Clientset, f externalversions.SharedInformerFactory) Kind[v1beta1.PolicySnapshotObject] {
		return PolicySnapshots(c.PlacementV1beta1(), f.Placement().V1beta1())
	}, "clusterschedulingpolicysnapshots", "schedulingpolicysnapshots")
	bothScopes(t, "bindings", func(c *fake.Clientset, f externalversions.SharedInformerFactory) Kind[v1beta1.BindingObject] {
		return Bindings(c.PlacementV1beta1(), f.Placement().V1beta1())
	}, "clusterresourcebindings", "resourcebindings")
	bothScopes(t, "overrides", func(c *fake.Clientset, f externalversions.SharedInformerFactory) Kind[v1beta1.OverrideObject] {
		return Overrides(c.PlacementV1beta1(), f.Placement().V1beta1())
	}, "clusterresourceoverrides", "resourceoverrides")
	bothScopes(t, "override snapshots", func(c *fake.Clientset, f externalversions.SharedInformerFactory) Kind[v1beta1.OverrideSnapshotObject] {
		return OverrideSnapshots(c.PlacementV1beta1(), f.Placement().V1beta1())
	}, "clusterresourceoverridesnapshots", "resourceoverridesnapshots")
}

func TestAKindWithoutRolloutsHasNone(t *testing.T) {
	clientset := fake.NewClientset()
	strategies := Strategies(clientset.PlacementV1beta1(), externalversions.NewSharedInformerFactory(clientset, 0).Placement().V1beta1())
	_, err := strategies.Client("").UpdateRollout(t.Context(), strategies.New(types.NamespacedName{Name: "s"}), metav1.UpdateOptions{})
	if want := "*v1beta1.ClusterStagedUpdateStrategy has no rollout"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
