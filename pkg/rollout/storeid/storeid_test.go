// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storeid

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

const namespace = "fleet-system"

func configMap(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: ConfigMapName}, Data: data}
}

func TestClaim(t *testing.T) {
	for name, tc := range map[string]struct {
		there []runtime.Object
		want  string
		other bool
	}{
		"a cluster without an id is claimed":      {want: "mine"},
		"an empty ConfigMap is claimed":           {there: []runtime.Object{configMap(nil)}, want: "mine"},
		"an own id stays":                         {there: []runtime.Object{configMap(map[string]string{"id": "mine"})}, want: "mine"},
		"another store's id is never overwritten": {there: []runtime.Object{configMap(map[string]string{"id": "theirs"})}, want: "theirs", other: true},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fake.NewClientset(tc.there...)
			err := Claim(t.Context(), cluster, namespace, "mine")
			var other *OtherStoreError
			if got := errors.As(err, &other); got != tc.other || (err != nil) != tc.other {
				t.Fatalf("Claim() = %v", err)
			}
			if tc.other {
				for _, part := range []string{"theirs", "mine", "kubectl -n fleet-system delete configmap stagegate-store"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not say %q", err, part)
					}
				}
			}
			found, err := cluster.CoreV1().ConfigMaps(namespace).Get(t.Context(), ConfigMapName, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := found.Data[ConfigMapKey]; got != tc.want {
				t.Errorf("id is %q, want %q", got, tc.want)
			}
		})
	}
}

func TestClaimSeesTheStoreThatWasFaster(t *testing.T) {
	cluster := fake.NewClientset()
	cluster.PrependReactor("create", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		if err := cluster.Tracker().Add(configMap(map[string]string{"id": "theirs"})); err != nil {
			t.Error(err)
		}
		return true, nil, apierrors.NewAlreadyExists(corev1.Resource("configmaps"), ConfigMapName)
	})
	var other *OtherStoreError
	if err := Claim(t.Context(), cluster, namespace, "mine"); !errors.As(err, &other) {
		t.Errorf("Claim() = %v, want an OtherStoreError", err)
	}
}
