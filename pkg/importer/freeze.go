// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// policyName is that of the policy of the hub, and of its binding, that refuses writes to the objects while they are imported.
	policyName = "stagegate-import"
	// managedBy is the label by which an import knows them.
	managedBy = "app.kubernetes.io/managed-by"
	// frozenTimeout is how long the hub may take to go by the policy. It takes less than a second.
	frozenTimeout = 30 * time.Second
	// frozenInterval is how often it is asked, since there is no event for it.
	frozenInterval = 100 * time.Millisecond
)

var (
	policyResource  = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	policyBindings  = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
	errNothingAsked = errors.New("the hub was not asked yet")
	errObjects      = errors.New("objects")
)

// freeze has the hub refuse all writes to the objects, whoever makes them: one that came after the objects were compared would be lost. It returns
// once the hub does.
func (h *hub) freeze(ctx context.Context) error {
	rules := map[string]any{"apiGroups": anyOf(groups), "apiVersions": []any{"*"}, "operations": []any{"CREATE", "UPDATE", "DELETE"}, "resources": []any{"*/*"}}
	for _, object := range []struct {
		resource schema.GroupVersionResource
		kind     string
		spec     map[string]any
	}{
		{policyResource, "ValidatingAdmissionPolicy", map[string]any{
			"failurePolicy":    "Fail",
			"matchConstraints": map[string]any{"resourceRules": []any{rules}},
			"validations": []any{map[string]any{
				"expression": "false",
				"message":    "the objects are being moved to Stagegate: run stagegate-apiserver import until it says that it is complete, or with --back to undo it",
			}},
		}},
		{policyBindings, "ValidatingAdmissionPolicyBinding", map[string]any{"policyName": policyName, "validationActions": []any{"Deny"}}},
	} {
		u := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": object.resource.GroupVersion().String(), "kind": object.kind, "spec": object.spec,
			"metadata": map[string]any{"name": policyName, "labels": map[string]any{managedBy: policyName}},
		}}
		_, err := h.dynamic.Resource(object.resource).Create(ctx, u, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			// An import that was killed has left it. Whether the hub goes by it is seen below.
			var there *unstructured.Unstructured
			if there, err = h.dynamic.Resource(object.resource).Get(ctx, policyName, metav1.GetOptions{}); err == nil && !isOfImport(there) {
				err = fmt.Errorf("it is there without the label %s=%s, so that it is somebody else's: give it another name", managedBy, policyName)
			}
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.kind, policyName, err)
		}
	}
	return h.awaitFrozen(ctx)
}

func anyOf(values []string) []any {
	var list []any
	for _, v := range values {
		list = append(list, v)
	}
	return list
}

// awaitFrozen asks the hub for writes that would change nothing, even if they were let through, until it refuses one by the policy. A hub that
// has no object has none to lose.
func (h *hub) awaitFrozen(ctx context.Context) error {
	definitions, err := h.definitions(ctx)
	if err != nil {
		return err
	}
	last, some := errNothingAsked, false
	err = wait.PollUntilContextTimeout(ctx, frozenInterval, frozenTimeout, true, func(ctx context.Context) (bool, error) {
		some = false
		for _, d := range definitions {
			if d.version() == "" {
				continue
			}
			list, err := h.dynamic.Resource(d.resource()).List(ctx, metav1.ListOptions{Limit: 1})
			if err != nil {
				last = err
				continue
			}
			if len(list.Items) == 0 {
				continue
			}
			some = true
			one := list.Items[0]
			_, err = h.dynamic.Resource(d.resource()).Namespace(one.GetNamespace()).
				Patch(ctx, one.GetName(), types.MergePatchType, []byte("{}"), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil && strings.Contains(err.Error(), "'"+policyName+"'") {
				return true, nil
			}
			if err == nil {
				err = fmt.Errorf("a write to %s was let through", describe(d.name(), one.GetNamespace(), one.GetName()))
			}
			last = err
		}
		return !some && errors.Is(last, errNothingAsked), nil
	})
	if err != nil {
		return fmt.Errorf("the hub does not go by ValidatingAdmissionPolicy %s, so that objects could change while they are imported: %w", policyName, errors.Join(last, err))
	}
	return nil
}

// awaitPassedOn returns once the hub answers for no version of the groups itself, so that writes may be let through. The server answers 503
// until the import is complete, and so does the hub as long as there is no server.
func (h *hub) awaitPassedOn(ctx context.Context) error {
	definitions, err := h.definitions(ctx)
	if err != nil {
		return err
	}
	last := errNothingAsked
	err = wait.PollUntilContextTimeout(ctx, returnInterval, returnTimeout, true, func(ctx context.Context) (bool, error) {
		for _, gv := range versions() {
			i := slices.IndexFunc(definitions, func(d definition) bool { return d.group == gv.Group && slices.Contains(d.served, gv.Version) })
			if i < 0 {
				continue
			}
			_, err := h.dynamic.Resource(gv.WithResource(definitions[i].plural)).List(ctx, metav1.ListOptions{Limit: 1})
			if !apierrors.IsServiceUnavailable(err) {
				last = fmt.Errorf("%s is answered in %s, with %w", definitions[i].name(), gv.Version, cmp.Or(err, errObjects))
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("the hub does not pass its API on yet, and goes on refusing writes to the objects; run the command again: %w", errors.Join(last, err))
	}
	return nil
}

// isOfImport reports whether an import has made a policy or its binding.
func isOfImport(u *unstructured.Unstructured) bool { return u.GetLabels()[managedBy] == policyName }

// thaw takes the policy away. One of the same name that no import has made stays.
func (h *hub) thaw(ctx context.Context) error {
	for _, resource := range []schema.GroupVersionResource{policyBindings, policyResource} {
		there, err := h.dynamic.Resource(resource).Get(ctx, policyName, metav1.GetOptions{})
		if err == nil && isOfImport(there) {
			uid := there.GetUID()
			err = h.dynamic.Resource(resource).Delete(ctx, policyName, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s %s: %w", resource.Resource, policyName, err)
		}
	}
	return nil
}
