// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package revisions

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
)

type snapshot = v1beta1.ResourceSnapshotObject

// history keeps resource snapshots as revisions: m-0, m-1 and so on, whose parts have the annotation part.
func history(w *fleettest.World) History[snapshot] {
	indexOf := func(s snapshot) (int, bool) {
		index, err := strconv.Atoi(s.GetLabels()[wellknown.ResourceIndexLabel])
		return index, err == nil
	}
	name := func(_ string, index int) string { return "m-" + strconv.Itoa(index) }
	return History[snapshot]{Kind: w.Fleet.Snapshots, ByParent: fleet.ByPlacement, Name: name,
		IndexOf: func(s snapshot) (int, bool) {
			index, ok := indexOf(s)
			return index, ok && s.GetName() == name("", index)
		},
		PartOf: func(s snapshot) (int, bool) {
			index, ok := indexOf(s)
			return index, ok && s.GetAnnotations()["part"] != ""
		},
	}
}

func create(w *fleettest.World, name string, index int, change ...func(snapshot)) {
	w.Helper()
	fleettest.Create(w, w.Fleet.Snapshots, name, func(s snapshot) {
		s.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "p", wellknown.ResourceIndexLabel: strconv.Itoa(index)})
		for _, f := range change {
			f(s)
		}
	})
}

func isMarked(s snapshot)  { s.GetLabels()[wellknown.LatestSnapshotLabel] = "true" }
func isPart(s snapshot)    { s.SetAnnotations(map[string]string{"part": "true"}) }
func isForeign(s snapshot) { s.SetLabels(nil) }
func isDeleted(s snapshot) {
	s.SetFinalizers([]string{"example.com/wait"})
	s.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
}

// writes are what is asked of the API from now on: the verb, the name and what is patched.
func writes(w *fleettest.World) func() string {
	w.Client.ClearActions()
	return func() string {
		var shown []string
		for _, action := range w.Client.Actions() {
			switch a := action.(type) {
			case clienttesting.PatchAction:
				shown = append(shown, fmt.Sprintf("patch %s %s", a.GetName(), a.GetPatch()))
			case clienttesting.DeleteAction:
				shown = append(shown, "delete "+a.GetName())
			}
		}
		return strings.Join(shown, "\n")
	}
}

func read(w *fleettest.World) *List[snapshot] {
	w.Helper()
	l, err := history(w).Read(w.Context(), w.Key("p"))
	w.Must(err)
	return l
}

func indexOf(r *Revision[snapshot]) int {
	if r == nil {
		return -1
	}
	return r.Index
}

func TestTheNewestIsTheLastOfWhichTheMasterStays(t *testing.T) {
	for name, tt := range map[string]struct {
		make                      func(w *fleettest.World)
		newest, last, next, count int
	}{
		"none": {func(*fleettest.World) {}, -1, -1, 0, 0},
		"three, by number": {func(w *fleettest.World) {
			create(w, "m-9", 9)
			create(w, "m-10", 10)
			create(w, "m-2", 2)
		}, 10, 10, 11, 3},
		"the last is being deleted": {func(w *fleettest.World) { create(w, "m-0", 0); create(w, "m-1", 1, isDeleted) }, 0, 1, 2, 2},
		"of the last only parts are left": {func(w *fleettest.World) {
			create(w, "m-0", 0)
			create(w, "x", 1, isPart)
		}, 0, 1, 2, 2},
		"a master and its parts are one":     {func(w *fleettest.World) { create(w, "m-0", 0); create(w, "x", 0, isPart); create(w, "y", 0, isPart) }, 0, 0, 1, 1},
		"what only has the label is none":    {func(w *fleettest.World) { create(w, "m-0", 0); create(w, "x", 7) }, 0, 0, 1, 1},
		"what only has the name is passed":   {func(w *fleettest.World) { create(w, "m-0", 0); create(w, "m-1", 1, isForeign) }, 0, 0, 2, 1},
		"what has another's label is passed": {func(w *fleettest.World) { create(w, "m-0", 0); create(w, "m-1", 7) }, 0, 0, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			fleettest.InBothScopes(t, func(w *fleettest.World) {
				tt.make(w)
				l := read(w)
				if got := []int{indexOf(l.Newest()), indexOf(l.Last()), l.Next(), l.Len()}; !slices.Equal(got, []int{tt.newest, tt.last, tt.next, tt.count}) {
					t.Errorf("newest %d, last %d, next %d, %d in all; want %d, %d, %d, %d", got[0], got[1], got[2], got[3], tt.newest, tt.last, tt.next, tt.count)
				}
			})
		})
	}
}

func TestTheMarkIsTakenOffAllBeforeTheNewestGetsIt(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		create(w, "m-0", 0, isMarked)
		create(w, "m-1", 1, isMarked, isDeleted)
		create(w, "m-2", 2)
		create(w, "m-3", 9, isMarked)
		l, written := read(w), writes(w)
		w.Must(l.Mark(w.Context(), l.Newest()))
		want := strings.Join([]string{
			`patch m-0 {"metadata":{"labels":{"kubernetes-fleet.io/is-latest-snapshot":"false"}}}`,
			`patch m-1 {"metadata":{"labels":{"kubernetes-fleet.io/is-latest-snapshot":"false"}}}`,
			// Whoever has changed it since may have marked another.
			fmt.Sprintf(`patch m-2 {"metadata":{"labels":{"kubernetes-fleet.io/is-latest-snapshot":"true"},"resourceVersion":%q}}`, l.Newest().Master.GetResourceVersion()),
		}, "\n")
		if diff := cmp.Diff(want, written()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

func TestOnlyTheOldestThatNobodyUsesArePruned(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		for i := range 4 {
			create(w, "m-"+strconv.Itoa(i), i)
		}
		create(w, "x", 1, isPart)
		create(w, "foreign", 1)
		create(w, "going", 1, isPart, isDeleted)
		l, written := read(w), writes(w)
		w.Must(l.Prune(w.Context(), 4, func() func(int) bool { t.Error("asks who uses what although none is to go"); return nil }))
		w.Must(l.Prune(w.Context(), 2, func() func(int) bool { return func(index int) bool { return index == 0 } }))
		// Parts go first: where the server is killed between, the master tells that there is something left to remove.
		if want := "delete x\ndelete m-1"; written() != want {
			t.Errorf("got %s, want %s", written(), want)
		}
		w.Client.PrependReactor("delete", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
		if err := l.RemoveUnused(w.Context(), func(index int) bool { return index < 3 }); err == nil || !strings.Contains(err.Error(), "Snapshot m-3: no") {
			t.Errorf("error %v, want one that names the object", err)
		}
	})
}

func TestTheNewestIsNotPrunedForWhatIsBeingDeletedAfterIt(t *testing.T) {
	for name, later := range map[string]func(snapshot){"being deleted": isDeleted, "parts alone": isPart} {
		t.Run(name, func(t *testing.T) {
			fleettest.InBothScopes(t, func(w *fleettest.World) {
				create(w, "m-0", 0)
				create(w, "m-1", 1)
				// A part has a name of its own.
				create(w, map[string]string{"being deleted": "m-2", "parts alone": "x"}[name], 2, later)
				l, written := read(w), writes(w)
				w.Must(l.Prune(w.Context(), 1, func() func(int) bool { return func(int) bool { return false } }))
				if want := "delete m-0"; written() != want {
					t.Errorf("got %s, want %s", written(), want)
				}
			})
		})
	}
}
