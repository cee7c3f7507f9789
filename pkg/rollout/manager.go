// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	componentbaseconfig "k8s.io/component-base/config"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/rollout/apply"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/members"
	"github.com/stagegate/stagegate/pkg/rollout/membership"
	"github.com/stagegate/stagegate/pkg/rollout/override"
	"github.com/stagegate/stagegate/pkg/rollout/placementstatus"
	"github.com/stagegate/stagegate/pkg/rollout/rollingupdate"
	"github.com/stagegate/stagegate/pkg/rollout/scheduling"
	"github.com/stagegate/stagegate/pkg/rollout/snapshot"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun"
	"github.com/stagegate/stagegate/pkg/rollout/work"
)

// Options say which loops run, and how.
type Options struct {
	// Controllers are the loops to run: names, * for all, -name for all but that one.
	Controllers []string
	// ExternalSnapshots says when a snapshot is made for a placement with the External strategy.
	ExternalSnapshots snapshot.ExternalMode
	// AllowInsecureMembers takes kubeconfigs of members with which nothing proves that the member is the member.
	AllowInsecureMembers bool
	// LeaderElection has the lease and its times. Without LeaderElect the loops run once the hub is claimed, which is right for one replica only.
	LeaderElection componentbaseconfig.LeaderElectionConfiguration
	// Identity of this replica in the election. The same identity takes a lease again without waiting for it to run out.
	Identity string
	// StoreID is the id of the store that this server has.
	StoreID string
	// HubRecord is where that store keeps which hub it rules.
	HubRecord storeid.HubRecord
}

// Manager runs the loops.
type Manager struct {
	options   Options
	hub       kubernetes.Interface
	fleet     *fleet.Fleet
	snapshots *snapshot.Source
	planner   *updaterun.Planner
}

// New makes a manager that reads and writes the fleet's API with the first config and the hub with the second.
func New(api, hub *rest.Config, options Options) (*Manager, error) {
	if err := ValidateControllers(options.Controllers); err != nil {
		return nil, err
	}
	apiClient, err := versioned.NewForConfig(api)
	if err != nil {
		return nil, fmt.Errorf("client of the fleet's API: %w", err)
	}
	hubClient, err := kubernetes.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("client of the hub: %w", err)
	}
	f := fleet.New(apiClient)
	snapshots, err := snapshot.NewSource(f, hub)
	if err != nil {
		return nil, err
	}
	return &Manager{
		options:   options,
		hub:       hubClient,
		fleet:     f,
		snapshots: snapshots,
		planner:   updaterun.NewPlanner(f, snapshots),
	}, nil
}

// Planner answers what a run would do. It works on every replica while Run runs, whatever loops are chosen.
func (m *Manager) Planner() *updaterun.Planner { return m.planner }

// Run fills the caches, and runs the loops while this replica leads. It returns when the context has ended and the loops have.
func (m *Manager) Run(ctx context.Context) error {
	m.fleet.Start(ctx.Done())
	if !m.fleet.WaitForSync(ctx.Done()) {
		return nil
	}
	l := leadership{
		hub:      m.hub,
		store:    m.options.StoreID,
		record:   m.options.HubRecord,
		election: m.options.LeaderElection,
		identity: m.options.Identity,
		lead:     m.lead,
	}
	l.run(ctx)
	return nil
}

// lead runs the chosen loops until the context ends.
func (m *Manager) lead(ctx context.Context, ruler storeid.Ruler) {
	broadcaster, recorder := m.events()
	defer broadcaster.Shutdown()
	directory := members.NewDirectory(m.hub, wellknown.SystemNamespace, members.Options{AllowInsecure: m.options.AllowInsecureMembers})

	var running sync.WaitGroup
	running.Go(func() { directory.Run(ctx) })
	for name, run := range m.loops(ruler, directory, recorder) {
		if enabled(name, m.options.Controllers) {
			running.Go(func() { reconcile.Forever(ctx, name, run) })
		}
	}
	running.Wait()
}

// Each loop may tell of one object this often before the recorder drops Events: a run of 31 stages has to fit.
const (
	eventBurst = 200
	eventQPS   = 1
)

func (m *Manager) events() (record.EventBroadcaster, record.EventRecorder) {
	broadcaster := record.NewBroadcaster(record.WithCorrelatorOptions(record.CorrelatorOptions{BurstSize: eventBurst, QPS: eventQPS}))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: m.hub.CoreV1().Events("")})
	return broadcaster, broadcaster.NewRecorder(eventScheme(), corev1.EventSource{Component: "stagegate"})
}

// loops are fresh at each term, since a loop's queue does not survive its end.
func (m *Manager) loops(ruler storeid.Ruler, directory *members.Directory, recorder record.EventRecorder) map[string]func(context.Context) error {
	c := clock.RealClock{}
	return map[string]func(context.Context) error{
		membership.Name: func(ctx context.Context) error {
			return membership.New(m.fleet, m.hub, directory, ruler, recorder, c).Run(ctx)
		},
		snapshot.Name: func(ctx context.Context) error {
			return snapshot.New(m.fleet, m.snapshots, m.options.ExternalSnapshots, recorder, c).Run(ctx)
		},
		override.Name: func(ctx context.Context) error {
			return override.New(m.fleet, c).Run(ctx)
		},
		scheduling.Name: func(ctx context.Context) error {
			return scheduling.New(m.fleet, recorder, c).Run(ctx)
		},
		rollingupdate.Name: func(ctx context.Context) error {
			return rollingupdate.New(m.fleet, recorder, c).Run(ctx)
		},
		updaterun.Name: func(ctx context.Context) error {
			return updaterun.New(m.fleet, m.snapshots, recorder, c).Run(ctx)
		},
		work.Name: func(ctx context.Context) error {
			return work.New(m.fleet, m.hub, recorder).Run(ctx)
		},
		apply.Name: func(ctx context.Context) error {
			return members.Supervise(ctx, m.fleet, directory, func(ctx context.Context, member *members.Member) error {
				return m.applyTo(ctx, ruler, directory, member)
			})
		},
		placementstatus.Name: func(ctx context.Context) error {
			return placementstatus.New(m.fleet, recorder).Run(ctx)
		},
	}
}

// applyTo applies the Works of one member until the context ends.
func (m *Manager) applyTo(ctx context.Context, ruler storeid.Ruler, directory *members.Directory, member *members.Member) error {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("cluster", member.Name))
	works := m.fleet.Clientset.PlacementV1beta1().Works(wellknown.MemberNamespace(member.Name))
	options := apply.Options{Cluster: member.Name, Ruler: ruler, Doubt: func() { directory.Doubt(member.Name) }}
	if cluster, err := m.fleet.MemberClusters.Lister().Get(member.Name); err == nil {
		options.ClusterUID = cluster.Status.Properties[storeid.ClusterUIDProperty].Value
	}
	return apply.New(works, member.Config, options).Run(ctx)
}
