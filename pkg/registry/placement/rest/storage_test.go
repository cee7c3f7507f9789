// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/registry/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

// served are the resources of the API by what kubectl api-resources would say of them: short names, scope, kind, subresources.
var served = map[string]string{
	"appliedworks":                              "- cluster AppliedWork status",
	"approvalrequests":                          "areq namespaced ApprovalRequest approve,reject,status",
	"clusterapprovalrequests":                   "careq cluster ClusterApprovalRequest approve,reject,status",
	"clusterresourcebindings":                   "crb cluster ClusterResourceBinding rollout,status",
	"clusterresourceenvelopes":                  "- cluster ClusterResourceEnvelope -",
	"clusterresourceoverrides":                  "- cluster ClusterResourceOverride -",
	"clusterresourceoverridesnapshots":          "- cluster ClusterResourceOverrideSnapshot -",
	"clusterresourceplacementdisruptionbudgets": "crpdb cluster ClusterResourcePlacementDisruptionBudget -",
	"clusterresourceplacementevictions":         "crpe cluster ClusterResourcePlacementEviction status",
	"clusterresourceplacements":                 "crp cluster ClusterResourcePlacement prune,status",
	"clusterresourceplacementstatuses":          "crps namespaced ClusterResourcePlacementStatus -",
	"clusterresourcesnapshots":                  "crs cluster ClusterResourceSnapshot status",
	"clusterschedulingpolicysnapshots":          "csps cluster ClusterSchedulingPolicySnapshot status",
	"clusterstagedupdateruns":                   "csur cluster ClusterStagedUpdateRun resume,retry,rollback,skip,status,stop",
	"clusterstagedupdatestrategies":             "csus cluster ClusterStagedUpdateStrategy -",
	"resourcebindings":                          "rb namespaced ResourceBinding rollout,status",
	"resourceenvelopes":                         "- namespaced ResourceEnvelope -",
	"resourceoverrides":                         "- namespaced ResourceOverride -",
	"resourceoverridesnapshots":                 "- namespaced ResourceOverrideSnapshot -",
	"resourceplacements":                        "rp namespaced ResourcePlacement prune,status",
	"resourcesnapshots":                         "rs namespaced ResourceSnapshot status",
	"schedulingpolicysnapshots":                 "sps namespaced SchedulingPolicySnapshot status",
	"stagedupdateruns":                          "sur namespaced StagedUpdateRun resume,retry,rollback,skip,status,stop",
	"stagedupdatestrategies":                    "sus namespaced StagedUpdateStrategy -",
	"works":                                     "- namespaced Work status",
}

func TestEveryKindIsServedInBothVersions(t *testing.T) {
	info, err := NewAPIGroupInfo(Config{
		RESTOptions: storetest.Etcd(t),
		Authorizer:  authorizerfactory.NewAlwaysAllowAuthorizer(),
		Clock:       clocktesting.NewFakePassiveClock(time.Time{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	wantVersions := []schema.GroupVersion{{Group: "placement.kubernetes-fleet.io", Version: "v1"}, {Group: "placement.kubernetes-fleet.io", Version: "v1beta1"}}
	if diff := cmp.Diff(wantVersions, info.PrioritizedVersions); diff != "" {
		t.Errorf("versions, preferred first (-want +got):\n%s", diff)
	}
	for _, version := range wantVersions {
		storages := info.VersionedResourcesStorageMap[version.Version]
		got := map[string]string{}
		for path, storage := range storages {
			if strings.Contains(path, "/") {
				continue
			}
			t.Cleanup(storage.Destroy)
			got[path] = describe(t, path, storages)
			if !scheme.Scheme.Recognizes(version.WithKind(strings.Fields(got[path])[2])) {
				t.Errorf("%s is not in the scheme in %s", path, version)
			}
			if storage != info.VersionedResourcesStorageMap["v1"][path] {
				t.Errorf("%s has a storage of its own in %s", path, version)
			}
		}
		if diff := cmp.Diff(served, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
}

func describe(t *testing.T, resource string, storages map[string]rest.Storage) string {
	t.Helper()
	main := storages[resource]
	for _, c := range main.(rest.CategoriesProvider).Categories() {
		if c != "fleet" && c != "fleet-placement" {
			t.Errorf("%s is in category %s", resource, c)
		}
	}
	if _, ok := main.(rest.StandardStorage); !ok {
		t.Errorf("%s lacks verbs", resource)
	}
	gvks, _, err := scheme.Scheme.ObjectKinds(main.New())
	if err != nil {
		t.Fatal(err)
	}
	if singular := main.(rest.SingularNameProvider).GetSingularName(); singular != strings.ToLower(gvks[0].Kind) {
		t.Errorf("%s has the singular %s", resource, singular)
	}
	scope := "cluster"
	if main.(rest.Scoper).NamespaceScoped() {
		scope = "namespaced"
	}
	var subresources []string
	for path := range storages {
		if sub, ok := strings.CutPrefix(path, resource+"/"); ok {
			subresources = append(subresources, sub)
		}
	}
	slices.Sort(subresources)
	return strings.Join([]string{orDash(main.(rest.ShortNamesProvider).ShortNames()), scope, gvks[0].Kind, orDash(subresources)}, " ")
}

func orDash(s []string) string {
	if len(s) == 0 {
		return "-"
	}
	return strings.Join(s, ",")
}

func TestResourcesNamesAllThatIsServed(t *testing.T) {
	var got []string
	for _, r := range Resources() {
		got = append(got, r.Resource)
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(served)), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnlyWhatGrowsWithTheFleetIsCompressed(t *testing.T) {
	want := []string{
		"appliedworks", "clusterresourcebindings", "clusterresourceoverridesnapshots", "clusterresourceplacements", "clusterresourceplacementstatuses",
		"clusterresourcesnapshots", "clusterschedulingpolicysnapshots", "clusterstagedupdateruns", "resourcebindings", "resourceoverridesnapshots",
		"resourceplacements", "resourcesnapshots", "schedulingpolicysnapshots", "stagedupdateruns", "works",
	}
	var got []string
	for _, r := range CompressedResources() {
		got = append(got, r.Resource)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLifeOfEveryKind writes an object of each kind through each version into etcd. Validation by tags is an internal error where a
// version lacks it for a resource or its status, so this also shows that none does.
func TestLifeOfEveryKind(t *testing.T) {
	etcd := storetest.Etcd(t)
	for _, r := range Table() {
		s, err := store.NewStorage(r, etcd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.REST.Destroy)
		for _, version := range store.Versions(r.Group) {
			t.Run(r.Plural+"/"+version, func(t *testing.T) { testLife(t, r, s, version) })
		}
	}
}

func testLife(t *testing.T, r store.Resource, s *store.Storage, version string) {
	ctx := storetest.Request(t.Context(), r, version, "")
	obj := sample(t, r)
	obj.SetFinalizers([]string{"kubernetes-fleet.io/test"})

	created, err := s.REST.Create(ctx, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	if got := created.(store.Object).GetGeneration(); got != 1 {
		t.Errorf("generation after create is %d, want 1", got)
	}

	labeled := update(t, ctx, s.REST, "sample", func(o store.Object) { o.SetLabels(map[string]string{"a": "b"}) })
	if got := labeled.GetGeneration(); got != 1 {
		t.Errorf("generation after a change of labels is %d, want 1", got)
	}

	if s.Status != nil {
		status := storetest.Request(t.Context(), r, version, "status")
		written := update(t, status, s.Status, "sample", func(o store.Object) { o.SetLabels(nil) })
		if diff := cmp.Diff(map[string]string{"a": "b"}, written.GetLabels()); diff != "" {
			t.Errorf("a write of the status changed labels (-want +got):\n%s", diff)
		}
	}

	deleted, gone, err := s.REST.Delete(ctx, "sample", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
	if err != nil || gone {
		t.Fatalf("delete with a finalizer: gone %v, error %v", gone, err)
	}
	if o := deleted.(store.Object); o.GetDeletionTimestamp() == nil || o.GetGeneration() != 2 {
		t.Errorf("after delete: deletionTimestamp %v, generation %d, want one and 2", o.GetDeletionTimestamp(), o.GetGeneration())
	}

	update(t, ctx, s.REST, "sample", func(o store.Object) { o.SetFinalizers(nil) })
	if _, err := s.REST.Get(ctx, "sample", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("without finalizers the object is still there: %v", err)
	}
}

// TestNoKindIsWrittenBeyondAMebibyte enlarges an object on its way to the store, as admission may.
func TestNoKindIsWrittenBeyondAMebibyte(t *testing.T) {
	etcd := storetest.Etcd(t)
	enlarged := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		o := old.DeepCopyObject()
		o.(store.Object).SetManagedFields([]metav1.ManagedFieldsEntry{{
			Manager: "admission", Operation: metav1.ManagedFieldsOperationUpdate,
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fmt.Sprintf(`{"f:%s":{}}`, strings.Repeat("x", store.MaxUserBytes))),
		}})
		return o, nil
	}
	for _, r := range Table() {
		s, err := store.NewStorage(r, etcd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.REST.Destroy)
		type controllerKey struct{}
		s.ForControllers(func(ctx context.Context) bool { return ctx.Value(controllerKey{}) != nil })
		t.Run(r.Plural, func(t *testing.T) {
			ctx := storetest.Request(t.Context(), r, "v1", "")
			large, _ := enlarged(ctx, nil, sample(t, r))
			if _, err := s.REST.Create(ctx, large, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); !apierrors.IsRequestEntityTooLargeError(err) {
				t.Errorf("create: %v, want RequestEntityTooLarge", err)
			}
			if _, err := s.REST.Create(ctx, sample(t, r), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			update := func(ctx context.Context, storage rest.Updater) error {
				_, _, err := storage.Update(ctx, "sample", rest.DefaultUpdatedObjectInfo(nil, enlarged), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
				return err
			}
			if err := update(ctx, s.REST); !apierrors.IsRequestEntityTooLargeError(err) {
				t.Errorf("update: %v, want RequestEntityTooLarge", err)
			}
			if s.Status != nil {
				if err := update(storetest.Request(t.Context(), r, "v1", "status"), s.Status); !apierrors.IsRequestEntityTooLargeError(err) {
					t.Errorf("update of the status: %v, want RequestEntityTooLarge", err)
				}
			}
			if err := update(context.WithValue(ctx, controllerKey{}, true), s.REST); err != nil {
				t.Errorf("update of a controller: %v", err)
			}
		})
	}
}

func TestStatusNeverCreates(t *testing.T) {
	etcd := storetest.Etcd(t)
	for _, r := range Table() {
		if r.StatusStrategy == nil {
			continue
		}
		s, err := store.NewStorage(r, etcd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.REST.Destroy)
		ctx := storetest.Request(t.Context(), r, "v1", "status")
		_, _, err = s.Status.Update(ctx, "sample", rest.DefaultUpdatedObjectInfo(sample(t, r)), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, true, &metav1.UpdateOptions{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("%s: a write of the status of nothing answers %v, want not found", r.Plural, err)
		}
	}
}

func TestPutWithoutResourceVersionIsRefused(t *testing.T) {
	r := find(t, "clusterstagedupdatestrategies")
	s, err := store.NewStorage(r, storetest.Etcd(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.REST.Destroy)
	ctx := storetest.Request(t.Context(), r, "v1", "")
	put := func() error {
		_, _, err := s.REST.Update(ctx, "sample", rest.DefaultUpdatedObjectInfo(sample(t, r)), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		return err
	}

	if err := put(); !apierrors.IsNotFound(err) {
		t.Errorf("PUT of a new object answers %v, want not found", err)
	}
	if _, err := s.REST.Create(ctx, sample(t, r), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := put(); !apierrors.IsInvalid(err) {
		t.Errorf("PUT without resourceVersion answers %v, want invalid", err)
	}
}

func find(t *testing.T, plural string) store.Resource {
	t.Helper()
	for _, r := range Table() {
		if r.Plural == plural {
			return r
		}
	}
	t.Fatalf("no resource %s", plural)
	return store.Resource{}
}

// update changes an object the way a PUT does.
func update(t *testing.T, ctx context.Context, storage rest.Updater, name string, change func(store.Object)) store.Object {
	t.Helper()
	changed := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		o := old.DeepCopyObject()
		change(o.(store.Object))
		return o, nil
	}
	out, _, err := storage.Update(ctx, name, rest.DefaultUpdatedObjectInfo(nil, changed), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		t.Fatalf("update of %s: %v", name, err)
	}
	return out.(store.Object)
}
