// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// appliedWorks is the kind that a member needs: what is applied there is owned by an object of it.
//
//go:embed appliedworks.yaml
var appliedWorks []byte

const appliedWorksName = "appliedworks." + v1beta1.GroupName

func newAppliedWorks(storeID string) (*apiextensionsv1.CustomResourceDefinition, error) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(appliedWorks, crd); err != nil {
		return nil, fmt.Errorf("embedded CustomResourceDefinition %s: %w", appliedWorksName, err)
	}
	metav1.SetMetaDataAnnotation(&crd.ObjectMeta, wellknown.StoreIDAnnotation, storeID)
	return crd, nil
}

// own makes a member this store's, and has it serve AppliedWorks. The store's id is an annotation of the CustomResourceDefinition;
// a member that serves AppliedWorks without one is a hub, and has the id where each hub has it. A member of another store is left
// as it is, with a storeid.OtherStoreError.
func (c *Controller) own(ctx context.Context, member *clients) error {
	crds := member.crds.ApiextensionsV1().CustomResourceDefinitions()
	crd, err := crds.Get(ctx, appliedWorksName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		served, err := servesAppliedWorks(ctx, member)
		if err != nil {
			return err
		}
		if served {
			return storeid.Verify(ctx, member.kube, wellknown.SystemNamespace, storeid.Ruler{Store: c.storeID})
		}
		if crd, err = newAppliedWorks(c.storeID); err != nil {
			return err
		}
		if crd, err = crds.Create(ctx, crd, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
			return fmt.Errorf("creating CustomResourceDefinition %s: %w", appliedWorksName, err)
		}
		return established(ctx, member, crd)
	}
	if err != nil {
		return err
	}
	switch holder := crd.Annotations[wellknown.StoreIDAnnotation]; holder {
	case c.storeID:
	case "":
		if crd, err = annotate(ctx, member, crd, c.storeID); err != nil {
			return err
		}
	default:
		return otherStore(holder, c.storeID)
	}
	return established(ctx, member, crd)
}

func otherStore(found, want string) error {
	return &storeid.OtherStoreError{
		Holder: fmt.Sprintf("annotation %s of its CustomResourceDefinition %s", wellknown.StoreIDAnnotation, appliedWorksName),
		Found:  found,
		Want:   want,
		Adopt:  fmt.Sprintf("kubectl annotate crd %s %s- on the member", appliedWorksName, wellknown.StoreIDAnnotation),
	}
}

// servesAppliedWorks says whether the kind is there without a CustomResourceDefinition, as it is on a hub.
func servesAppliedWorks(ctx context.Context, member *clients) (bool, error) {
	resources, err := member.discovery.ServerResourcesForGroupVersionWithContext(ctx, v1beta1.SchemeGroupVersion.String())
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

// annotate writes the store's id, or takes it away where it is empty. The resourceVersion makes it fail where another store was faster.
func annotate(ctx context.Context, member *clients, crd *apiextensionsv1.CustomResourceDefinition, storeID string) (*apiextensionsv1.CustomResourceDefinition, error) {
	var value any
	if storeID != "" {
		value = storeID
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": crd.ResourceVersion,
		"annotations":     map[string]any{wellknown.StoreIDAnnotation: value},
	}})
	if err != nil {
		return nil, err
	}
	patched, err := member.crds.ApiextensionsV1().CustomResourceDefinitions().Patch(ctx, crd.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return nil, fmt.Errorf("annotating CustomResourceDefinition %s: %w", crd.Name, err)
	}
	return patched, nil
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
		return fmt.Errorf("%w: CustomResourceDefinition %s is not established: %v", errNotServed, crd.Name, err)
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
