// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Planner plans runs without doing anything.
type Planner interface {
	// Plan returns the status that run would have once initialized, or with Initialized False if it could not be, and warnings of what
	// is probably not meant. It does not change run. Errors are API errors: ServiceUnavailable until the caches are filled.
	Plan(ctx context.Context, run v1beta1.UpdateRunObject) (status *v1beta1.UpdateRunStatus, warnings []string, err error)
	// Obstacle returns why run could not be initialized with the fleet as it is, for the user. It is empty where it could, and where nobody
	// can tell.
	Obstacle(ctx context.Context, run v1beta1.UpdateRunObject) string
	// CheckRollback returns why a run that rolls this one back could not be planned, for the user, and nil where it could. An error of the API
	// says that nobody can tell: ServiceUnavailable until the caches are filled.
	CheckRollback(ctx context.Context, run v1beta1.UpdateRunObject) error
	// CheckResume returns, in the same way, why a run that is stopped would fail once it is resumed: another run has moved its clusters.
	CheckResume(ctx context.Context, run v1beta1.UpdateRunObject) error
}

// REST serves runs. It lets only those create a run that overrides policies who may, and answers a dry-run create with the plan of the run.
type REST struct {
	*store.REST

	// planner is nil in a server without one.
	planner   Planner
	overrides overrides
}

var (
	_ rest.StandardStorage     = &REST{}
	_ rest.ResetFieldsStrategy = &REST{}
	_ rest.ShortNamesProvider  = &REST{}
	_ rest.CategoriesProvider  = &REST{}
)

// Paths returns the storages of a resource of this package. Without a planner, a dry-run create answers with an empty status. The
// authorizer decides who may operate runs and override policies, the clock dates the operations.
func Paths(s *store.Storage, planner Planner, authz authorizer.Authorizer, clk clock.PassiveClock) map[string]rest.Storage {
	paths := s.Paths()
	maps.Copy(paths, operations(s, planner, authz, recorder{clock: clk}))
	paths[""] = &REST{REST: s.REST, planner: planner, overrides: overrides{resource: s.Action.DefaultQualifiedResource, authorizer: authz}}
	return paths
}

// Create implements rest.Creater.
func (r *REST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	out, err := r.REST.Create(ctx, obj, r.overrides.authorized(validate), options)
	if err != nil {
		return out, err
	}
	return r.created(ctx, out, options.DryRun)
}

// Update implements rest.Updater. Server-side apply creates through it.
func (r *REST) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	out, created, err := r.REST.Update(ctx, name, objInfo, r.overrides.authorized(createValidation), r.overrides.authorizedStart(updateValidation), forceAllowCreate, options)
	if err != nil || !created {
		return out, created, err
	}
	out, err = r.created(ctx, out, options.DryRun)
	return out, created, err
}

// created returns the answer about a new run: as it is stored, or as it would be planned. It warns of one that cannot be.
func (r *REST) created(ctx context.Context, obj runtime.Object, dryRun []string) (runtime.Object, error) {
	run := obj.(v1beta1.UpdateRunObject)
	if !isDryRun(dryRun) {
		annotateOverride(ctx, run)
		if r.planner != nil && !registry.IsController(ctx) {
			if why := r.planner.Obstacle(ctx, run); why != "" {
				warning.AddWarning(ctx, "", fmt.Sprintf("the run cannot be initialized now: %s", why))
			}
		}
		return run, nil
	}
	if r.planner == nil {
		return run, nil
	}
	status, warnings, err := r.planner.Plan(ctx, run)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		warning.AddWarning(ctx, "", w)
	}
	status.CreatedBy = run.RunStatus().CreatedBy
	*run.RunStatus() = *status
	return run, nil
}

func isDryRun(dryRun []string) bool { return slices.Contains(dryRun, metav1.DryRunAll) }
