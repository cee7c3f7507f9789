// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"maps"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// TestSelectableFieldsAgreeWithConversion holds the table of resources and each version's field labels together: what the one
// computes the other lets through, and nothing else that any kind can be selected by.
func TestSelectableFieldsAgreeWithConversion(t *testing.T) {
	selectable := map[string]bool{"spec.policy": true}
	for _, r := range Table() {
		for _, label := range r.FieldLabels {
			selectable[label] = true
		}
	}
	if len(selectable) != 7 {
		t.Errorf("fields are %v, want the six of runs, approval requests and bindings", slices.Sorted(maps.Keys(selectable)))
	}
	for _, r := range Table() {
		for _, version := range store.Versions(r.Group) {
			kind := schema.GroupVersionKind{Group: r.Group, Version: version, Kind: r.Kind}
			for label := range selectable {
				_, _, err := scheme.Scheme.ConvertFieldLabel(kind, label, "x")
				if want := slices.Contains(r.FieldLabels, label); (err == nil) != want {
					t.Errorf("%s selectable by %s: conversion says %v, the table %v", kind, label, err, want)
				}
			}
			for _, label := range []string{"metadata.name", "metadata.namespace"} {
				if _, _, err := scheme.Scheme.ConvertFieldLabel(kind, label, "x"); err != nil {
					t.Errorf("%s is not selectable by %s: %v", kind, label, err)
				}
			}
		}
	}
}

func TestSelectableFieldsHaveTheValueOfTheField(t *testing.T) {
	want := map[string]map[string]string{
		"approvalrequests":        {"spec.parentStageRollout": "run", "spec.targetStage": "canary"},
		"clusterapprovalrequests": {"spec.parentStageRollout": "run", "spec.targetStage": "canary"},
		"stagedupdateruns":        {"spec.placementName": "app", "spec.state": "Initialize"},
		"clusterstagedupdateruns": {"spec.placementName": "app", "spec.state": "Initialize"},
		"resourcebindings":        {"spec.targetCluster": "member1", "spec.resourceSnapshotName": ""},
		"clusterresourcebindings": {"spec.targetCluster": "member1", "spec.resourceSnapshotName": ""},
	}
	for _, r := range Table() {
		if r.Attributes == nil {
			if want[r.Plural] != nil {
				t.Errorf("%s cannot be selected by fields", r.Plural)
			}
			continue
		}
		obj := sample(t, r)
		obj.SetNamespace("team")
		obj.SetLabels(map[string]string{"a": "b"})
		labels, got, err := r.Attributes(obj)
		if err != nil {
			t.Fatal(err)
		}
		expect := maps.Clone(want[r.Plural])
		expect["metadata.name"] = "sample"
		if r.Namespaced {
			expect["metadata.namespace"] = "team"
		}
		if !maps.Equal(expect, got) {
			t.Errorf("%s: fields are %v, want %v", r.Plural, got, expect)
		}
		if labels["a"] != "b" {
			t.Errorf("%s: labels are %v", r.Plural, labels)
		}
	}
}
