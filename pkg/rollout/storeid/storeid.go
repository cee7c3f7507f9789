// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storeid

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const (
	// ConfigMapName is the ConfigMap that holds the id.
	ConfigMapName = "stagegate-store"
	// ConfigMapKey is the key of the id in it.
	ConfigMapKey = "id"
)

// OtherStoreError says that something is ruled by another store.
type OtherStoreError struct {
	// Holder is where the id was found.
	Holder string
	// Found is the id found there, Want the one that asked.
	Found, Want string
	// Adopt says how a person hands it over to the store that asked.
	Adopt string
}

func (e *OtherStoreError) Error() string {
	return fmt.Sprintf("%s names store %s, but the store of this server is %s; if that store is gone for good, adopt what it ruled: %s",
		e.Holder, e.Found, e.Want, e.Adopt)
}

// Claim makes sure that a cluster is ruled by the store with the id, and writes the id down where there is none. It fails with an
// OtherStoreError where another store's is, and never overwrites that.
func Claim(ctx context.Context, cluster kubernetes.Interface, namespace, id string) error {
	configMaps := cluster.CoreV1().ConfigMaps(namespace)
	found, err := configMaps.Get(ctx, ConfigMapName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = configMaps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Name:      ConfigMapName,
				Namespace: namespace,
				Labels:    map[string]string{wellknown.FleetResourceLabel: "true"},
			},
			Data: map[string]string{ConfigMapKey: id},
		}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			found, err = configMaps.Get(ctx, ConfigMapName, metav1.GetOptions{})
		}
	}
	if err != nil {
		return fmt.Errorf("store id in ConfigMap %s/%s: %w", namespace, ConfigMapName, err)
	}
	switch found.Data[ConfigMapKey] {
	case id:
		return nil
	case "":
		found = found.DeepCopy()
		if found.Data == nil {
			found.Data = map[string]string{}
		}
		found.Data[ConfigMapKey] = id
		// The resourceVersion read makes this fail where another store was faster.
		if _, err := configMaps.Update(ctx, found, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("store id in ConfigMap %s/%s: %w", namespace, ConfigMapName, err)
		}
		return nil
	}
	return &OtherStoreError{
		Holder: fmt.Sprintf("ConfigMap %s/%s", namespace, ConfigMapName),
		Found:  found.Data[ConfigMapKey],
		Want:   id,
		Adopt: fmt.Sprintf("kubectl -n %s delete configmap %s, or set its key %q to this server's store",
			namespace, ConfigMapName, ConfigMapKey),
	}
}
