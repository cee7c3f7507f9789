// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/cluster/membercluster"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

func TestEveryKindIsServedInBothVersions(t *testing.T) {
	info, err := NewAPIGroupInfo(Config{RESTOptions: storetest.Etcd(t)})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"internalmemberclusters", "internalmemberclusters/status", "memberclusters", "memberclusters/status"}
	for _, version := range []string{"v1", "v1beta1"} {
		var got []string
		for path, storage := range info.VersionedResourcesStorageMap[version] {
			got = append(got, path)
			t.Cleanup(storage.Destroy)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
	for path, short := range map[string]string{"memberclusters": "cluster", "internalmemberclusters": "imc"} {
		main := info.VersionedResourcesStorageMap["v1"][path]
		if diff := cmp.Diff([]string{short}, main.(rest.ShortNamesProvider).ShortNames()); diff != "" {
			t.Errorf("short names of %s (-want +got):\n%s", path, diff)
		}
		if diff := cmp.Diff([]string{"fleet", "fleet-cluster"}, main.(rest.CategoriesProvider).Categories()); diff != "" {
			t.Errorf("categories of %s (-want +got):\n%s", path, diff)
		}
	}
	if got := len(Resources()); got != 2 {
		t.Errorf("Resources names %d resources, want 2", got)
	}
}

// sample is a valid object of a resource.
func sample(t testing.TB, r store.Resource) store.Object {
	t.Helper()
	obj := r.New().(store.Object)
	obj.SetName("sample")
	switch o := obj.(type) {
	case *v1beta1.MemberCluster:
		o.Spec = v1beta1.MemberClusterSpec{
			Identity:               rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "agent"},
			HeartbeatPeriodSeconds: 60,
		}
	case *v1beta1.InternalMemberCluster:
		o.Spec = v1beta1.InternalMemberClusterSpec{State: v1beta1.ClusterStateJoin, HeartbeatPeriodSeconds: 60}
	default:
		t.Fatalf("no sample of %s", r.Plural)
	}
	return obj
}

func TestLifeOfEveryKind(t *testing.T) {
	etcd := storetest.Etcd(t)
	for _, r := range membercluster.Resources() {
		s, err := store.NewStorage(r, etcd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.REST.Destroy)
		for _, version := range store.Versions(r.Group) {
			t.Run(r.Plural+"/"+version, func(t *testing.T) {
				ctx := storetest.Request(t.Context(), r, version, "")
				created, err := s.REST.Create(ctx, sample(t, r), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if got := created.(store.Object).GetGeneration(); got != 1 {
					t.Errorf("generation is %d, want 1", got)
				}
				status := storetest.Request(t.Context(), r, version, "status")
				if _, _, err := s.Status.Update(status, "sample", rest.DefaultUpdatedObjectInfo(created), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, true, &metav1.UpdateOptions{}); err != nil {
					t.Errorf("status: %v", err)
				}
				if _, gone, err := s.REST.Delete(ctx, "sample", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil || !gone {
					t.Errorf("delete: gone %v, error %v", gone, err)
				}
				if _, err := s.REST.Get(ctx, "sample", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					t.Errorf("get after delete: %v", err)
				}
			})
		}
	}
}
