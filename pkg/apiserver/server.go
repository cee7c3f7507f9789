// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/client/inprocess"
	cluster "github.com/stagegate/stagegate/pkg/registry/cluster/rest"
	placement "github.com/stagegate/stagegate/pkg/registry/placement/rest"
	"github.com/stagegate/stagegate/pkg/registry/placement/updaterun"
	rolloutgroup "github.com/stagegate/stagegate/pkg/registry/rollout/rest"
	"github.com/stagegate/stagegate/pkg/version"
)

const (
	serverName       = wellknown.ServerName
	controllersAgent = "stagegate-rollout"

	// What the controllers ask of the hub is limited there by priority and fairness; client-go's own limit would be 5 a second.
	hubQPS   = 200
	hubBurst = 400
)

// Server serves all API groups.
type Server struct {
	Generic *genericapiserver.GenericAPIServer

	network *inprocess.Network
}

// New makes a server that has all of the API and does not run yet.
func (c CompletedConfig) New() (*Server, error) {
	health := &managerHealth{}
	if c.extra.NewManager != nil {
		// Of /healthz alone: /readyz and /livez are about the API, which a replica serves whatever its controllers do.
		c.generic.AddHealthzChecks(health)
	}
	version.RegisterMetric()
	if secure := c.generic.SecureServing; secure != nil {
		tellCertificate(secure.Cert)
	}
	generic, err := c.generic.New(serverName, genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, err
	}
	manager, err := c.newManager()
	if err != nil {
		return nil, err
	}
	if c.extra.judge != nil {
		c.extra.judge.ask(manager)
	}
	if err := c.installAPI(generic, manager); err != nil {
		return nil, err
	}
	// A generic server registers the check of its storage, but leaves it to others to wait for it.
	if err := generic.AddPostStartHook("storage-readiness", generic.StorageReadinessHook.Hook); err != nil {
		return nil, err
	}
	if imports := c.extra.imports; imports != nil {
		err := generic.AddPostStartHook("follow-import", func(hook genericapiserver.PostStartHookContext) error {
			go imports.follow(hook)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if manager != nil {
		health.manager.Store(&manager)
		if err := install(generic, manager); err != nil {
			return nil, err
		}
	}
	return &Server{Generic: generic, network: c.extra.network}, nil
}

// newManager makes what runs beside the API, nil where nothing does.
func (c CompletedConfig) newManager() (Manager, error) {
	if c.extra.NewManager == nil {
		return nil, nil
	}
	api := rest.AddUserAgent(c.extra.network.Config(c.generic.LoopbackClientConfig), controllersAgent)
	hub := rest.AddUserAgent(rest.CopyConfig(c.hub), controllersAgent)
	hub.QPS, hub.Burst = hubQPS, hubBurst
	// Warnings are for people. The controllers read every kind there is, deprecated ones too.
	api.WarningHandler, hub.WarningHandler = rest.NoWarnings{}, rest.NoWarnings{}
	options := c.extra.Rollout
	if informers := c.generic.SharedInformerFactory; informers != nil {
		options.Namespaces = informers.Core().V1().Namespaces()
	}
	return c.extra.NewManager(api, hub, options)
}

func (c CompletedConfig) installAPI(server *genericapiserver.GenericAPIServer, manager Manager) error {
	var plans updaterun.Planner
	if manager != nil {
		plans = newPlanner(manager)
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
	rolloutGroup, err := rolloutgroup.NewAPIGroupInfo(rolloutgroup.Config{RESTOptions: c.generic.RESTOptionsGetter})
	if err != nil {
		return fmt.Errorf("storage of the rollout group: %w", err)
	}
	groups := []*genericapiserver.APIGroupInfo{&placementGroup, &clusterGroup, &rolloutGroup}
	for _, group := range groups {
		group.NegotiatedSerializer = textSerializer{group.NegotiatedSerializer}
		if err := c.kinds.add(group); err != nil {
			return err
		}
	}
	if err := server.InstallAPIGroups(groups...); err != nil {
		return err
	}
	return c.installInProcess(server, groups)
}

// Run serves until the context ends and all that is in flight has been answered.
func (s *Server) Run(ctx context.Context) error {
	defer s.network.Close()
	prepared := s.Generic.PrepareRun()
	s.network.Serve(s.Generic.Handler)
	return prepared.RunWithContext(ctx)
}
