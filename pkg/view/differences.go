// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/difference"
	"github.com/stagegate/stagegate/pkg/rules/envelope"
	"github.com/stagegate/stagegate/pkg/rules/secretvalue"
	"github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// Difference is an object that two versions of a placement have not in common, or not alike.
type Difference struct {
	// Object is the kind and the name.
	Object string
	// Added and Removed report whether one of the versions lacks the object.
	Added, Removed bool
	// Fields are those in which the object differs. Values of Secrets and of what is in envelopes are not in them.
	Fields []FieldDifference
}

// FieldDifference is a field in which an object differs. A value is empty where the object has none.
type FieldDifference struct {
	Path, Before, After string
}

// Sign returns +, - or ~.
func (d Difference) Sign() string {
	switch {
	case d.Added:
		return "+"
	case d.Removed:
		return "-"
	}
	return "~"
}

// DifferencesOf compares two resource snapshots of a placement by their indices. It fails for one that is not there or not complete.
func DifferencesOf(snapshots []v1beta1.ResourceSnapshotObject, from, to string) ([]Difference, error) {
	before, err := contentOf(snapshots, from)
	if err != nil {
		return nil, err
	}
	after, err := contentOf(snapshots, to)
	if err != nil {
		return nil, err
	}
	return differences(before, after)
}

func contentOf(snapshots []v1beta1.ResourceSnapshotObject, index string) ([]snapshot.Resource, error) {
	master := snapshot.Master(snapshots, index)
	if master == nil {
		var there []string
		for _, s := range snapshots {
			if i := s.GetLabels()[wellknown.ResourceIndexLabel]; i != "" && !slices.Contains(there, i) {
				there = append(there, i)
			}
		}
		if len(there) == 0 {
			return nil, fmt.Errorf("there is no resource snapshot %s", index)
		}
		return nil, fmt.Errorf("there is no resource snapshot %s: there are %s", index, wording.List(there))
	}
	parts, want, err := snapshot.Parts(master, snapshots)
	if err != nil {
		return nil, err
	}
	if len(parts) != want {
		return nil, fmt.Errorf("resource snapshot %s has %d of %d parts: it is being made or deleted", index, len(parts), want)
	}
	return snapshot.Resources(snapshots, index), nil
}

func differences(before, after []snapshot.Resource) (found []Difference, err error) {
	// What is the same object may have another version.
	type identity struct{ group, kind, namespace, name string }
	of := func(r snapshot.Resource) identity {
		return identity{r.ID.Group, r.ID.Kind, r.ID.Namespace, r.ID.Name}
	}
	name := func(r snapshot.Resource) string {
		return Clean(r.ID.Kind + " " + wording.Key(r.ID.Namespace, r.ID.Name))
	}
	was := map[identity]snapshot.Resource{}
	for _, r := range before {
		was[of(r)] = r
	}
	for _, is := range after {
		old, had := was[of(is)]
		delete(was, of(is))
		if !had {
			found = append(found, Difference{Object: name(is), Added: true})
			continue
		}
		var oldObject, object map[string]any
		if err := errors.Join(json.Unmarshal(old.Manifest, &oldObject), json.Unmarshal(is.Manifest, &object)); err != nil {
			return nil, fmt.Errorf("%s: %w", name(is), err)
		}
		// An envelope may have Secrets in it.
		secret := secretvalue.IsSecret(schema.GroupKind{Group: is.ID.Group, Kind: is.ID.Kind}) || envelope.Is(is.ID)
		differ := difference.Between(oldObject, object, secret)
		if len(differ) == 0 {
			continue
		}
		d := Difference{Object: name(is)}
		for _, f := range differ {
			d.Fields = append(d.Fields, FieldDifference{Path: Clean(f.Path), Before: Clean(f.ValueInMember), After: Clean(f.ValueInHub)})
		}
		found = append(found, d)
	}
	for _, r := range before {
		if _, gone := was[of(r)]; gone {
			found = append(found, Difference{Object: name(r), Removed: true})
		}
	}
	return found, nil
}
