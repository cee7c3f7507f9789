// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"reflect"
	"testing"
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
