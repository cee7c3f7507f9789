// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// overrideError is a failure to override, which no other try mends.
type overrideError struct{ message string }

func (e *overrideError) Error() string { return e.message }

func overrideErrorf(format string, args ...any) error {
	return &overrideError{fmt.Sprintf(format, args...)}
}

// checks remembers of each snapshot whether it may be placed: many bindings name the same one, and it never changes.
type checks struct {
	verdicts *lru.Cache
	// limits do not change while the server runs.
	limits *placeable.Limits
}

func newChecks(limits *placeable.Limits) checks { return checks{lru.New(1024), limits} }

func (c checks) of(snapshot v1beta1.ResourceSnapshotObject) error {
	if verdict, known := c.verdicts.Get(snapshot.GetUID()); known && snapshot.GetUID() != "" {
		err, _ := verdict.(error)
		return err
	}
	err := check(snapshot, c.limits)
	c.verdicts.Add(snapshot.GetUID(), err)
	return err
}

// check refuses a snapshot with manifests that must not reach a member. A placement in a namespace reaches into that namespace and
// nowhere else, and none reaches a reserved namespace, or takes what the limits keep, whoever wrote its snapshot. What Works hold already
// stays on the member.
func check(snapshot v1beta1.ResourceSnapshotObject, limits *placeable.Limits) error {
	for i, resource := range snapshot.SnapshotSpec().SelectedResources {
		object, err := overrides.Identify(resource.Raw)
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
		case limits.SkipsNamespace(object.Namespace), object.Group == "" && object.Kind == "Namespace" && limits.SkipsNamespace(object.Name),
			limits.Skips(schema.GroupKind{Group: object.Group, Kind: object.Kind}):
			return reconcile.Terminalf("%s %s is not allowed to propagate on this hub (--skipped-propagating-namespaces, --skipped-propagating-apis, --allowed-propagating-apis)",
				object.Kind, wording.Key(object.Namespace, object.Name))
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
