// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package stagedupdatestrategyvalidation

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	typed "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
	placementinformers "github.com/stagegate/stagegate/pkg/generated/informers/externalversions/placement/v1beta1"
)

// kinds are what strategies and runs of one scope refer to.
type kinds struct {
	placements reference[v1beta1.PlacementObject]
	strategies reference[v1beta1.UpdateStrategyObject]
	runs       cache.SharedIndexInformer
	synced     []cache.InformerSynced
}

// reference finds objects of a kind by name.
type reference[O any] struct {
	kind     string
	informer cache.SharedIndexInformer
	live     func(ctx context.Context, namespace, name string) (O, error)
}

// apiFunc returns the client late: plugins are given it and the informers in any order.
type apiFunc func() typed.PlacementV1beta1Interface

func newClusterScoped(informers placementinformers.Interface, api apiFunc) *kinds {
	return newKinds(
		reference[v1beta1.PlacementObject]{
			kind:     "ClusterResourcePlacement",
			informer: informers.ClusterResourcePlacements().Informer(),
			live: func(ctx context.Context, _, name string) (v1beta1.PlacementObject, error) {
				return api().ClusterResourcePlacements().Get(ctx, name, metav1.GetOptions{})
			},
		},
		reference[v1beta1.UpdateStrategyObject]{
			kind:     "ClusterStagedUpdateStrategy",
			informer: informers.ClusterStagedUpdateStrategies().Informer(),
			live: func(ctx context.Context, _, name string) (v1beta1.UpdateStrategyObject, error) {
				return api().ClusterStagedUpdateStrategies().Get(ctx, name, metav1.GetOptions{})
			},
		},
		informers.ClusterStagedUpdateRuns().Informer(),
	)
}

func newNamespaced(informers placementinformers.Interface, api apiFunc) *kinds {
	return newKinds(
		reference[v1beta1.PlacementObject]{
			kind:     "ResourcePlacement",
			informer: informers.ResourcePlacements().Informer(),
			live: func(ctx context.Context, namespace, name string) (v1beta1.PlacementObject, error) {
				return api().ResourcePlacements(namespace).Get(ctx, name, metav1.GetOptions{})
			},
		},
		reference[v1beta1.UpdateStrategyObject]{
			kind:     "StagedUpdateStrategy",
			informer: informers.StagedUpdateStrategies().Informer(),
			live: func(ctx context.Context, namespace, name string) (v1beta1.UpdateStrategyObject, error) {
				return api().StagedUpdateStrategies(namespace).Get(ctx, name, metav1.GetOptions{})
			},
		},
		informers.StagedUpdateRuns().Informer(),
	)
}

func newKinds(placements reference[v1beta1.PlacementObject], strategies reference[v1beta1.UpdateStrategyObject], runs cache.SharedIndexInformer) *kinds {
	initializer.QuietStop(placements.informer, strategies.informer, runs)
	return &kinds{
		placements: placements,
		strategies: strategies,
		runs:       runs,
		synced:     []cache.InformerSynced{placements.informer.HasSynced, strategies.informer.HasSynced, runs.HasSynced},
	}
}

// find reads an object from the cache and, where it is missing there or not as expected, from the API: the object may have been
// written a moment ago by the same kubectl apply.
func (r reference[O]) find(ctx context.Context, namespace, name string, expected func(O) bool) (O, bool, error) {
	cached, found, err := r.informer.GetIndexer().GetByKey(cache.NewObjectName(namespace, name).String())
	if err == nil && found && expected(cached.(O)) {
		return cached.(O), true, nil
	}
	object, err := r.live(ctx, namespace, name)
	if apierrors.IsNotFound(err) {
		return object, false, nil
	}
	if err != nil {
		return object, false, apierrors.NewInternalError(fmt.Errorf("looking for %s %s: %w", r.kind, cache.NewObjectName(namespace, name), err))
	}
	return object, true, nil
}

// listRuns returns the runs of a namespace, or the cluster-scoped ones.
func (k *kinds) listRuns(namespace string) []v1beta1.UpdateRunObject {
	var runs []v1beta1.UpdateRunObject
	for _, object := range k.runs.GetIndexer().List() {
		if run := object.(v1beta1.UpdateRunObject); run.GetNamespace() == namespace {
			runs = append(runs, run)
		}
	}
	return runs
}
