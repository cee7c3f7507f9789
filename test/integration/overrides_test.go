// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/pkg/rollout"
	"github.com/stagegate/stagegate/pkg/rollout/override"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// startWithLoops runs a server with some of the real controllers, and a hub that is made up.
func startWithLoops(t *testing.T, queues ...string) *testserver.Server {
	t.Helper()
	return testserver.Start(t, testserver.WithConfig(func(c *apiserver.Config) {
		c.Generic.ClientConfig = testserver.StartHub(t)
		c.Extra.NewManager = func(api, hub *rest.Config, options rollout.Options) (apiserver.Manager, error) {
			return rollout.New(api, hub, rollout.Options{
				Controllers: queues,
				StoreID:     testserver.HubStoreID,
				HubRecord:   options.HubRecord,
			})
		}
	}))
}

// overridden are overrides of a scope and their versions.
type overridden struct {
	*testing.T
	overrides, versions dynamic.ResourceInterface
}

// until waits for the versions there are.
func (o overridden) until(want string) {
	o.Helper()
	var got string
	err := wait.PollUntilContextTimeout(o.Context(), 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		list, err := o.versions.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		var shown []string
		for _, v := range list.Items {
			shown = append(shown, v.GetName()+" "+v.GetLabels()[wellknown.LatestSnapshotLabel])
		}
		slices.Sort(shown)
		got = strings.Join(shown, ", ")
		return got == want, nil
	})
	if err != nil {
		o.Fatalf("versions are %q, want %q: %v", got, want, err)
	}
}

func (o overridden) patch(patch string) {
	o.Helper()
	if _, err := o.overrides.Patch(o.Context(), "o", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		o.Fatal(err)
	}
}

func TestVersionsFollowOverrides(t *testing.T) {
	s := startWithLoops(t, override.Name)
	resources := map[string]served{}
	for _, r := range discover(t, s.As(testserver.Bob)) {
		resources[r.String()] = r
	}
	for _, scope := range []string{"cluster", ""} {
		for _, version := range []string{"v1", "v1beta1"} {
			r := resources[version+"/"+scope+"resourceoverrides"]
			t.Run(r.String(), func(t *testing.T) {
				o := overridden{t, r.client(t, s.As(testserver.Bob)), resources[version+"/"+scope+"resourceoverridesnapshots"].client(t, s.As(testserver.Nobody))}
				if _, err := o.overrides.Create(t.Context(), sample(t, r, "o"), metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				o.until("o-0 true")

				o.patch(`{"metadata":{"labels":{"a":"b"}}}`)
				// A value that JSON can say in several ways: a version that is not quite the same would be made anew for ever.
				o.patch(`{"spec":{"policy":{"overrideRules":[{"clusterSelector":{},"jsonPatchOverrides":[
					{"op":"add","path":"/metadata/annotations","value": {"b" : "<&>", "a":[1, 2.0, 3e1, null]}}]}]}}}`)
				o.until("o-0 false, o-1 true")
				o.patch(`{"spec":{"policy":{"overrideRules":[{"clusterSelector":{},"overrideType":"Delete"}]}}}`)
				o.until("o-0 false, o-1 false, o-2 true")

				if err := o.overrides.Delete(t.Context(), "o", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				o.until("")
				err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
					_, err := o.overrides.Get(ctx, "o", metav1.GetOptions{})
					return apierrors.IsNotFound(err), nil
				})
				if err != nil {
					t.Errorf("the override is not let go: %v", err)
				}
			})
		}
	}
}

func TestOverridesAreComparedWithEachOther(t *testing.T) {
	s := testserver.Start(t)
	for _, r := range discover(t, s.As(testserver.Bob)) {
		if !strings.HasSuffix(r.Name, "resourceoverrides") {
			continue
		}
		t.Run(r.String(), func(t *testing.T) {
			client := r.client(t, s.As(testserver.Bob))
			if _, err := client.Create(t.Context(), sample(t, r, "one"), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			two := sample(t, r, "one")
			two.SetName("two")
			_, err := client.Create(t.Context(), two, metav1.CreateOptions{})
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "the resource has been selected by both one and two") {
				t.Errorf("a second one of the same object: %v", err)
			}
			if err := client.Delete(t.Context(), "one", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Create(t.Context(), two, metav1.CreateOptions{}); err != nil {
				t.Errorf("once the first is gone: %v", err)
			}
			if err := client.Delete(t.Context(), "two", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
