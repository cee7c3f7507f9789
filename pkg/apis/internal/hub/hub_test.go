// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

type inner struct {
	Name string `json:"name"`
}

func TestADifferenceBetweenTypesIsNamed(t *testing.T) {
	same := func(value any) reflect.Type { return reflect.TypeOf(value) }
	base := same(struct {
		A string            `json:"a"`
		B []*inner          `json:"b"`
		C map[string]*inner `json:"c"`
	}{})
	type other struct{ Name string }
	for name, tt := range map[string]struct {
		with reflect.Type
		want string
	}{
		"none": {same(struct {
			A string            `json:"a"`
			B []*inner          `json:"b"`
			C map[string]*inner `json:"c"`
		}{}), ""},
		"a field more": {same(struct {
			A string            `json:"a"`
			B []*inner          `json:"b"`
			C map[string]*inner `json:"c"`
			D bool              `json:"d"`
		}{}), "Kind"},
		"a field less": {same(struct {
			A string `json:"a"`
		}{}), "Kind"},
		"another tag": {same(struct {
			A string            `json:"x"`
			B []*inner          `json:"b"`
			C map[string]*inner `json:"c"`
		}{}), "Kind.A"},
		"another type": {same(struct {
			A int               `json:"a"`
			B []*inner          `json:"b"`
			C map[string]*inner `json:"c"`
		}{}), "Kind.A"},
		"another type in a list": {same(struct {
			A string            `json:"a"`
			B []*other          `json:"b"`
			C map[string]*inner `json:"c"`
		}{}), "Kind.B"},
		"another type in a map": {same(struct {
			A string            `json:"a"`
			B []*inner          `json:"b"`
			C map[string]*other `json:"c"`
		}{}), "Kind.C"},
	} {
		if got := difference(base, tt.with, "Kind", map[[2]reflect.Type]bool{}); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestAVersionThatIsNotGeneratedFromTheHubIsRefused(t *testing.T) {
	hub, version := schema.GroupVersion{Group: "g", Version: "v1beta1"}, schema.GroupVersion{Group: "g", Version: "v1"}
	for name, tt := range map[string]struct {
		mirrored runtime.Object
		want     string
	}{
		"the same types":    {&metav1.Status{}, ""},
		"another type":      {&metav1.APIGroup{}, "Thing is not the same in g/v1 and in g/v1beta1: run make generate"},
		"a kind that lacks": {nil, "Thing is not the same in g/v1 and in g/v1beta1: run make generate"},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			scheme.AddKnownTypeWithName(hub.WithKind("Thing"), &metav1.Status{})
			if tt.mirrored != nil {
				scheme.AddKnownTypeWithName(version.WithKind("Thing"), tt.mirrored)
			}
			defer func() {
				if got, _ := recover().(string); got != tt.want {
					t.Errorf("panics with %q, want %q", got, tt.want)
				}
			}()
			Mirror(scheme, version, hub)
		})
	}
}
