// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var states = flag.String("states", "testdata/states", "the directory with an object in each state")

func load(t *testing.T) *Checks {
	t.Helper()
	checks, err := Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

func TestHealthOfStoredObjects(t *testing.T) {
	checks := load(t)
	for state := range checks.Expected {
		t.Run(state, func(t *testing.T) {
			obj, err := Stored(*states, state)
			if err != nil {
				t.Fatal(err)
			}
			if err := checks.Check(t.Context(), state, obj); err != nil {
				t.Error(err)
			}
		})
	}
	files, err := os.ReadDir(*states)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, found := checks.Expected[strings.TrimSuffix(file.Name(), ".yaml")]; !found {
			t.Errorf("health.yaml says nothing of %s", file.Name())
		}
	}
}

// TestBothScopesAreChecked holds every stored object of one scope against the checks of the other, as an object of that kind.
func TestBothScopesAreChecked(t *testing.T) {
	checks := load(t)
	for state := range checks.Expected {
		obj, err := Stored(*states, state)
		if err != nil {
			t.Fatal(err)
		}
		kind := obj.GetKind()
		if kind == "MemberCluster" {
			continue
		}
		other, isCluster := strings.CutPrefix(kind, "Cluster")
		if !isCluster {
			other = "Cluster" + kind
		}
		data, err := obj.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		// A placement's conditions have the kind as a prefix.
		renamed := strings.NewReplacer(`"kind":"`+kind+`"`, `"kind":"`+other+`"`, `"type":"`+kind, `"type":"`+other).Replace(string(data))
		if err := obj.UnmarshalJSON([]byte(renamed)); err != nil {
			t.Fatal(err)
		}
		if obj.GetKind() != other {
			t.Fatalf("%s is still a %s", state, obj.GetKind())
		}
		if err := checks.Check(t.Context(), state, obj); err != nil {
			t.Errorf("as a %s: %v", other, err)
		}
	}
}
