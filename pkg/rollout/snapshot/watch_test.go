// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestAQueryIsUnreadableUntilTheHubAnswers(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "", errors.New("not yours"))
	type answer struct {
		watch bool
		err   error
	}
	for name, tc := range map[string]struct {
		answers    []answer
		unreadable bool
		told       int
	}{
		"a refused list":                                   {[]answer{{err: forbidden}}, true, 1},
		"a refused list is told once":                      {[]answer{{err: forbidden}, {err: forbidden}}, true, 1},
		"a list after a refused list":                      {[]answer{{err: forbidden}, {}}, false, 2},
		"a watch that brings the list along":               {[]answer{{err: forbidden}, {watch: true}}, false, 2},
		"a refused watch":                                  {[]answer{{}, {watch: true, err: forbidden}}, true, 1},
		"a list does not make up for a refused watch":      {[]answer{{}, {watch: true, err: forbidden}, {}}, true, 1},
		"a hub that is away tells nothing before it comes": {[]answer{{err: errors.New("connection refused")}}, true, 0},
		"a hub that is back":                               {[]answer{{err: errors.New("connection refused")}, {}}, false, 1},
		"a watch that is too old is only started anew":     {[]answer{{watch: true, err: apierrors.NewResourceExpired("old")}}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			told := 0
			h := newHub(t)
			w, err := newWatched(h.metadata, query{kind: kind{GroupVersionKind: serviceKind, resource: "services"}}, func() { told++ })
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range tc.answers {
				if a.watch {
					w.observe(t.Context(), a.err, &w.watchErr, &w.listErr)
				} else {
					w.observe(t.Context(), a.err, &w.listErr)
				}
			}
			if err := w.unreadable(); !errors.Is(err, errNotRead) != tc.unreadable {
				t.Errorf("unreadable: %v", err)
			}
			if told != tc.told {
				t.Errorf("told %d times, want %d", told, tc.told)
			}
		})
	}
}
