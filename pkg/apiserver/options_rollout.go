// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	componentbaseconfig "k8s.io/component-base/config"
	componentbaseoptions "k8s.io/component-base/config/options"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout"
	"github.com/stagegate/stagegate/pkg/rollout/snapshot"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// Limits of --force-delete-wait-time, KubeFleet's.
const (
	shortestForceDeleteWait = 30 * time.Second
	longestForceDeleteWait  = time.Hour
)

// RolloutOptions are the options of the controllers. Flags set which run, and how; the rest comes from the store.
type RolloutOptions struct {
	rollout.Options
	// Limit is what of the hub is not placed. Validate reads it into Options.Limits.
	Limit placeable.LimitOptions
	// Networks are at which private addresses sinks may be. Validate reads them into Options.NotificationNetworks.
	Networks []string
}

// NewRolloutOptions returns the defaults.
func NewRolloutOptions() *RolloutOptions {
	lease, renewDeadline, retryPeriod := rollout.DefaultElectionTimes()
	return &RolloutOptions{Options: rollout.Options{
		Controllers:       []string{"*"},
		ExternalSnapshots: snapshot.Automatic,
		ForceDeleteWait:   15 * time.Minute,
		LeaderElection: componentbaseconfig.LeaderElectionConfiguration{
			LeaderElect:       true,
			LeaseDuration:     metav1.Duration{Duration: lease},
			RenewDeadline:     metav1.Duration{Duration: renewDeadline},
			RetryPeriod:       metav1.Duration{Duration: retryPeriod},
			ResourceLock:      resourcelock.LeasesResourceLock,
			ResourceNamespace: wellknown.SystemNamespace,
			ResourceName:      serverName,
		},
	}}
}

// AddFlags binds the options to flags, those of leader election apart.
func (o *RolloutOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.Controllers, "controllers", o.Controllers, "Controllers to run: 'foo' names one, '*' means all, "+
		"'-foo' takes one out of all. There are "+strings.Join(rollout.Controllers(), ", ")+".")
	fs.Var(&o.ExternalSnapshots, "external-snapshots", "When a resource snapshot is made for a placement "+
		"whose strategy is External: Automatic means soon after a selected resource has changed, OnRun when an update run needs one.")
	fs.StringVar(&o.Limit.SkippedAPIs, "skipped-propagating-apis", o.Limit.SkippedAPIs, "What is not placed, beside what is never placed: "+
		"entries divided by semicolons, each a group (apps), a group and version (apps/v1), kinds of it (apps/v1/Deployment,DaemonSet) or kinds of the core group "+
		"(v1/ConfigMap,Secret). The version does not matter. What is placed of it stays on the clusters, and its placements make no new version.")
	fs.StringVar(&o.Limit.AllowedAPIs, "allowed-propagating-apis", o.Limit.AllowedAPIs, "All that is placed, written as for --skipped-propagating-apis, "+
		"which it excludes. What is never placed stays so. Namespace and the envelopes must be among it to be placed.")
	fs.StringVar(&o.Limit.SkippedNamespaces, "skipped-propagating-namespaces", o.Limit.SkippedNamespaces, "Names of Namespaces, with commas between them, "+
		"that are not placed with anything in them. default, kube-* and fleet-* never are.")
	fs.BoolVar(&o.AllowInsecureMembers, "allow-insecure-members", o.AllowInsecureMembers, "Take kubeconfigs of member clusters "+
		"that have a server without TLS or insecure-skip-tls-verify. The credentials in them go to whoever answers there.")
	fs.StringSliceVar(&o.Networks, strings.TrimPrefix(rollout.NotificationNetworksFlag, "--"), o.Networks, "Networks such as 10.20.0.0/16 "+
		"with private addresses at which NotificationSinks may be. Loopback addresses need a network of their own, such as 127.0.0.1/32. "+
		"Link-local addresses, those at which clouds give credentials and the hub stay refused.")
	fs.DurationVar(&o.ForceDeleteWait, "force-delete-wait-time", o.ForceDeleteWait, "How long a MemberCluster that is deleted waits "+
		"for a member that cannot be reached, 30s to 1h. Then the cluster leaves with everything on it as it is.")
}

// AddLeaderElectionFlags binds the options of leader election to flags.
func (o *RolloutOptions) AddLeaderElectionFlags(fs *pflag.FlagSet) {
	componentbaseoptions.BindLeaderElectionFlags(&o.LeaderElection, fs)
}

// Validate refuses values that are not known or do not go together.
func (o *RolloutOptions) Validate() []error {
	var errs []error
	if limits, err := readLimits(o.Limit); err != nil {
		errs = append(errs, err)
	} else {
		o.Limits = limits
	}
	if err := rollout.ValidateControllers(o.Controllers); err != nil {
		errs = append(errs, fmt.Errorf("--controllers: %w", err))
	}
	if networks, err := rollout.ParseNetworks(o.Networks); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", rollout.NotificationNetworksFlag, err))
	} else {
		o.NotificationNetworks = networks
	}
	if o.ForceDeleteWait < shortestForceDeleteWait || o.ForceDeleteWait > longestForceDeleteWait {
		errs = append(errs, fmt.Errorf("--force-delete-wait-time is %s; use %s to %s", o.ForceDeleteWait, shortestForceDeleteWait, longestForceDeleteWait))
	}
	if o.LeaderElection.LeaderElect {
		l := o.LeaderElection
		if l.LeaseDuration.Duration <= l.RenewDeadline.Duration {
			errs = append(errs, errors.New("--leader-elect-lease-duration must be more than --leader-elect-renew-deadline"))
		}
		if l.RetryPeriod.Duration <= 0 {
			errs = append(errs, errors.New("--leader-elect-retry-period must be more than zero"))
		}
		if float64(l.RenewDeadline.Duration) <= leaderelection.JitterFactor*float64(l.RetryPeriod.Duration) {
			errs = append(errs, fmt.Errorf("--leader-elect-renew-deadline must be more than %g times --leader-elect-retry-period", leaderelection.JitterFactor))
		}
	}
	return errs
}

// readLimits reads what is not placed, and refuses groups that cannot exist, and kinds that a group which everybody knows does not have: what is
// misspelled would go on being placed. Groups with a dot, and their kinds, may come with a CustomResourceDefinition.
func readLimits(o placeable.LimitOptions) (*placeable.Limits, error) {
	limits, err := placeable.ParseLimits(o)
	if err != nil {
		return nil, err
	}
	for _, named := range limits.Named() {
		switch {
		case named.Kind == "" && named.Entry == named.Group && !strings.Contains(named.Group, ".") && !scheme.Scheme.IsGroupRegistered(named.Group):
			remedy := "write kinds of the core group as v1/Secret, and a group without a dot that an aggregated API has with its version"
			if meant := kindsLike(named.Group); len(meant) > 0 {
				remedy = "write " + strings.Join(meant, " or ")
			}
			return nil, fmt.Errorf("%s: %q is no group: %s", named.Flag, named.Entry, remedy)
		case named.Kind != "" && scheme.Scheme.IsGroupRegistered(named.Group) && len(scheme.Scheme.VersionsForGroupKind(named.GroupKind)) == 0:
			remedy := "correct it"
			if meant := kindsLike(named.Kind); len(meant) > 0 {
				remedy = "write " + strings.Join(meant, " or ")
			}
			return nil, fmt.Errorf("%s: there is no kind %s in group %q: %s", named.Flag, named.Kind, named.Group, remedy)
		}
	}
	return limits, nil
}

// kindsLike returns the kinds of Kubernetes that a word may mean, such as v1/Secret for secrets, as the flags take them.
func kindsLike(word string) []string {
	word = strings.ToLower(word)
	var meant []string
	for _, gv := range scheme.Scheme.PrioritizedVersionsAllGroups() {
		for kind := range scheme.Scheme.KnownTypes(gv) {
			gvk := gv.WithKind(kind)
			plural, singular := meta.UnsafeGuessKindToResource(gvk)
			entry := gv.String() + "/" + kind
			if (word == plural.Resource || word == singular.Resource) && !slices.ContainsFunc(meant, func(other string) bool { return isSameKind(other, entry) }) {
				meant = append(meant, entry)
			}
		}
	}
	slices.Sort(meant)
	return meant
}

// isSameKind reports whether two entries differ in their versions alone. Those of the core group have one version.
func isSameKind(a, b string) bool {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	return len(x) == 3 && len(y) == 3 && x[0] == y[0] && x[2] == y[2]
}
