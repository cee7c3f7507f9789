// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	memberagent "github.com/stagegate/stagegate/artifacts/member-agent"
)

func TestTheManifestsOfAnAgentNameTheMemberAndTheHub(t *testing.T) {
	data, err := agentManifests("paris", "agent:v1", map[string][]byte{"server": []byte("https://hub:6443"), "ca.crt": nil, "token": []byte("t")})
	if err != nil {
		t.Fatal(err)
	}
	var deployment *appsv1.Deployment
	var secret *corev1.Secret
	for part := range strings.SplitSeq(string(data), "\n---\n") {
		switch {
		case strings.Contains(part, "kind: Deployment\n"):
			deployment = &appsv1.Deployment{}
			err = yaml.UnmarshalStrict([]byte(part), deployment)
		case strings.Contains(part, "kind: Secret\n"):
			secret = &corev1.Secret{}
			err = yaml.UnmarshalStrict([]byte(part), secret)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if deployment == nil || secret == nil {
		t.Fatalf("no Deployment or no Secret in:\n%s", data)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	if container.Image != "agent:v1" || container.Env[0].Name != "MEMBER_CLUSTER_NAME" || container.Env[0].Value != "paris" {
		t.Errorf("container is %s with %v", container.Image, container.Env)
	}
	if _, has := secret.Data["ca.crt"]; has || string(secret.Data["token"]) != "t" || secret.Name != "stagegate-hub" {
		t.Errorf("Secret %s has %v", secret.Name, secret.Data)
	}
}

func TestTheLeastRightsAreNoAdministrators(t *testing.T) {
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(memberagent.Least, role); err != nil {
		t.Fatal(err)
	}
	for _, rule := range role.Rules {
		for _, all := range [][]string{rule.Verbs, rule.Resources, rule.APIGroups} {
			for _, one := range all {
				if one == "*" {
					t.Errorf("rule %v has all of something", rule)
				}
			}
		}
	}
}

func TestTheKubeconfigOfAMemberHasTheTokenAlone(t *testing.T) {
	data, err := kubeconfigOf("paris", "https://paris:6443", []byte("t"), []byte("ca"))
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{"server: https://paris:6443", "token: t", "certificate-authority-data: Y2E=", "current-context: paris"} {
		if !strings.Contains(string(data), wanted) {
			t.Errorf("there is no %q in:\n%s", wanted, data)
		}
	}
	if strings.Contains(string(data), "client-") {
		t.Errorf("there is a certificate in:\n%s", data)
	}
}
