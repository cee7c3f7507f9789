// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
)

func TestEachContentIsAVersion(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.create("x")
		f.look()
		f.want("")
		if !f.held() {
			t.Error("a version may outlive the override unseen: there is no finalizer")
		}
		f.look()
		f.want("o-0 x latest")

		f.edit("y")
		f.look()
		f.want("o-0 x, o-1 y latest")

		f.edit("x")
		f.look()
		f.want("o-0 x, o-1 y, o-2 x latest")

		f.Client.ClearActions()
		f.look()
		if writes := f.writes(); len(writes) > 0 {
			t.Errorf("nothing changed, and the controller writes: %v", writes)
		}
	})
}

func TestAVersionCarriesItsOverride(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.create("x")
		f.look()
		f.look()
		s, err := f.Fleet.OverrideSnapshots.Client(f.Namespace).Get(f.Context(), "o-0", metav1.GetOptions{})
		f.Must(err)
		o, err := f.Fleet.Overrides.Client(f.Namespace).Get(f.Context(), "o", metav1.GetOptions{})
		f.Must(err)
		if !overrides.SaysTheSame(o, s) {
			t.Error("it says something else")
		}
		want := map[string]string{wellknown.ParentOverrideLabel: "o", wellknown.OverrideIndexLabel: "0", wellknown.LatestSnapshotLabel: "true"}
		if diff := cmp.Diff(want, s.GetLabels()); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
		if owners := s.GetOwnerReferences(); len(owners) > 0 {
			t.Errorf("it would be collected with its owners %v, in use or not", owners)
		}
	})
}

func TestTheHashIsOfTheSpec(t *testing.T) {
	clusterScoped := &v1beta1.ClusterResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: "o", Labels: map[string]string{"a": "b"}}}
	namespaced := &v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: "o", Namespace: "team"}}
	for override, spec := range map[v1beta1.OverrideObject]any{clusterScoped: &clusterScoped.Spec, namespaced: &namespaced.Spec} {
		says(override, "x")
		encoded, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		got, err := hashOf(override)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%x", sha256.Sum256(encoded)); got != want {
			t.Errorf("%T: hash %s, want %s", override, got, want)
		}
	}
}

func TestTenVersionsAreKeptAndThoseInUse(t *testing.T) {
	for user, use := range users {
		t.Run(user, func(t *testing.T) {
			inBothScopes(t, func(f *fixture) {
				f.create("v11")
				f.look()
				var want []string
				for i := range 11 {
					f.version(i, fmt.Sprintf("v%d", i), "false")
					if i == 0 || i > 1 {
						want = append(want, fmt.Sprintf("o-%d v%d", i, i))
					}
				}
				use(f, "o-0")
				f.look()
				f.want(strings.Join(append(want, "o-11 v11 latest"), ", "))

				f.userGone(user)
				f.look()
				f.want(strings.Join(append(want[1:], "o-11 v11 latest"), ", "))
			})
		})
	}
}

func TestTheVersionsThatNothingUsesGoWithTheirOverride(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.create("x")
		f.look()
		f.look()
		f.edit("y")
		f.look()
		f.delete()
		if again := f.look(); again != settle {
			t.Errorf("looks again after %s, want %s", again, settle)
		}
		f.want("o-0 x, o-1 y")
		if !f.held() {
			t.Error("the override is let go, and its versions are there")
		}
		f.settled()
		f.want("")
		if f.held() {
			t.Error("the override is not let go")
		}
	})
}

func TestAnOverrideWithoutVersionsIsLetGoAtOnce(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.create("x")
		f.look()
		f.delete()
		if again := f.look(); again != 0 || f.held() {
			t.Errorf("looks again after %s, held %v", again, f.held())
		}
	})
}

func TestAVersionInUseOutlivesItsOverrideUntilItsLastUserIsGone(t *testing.T) {
	for user, use := range users {
		t.Run(user, func(t *testing.T) {
			inBothScopes(t, func(f *fixture) {
				f.create("x")
				f.look()
				f.look()
				f.edit("y")
				f.look()
				use(f, "o-1")
				f.delete()
				f.look()
				f.settled()
				f.want("o-1 y")
				if f.held() {
					t.Error("the override is not let go")
				}
				remove(f, f.Fleet.Overrides, "o")
				f.look()
				f.want("o-1 y")

				f.userGone(user)
				f.look()
				f.want("")
			})
		})
	}
}

func TestAVersionIsUsedInItsOwnScopeOnly(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.version(0, "x", "true")
		fleettest.Create(f.World, f.Fleet.Bindings, "user", func(b v1beta1.BindingObject) {
			spec := b.BindingSpec()
			spec.ResourceOverrideSnapshots = []v1beta1.NamespacedName{{Namespace: "elsewhere", Name: "o-0"}}
			if f.Namespace == "" {
				spec.ClusterResourceOverrideSnapshots = []string{"o", "o-", "o-1-0", "oo-0", "o-00", "o-0-x"}
			} else {
				spec.ClusterResourceOverrideSnapshots = []string{"o-0"}
			}
		})
		f.look()
		f.want("")
	})
}

func TestAVersionIsUsedByPlacementsOfTheOtherScopeToo(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		other := "team"
		if f.Namespace != "" {
			other = ""
		}
		f.version(0, "x", "false")
		f.version(1, "x", "false")
		f.version(2, "x", "false")
		binding := f.Fleet.Bindings.New(reconcile.Key{Namespace: other, Name: "user"})
		f.name("o-0", &binding.BindingSpec().ClusterResourceOverrideSnapshots, &binding.BindingSpec().ResourceOverrideSnapshots)
		_, err := f.Fleet.Bindings.Client(other).Create(f.Context(), binding, metav1.CreateOptions{})
		f.Must(err)
		run := f.Fleet.Runs.New(reconcile.Key{Namespace: other, Name: "user"})
		c := v1beta1.ClusterUpdatingStatus{}
		f.name("o-1", &c.ClusterResourceOverrideSnapshots, &c.ResourceOverrideSnapshots)
		run.RunStatus().StagesStatus = []v1beta1.StageUpdatingStatus{{Clusters: []v1beta1.ClusterUpdatingStatus{c}}}
		_, err = f.Fleet.Runs.Client(other).Create(f.Context(), run, metav1.CreateOptions{})
		f.Must(err)
		f.look()
		f.want("o-0 x, o-1 x")
	})
}

func TestANewOverrideOfTheNameContinues(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.version(3, "x", "false")
		users["binding"](f, "o-3")
		f.create("x")
		f.look()
		f.want("o-3 x")
		f.look()
		f.want("o-3 x latest")
		f.edit("y")
		f.look()
		f.want("o-3 x, o-4 y latest")
	})
}

func TestANameThatIsUsedIsNotGivenToAnotherVersion(t *testing.T) {
	for user, use := range users {
		t.Run(user, func(t *testing.T) {
			inBothScopes(t, func(f *fixture) {
				f.version(0, "x", "false")
				use(f, "o-4")
				f.create("y")
				f.look()
				f.look()
				f.want("o-0 x, o-5 y latest")
			})
		})
	}
}

func TestAVersionThatSomebodyDeletes(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.create("x")
		f.look()
		f.look()
		f.edit("y")
		f.look()
		remove(f, f.Fleet.OverrideSnapshots, "o-0")
		f.look()
		f.want("o-1 y latest")
		remove(f, f.Fleet.OverrideSnapshots, "o-1")
		f.look()
		f.want("o-0 y latest")
	})
}

func TestAVersionThatIsBeingDeletedIsNotTheNewest(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.create("y")
		f.look()
		f.version(0, "x", "false")
		f.version(1, "y", "true")
		fleettest.Update(f.World, f.Fleet.OverrideSnapshots, "o-1", func(s v1beta1.OverrideSnapshotObject) {
			s.SetFinalizers([]string{"example.com/wait"})
			s.SetDeletionTimestamp(&metav1.Time{Time: start})
		})
		f.look()
		f.want("o-0 x, o-1 y, o-2 y latest")
	})
}

func TestNothingIsMadeInANamespaceThatGoes(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.create("x")
		f.look()
		f.Client.PrependReactor("create", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
			err := apierrors.NewForbidden(action.GetResource().GroupResource(), "o-0", errors.New("the namespace goes"))
			err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
			return true, nil, err
		})
		f.look()
	})
}

func TestAMarkThatSomebodyMovesIsPutBack(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.create("y")
		f.look()
		f.version(0, "x", "true")
		f.version(1, "y", "false")
		f.look()
		f.want("o-0 x, o-1 y latest")
	})
}

func TestWhatAKilledServerLeavesIsMended(t *testing.T) {
	for name, test := range map[string]struct {
		begin func(f *fixture)
		want  string
	}{
		"finalizer, and no version":       {func(*fixture) {}, "o-0 y latest"},
		"nothing marked, and none made":   {func(f *fixture) { f.version(0, "x", "false") }, "o-0 x, o-1 y latest"},
		"made and not marked":             {func(f *fixture) { f.version(0, "y", "false") }, "o-0 y latest"},
		"made, and the one before marked": {func(f *fixture) { f.version(0, "x", "true"); f.version(1, "y", "true") }, "o-0 x, o-1 y latest"},
		"made and not pruned": {func(f *fixture) {
			for i := range 12 {
				f.version(i, "x", "false")
			}
			f.version(12, "y", "true")
		}, "o-3 x, o-4 x, o-5 x, o-6 x, o-7 x, o-8 x, o-9 x, o-10 x, o-11 x, o-12 y latest"},
		"deleted, and nothing done": {func(f *fixture) {
			f.version(0, "x", "false")
			f.version(1, "y", "true")
			f.delete()
			f.clock.Step(settle)
		}, ""},
		"deleted, and half of the versions gone": {func(f *fixture) {
			f.version(1, "y", "false")
			f.delete()
			f.clock.Step(settle)
		}, ""},
		"let go by force": {func(f *fixture) {
			f.version(0, "x", "false")
			f.version(1, "y", "true")
			users["run"](f, "o-1")
			remove(f, f.Fleet.Overrides, "o")
		}, "o-1 y"},
	} {
		t.Run(name, func(t *testing.T) {
			inBothScopes(t, func(f *fixture) {
				f.create("y")
				f.look()
				test.begin(f)
				f.look()
				f.want(test.want)
			})
		})
	}
}

func TestWhatIsInTheWayIsSteppedOver(t *testing.T) {
	impostor := func(f *fixture, name string, labels map[string]string) {
		fleettest.Create(f.World, f.Fleet.OverrideSnapshots, name, func(s v1beta1.OverrideSnapshotObject) {
			says(s, "evil")
			s.SetLabels(labels)
		})
	}
	labels := func(parent, index string) map[string]string {
		return map[string]string{wellknown.ParentOverrideLabel: parent, wellknown.OverrideIndexLabel: index, wellknown.LatestSnapshotLabel: "true"}
	}
	for name, test := range map[string]struct {
		begin func(f *fixture)
		want  string
	}{
		"without labels":          {func(f *fixture) { impostor(f, "o-1", nil); impostor(f, "o-2", nil) }, "o-0 x, o-3 y latest"},
		"another override's":      {func(f *fixture) { impostor(f, "o-1", labels("other", "1")) }, "o-0 x, o-2 y latest"},
		"of another index":        {func(f *fixture) { impostor(f, "o-1", labels("o", "7")) }, "o-0 x, o-2 y latest, o-1 evil latest (foreign)"},
		"passing for the next":    {func(f *fixture) { impostor(f, "o-1", labels("o", "1")) }, "o-0 x, o-1 evil, o-2 y latest"},
		"passing for a later one": {func(f *fixture) { impostor(f, "o-7", labels("o", "7")) }, "o-0 x, o-7 evil, o-8 y latest"},
	} {
		t.Run(name, func(t *testing.T) {
			inBothScopes(t, func(f *fixture) {
				f.create("x")
				f.look()
				f.look()
				test.begin(f)
				f.edit("y")
				f.look()
				f.want(test.want)
				f.look()
				f.want(test.want)
			})
		})
	}
}

func TestACacheThatLagsMakesNothingTwiceAndTakesNothingAway(t *testing.T) {
	for name, test := range map[string]struct {
		begin, meanwhile func(f *fixture)
		want             string
	}{
		"the override was edited": {
			func(f *fixture) { f.version(0, "w", "true") },
			func(f *fixture) { f.edit("y") },
			"o-0 w latest",
		},
		"the version was made": {
			func(*fixture) {},
			func(f *fixture) { f.version(0, "x", "true") },
			"o-0 x latest",
		},
		"several versions were made": {
			func(f *fixture) { f.version(0, "w", "false") },
			func(f *fixture) { f.version(1, "v", "false"); f.version(2, "x", "true") },
			"o-0 w, o-1 v, o-2 x latest",
		},
		"the override was recreated": {
			func(f *fixture) { f.version(0, "x", "true"); f.delete(); f.clock.Step(settle) },
			func(f *fixture) { remove(f, f.Fleet.Overrides, "o"); f.create("x") },
			"o-0 x latest",
		},
		"the override was deleted": {
			func(*fixture) {},
			func(f *fixture) { f.delete() },
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBothScopes(t, func(f *fixture) {
				f.create("x")
				f.look()
				test.begin(f)
				lagging := f.controller()
				test.meanwhile(f)
				_, err := lagging.reconcile(f.Context(), f.Key("o"))
				f.Must(err)
				f.want(test.want)
			})
		})
	}
	t.Run("the override is not in the cache yet", func(t *testing.T) {
		inBothScopes(t, func(f *fixture) {
			f.version(0, "x", "true")
			lagging := f.controller()
			f.create("x")
			_, err := lagging.reconcile(f.Context(), f.Key("o"))
			f.Must(err)
			f.want("o-0 x latest")
		})
	})
}

func TestAnotherThatIsFasterIsFollowed(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		f.create("x")
		f.look()
		c := f.controller()
		f.version(0, "x", "true")
		// It was not there yet when it was looked for.
		f.Client.PrependReactor("get", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
			name := action.(clienttesting.GetAction).GetName()
			return name == "o-0", nil, apierrors.NewNotFound(action.GetResource().GroupResource(), name)
		})
		if _, err := c.reconcile(f.Context(), f.Key("o")); !apierrors.IsConflict(err) {
			t.Errorf("error %v, want a conflict", err)
		}
		f.want("o-0 x latest")
	})
}

func TestALoopKeepsVersionsAsThingsChange(t *testing.T) {
	inBothScopes(t, func(f *fixture) {
		// What was left of overrides that are long gone is looked at once at the start.
		f.version(0, "x", "false")
		f.Run(New(f.Fleet, clock.RealClock{}).Run)
		until := func(want string) {
			f.Helper()
			f.Eventually(want, func() bool {
				var shown []string
				for _, s := range f.Fleet.OverrideSnapshots.List(f.Namespace, everything) {
					if latest := s.GetLabels()[wellknown.LatestSnapshotLabel]; latest == "true" {
						shown = append(shown, s.GetName()+" latest")
					} else {
						shown = append(shown, s.GetName())
					}
				}
				return sorted(shown) == want
			})
		}
		until("")
		f.create("x")
		until("o-0 latest")
		f.edit("y")
		until("o-0 o-1 latest")
		users["run"](f, "o-0")
		users["binding"](f, "o-1")
		f.clock.SetTime(clock.RealClock{}.Now())
		f.delete()
		until("o-0 o-1")
		f.Eventually("the override is let go", func() bool {
			o, err := f.Fleet.Overrides.Get(f.Key("o"))
			f.Must(err)
			return !reconcile.HasFinalizer(o, wellknown.OverrideCleanupFinalizer)
		})
		remove(f, f.Fleet.Overrides, "o")
		fleettest.Update(f.World, f.Fleet.Bindings, "user", func(b v1beta1.BindingObject) {
			b.BindingSpec().ClusterResourceOverrideSnapshots, b.BindingSpec().ResourceOverrideSnapshots = nil, nil
		})
		until("o-0")
		f.userGone("run")
		until("")
	})
}
