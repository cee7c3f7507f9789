// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storeid

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/retry"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const (
	// ConfigMapName is the ConfigMap of a hub that names its ruler.
	ConfigMapName = "stagegate-store"
	// ConfigMapKey is the key of the store's id in it.
	ConfigMapKey = "id"
	// ConfigMapHubKey is the key of the hub's uid in it.
	ConfigMapHubKey = "hub"
)

// holder names the ConfigMap of a hub in messages.
func holder(namespace string) string { return fmt.Sprintf("ConfigMap %s/%s", namespace, ConfigMapName) }

// Claim makes sure that a hub and a store belong together, and returns them as the ruler of the fleet. Where neither has anything
// written down it writes the one down with the other, first in the store, so that wherever it is interrupted the next claim ends in the
// same state. It fails with an OtherStoreError where the hub's ConfigMap names another store, and with an OtherHubError where the store
// or the ConfigMap names another hub; then it writes nothing anywhere.
//
// A person hands a hub over to a store by deleting the ConfigMap, which only a store claims that has never ruled another hub; and makes
// a store take another hub by writing both, the store's id and that hub's uid, to the ConfigMap there.
func Claim(ctx context.Context, hub kubernetes.Interface, namespace, store string, record HubRecord) (Ruler, error) {
	if store == "" {
		return Ruler{}, errors.New("claiming the hub: this server's store has no id")
	}
	ruler := Ruler{Store: store}
	// Another replica of this store, or another store, may write at the same time. What it has written is judged again.
	err := retry.OnError(retry.DefaultRetry, isRace, func() (err error) {
		ruler.Hub, err = ClusterUID(ctx, hub)
		if err != nil {
			return err
		}
		return claim(ctx, hub, namespace, ruler, record)
	})
	if err != nil {
		return Ruler{}, err
	}
	return ruler, nil
}

func isRace(err error) bool {
	return apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) || errors.Is(err, ErrHubRecordChanged)
}

func claim(ctx context.Context, hub kubernetes.Interface, namespace string, want Ruler, record HubRecord) error {
	configMaps := hub.CoreV1().ConfigMaps(namespace)
	found, err := configMaps.Get(ctx, ConfigMapName, metav1.GetOptions{})
	absent := apierrors.IsNotFound(err)
	if err != nil && !absent {
		return fmt.Errorf("reading %s, which names the hub's store: %w", holder(namespace), err)
	}
	recorded, err := record.Hub(ctx)
	if err != nil {
		return fmt.Errorf("reading from the store which hub it rules: %w", err)
	}
	named := Ruler{}
	if !absent {
		named = namedBy(found)
	}
	if err := judge(namespace, want, recorded, named); err != nil {
		return err
	}

	if recorded != want.Hub {
		if err := record.SetHub(ctx, recorded, want.Hub); err != nil {
			return fmt.Errorf("writing to the store which hub it rules: %w", err)
		}
	}
	switch {
	case absent:
		_, err = configMaps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Name:      ConfigMapName,
				Namespace: namespace,
				Labels:    map[string]string{wellknown.FleetResourceLabel: "true"},
			},
			Data: map[string]string{ConfigMapKey: want.Store, ConfigMapHubKey: want.Hub},
		}, metav1.CreateOptions{})
	case named != want:
		found = found.DeepCopy()
		if found.Data == nil {
			found.Data = map[string]string{}
		}
		found.Data[ConfigMapKey], found.Data[ConfigMapHubKey] = want.Store, want.Hub
		// The resourceVersion read makes this fail where another store was faster.
		_, err = configMaps.Update(ctx, found, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing %s, which names the hub's store: %w", holder(namespace), err)
	}
	return nil
}

func namedBy(configMap *corev1.ConfigMap) Ruler {
	return Ruler{Store: configMap.Data[ConfigMapKey], Hub: configMap.Data[ConfigMapHubKey]}
}

// judge decides whether a store and a hub belong together, given the hub that the store has recorded and what the hub's ConfigMap names.
// What is empty is nobody's. A store that has recorded another hub takes this one only where a person has named both in the ConfigMap:
// one that names the store alone may have come here with a copy of the other hub.
func judge(namespace string, want Ruler, recorded string, named Ruler) error {
	switch {
	case named.Store != "" && named.Store != want.Store:
		return &OtherStoreError{
			Holder: holder(namespace),
			Found:  named.Store,
			Want:   want.Store,
			Adopt:  fmt.Sprintf("kubectl -n %s delete configmap %s", namespace, ConfigMapName),
		}
	case recorded != "" && recorded != want.Hub && named != want:
		return otherHub(namespace, want, "the store of this server", recorded)
	case named.Hub != "" && named.Hub != want.Hub:
		return otherHub(namespace, want, holder(namespace), named.Hub)
	}
	return nil
}

func otherHub(namespace string, want Ruler, holder, found string) error {
	return &OtherHubError{
		Holder: holder,
		Found:  found,
		Want:   want.Hub,
		Adopt: fmt.Sprintf("kubectl -n %s create configmap %s --from-literal=%s=%s --from-literal=%s=%s --dry-run=client -o yaml | kubectl apply -f -",
			namespace, ConfigMapName, ConfigMapKey, want.Store, ConfigMapHubKey, want.Hub),
	}
}

// Verify returns nil if a member that is itself the hub names the ruler, and an OtherStoreError if it names another one. It is an error
// if it names none: only Claim writes that down.
func Verify(ctx context.Context, cluster kubernetes.Interface, namespace string, ruler Ruler) error {
	found, err := cluster.CoreV1().ConfigMaps(namespace).Get(ctx, ConfigMapName, metav1.GetOptions{})
	if err == nil && found.Data[ConfigMapKey] == "" {
		err = apierrors.NewNotFound(corev1.Resource("configmaps"), ConfigMapName+", key "+ConfigMapKey)
	}
	if err != nil {
		return fmt.Errorf("%s, which names who rules the cluster: %w", holder(namespace), err)
	}
	named := namedBy(found)
	other := &OtherStoreError{
		Holder: holder(namespace),
		Found:  named.Store,
		Want:   ruler.Store,
		Adopt:  "remove the Stagegate there, since a hub is a member of its own fleet only",
	}
	switch {
	case named.Store != ruler.Store:
		return other
	case named.Hub != "" && named.Hub != ruler.Hub:
		other.Found, other.Want = named.String(), ruler.String()
		return other
	}
	return nil
}

// String names the ruler in messages.
func (r Ruler) String() string { return fmt.Sprintf("%s of hub %s", r.Store, r.Hub) }

// AwaitOther returns once the hub's ConfigMap names another store or another hub than the ruler, with the error that Claim would fail
// with, or once the context has ended, with its error. A ConfigMap that is deleted names nobody: that is how a person lets another
// store claim the hub, and the ruler goes on until one has, since claiming it again at once would leave no time for that. A hub that is
// replaced under the same address is noticed by what becomes of its ConfigMap.
func AwaitOther(ctx context.Context, hub kubernetes.Interface, namespace string, ruler Ruler) error {
	configMaps := hub.CoreV1().ConfigMaps(namespace)
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, ConfigMapName).String()
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return configMaps.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			return configMaps.Watch(ctx, options)
		},
	}, hub)
	_, err := watchtools.UntilWithSync(ctx, source, &corev1.ConfigMap{}, nil, func(event watch.Event) (bool, error) {
		configMap, ok := event.Object.(*corev1.ConfigMap)
		// The selector saves traffic, the name decides.
		if !ok || configMap.Name != ConfigMapName {
			return false, nil
		}
		switch uid, err := ClusterUID(ctx, hub); {
		case err != nil:
			return false, err
		case uid != ruler.Hub:
			return false, otherHub(namespace, Ruler{Store: ruler.Store, Hub: uid}, "the store of this server", ruler.Hub)
		case event.Type == watch.Deleted:
			return false, nil
		}
		return false, judge(namespace, ruler, ruler.Hub, namedBy(configMap))
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
