// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// outcome is how far a binding's Works are.
type outcome struct {
	// works are those of the binding, by name, as they are now.
	works []*v1beta1.Work
	// leaving are those of an earlier version that this one has no more, and that are there still.
	leaving []*v1beta1.Work
	// unusable are the envelopes of which there are no Works.
	unusable []unusable
	// err is why they are not what they should be.
	err error
	// unreachable is why nothing can be applied to the cluster now, "" where nothing is known against it.
	unreachable string
	// notBegun reports whether the Works hold something else than the binding asks for, which nobody has announced since the cluster was picked, or
	// let go of.
	notBegun bool
	// going are Works of an earlier version that must be gone before anything is written, as they have the names of others.
	going []*v1beta1.Work
	// pending says that a cache lags behind, so that nothing can be said now; the event that ends it is on its way.
	pending bool
}

// isAccounted reports whether the Works tell all that is left on the cluster of what they have placed there before. Those that leave tell of themselves for
// as long as they are there.
func (o outcome) isAccounted() bool {
	return o.err == nil && !o.notBegun && len(o.unusable) == 0 && !slices.ContainsFunc(o.works, func(w *v1beta1.Work) bool {
		return w.Status.LeftGeneration != w.Generation
	})
}

// again is the error to try again for, nil where only a change can help.
func (o outcome) again() error {
	var missing *missingSnapshotError
	var override *overrideError
	if reconcile.IsTerminal(o.err) || errors.As(o.err, &missing) || errors.As(o.err, &override) {
		return nil
	}
	return o.err
}

// sync makes the Works of a binding what they should be. Works that cannot be made so stay as they are.
func (c *Controller) sync(ctx context.Context, binding v1beta1.BindingObject) outcome {
	existing := c.fleet.WorksOfBinding(binding)
	begun := bindingrules.HasBegun(binding)
	if _, known := bindingrules.Synchronized(binding); !known {
		// An earlier version of the server, or KubeFleet, does not tell what the Works were made to hold. KubeFleet's Works do not say how many they
		// are either, so that the binding must.
		begun = haveBegun(existing, binding.BindingSpec()) && (areCounted(existing) || bindingrules.WereWritten(binding))
	}
	if binding.BindingSpec().State == v1beta1.BindingStateUnscheduled {
		return outcome{works: existing, notBegun: !begun || isMixed(existing, binding.BindingSpec())}
	}
	// A run, or a rolling update, announces the rollout of what it has the binding ask for in the same write. Where another write came after it,
	// such as that of a placement which lets go of the cluster and picks it again, they judge whether to announce it once more.
	if !begun && !bindingrules.IsRolloutStarted(binding) {
		return outcome{works: existing, notBegun: true}
	}
	d, err := c.desired(ctx, binding, existing)
	var missing *missingSnapshotError
	if errors.As(err, &missing) && holdAll(existing, versionOf(binding.BindingSpec())) {
		return outcome{works: existing}
	}
	if err != nil {
		return outcome{works: existing, err: err}
	}

	blocking := d.names
	if len(d.unusable) > 0 {
		// What goes could not be decided on before all envelopes can be used.
		blocking = sets.New[string]()
		for _, work := range existing {
			blocking.Insert(work.Name)
		}
	}
	if going, err := c.goingOf(ctx, existing, blocking); err != nil {
		return outcome{works: existing, err: err}
	} else if len(going) > 0 {
		return outcome{going: going}
	}
	o := outcome{unusable: d.unusable}
	for _, wanted := range d.works {
		work, err := c.syncWork(ctx, binding, wanted)
		switch {
		case err != nil:
			return outcome{works: existing, err: err}
		case work == nil:
			o.pending = true
		default:
			o.works = append(o.works, work)
		}
	}
	if o.pending {
		// What a Work that goes has may be in one that is not written yet.
		return o
	}
	if len(o.unusable) > 0 && !bindingrules.Compares(binding.BindingSpec().ApplyStrategy) {
		if err := c.letGo(ctx, binding, existing, o.works); err != nil {
			return outcome{works: existing, err: err}
		}
		return o
	}
	written := sets.New[string]()
	for _, work := range o.works {
		written.Insert(work.Name)
	}
	for _, work := range existing {
		// The Work of an envelope that cannot be used is wanted and not written.
		if written.Has(work.Name) {
			continue
		}
		if rests(binding, work) {
			if err := c.rest(ctx, binding, work); err != nil {
				return outcome{works: existing, err: err}
			}
			continue
		}
		if len(o.unusable) > 0 {
			continue
		}
		o.leaving = append(o.leaving, work)
		if work.DeletionTimestamp != nil {
			continue
		}
		if err := c.remove(ctx, binding, work); err != nil {
			return outcome{works: existing, err: err}
		}
	}
	return o
}

// rests reports whether a Work stays although the version lacks it. A version with which the cluster is only compared takes nothing off it:
// what such a Work has placed goes, or is handed over, with the next version that is applied, and is updated where that has the Work. A
// removal that was begun goes on.
func rests(binding v1beta1.BindingObject, work *v1beta1.Work) bool {
	return bindingrules.Compares(binding.BindingSpec().ApplyStrategy) && work.DeletionTimestamp == nil &&
		work.Annotations[wellknown.DeletePropagationAnnotation] == ""
}

// rest has nothing be written to the cluster for a Work that rests.
func (c *Controller) rest(ctx context.Context, binding v1beta1.BindingObject, work *v1beta1.Work) error {
	resting := work.DeepCopy()
	resting.Spec.ApplyStrategy = binding.BindingSpec().ApplyStrategy.DeepCopy()
	if equality.Semantic.DeepEqual(work.Spec, resting.Spec) {
		return nil
	}
	updated, err := c.fleet.Clientset.PlacementV1beta1().Works(work.Namespace).Update(ctx, resting, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("updating Work %s: %w", reconcile.KeyOf(work), err)
	}
	c.wrote(ctx, binding, updated)
	return nil
}

// goingOf returns the Works that are going and have one of some names. Until they are gone nothing is written: what one that goes has is
// handed over to the others as they are, and would be lost to a version in which they do not have it.
func (c *Controller) goingOf(ctx context.Context, existing []*v1beta1.Work, names sets.Set[string]) (going []*v1beta1.Work, err error) {
	for _, work := range existing {
		if !names.Has(work.Name) {
			continue
		}
		switch {
		case work.DeletionTimestamp != nil:
			going = append(going, work)
		case work.Annotations[wellknown.DeletePropagationAnnotation] != "":
			// Its deletion was begun, and others count on it.
			if err := c.delete(ctx, work); err != nil {
				return nil, err
			}
			going = append(going, work)
		}
	}
	return going, nil
}

// selectorOf finds the Works of a binding.
func selectorOf(binding v1beta1.BindingObject) labels.Selector {
	return inScope(binding.GetNamespace(), labels.Set{wellknown.ParentBindingLabel: binding.GetName()})
}

// selectorOfPlacement finds the Works of a placement.
func selectorOfPlacement(placement reconcile.Key) labels.Selector {
	return inScope(placement.Namespace, labels.Set{wellknown.ParentPlacementLabel: placement.Name})
}

// inScope finds Works with labels that name an object, of which there may be one of the same name in each scope.
func inScope(namespace string, set labels.Set) labels.Selector {
	selector := labels.SelectorFromSet(set)
	requirement, err := labels.NewRequirement(wellknown.ParentNamespaceLabel, "!", nil)
	if namespace != "" {
		requirement, err = labels.NewRequirement(wellknown.ParentNamespaceLabel, "=", []string{namespace})
	}
	if err != nil {
		// A namespace is a valid label.
		return labels.Nothing()
	}
	return selector.Add(*requirement)
}

// haveBegun reports whether the Works of a binding but those that go are all that hold what it asks for, and apply or compare as it does.
func haveBegun(works []*v1beta1.Work, spec *v1beta1.ResourceBindingSpec) bool {
	staying := thatStay(works)
	return holdAll(staying, versionOf(spec)) && !slices.ContainsFunc(staying, func(w *v1beta1.Work) bool {
		return !bindingrules.SameApplyStrategy(w.Spec.ApplyStrategy, spec.ApplyStrategy)
	})
}

// isMixed reports whether some of a binding's Works still hold what it asked for in between: its cluster was let go of before they were written back.
// Where the cluster is only compared, a Work that applies counts, and the version that a Work compares with does not.
func isMixed(works []*v1beta1.Work, spec *v1beta1.ResourceBindingSpec) bool {
	version := versionOf(spec)
	return slices.ContainsFunc(thatStay(works), func(w *v1beta1.Work) bool {
		if bindingrules.Compares(spec.ApplyStrategy) {
			return !bindingrules.Compares(w.Spec.ApplyStrategy)
		}
		return !holds(w, version)
	})
}

// thatStay returns the Works that are not going.
func thatStay(works []*v1beta1.Work) []*v1beta1.Work {
	return slices.DeleteFunc(slices.Clone(works), func(w *v1beta1.Work) bool {
		return w.DeletionTimestamp != nil || w.Annotations[wellknown.DeletePropagationAnnotation] != ""
	})
}

// areCounted reports whether some Work says how many there are.
func areCounted(works []*v1beta1.Work) bool {
	return slices.ContainsFunc(works, func(w *v1beta1.Work) bool { return w.Annotations[wellknown.NumberOfWorksAnnotation] != "" })
}

// holdAll reports whether Works are all that hold a version. KubeFleet's do not say how many there are.
func holdAll(works []*v1beta1.Work, version map[string]string) bool {
	return len(works) > 0 && !slices.ContainsFunc(works, func(w *v1beta1.Work) bool {
		wanted := w.Annotations[wellknown.NumberOfWorksAnnotation]
		return !holds(w, version) || wanted != "" && wanted != strconv.Itoa(len(works))
	})
}

// syncWork makes one Work what it should be and returns it, or nil where that must wait for an event.
func (c *Controller) syncWork(ctx context.Context, binding v1beta1.BindingObject, desired *v1beta1.Work) (*v1beta1.Work, error) {
	client := c.fleet.Clientset.PlacementV1beta1().Works(desired.Namespace)
	existing, err := c.fleet.Works.Lister().Works(desired.Namespace).Get(desired.Name)
	switch {
	case apierrors.IsNotFound(err):
		maps.DeleteFunc(desired.Annotations, func(_, value string) bool { return value == "" })
		created, err := client.Create(ctx, desired, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("creating Work %s: %w", reconcile.KeyOf(desired), err)
		}
		c.tellOfLeftOut(binding, nil, created)
		return c.wrote(ctx, binding, created), nil
	case err != nil:
		return nil, fmt.Errorf("reading Work %s from the cache: %w", reconcile.KeyOf(desired), err)
	case existing.DeletionTimestamp != nil:
		// A new one is made when it is gone.
		return nil, nil
	}
	if owner := bindingOfWork(existing); len(owner) == 1 && owner[0] != reconcile.KeyOf(binding) {
		if _, err := c.fleet.Bindings.Get(owner[0]); !apierrors.IsNotFound(err) {
			return nil, reconcile.Terminalf("Work %s still belongs to binding %s", reconcile.KeyOf(desired), owner[0])
		}
	}
	changed := merged(existing, desired)
	if changed == nil {
		return existing, nil
	}
	updated, err := client.Update(ctx, changed, metav1.UpdateOptions{})
	if err != nil {
		return nil, fmt.Errorf("updating Work %s: %w", reconcile.KeyOf(desired), err)
	}
	c.tellOfPruning(binding, existing, updated)
	c.tellOfLeftOut(binding, existing, updated)
	return c.wrote(ctx, binding, updated), nil
}

func (c *Controller) wrote(ctx context.Context, binding v1beta1.BindingObject, work *v1beta1.Work) *v1beta1.Work {
	c.wroteWork(binding, work)
	klog.FromContext(ctx).V(2).Info("Work written", "work", klog.KObj(work), "generation", work.Generation,
		"snapshot", work.Annotations[wellknown.ParentSnapshotNameAnnotation])
	return work
}

// remove deletes a Work so that what was applied for it goes from the member, or is handed over to the other Works of the placement.
func (c *Controller) remove(ctx context.Context, binding v1beta1.BindingObject, work *v1beta1.Work) error {
	marked, err := c.mark(ctx, binding, work, v1beta1.DeletePropagationPolicyDelete)
	if err != nil || marked == nil {
		return err
	}
	return c.delete(ctx, marked)
}

// mark says what becomes on the member of what was applied for a Work that is about to be deleted. It returns the Work, or nil where
// it is gone.
func (c *Controller) mark(ctx context.Context, binding v1beta1.BindingObject, work *v1beta1.Work, policy v1beta1.DeletePropagationPolicy) (*v1beta1.Work, error) {
	if work.Annotations[wellknown.DeletePropagationAnnotation] == string(policy) {
		return work, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		// Somebody else may have found in the meantime that it is wanted.
		"uid":             work.UID,
		"resourceVersion": work.ResourceVersion,
		"annotations":     map[string]string{wellknown.DeletePropagationAnnotation: string(policy)},
	}})
	if err != nil {
		return nil, err
	}
	marked, err := c.fleet.Clientset.PlacementV1beta1().Works(work.Namespace).Patch(ctx, work.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("marking Work %s for its deletion: %w", reconcile.KeyOf(work), err)
	}
	c.wroteWork(binding, marked)
	return marked, nil
}

func (c *Controller) delete(ctx context.Context, work *v1beta1.Work) error {
	err := c.fleet.Clientset.PlacementV1beta1().Works(work.Namespace).Delete(ctx, work.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &work.UID, ResourceVersion: &work.ResourceVersion},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting Work %s: %w", reconcile.KeyOf(work), err)
	}
	klog.FromContext(ctx).V(2).Info("Work deleted", "work", klog.KObj(work))
	return nil
}
