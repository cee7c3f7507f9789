// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
)

// maxLeftOut is how many overrides that were left out a Work names. Namespaces may have many, and its annotations have a limit.
const maxLeftOut = 20

// eventLeftOut is the reason of the Event that an override gets where an object was rolled out without it.
const eventLeftOut = "OverrideLeftOut"

// encodeLeftOut writes down what was left out of a Work, each override with the first object that it does not fit: "" for nothing.
func encodeLeftOut(all []overrides.LeftOut) string {
	var kept []overrides.LeftOut
	for _, l := range all {
		if len(kept) < maxLeftOut && !slices.ContainsFunc(kept, func(k overrides.LeftOut) bool { return k.Version == l.Version }) {
			kept = append(kept, l)
		}
	}
	if len(kept) == 0 {
		return ""
	}
	// Names and messages can always be encoded.
	data, _ := json.Marshal(kept)
	return string(data)
}

// leftOutOf reads what was left out of a Work. What somebody else has written there says nothing.
func leftOutOf(work *v1beta1.Work) []overrides.LeftOut {
	var all []overrides.LeftOut
	if data := work.Annotations[wellknown.LeftOutOverridesAnnotation]; data == "" || json.Unmarshal([]byte(data), &all) != nil {
		return nil
	}
	return all
}

// leftOut says which overrides the Works are without, in a few words: the first, and how many more.
func leftOut(works []*v1beta1.Work) string {
	message, seen := "", []v1beta1.NamespacedName{}
	for _, work := range works {
		for _, l := range leftOutOf(work) {
			if slices.Contains(seen, l.Version) {
				continue
			}
			if seen = append(seen, l.Version); len(seen) == 1 {
				message = l.Message
			}
		}
	}
	switch len(seen) {
	case 0:
		return ""
	case 1:
		return "One that does not fit is left out: " + message
	default:
		return fmt.Sprintf("%d that do not fit are left out, the first: %s", len(seen), message)
	}
}

// tellOfLeftOut tells in an Event on each override that a Work was written without it; before is nil for a new Work.
func (c *Controller) tellOfLeftOut(binding v1beta1.BindingObject, before, after *v1beta1.Work) {
	now := after.Annotations[wellknown.LeftOutOverridesAnnotation]
	if now == "" || before != nil && before.Annotations[wellknown.LeftOutOverridesAnnotation] == now {
		return
	}
	for _, l := range leftOutOf(after) {
		snapshot, err := c.fleet.OverrideSnapshots.Get(reconcile.Key{Namespace: l.Version.Namespace, Name: l.Version.Name})
		if err != nil {
			continue
		}
		override, err := c.fleet.Overrides.Get(reconcile.Key{Namespace: l.Version.Namespace, Name: snapshot.GetLabels()[wellknown.ParentOverrideLabel]})
		if err != nil {
			// Nobody looks at an override that is gone.
			continue
		}
		c.recorder.Eventf(override, corev1.EventTypeWarning, eventLeftOut, "ClusterResourcePlacement %s is rolled out without it: %s",
			placementOf(binding).Name, l.Message)
	}
}
