// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	joinTimeout = time.Minute

	// memberServiceAccount is the ServiceAccount of the controllers on a member.
	memberServiceAccount = "stagegate"
)

var (
	memberClusterKind     = schema.GroupVersionKind{Group: "cluster.kubernetes-fleet.io", Version: "v1beta1", Kind: "MemberCluster"}
	memberClusterResource = memberClusterKind.GroupVersion().WithResource("memberclusters")
)

// memberLabels returns the labels of the tutorial's fleet; members beyond it are production.
func memberLabels(member string) map[string]string {
	switch member {
	case MemberName(1):
		return map[string]string{"environment": "canary", "order": "2"}
	case MemberName(2):
		return map[string]string{"environment": "staging"}
	case MemberName(3):
		return map[string]string{"environment": "canary", "order": "1"}
	}
	return map[string]string{"environment": "prod"}
}

// join makes every member cluster a member of the fleet and waits until the hub says so. What is there already is left
// alone: labels and credentials may have been edited since.
func (e *Environment) join(ctx context.Context) error {
	if len(e.Members()) == 0 {
		return nil
	}
	config, err := e.RESTConfig(HubName)
	if err != nil {
		return err
	}
	hub, err := newClients(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	joining, ctx := errgroup.WithContext(ctx)
	for _, member := range e.Members() {
		joining.Go(func() error {
			if err := e.joinMember(ctx, hub, member); err != nil {
				return fmt.Errorf("joining %s: %w", member, err)
			}
			return nil
		})
	}
	return joining.Wait()
}

func (e *Environment) joinMember(ctx context.Context, hub *clients, member string) error {
	secrets := hub.kube.CoreV1().Secrets(serverNamespace)
	_, err := secrets.Get(ctx, "member-"+member, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		kubeconfig, err := e.memberCredential(ctx, member)
		if err != nil {
			return err
		}
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "member-" + member},
			Data:       map[string][]byte{"kubeconfig": kubeconfig},
		}
		if _, err := secrets.Create(ctx, secret, metav1.CreateOptions{}); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}

	cluster := newObject(memberClusterKind.GroupVersion().String(), memberClusterKind.Kind, member, map[string]any{
		"spec": map[string]any{"identity": map[string]any{
			"kind":      rbacv1.ServiceAccountKind,
			"name":      member + "-agent",
			"namespace": serverNamespace,
		}},
	})
	cluster.SetLabels(memberLabels(member))
	memberClusters := hub.dynamic.Resource(memberClusterResource)
	options := metav1.CreateOptions{FieldManager: fieldManager}
	if _, err := memberClusters.Create(ctx, cluster, options); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if !runsController(e.state.ServerFlags, "membership") {
		return nil
	}
	return waitFor(ctx, memberClusters, memberClusterKind.Kind, member, "Joined")
}

// memberCredential makes the ServiceAccount that the controllers use on a member, and returns a kubeconfig with a token of it. It is
// cluster-admin there: the controllers apply whatever kinds users place, custom ones and RBAC among them, and granting rights takes
// having them.
func (e *Environment) memberCredential(ctx context.Context, member string) ([]byte, error) {
	config, err := e.RESTConfig(member)
	if err != nil {
		return nil, err
	}
	cluster, err := newClients(config)
	if err != nil {
		return nil, err
	}
	if err := cluster.apply(ctx,
		newObject("v1", "Namespace", serverNamespace, nil),
		newObject("v1", "ServiceAccount", memberServiceAccount, nil),
		newObject("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", memberServiceAccount, map[string]any{
			"roleRef": map[string]any{"apiGroup": rbacv1.GroupName, "kind": "ClusterRole", "name": "cluster-admin"},
			"subjects": []any{map[string]any{
				"kind": rbacv1.ServiceAccountKind, "name": memberServiceAccount, "namespace": serverNamespace,
			}},
		}),
	); err != nil {
		return nil, err
	}
	token, err := mintToken(ctx, cluster.kube, memberServiceAccount)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(e.pki(member, "ca.crt"))
	if err != nil {
		return nil, err
	}
	return encodeKubeconfig(member, e.server(member), ca, memberServiceAccount, clientcmdapi.AuthInfo{Token: token})
}
