// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storeid

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

const namespace = "fleet-system"

// memory is a HubRecord.
type memory struct {
	hub string
	// beforeSet, if there is one, runs before a write, which fails with the error that it returns.
	beforeSet func() error
	// afterSet, if there is one, runs after a write that was carried out, which is answered with the error that it returns.
	afterSet func() error
}

func (m *memory) Hub(context.Context) (string, error) { return m.hub, nil }

func (m *memory) SetHub(_ context.Context, from, to string) error {
	if m.beforeSet != nil {
		if err := m.beforeSet(); err != nil {
			return err
		}
	}
	if m.hub != from {
		return ErrHubRecordChanged
	}
	m.hub = to
	if m.afterSet != nil {
		return m.afterSet()
	}
	return nil
}

// facts are what is written down about who rules whom.
type facts struct {
	// Recorded is the hub in the store.
	Recorded string
	// ConfigMap is that of the hub; nil if there is none.
	ConfigMap map[string]string
}

// hubOf is a hub with the uid and the ConfigMap.
func hubOf(uid string, data map[string]string) *fake.Clientset {
	objects := []runtime.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: types.UID(uid)}}}
	if data != nil {
		objects = append(objects, configMap(data))
	}
	return fake.NewClientset(objects...)
}

func configMap(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: ConfigMapName}, Data: data}
}

func factsOf(t *testing.T, hub *fake.Clientset, record *memory) facts {
	t.Helper()
	found, err := hub.CoreV1().ConfigMaps(namespace).Get(t.Context(), ConfigMapName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return facts{Recorded: record.hub}
	}
	if err != nil {
		t.Fatal(err)
	}
	return facts{Recorded: record.hub, ConfigMap: found.Data}
}

var (
	ours          = map[string]string{"id": "mine", "hub": "this-hub"}
	oursElsewhere = map[string]string{"id": "mine", "hub": "that-hub"}
	storeOnly     = map[string]string{"id": "mine"}
	theirs        = map[string]string{"id": "theirs", "hub": "this-hub"}
)

// claims are all that a store "mine" may find on a hub "this-hub".
var claims = map[string]struct {
	facts
	// other is "store" or "hub" where the claim fails, and nothing may be written.
	other string
	// says is what its error has to say.
	says []string
}{
	"a new store claims a new hub":              {facts: facts{"", nil}},
	"a new store claims a hub without an id":    {facts: facts{"", map[string]string{}}},
	"a ConfigMap without data is claimed":       {facts: facts{"this-hub", map[string]string{"note": "kept"}}},
	"an earlier version has written no hubs":    {facts: facts{"", storeOnly}},
	"an earlier version has written half":       {facts: facts{"this-hub", storeOnly}},
	"a hub that lost its ConfigMap":             {facts: facts{"this-hub", nil}},
	"a store that lost its record":              {facts: facts{"", ours}},
	"both are known":                            {facts: facts{"this-hub", ours}},
	"a person has named both":                   {facts: facts{"that-hub", ours}},
	"another store's hub":                       {facts: facts{"", theirs}, other: "store"},
	"another store's hub, of an earlier server": {facts: facts{"", map[string]string{"id": "theirs"}}, other: "store"},
	"another store has taken our hub over":      {facts: facts{"this-hub", theirs}, other: "store"},
	"another store's hub, for a store of another hub": {facts: facts{"that-hub", theirs}, other: "store",
		says: []string{"theirs", "mine", "kubectl -n fleet-system delete configmap stagegate-store"}},
	"a rebuilt hub": {facts: facts{"that-hub", nil}, other: "hub", says: []string{
		"the store of this server names hub that-hub", "this hub is this-hub", "rebuilt", "copy",
		"kubectl -n fleet-system create configmap stagegate-store --from-literal=id=mine --from-literal=hub=this-hub --dry-run=client -o yaml | kubectl apply -f -",
	}},
	"a rebuilt hub with an empty ConfigMap":               {facts: facts{"that-hub", map[string]string{}}, other: "hub"},
	"a rebuilt hub with the ConfigMap of the old":         {facts: facts{"that-hub", oursElsewhere}, other: "hub", says: []string{"the store of this server"}},
	"a rebuilt hub with an old ConfigMap of the old":      {facts: facts{"that-hub", storeOnly}, other: "hub"},
	"a rebuilt hub with the ConfigMap of a third":         {facts: facts{"that-hub", map[string]string{"id": "mine", "hub": "third"}}, other: "hub"},
	"a hub is named and no store":                         {facts: facts{"that-hub", map[string]string{"hub": "this-hub"}}, other: "hub"},
	"our hub with the ConfigMap of another":               {facts: facts{"this-hub", oursElsewhere}, other: "hub", says: []string{"ConfigMap fleet-system/stagegate-store names hub that-hub"}},
	"a hub with another's ConfigMap, for a store of none": {facts: facts{"", oursElsewhere}, other: "hub"},
	"another hub is named, and no store":                  {facts: facts{"", map[string]string{"hub": "that-hub"}}, other: "hub"},
}

func TestClaim(t *testing.T) {
	for name, tc := range claims {
		t.Run(name, func(t *testing.T) {
			hub, record := hubOf("this-hub", tc.ConfigMap), &memory{hub: tc.Recorded}
			ruler, err := Claim(t.Context(), hub, namespace, "mine", record)
			want := tc.facts
			var otherStore *OtherStoreError
			var otherHub *OtherHubError
			switch tc.other {
			case "":
				want.Recorded = "this-hub"
				want.ConfigMap = map[string]string{"id": "mine", "hub": "this-hub"}
				if note := tc.ConfigMap["note"]; note != "" {
					want.ConfigMap["note"] = note
				}
				if diff := cmp.Diff(Ruler{Store: "mine", Hub: "this-hub"}, ruler); diff != "" || err != nil {
					t.Errorf("Claim() = %v, %v", ruler, err)
				}
			case "store":
				if !errors.As(err, &otherStore) {
					t.Errorf("Claim() = %v, want an OtherStoreError", err)
				}
			case "hub":
				if !errors.As(err, &otherHub) {
					t.Errorf("Claim() = %v, want an OtherHubError", err)
				}
			}
			for _, part := range tc.says {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if diff := cmp.Diff(want, factsOf(t, hub, record)); diff != "" {
				t.Errorf("written down (-want +got):\n%s", diff)
			}
			if tc.other != "" {
				for _, action := range hub.Actions() {
					if action.GetVerb() != "get" {
						t.Errorf("wrote %v", action)
					}
				}
			}
		})
	}
}

// TestAKilledClaimIsTakenUpAgain kills the claim at each write, before and after it is carried out.
func TestAKilledClaimIsTakenUpAgain(t *testing.T) {
	errKilled := errors.New("killed")
	for name, tc := range claims {
		for kill := range 4 {
			t.Run(fmt.Sprintf("%s/%d", name, kill), func(t *testing.T) {
				undisturbed, undisturbedRecord := hubOf("this-hub", tc.ConfigMap), &memory{hub: tc.Recorded}
				_, wantErr := Claim(t.Context(), undisturbed, namespace, "mine", undisturbedRecord)

				hub, record := hubOf("this-hub", tc.ConfigMap), &memory{hub: tc.Recorded}
				killed := false
				die := func() error { killed = true; return errKilled }
				switch kill {
				case 0:
					record.beforeSet = die
				case 1:
					record.afterSet = die
				case 2, 3:
					hub.PrependReactor("*", "configmaps", func(action clienttesting.Action) (bool, runtime.Object, error) {
						if killed || action.GetVerb() == "get" {
							return false, nil, nil
						}
						if kill == 3 {
							if _, _, err := clienttesting.ObjectReaction(hub.Tracker())(action); err != nil {
								t.Error(err)
							}
						}
						return true, nil, die()
					})
				}
				if _, err := Claim(t.Context(), hub, namespace, "mine", record); killed && !errors.Is(err, errKilled) {
					t.Fatalf("the killed Claim() = %v", err)
				}
				record.beforeSet, record.afterSet = nil, nil
				if _, err := Claim(t.Context(), hub, namespace, "mine", record); fmt.Sprint(err) != fmt.Sprint(wantErr) {
					t.Errorf("the next Claim() = %v, want %v", err, wantErr)
				}
				if diff := cmp.Diff(factsOf(t, undisturbed, undisturbedRecord), factsOf(t, hub, record)); diff != "" {
					t.Errorf("written down after the kill (-undisturbed +got):\n%s", diff)
				}
			})
		}
	}
}

func TestClaimJudgesAgainWhatOthersWrote(t *testing.T) {
	anotherWrites := func(data map[string]string) func(*testing.T, *fake.Clientset, *memory) {
		return func(t *testing.T, hub *fake.Clientset, _ *memory) {
			hub.PrependReactor("create", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
				if err := hub.Tracker().Add(configMap(data)); err != nil {
					t.Error(err)
				}
				return true, nil, apierrors.NewAlreadyExists(corev1.Resource("configmaps"), ConfigMapName)
			})
		}
	}
	recordBecomes := func(hub string) func(*testing.T, *fake.Clientset, *memory) {
		return func(_ *testing.T, _ *fake.Clientset, record *memory) {
			record.beforeSet = func() error {
				record.hub, record.beforeSet = hub, nil
				return nil
			}
		}
	}
	for name, tc := range map[string]struct {
		race  func(*testing.T, *fake.Clientset, *memory)
		other any
	}{
		"another store was faster":                          {race: anotherWrites(theirs), other: new(*OtherStoreError)},
		"another replica was faster":                        {race: anotherWrites(ours)},
		"another replica has written the store":             {race: recordBecomes("this-hub")},
		"another replica, on another hub, was faster there": {race: recordBecomes("that-hub"), other: new(*OtherHubError)},
	} {
		t.Run(name, func(t *testing.T) {
			hub, record := hubOf("this-hub", nil), &memory{}
			tc.race(t, hub, record)
			_, err := Claim(t.Context(), hub, namespace, "mine", record)
			if tc.other == nil && err != nil || tc.other != nil && !errors.As(err, tc.other) {
				t.Errorf("Claim() = %v, want %T", err, tc.other)
			}
		})
	}
}

func TestClaimFailsWithoutIdentities(t *testing.T) {
	for name, tc := range map[string]struct {
		store, hub string
	}{
		"a store without an id": {hub: "this-hub"},
		"a hub without a uid":   {store: "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			hub, record := hubOf(tc.hub, nil), &memory{}
			if _, err := Claim(t.Context(), hub, namespace, tc.store, record); err == nil {
				t.Error("the hub was claimed")
			}
			if diff := cmp.Diff(facts{}, factsOf(t, hub, record)); diff != "" {
				t.Errorf("written down (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerifyOnlyReads(t *testing.T) {
	for name, tc := range map[string]struct {
		there map[string]string
		ruler Ruler
		// other is whether the error is an OtherStoreError, says what any error has to say.
		other bool
		says  string
	}{
		"its own hub":                            {there: ours, ruler: Ruler{"mine", "this-hub"}},
		"its own hub, as earlier versions wrote": {there: storeOnly, ruler: Ruler{"mine", "this-hub"}},
		"the hub of another store":               {there: theirs, ruler: Ruler{"mine", "this-hub"}, other: true, says: "theirs"},
		"another hub of this store":              {there: oursElsewhere, ruler: Ruler{"mine", "this-hub"}, other: true, says: "that-hub"},
		"a hub that nobody rules":                {ruler: Ruler{"mine", "this-hub"}, says: "ConfigMap fleet-system/stagegate-store"},
		"an empty ConfigMap":                     {there: map[string]string{}, ruler: Ruler{"mine", "this-hub"}, says: "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			hub := hubOf("this-hub", tc.there)
			err := Verify(t.Context(), hub, namespace, tc.ruler)
			var other *OtherStoreError
			if errors.As(err, &other) != tc.other || (err == nil) != (tc.says == "") {
				t.Fatalf("Verify() = %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%q does not say %q", err, tc.says)
			}
			for _, action := range hub.Actions() {
				if action.GetVerb() != "get" {
					t.Errorf("wrote %v", action)
				}
			}
		})
	}
}

func TestAwaitOther(t *testing.T) {
	for name, tc := range map[string]struct {
		becomes map[string]string
		// replaced has the hub replaced by another one under the same address.
		replaced bool
		other    any
	}{
		"a hub that was replaced, without the ConfigMap":     {replaced: true, other: new(*OtherHubError)},
		"a hub that was replaced, with a copy of everything": {replaced: true, becomes: ours, other: new(*OtherHubError)},
		"another store":                {becomes: theirs, other: new(*OtherStoreError)},
		"another hub":                  {becomes: oursElsewhere, other: new(*OtherHubError)},
		"the hub that it was":          {becomes: ours},
		"a hub of an earlier version":  {becomes: storeOnly},
		"a ConfigMap without contents": {becomes: map[string]string{}},
		"deleted":                      {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := hubOf("this-hub", ours)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- AwaitOther(ctx, hub, namespace, Ruler{"mine", "this-hub"}) }()
				synctest.Wait()
				if tc.replaced {
					system := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: "that-hub"}}
					if _, err := hub.CoreV1().Namespaces().Update(ctx, system, metav1.UpdateOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				var err error
				if configMaps := hub.CoreV1().ConfigMaps(namespace); tc.becomes == nil {
					err = configMaps.Delete(ctx, ConfigMapName, metav1.DeleteOptions{})
				} else {
					_, err = configMaps.Update(ctx, configMap(tc.becomes), metav1.UpdateOptions{})
				}
				if err != nil {
					t.Fatal(err)
				}
				got := <-done
				if tc.other == nil && !errors.Is(got, context.DeadlineExceeded) || tc.other != nil && !errors.As(got, tc.other) {
					t.Errorf("AwaitOther() = %v, want %T", got, tc.other)
				}
			})
		})
	}
}
