// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	memberagent "github.com/stagegate/stagegate/artifacts/member-agent"
)

func tokenRequest(seconds int64) *authenticationv1.TokenRequest {
	return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
}

// agentManifests returns the manifests of the agent of a member, with how it reaches the hub.
func agentManifests(member, image string, hub map[string][]byte) ([]byte, error) {
	deployment := &appsv1.Deployment{}
	if err := yaml.UnmarshalStrict(memberagent.Deployment, deployment); err != nil {
		return nil, fmt.Errorf("manifest of the agent: %w", err)
	}
	container := &deployment.Spec.Template.Spec.Containers[0]
	container.Image = image
	for i := range container.Env {
		if container.Env[i].Name == "MEMBER_CLUSTER_NAME" {
			container.Env[i].Value = member
		}
	}
	if len(hub["ca.crt"]) == 0 {
		delete(hub, "ca.crt")
	}
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: "stagegate-hub", Namespace: deployment.Namespace},
		Data:       hub,
	}
	parts := [][]byte{memberagent.Namespace, memberagent.RBAC}
	for _, object := range []any{secret, deployment} {
		data, err := yaml.Marshal(object)
		if err != nil {
			return nil, err
		}
		parts = append(parts, data)
	}
	parts = append(parts, memberagent.DisruptionBudget)
	return bytes.Join(parts, []byte("---\n")), nil
}
