// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

func TestEveryKindIsServed(t *testing.T) {
	info, err := NewAPIGroupInfo(Config{RESTOptions: storetest.Etcd(t)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for version, storages := range info.VersionedResourcesStorageMap {
		for path, storage := range storages {
			got = append(got, version+"/"+path)
			t.Cleanup(storage.Destroy)
		}
	}
	slices.Sort(got)
	want := []string{
		"v1alpha1/clusterrolloutpolicies", "v1alpha1/clusterrolloutpolicies/status", "v1alpha1/notificationsinks", "v1alpha1/notificationsinks/status",
		"v1alpha1/rolloutpolicies", "v1alpha1/rolloutpolicies/status",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for path, short := range map[string]string{"clusterrolloutpolicies": "crpol", "rolloutpolicies": "rpol", "notificationsinks": "nsink"} {
		main := info.VersionedResourcesStorageMap["v1alpha1"][path]
		if diff := cmp.Diff([]string{short}, main.(rest.ShortNamesProvider).ShortNames()); diff != "" {
			t.Errorf("short names of %s (-want +got):\n%s", path, diff)
		}
		if diff := cmp.Diff([]string{"fleet"}, main.(rest.CategoriesProvider).Categories()); diff != "" {
			t.Errorf("categories of %s (-want +got):\n%s", path, diff)
		}
	}
	if got := len(Resources()); got != 3 {
		t.Errorf("Resources names %d resources, want 3", got)
	}
}

// sample is a valid object of a resource.
func sample(t testing.TB, r store.Resource) store.Object {
	t.Helper()
	if sink, ok := r.New().(*v1alpha1.NotificationSink); ok {
		sink.SetName("sample")
		sink.Spec = v1alpha1.NotificationSinkSpec{
			URL: "https://hooks.example.com/stagegate", Format: v1alpha1.NotificationFormatCloudEvents,
			HMACSecret: &v1alpha1.SecretKeyReference{Name: "chatops", Key: "hmac"}, Types: []string{"run.*", "approval.requested"},
			Match: &v1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "checkout"}}},
		}
		return sink
	}
	obj := r.New().(v1alpha1.RolloutPolicyObject)
	obj.SetName("sample")
	*obj.PolicySpec() = v1alpha1.RolloutPolicySpec{
		Enforcement: v1alpha1.PolicyEnforcementEnforce,
		Rules: v1alpha1.PolicyRules{
			Approval: &v1alpha1.ApprovalRule{Position: v1alpha1.ApprovalBefore, Required: 1, Groups: []string{"sre"}},
			Soak: &v1alpha1.SoakRule{
				Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "canary"}}, Duration: metav1.Duration{Duration: time.Hour},
			},
			MaxConcurrency: ptr.To(intstr.FromString("20%")),
			FailurePolicy:  &v1alpha1.FailurePolicyRule{MaxFailures: ptr.To(intstr.FromInt32(1))},
		},
	}
	return obj
}

func TestLifeOfEveryKind(t *testing.T) {
	etcd := storetest.Etcd(t)
	for _, r := range table() {
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
