// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Health is what the tools make of an object in one state.
type Health struct {
	// ArgoCD is the health, empty for none.
	ArgoCD string `json:"argocd"`
	// Message is in what Argo CD shows with it.
	Message string `json:"message,omitempty"`
	// Flux is the status by the healthCheckExprs, or by kstatus for a kind that has none.
	Flux status.Status `json:"flux"`
	// KStatus is the status by kstatus alone, as for Helm or kpt. It is only said of kinds that follow kstatus.
	KStatus status.Status `json:"kstatus,omitempty"`
}

// Checks are the health checks in artifacts/gitops, with what is expected of them.
type Checks struct {
	// Expected is the health of each state by its name.
	Expected map[string]Health

	argoCD argoCD
	flux   flux
}

// Load reads the checks of a repository.
func Load(root string) (*Checks, error) {
	checks := &Checks{argoCD: argoCD{}}
	var config corev1.ConfigMap
	var kustomization struct {
		Spec struct {
			HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	artifacts := filepath.Join(root, "artifacts", "gitops")
	if err := errors.Join(
		read(filepath.Join(artifacts, "argocd-cm.yaml"), &config),
		read(filepath.Join(artifacts, "flux.yaml"), &kustomization),
		read(filepath.Join(root, "test", "gitops", "testdata", "health.yaml"), &checks.Expected),
	); err != nil {
		return nil, err
	}
	for key, value := range config.Data {
		if strings.HasPrefix(key, healthKey) {
			checks.argoCD[key] = value
		}
	}
	var err error
	checks.flux, err = newFlux(kustomization.Spec.HealthCheckExprs)
	return checks, err
}

func read(path string, into any) error {
	data, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(data, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Check returns an error unless the tools make of an object what is expected of it in a state.
func (c *Checks) Check(ctx context.Context, state string, obj *unstructured.Unstructured) error {
	want, found := c.Expected[state]
	if !found {
		return fmt.Errorf("health.yaml has no state %q", state)
	}
	got := Health{Message: want.Message}
	var message string
	var err error
	if got.ArgoCD, message, err = c.argoCD.health(obj); err != nil {
		return err
	}
	if got.Flux, err = c.flux.health(ctx, obj); err != nil {
		return err
	}
	if want.KStatus != "" {
		result, err := status.Compute(obj)
		if err != nil {
			return err
		}
		got.KStatus = result.Status
	}
	if !strings.Contains(message, want.Message) {
		got.Message = message
	}
	if got != want {
		return fmt.Errorf("state %s: got %+v (Argo CD shows %q), want %+v", state, got, message, want)
	}
	return nil
}

// Stored returns the object that was stored in a state, in a directory.
func Stored(dir, state string) (*unstructured.Unstructured, error) {
	path := filepath.Join(dir, state+".yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	obj := &unstructured.Unstructured{}
	// As JSON, so that integers stay integers as in what a server answers.
	if data, err = yaml.YAMLToJSON(data); err == nil {
		err = obj.UnmarshalJSON(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return obj, nil
}
