// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/dynamic"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	componentbaseconfig "k8s.io/component-base/config"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/client/inprocess"
	"github.com/stagegate/stagegate/pkg/rollout/internal/election"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/outbound"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/members"
	"github.com/stagegate/stagegate/pkg/rollout/metrics"
	"github.com/stagegate/stagegate/pkg/rollout/snapshot"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
	"github.com/stagegate/stagegate/pkg/rollout/traces"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// tracesTimeout is how long the end of the manager may take for traces.
const tracesTimeout = 5 * time.Second

// NotificationNetworksFlag is the flag that sets Options.NotificationNetworks, for messages.
const NotificationNetworksFlag = "--notification-allowed-networks"

// Options say which controllers run, and how.
type Options struct {
	// Controllers are those to run: names, * for all, -name for all but that one.
	Controllers []string
	// ExternalSnapshots says when a snapshot is made for a placement with the External strategy.
	ExternalSnapshots snapshot.ExternalMode
	// AllowInsecureMembers takes kubeconfigs of members that have a server without TLS or insecure-skip-tls-verify. It is false by default.
	AllowInsecureMembers bool
	// NotificationNetworks are networks of private and loopback addresses at which NotificationSinks may be. Public addresses always may.
	NotificationNetworks []netip.Prefix
	// Limits are what of the hub is not placed, beyond what is placed nowhere. nil limits nothing.
	Limits *placeable.Limits
	// ForceDeleteWait is how long a MemberCluster that is deleted waits for a member that cannot be reached.
	ForceDeleteWait time.Duration
	// LeaderElection has the lease and its times. Without LeaderElect the controllers run once the hub is claimed, which is right for one
	// replica only.
	LeaderElection componentbaseconfig.LeaderElectionConfiguration
	// Identity of this replica in the election. The same identity takes a lease again without waiting for it to run out.
	Identity string
	// StoreID is the id of the store that this server has.
	StoreID string
	// MayLead is asked before controllers are started. Its error keeps this replica from leading, and it is asked again. Without it nothing does.
	MayLead func(context.Context) error
	// HubRecord is where that store keeps which hub it rules.
	HubRecord storeid.HubRecord
	// Namespaces of the hub, by whose labels policies select. Whoever made the informer starts it. Without it no run of a namespace is
	// planned while there is a ClusterRolloutPolicy.
	Namespaces coreinformers.NamespaceInformer
	// Traces records runs; nil records none. It is shut down when the manager has ended.
	Traces *traces.Recorder
}

// DefaultElectionTimes returns how long a lease lasts, how long a leader tries to renew it, and how long it pauses in between, by default.
func DefaultElectionTimes() (lease, renewDeadline, retryPeriod time.Duration) {
	return election.Times()
}

// Manager runs the controllers.
type Manager struct {
	options   Options
	hub       kubernetes.Interface
	dynamic   dynamic.Interface
	fleet     *fleet.Fleet
	snapshots *snapshot.Source
	addresses *outbound.Rules
	planner   *updaterun.Planner
	health    *health
}

// New makes a manager that reads and writes the fleet's API with the first config and the hub with the second.
func New(api, hub *rest.Config, options Options) (*Manager, error) {
	if err := ValidateControllers(options.Controllers); err != nil {
		return nil, err
	}
	apiClient, err := inprocess.NewClientset(api)
	if err != nil {
		return nil, fmt.Errorf("client of the fleet's API: %w", err)
	}
	hubClient, err := kubernetes.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("client of the hub: %w", err)
	}
	dynamicClient, err := dynamic.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("dynamic client of the hub: %w", err)
	}
	metrics.Register()
	var chosen []string
	for _, c := range controllers {
		if enabled(c.name, options.Controllers) {
			chosen = append(chosen, c.name)
			reconcile.Announce(c.name)
		}
	}
	f := fleet.New(apiClient)
	if f.Namespaces = options.Namespaces; f.Namespaces != nil {
		// An informer exists once it is asked for.
		f.Namespaces.Informer()
	}
	snapshots, err := snapshot.NewSource(f, hub, options.Limits)
	if err != nil {
		return nil, err
	}
	return &Manager{
		options:   options,
		hub:       hubClient,
		dynamic:   dynamicClient,
		fleet:     f,
		snapshots: snapshots,
		addresses: &outbound.Rules{Allowed: options.NotificationNetworks, Flag: NotificationNetworksFlag, Hub: addressOf(hub)},
		planner:   updaterun.NewPlanner(f, snapshots),
		health:    newHealth(chosen),
	}, nil
}

// addressOf is host:port of a server, empty if its URL cannot be read, in which case nothing reaches it either.
func addressOf(config *rest.Config) string {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return ""
	}
	port := server.Port()
	if port == "" {
		port = server.Scheme
	}
	return net.JoinHostPort(server.Hostname(), port)
}

// ParseNetworks reads networks such as 10.20.0.0/16.
func ParseNetworks(texts []string) ([]netip.Prefix, error) { return outbound.ParseNetworks(texts) }

// Plan returns what the status of a run would be once it is initialized, and warnings, without doing anything. It works on every
// replica while Run runs, whatever controllers are chosen.
func (m *Manager) Plan(ctx context.Context, run v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
	return m.planner.Plan(ctx, run)
}

// Obstacle returns why a run could not be initialized now, empty where it could or where nobody can tell. It works as Plan does.
func (m *Manager) Obstacle(ctx context.Context, run v1beta1.UpdateRunObject) string {
	return m.planner.Obstacle(ctx, run)
}

// CheckRollback returns why a run that rolls this one back could not be planned, nil where it could. It works as Plan does.
func (m *Manager) CheckRollback(ctx context.Context, run v1beta1.UpdateRunObject) error {
	return m.planner.CheckRollback(ctx, run)
}

// CheckResume returns why a run that is stopped would fail once it is resumed, nil where it would not. It works as Plan does.
func (m *Manager) CheckResume(ctx context.Context, run v1beta1.UpdateRunObject) error {
	return m.planner.CheckResume(ctx, run)
}

// RemovalHandovers returns what a placement hands over to others once its resources are taken off clusters. It works as Plan does.
func (m *Manager) RemovalHandovers(ctx context.Context, placement v1beta1.PlacementObject, clusters []string) ([]policy.Handover, error) {
	return m.planner.RemovalHandovers(ctx, placement, clusters)
}

// Judge returns what the rollout policies that bind a run say of the plan that it would have now. It works as Plan does; known is false
// where there is no plan.
func (m *Manager) Judge(ctx context.Context, run v1beta1.UpdateRunObject) (verdict policy.Verdict, known bool, err error) {
	return m.planner.Judge(ctx, run)
}

// Health returns what is wrong with the controllers of this replica, nil for nothing: its caches are not filled, something keeps it from leading
// other than another leader, or it leads and a controller waits to be started again.
func (m *Manager) Health() error { return m.health.problem() }

// Run fills the caches, and runs the controllers while this replica leads. It returns when the context has ended and they have.
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
		mayLead:  m.options.MayLead,
		lead:     m.lead,
		told:     m.health.told,
	}
	if len(m.health.chosen) == 0 {
		// Who starts no controllers ends nothing.
		l.mayLead = nil
	}
	m.health.told(nil)
	l.run(ctx)
	m.endTraces(ctx)
	return nil
}

// endTraces exports what the controllers have recorded at last.
func (m *Manager) endTraces(ctx context.Context) {
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesTimeout)
	defer cancel()
	if err := m.options.Traces.Shutdown(timeout); err != nil {
		klog.FromContext(ctx).Error(err, "The last spans of runs may not be exported")
	}
}

// lead runs the chosen controllers until the context ends.
func (m *Manager) lead(ctx context.Context, ruler storeid.Ruler) {
	defer m.health.lead()()
	defer metrics.Lead(m.fleet)()
	broadcaster, recorder := m.events()
	defer broadcaster.Shutdown()
	directory := members.NewDirectory(m.hub, wellknown.SystemNamespace, members.Options{AllowInsecure: m.options.AllowInsecureMembers})
	d := dependencies{
		fleet:     m.fleet,
		hub:       m.hub,
		dynamic:   m.dynamic,
		snapshots: m.snapshots,
		members:   directory,
		addresses: m.addresses,
		ruler:     ruler,
		options:   m.options,
		recorder:  recorder,
		clock:     clock.RealClock{},
	}

	var running sync.WaitGroup
	running.Go(func() { directory.Run(ctx) })
	for _, c := range controllers {
		if enabled(c.name, m.options.Controllers) {
			running.Go(func() {
				reconcile.Forever(ctx, c.name, func(ctx context.Context) error {
					defer m.health.begin(c.name)()
					return c.create(d).Run(ctx)
				})
			})
		}
	}
	running.Wait()
}

// Each controller may tell of one object this often before the recorder drops Events: a run of 31 stages must fit.
const (
	eventBurst = 200
	eventQPS   = 1
)

func (m *Manager) events() (record.EventBroadcaster, record.EventRecorder) {
	broadcaster := record.NewBroadcaster(record.WithCorrelatorOptions(record.CorrelatorOptions{BurstSize: eventBurst, QPS: eventQPS}))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: m.hub.CoreV1().Events("")})
	return broadcaster, broadcaster.NewRecorder(eventScheme(), corev1.EventSource{Component: "stagegate"})
}
