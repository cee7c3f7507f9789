// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
)

// answers is how many members answer at once.
const answers = 16

// applyAtOnce stands in for all members until the context ends: each Work is applied and available as soon as it is seen.
func applyAtOnce(ctx context.Context, client versioned.Interface) {
	factory := externalversions.NewSharedInformerFactory(client, 0)
	works := factory.Placement().V1beta1().Works()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]())
	enqueue := func(obj any) {
		if work := obj.(*v1beta1.Work); !isApplied(work) {
			queue.Add(cache.MetaObjectToName(work))
		}
	}
	// A new informer refuses no handler.
	_, _ = works.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, obj any) { enqueue(obj) },
	})
	factory.Start(ctx.Done())
	var running sync.WaitGroup
	for range answers {
		running.Go(func() {
			for {
				key, shutdown := queue.Get()
				if shutdown {
					return
				}
				work, err := works.Lister().Works(key.Namespace).Get(key.Name)
				if err == nil && !isApplied(work) {
					_, err = client.PlacementV1beta1().Works(key.Namespace).UpdateStatus(ctx, applied(work), metav1.UpdateOptions{})
				}
				if err != nil && ctx.Err() == nil {
					klog.FromContext(ctx).V(2).Info("Answering again", "work", key, "err", err)
					queue.AddRateLimited(key)
				}
				queue.Done(key)
			}
		})
	}
	<-ctx.Done()
	queue.ShutDown()
	running.Wait()
	factory.Shutdown()
}

func isApplied(work *v1beta1.Work) bool {
	c := meta.FindStatusCondition(work.Status.Conditions, v1beta1.WorkAvailable)
	return c != nil && c.ObservedGeneration == work.Generation
}

// applied is a Work with the status that an applier gives it.
func applied(work *v1beta1.Work) *v1beta1.Work {
	work = work.DeepCopy()
	work.Status.Conditions = conditions(work.Generation)
	work.Status.LeftGeneration = work.Generation
	work.Status.ManifestConditions = nil
	for i, manifest := range work.Spec.Workload.Manifests {
		var object metav1.PartialObjectMetadata
		if err := json.Unmarshal(manifest.Raw, &object); err != nil {
			panic(err)
		}
		work.Status.ManifestConditions = append(work.Status.ManifestConditions, v1beta1.ManifestCondition{
			Identifier: v1beta1.WorkResourceIdentifier{
				Ordinal: i, Version: object.APIVersion, Kind: object.Kind, Resource: "configmaps", Namespace: object.Namespace, Name: object.Name,
			},
			Conditions: conditions(1),
		})
	}
	return work
}

func conditions(generation int64) []metav1.Condition {
	now := metav1.Now()
	return []metav1.Condition{
		{Type: v1beta1.WorkApplied, Status: metav1.ConditionTrue, Reason: "Applied", Message: "Manifest has been applied successfully",
			ObservedGeneration: generation, LastTransitionTime: now},
		{Type: v1beta1.WorkAvailable, Status: metav1.ConditionTrue, Reason: "Available", Message: "Manifest is available",
			ObservedGeneration: generation, LastTransitionTime: now},
	}
}
