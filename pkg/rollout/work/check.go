// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/overriding"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// overrideError is a failure to override, which no other try mends.
type overrideError struct{ message string }

func (e *overrideError) Error() string { return e.message }

func overrideErrorf(format string, args ...any) error {
	return &overrideError{fmt.Sprintf(format, args...)}
}

// checks remembers of each snapshot whether it may be placed: many bindings name the same one, and it never changes.
type checks struct{ verdicts *lru.Cache }

func newChecks() checks { return checks{lru.New(1024)} }

func (c checks) of(snapshot v1beta1.ResourceSnapshotObject) error {
	if verdict, known := c.verdicts.Get(snapshot.GetUID()); known && snapshot.GetUID() != "" {
		err, _ := verdict.(error)
		return err
	}
	err := check(snapshot)
	c.verdicts.Add(snapshot.GetUID(), err)
	return err
}

// check refuses a snapshot with manifests that must not reach a member. A placement in a namespace reaches into that namespace and
// nowhere else, and none reaches a reserved namespace, whoever wrote its snapshot. What Works hold already stays on the member.
func check(snapshot v1beta1.ResourceSnapshotObject) error {
	for i, resource := range snapshot.SnapshotSpec().SelectedResources {
		object, err := overriding.Identify(resource.Raw)
		if err != nil {
			return reconcile.Terminalf("resource %d of snapshot %q cannot be read: %v", i, snapshot.GetName(), err)
		}
		name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
		switch namespace := snapshot.GetNamespace(); {
		case object.Group == v1beta1.GroupName &&
			(object.Kind == string(v1beta1.ResourceEnvelopeType) || object.Kind == string(v1beta1.ClusterResourceEnvelopeType)):
			return reconcile.Terminalf("%s %s: envelopes are not supported yet", object.Kind, name)
		case wellknown.IsReservedNamespace(object.Namespace):
			return reconcile.Terminalf("%s %s is in namespace %s, which belongs to clusters or the fleet and is not allowed to propagate",
				object.Kind, name, object.Namespace)
		case object.Group == "" && object.Kind == "Namespace" && wellknown.IsReservedNamespace(object.Name):
			return reconcile.Terminalf("Namespace %s belongs to clusters or the fleet and is not allowed to propagate", object.Name)
		case namespace == "" || object.Namespace == namespace:
		case object.Namespace == "":
			return reconcile.Terminalf("%s %q is cluster-scoped, and a ResourcePlacement places what is in its namespace %q only",
				object.Kind, object.Name, namespace)
		default:
			return reconcile.Terminalf("%s %s is in another namespace, and a ResourcePlacement places what is in its namespace %q only",
				object.Kind, name, namespace)
		}
	}
	return nil
}
