// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"

	cluster "github.com/stagegate/stagegate/pkg/registry/cluster/rest"
	placement "github.com/stagegate/stagegate/pkg/registry/placement/rest"
	"github.com/stagegate/stagegate/pkg/registry/placement/updaterun"
)

const (
	serverName = "stagegate-apiserver"
	loopsAgent = "stagegate-rollout"

	// What the loops ask of the hub is limited there by priority and fairness; client-go's own limit would be 5 a second.
	hubQPS   = 200
	hubBurst = 400
)

// Server serves both API groups.
type Server struct {
	Generic *genericapiserver.GenericAPIServer
}

// New makes a server that has all of the API and does not run yet.
func (c CompletedConfig) New() (*Server, error) {
	generic, err := c.generic.New(serverName, genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, err
	}
	runs, err := c.newLoops()
	if err != nil {
		return nil, err
	}
	if err := c.installAPI(generic, runs.Planner); err != nil {
		return nil, err
	}
	// A generic server registers the check of its storage, but leaves it to others to wait for it.
	if err := generic.AddPostStartHook("storage-readiness", generic.StorageReadinessHook.Hook); err != nil {
		return nil, err
	}
	if runs.Runner != nil {
		if err := install(generic, runs.Runner); err != nil {
			return nil, err
		}
	}
	return &Server{Generic: generic}, nil
}

func (c CompletedConfig) newLoops() (Loops, error) {
	if c.extra.NewLoops == nil {
		return Loops{}, nil
	}
	config := c.extra.Loops
	config.API = rest.AddUserAgent(rest.CopyConfig(config.API), loopsAgent)
	config.Hub = rest.AddUserAgent(rest.CopyConfig(config.Hub), loopsAgent)
	config.Hub.QPS, config.Hub.Burst = hubQPS, hubBurst
	// Warnings are for people. The loops read every kind there is, deprecated ones too.
	config.API.WarningHandler, config.Hub.WarningHandler = rest.NoWarnings{}, rest.NoWarnings{}
	return c.extra.NewLoops(config)
}

func (c CompletedConfig) installAPI(server *genericapiserver.GenericAPIServer, runs updaterun.Planner) error {
	var plans updaterun.Planner
	if runs != nil {
		plans = newPlanner(runs)
	}
	placementGroup, err := placement.NewAPIGroupInfo(placement.Config{
		RESTOptions: c.generic.RESTOptionsGetter,
		Planner:     plans,
		Authorizer:  c.generic.Authorization.Authorizer,
		Clock:       c.extra.Clock,
	})
	if err != nil {
		return fmt.Errorf("storage of the placement group: %w", err)
	}
	clusterGroup, err := cluster.NewAPIGroupInfo(cluster.Config{RESTOptions: c.generic.RESTOptionsGetter})
	if err != nil {
		return fmt.Errorf("storage of the cluster group: %w", err)
	}
	groups := []*genericapiserver.APIGroupInfo{&placementGroup, &clusterGroup}
	for _, group := range groups {
		group.NegotiatedSerializer = textSerializer{group.NegotiatedSerializer}
		if err := c.kinds.add(group); err != nil {
			return err
		}
	}
	return server.InstallAPIGroups(groups...)
}

// Run serves until the context ends and all that is in flight has been answered.
func (s *Server) Run(ctx context.Context) error { return s.Generic.PrepareRun().RunWithContext(ctx) }
