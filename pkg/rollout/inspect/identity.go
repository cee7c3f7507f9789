// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/yaml"

	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// fieldManager of what is written to a member here, and not for a Work.
const fieldManager = "stagegate-membership"

// appliedWorks is the kind that a member needs: what is applied there is owned by an object of it.
//
//go:embed appliedworks.yaml
var appliedWorks []byte

func newAppliedWorks(identity map[string]string) (*apiextensionsv1.CustomResourceDefinition, error) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(appliedWorks, crd); err != nil {
		return nil, fmt.Errorf("embedded CustomResourceDefinition %s: %w", storeid.MemberCRD, err)
	}
	if crd.Annotations == nil {
		crd.Annotations = map[string]string{}
	}
	maps.Copy(crd.Annotations, identity)
	return crd, nil
}

// identityOf are the annotations by which a member says as what it has joined.
func identityOf(m storeid.Membership) map[string]string {
	return map[string]string{
		wellknown.StoreIDAnnotation:    m.Store,
		wellknown.HubUIDAnnotation:     m.Hub,
		wellknown.MemberNameAnnotation: m.Member,
	}
}

// own makes a cluster this store's member, and has it serve AppliedWorks. Store, hub and name are annotations of the
// CustomResourceDefinition. The hub itself, which is known by its uid, serves the kind without one and names its store where each hub does.
// A cluster that has joined as anything else is left as it is, with an error of package storeid.
func own(ctx context.Context, member *clients, want storeid.Membership, clusterUID string) error {
	if clusterUID == want.Hub {
		if err := storeid.Mismatch(nil, clusterUID, want); err != nil {
			return err
		}
		return storeid.Verify(ctx, member.kube, wellknown.SystemNamespace, want.Ruler)
	}
	crds := member.crds.ApiextensionsV1().CustomResourceDefinitions()
	crd, err := crds.Get(ctx, storeid.MemberCRD, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		served, err := servesAppliedWorks(ctx, member)
		if err != nil {
			return err
		}
		if err := storeid.Mismatch(nil, clusterUID, want); err != nil {
			return err
		}
		if served {
			if err := storeid.Verify(ctx, member.kube, wellknown.SystemNamespace, want.Ruler); err != nil {
				return err
			}
			// It names this store, as a copy of the hub's own namespace does.
			return storeid.OtherHubAsMember(clusterUID, want.Hub)
		}
		if crd, err = newAppliedWorks(identityOf(want)); err != nil {
			return err
		}
		if crd, err = crds.Create(ctx, crd, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
			return fmt.Errorf("creating CustomResourceDefinition %s: %w", storeid.MemberCRD, err)
		}
		return established(ctx, member, crd)
	}
	if err != nil {
		return err
	}
	if err := storeid.Mismatch(crd.Annotations, clusterUID, want); err != nil {
		return err
	}
	if err := established(ctx, member, crd); err != nil || !storeid.Undecided(crd.Annotations) {
		return err
	}
	if crd.Annotations[wellknown.MemberNameAnnotation] == "" {
		if err := isNobodyElses(ctx, member, want.Member); err != nil {
			return err
		}
	}
	return annotate(ctx, member, crd, identityOf(want))
}

// isNobodyElses holds that a cluster which does not say as what it has joined has nothing of another member: it joined before members
// said so.
func isNobodyElses(ctx context.Context, member *clients, name string) error {
	return member.eachAppliedWork(ctx, func(work *placementv1beta1.AppliedWork) error {
		if work.Spec.WorkNamespace != wellknown.MemberNamespace(name) {
			return storeid.OtherMemberOf(work.Name, work.Spec.WorkNamespace, wellknown.MemberNamespace(name))
		}
		return nil
	})
}

// servesAppliedWorks reports whether the kind is there without a CustomResourceDefinition, as it is on a hub.
func servesAppliedWorks(ctx context.Context, member *clients) (bool, error) {
	resources, err := member.discovery.ServerResourcesForGroupVersionWithContext(ctx, placementv1beta1.SchemeGroupVersion.String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, resource := range resources.APIResources {
		if resource.Name == "appliedworks" {
			return true, nil
		}
	}
	return false, nil
}

// annotate writes annotations, and takes those away that are empty. The resourceVersion makes it fail where another store was faster.
func annotate(ctx context.Context, member *clients, crd *apiextensionsv1.CustomResourceDefinition, identity map[string]string) error {
	annotations := map[string]any{}
	for key, value := range identity {
		if annotations[key] = value; value == "" {
			annotations[key] = nil
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": crd.ResourceVersion,
		"annotations":     annotations,
	}})
	if err != nil {
		return err
	}
	_, err = member.crds.ApiextensionsV1().CustomResourceDefinitions().Patch(ctx, crd.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("annotating CustomResourceDefinition %s: %w", crd.Name, err)
	}
	return nil
}

// established waits until the member serves the kind, within what the context allows.
func established(ctx context.Context, member *clients, crd *apiextensionsv1.CustomResourceDefinition) error {
	if isEstablished(crd) {
		return nil
	}
	crds := member.crds.ApiextensionsV1().CustomResourceDefinitions()
	watcher := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, crd.Name).String()
		return crds.Watch(ctx, options)
	}}
	_, err := watchtools.Until(ctx, crd.ResourceVersion, watcher, func(event watch.Event) (bool, error) {
		current, ok := event.Object.(*apiextensionsv1.CustomResourceDefinition)
		return ok && event.Type != watch.Deleted && isEstablished(current), nil
	})
	if err != nil {
		return fmt.Errorf("%w: CustomResourceDefinition %s is not established: %w", errNotServed, crd.Name, err)
	}
	return nil
}

func isEstablished(crd *apiextensionsv1.CustomResourceDefinition) bool {
	for _, condition := range crd.Status.Conditions {
		if condition.Type == apiextensionsv1.Established {
			return condition.Status == apiextensionsv1.ConditionTrue && crd.DeletionTimestamp.IsZero()
		}
	}
	return false
}
