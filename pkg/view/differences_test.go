// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/snapshot"
)

func selected(t *testing.T, group, kind, name, manifest string) snapshot.Resource {
	t.Helper()
	if !json.Valid([]byte(manifest)) {
		t.Fatal(manifest)
	}
	return snapshot.Resource{ID: v1beta1.ResourceIdentifier{Group: group, Version: "v1", Kind: kind, Namespace: "shop", Name: name}, Manifest: []byte(manifest)}
}

func TestDifferences(t *testing.T) {
	before := []snapshot.Resource{
		selected(t, "", "ConfigMap", "same", `{"data":{"a":"1"}}`),
		selected(t, "", "ConfigMap", "changed", `{"data":{"a":"1","b":"x"}}`),
		selected(t, "", "Secret", "token", `{"data":{"token":"b2xk"}}`),
		selected(t, "placement.kubernetes-fleet.io", "ResourceEnvelope", "wrapped", `{"data":{"s.yaml":{"kind":"Secret","stringData":{"t":"hidden-old"}}}}`),
		selected(t, "", "Service", "gone", `{}`),
	}
	after := []snapshot.Resource{
		selected(t, "", "ConfigMap", "same", `{"data":{"a":"1"}}`),
		selected(t, "", "ConfigMap", "changed", `{"data":{"a":"2\u001b[2J","c":"y"}}`),
		selected(t, "", "Secret", "token", `{"data":{"token":"bmV3"}}`),
		selected(t, "placement.kubernetes-fleet.io", "ResourceEnvelope", "wrapped", `{"data":{"s.yaml":{"kind":"Secret","stringData":{"t":"hidden-new"}}}}`),
		selected(t, "apps", "Deployment", "new", `{}`),
	}
	got, err := differences(before, after)
	if err != nil {
		t.Fatal(err)
	}
	const redacted = "(redacted for security reasons)"
	want := []Difference{
		{Object: "ConfigMap shop/changed", Fields: []FieldDifference{{"/data/a", "1", "2[2J"}, {"/data/b", "x", ""}, {"/data/c", "", "y"}}},
		{Object: "Secret shop/token", Fields: []FieldDifference{{"/data/token", redacted, redacted}}},
		{Object: "ResourceEnvelope shop/wrapped", Fields: []FieldDifference{{"/data/s.yaml/stringData/t", redacted, redacted}}},
		{Object: "Deployment shop/new", Added: true},
		{Object: "Service shop/gone", Removed: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, secret := range []string{"b2xk", "bmV3", "hidden"} {
		if strings.Contains(fmt.Sprint(got), secret) {
			t.Errorf("shows %s", secret)
		}
	}
}
