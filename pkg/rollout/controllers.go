// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/apply"
	"github.com/stagegate/stagegate/pkg/rollout/clusterprofile"
	"github.com/stagegate/stagegate/pkg/rollout/eviction"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/outbound"
	"github.com/stagegate/stagegate/pkg/rollout/members"
	"github.com/stagegate/stagegate/pkg/rollout/membership"
	"github.com/stagegate/stagegate/pkg/rollout/notify"
	"github.com/stagegate/stagegate/pkg/rollout/override"
	"github.com/stagegate/stagegate/pkg/rollout/placementstatus"
	"github.com/stagegate/stagegate/pkg/rollout/reportback"
	"github.com/stagegate/stagegate/pkg/rollout/rollingupdate"
	"github.com/stagegate/stagegate/pkg/rollout/rolloutpolicy"
	"github.com/stagegate/stagegate/pkg/rollout/scheduling"
	"github.com/stagegate/stagegate/pkg/rollout/snapshot"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun"
	"github.com/stagegate/stagegate/pkg/rollout/work"
)

// runner runs a controller until the context ends.
type runner interface {
	Run(ctx context.Context) error
}

// dependencies are what controllers are created from.
type dependencies struct {
	fleet     *fleet.Fleet
	hub       kubernetes.Interface
	dynamic   dynamic.Interface
	snapshots *snapshot.Source
	members   *members.Directory
	ruler     storeid.Ruler
	// addresses are which the server may reach for users.
	addresses *outbound.Rules
	options   Options
	recorder  record.EventRecorder
	clock     clock.WithTicker
}

type controller struct {
	name string
	// create returns a fresh controller, since the queue of one does not survive its end.
	create func(dependencies) runner
}

// controllers are all that there are, in the direction in which data flows.
var controllers = []controller{
	{membership.Name, func(d dependencies) runner {
		return membership.New(d.fleet, d.hub, d.members, membership.Options{
			Ruler: d.ruler, ForceDeleteWait: d.options.ForceDeleteWait,
		}, d.recorder, d.clock)
	}},
	{clusterprofile.Name, func(d dependencies) runner {
		return clusterprofile.New(d.fleet, d.dynamic, d.ruler.Store, d.recorder, d.clock)
	}},
	{snapshot.Name, func(d dependencies) runner {
		return snapshot.New(d.fleet, d.snapshots, d.options.ExternalSnapshots, d.recorder, d.clock)
	}},
	{override.Name, func(d dependencies) runner { return override.New(d.fleet, d.clock) }},
	{scheduling.Name, func(d dependencies) runner { return scheduling.New(d.fleet, d.recorder, d.clock) }},
	{rollingupdate.Name, func(d dependencies) runner { return rollingupdate.New(d.fleet, d.recorder, d.clock) }},
	{eviction.Name, func(d dependencies) runner { return eviction.New(d.fleet, d.recorder, d.clock) }},
	{updaterun.Name, func(d dependencies) runner {
		return updaterun.New(d.fleet, d.snapshots, d.recorder, d.options.Traces, d.clock)
	}},
	{work.Name, func(d dependencies) runner { return work.New(d.fleet, d.hub, d.options.Limits, d.recorder, d.clock) }},
	{apply.Name, func(d dependencies) runner { return appliers{d} }},
	{placementstatus.Name, func(d dependencies) runner { return placementstatus.New(d.fleet, d.recorder, d.clock) }},
	{reportback.Name, func(d dependencies) runner {
		return reportback.New(d.fleet, d.dynamic, d.hub.Discovery(), d.recorder, d.clock)
	}},
	{rolloutpolicy.Name, func(d dependencies) runner { return rolloutpolicy.New(d.fleet, d.clock) }},
	{notify.Name, func(d dependencies) runner {
		return notify.New(d.fleet, d.hub, notify.Options{Addresses: d.addresses, Hub: d.ruler.Hub}, d.clock)
	}},
}

// Controllers returns the names of all controllers, in the direction in which data flows.
func Controllers() []string {
	names := make([]string, len(controllers))
	for i, c := range controllers {
		names[i] = c.name
	}
	return names
}

// ValidateControllers refuses a choice of controllers that names one which does not exist.
func ValidateControllers(choice []string) error {
	for _, c := range choice {
		if name := strings.TrimPrefix(c, "-"); c != "*" && !slices.Contains(Controllers(), name) {
			return fmt.Errorf("%q is no controller; there are %s, and * for all", c, strings.Join(Controllers(), ", "))
		}
	}
	return nil
}

// enabled reports whether a controller is chosen: named, or meant by * and not taken out with a minus sign.
func enabled(name string, choice []string) bool {
	return slices.Contains(choice, name) || slices.Contains(choice, "*") && !slices.Contains(choice, "-"+name)
}

// appliers are an applier for each member that has joined.
type appliers struct{ dependencies }

func (a appliers) Run(ctx context.Context) error {
	return members.Supervise(ctx, a.fleet, a.members, a.apply)
}

// apply applies the Works of one member until the context ends.
func (a appliers) apply(ctx context.Context, member *members.Member) error {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("cluster", member.Name))
	works := a.fleet.Clientset.PlacementV1beta1().Works(wellknown.MemberNamespace(member.Name))
	options := apply.Options{Cluster: member.Name, Ruler: a.ruler, Doubt: func() { a.members.Doubt(member.Name) }, Clock: a.clock}
	if cluster, err := a.fleet.MemberClusters.Lister().Get(member.Name); err == nil {
		options.ClusterUID = cluster.Status.Properties[storeid.ClusterUIDProperty].Value
	}
	return apply.New(works, member.Config, options).Run(ctx)
}
