// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// flux evaluates objects by the healthCheckExprs of a Kustomization.
type flux map[schema.GroupKind]*cel.StatusEvaluator

func newFlux(checks []kustomize.CustomHealthCheck) (flux, error) {
	f := flux{}
	for i := range checks {
		kind := schema.FromAPIVersionAndKind(checks[i].APIVersion, checks[i].Kind).GroupKind()
		if _, twice := f[kind]; twice {
			return nil, fmt.Errorf("two healthCheckExprs are for %s", kind)
		}
		evaluator, err := cel.NewStatusEvaluator(&checks[i].HealthCheckExpressions)
		if err != nil {
			return nil, fmt.Errorf("healthCheckExprs of %s: %w", kind, err)
		}
		f[kind] = evaluator
	}
	return f, nil
}

// health returns what Flux makes of an object: by its expressions if there are some for the kind, and else as kstatus has it. It is Unknown where an
// expression cannot be evaluated, as of an object without a status, and Flux then waits as if it were in progress.
func (f flux) health(ctx context.Context, obj *unstructured.Unstructured) (status.Status, error) {
	evaluator, found := f[obj.GroupVersionKind().GroupKind()]
	if !found {
		result, err := status.Compute(obj)
		if err != nil {
			return "", err
		}
		return result.Status, nil
	}
	result, err := evaluator.Evaluate(ctx, obj)
	if err != nil {
		return status.UnknownStatus, nil //nolint:nilerr // Flux reports it as the status Unknown, and asks again.
	}
	return result.Status, nil
}
