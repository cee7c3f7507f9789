// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/stagegate/stagegate/pkg/admission"
	"github.com/stagegate/stagegate/pkg/client/inprocess"
)

// maxRequestBodyBytes is the largest body in bytes that is read of a controller: a run over 10,000 clusters is 4 to 10 MB of JSON.
// maxUserBodyBytes holds for everybody else.
const maxRequestBodyBytes = 16 << 20

// defaultMaxObjects is several times what a team has of any kind, finished runs included, and as much as the server holds of several teams.
const defaultMaxObjects = 500

// watchTerminationGracePeriod is the time over which the watches of a server that shuts down are ended.
const watchTerminationGracePeriod = 5 * time.Second

// Options are what the flags say. Each field may be nil in a server that is put together by hand.
type Options struct {
	ServerRun   *genericoptions.ServerRunOptions
	Recommended *genericoptions.RecommendedOptions
	Embedded    *EmbeddedEtcdOptions
	Rollout     *RolloutOptions
	Logs        *logs.Options
	// MaxObjects is how many objects of a kind users may create in a namespace, or outside of namespaces; 0 means any number.
	MaxObjects int

	judge   *judge
	network *inprocess.Network
	// imports is how far an import into the store is, nil where there was none.
	imports *imports
}

// NewOptions returns the defaults.
func NewOptions() *Options {
	o := &Options{
		ServerRun:   genericoptions.NewServerRunOptions(),
		Recommended: genericoptions.NewRecommendedOptions(storagePrefix, nil),
		Embedded:    NewEmbeddedEtcdOptions(),
		Rollout:     NewRolloutOptions(),
		Logs:        logs.NewOptions(),
		MaxObjects:  defaultMaxObjects,
		judge:       &judge{},
		network:     inprocess.New(),
	}
	o.ServerRun.MaxRequestBodyBytes = maxRequestBodyBytes
	// Without these a shutdown waits a minute for watches, which end of themselves after half an hour at the earliest.
	o.ServerRun.ShutdownSendRetryAfter = true
	o.ServerRun.ShutdownWatchTerminationGracePeriod = watchTerminationGracePeriod
	// Port 443 would take privileges that nothing else here needs.
	o.Recommended.SecureServing.BindPort = 6443
	// Certificates are given; none are written.
	o.Recommended.SecureServing.ServerCert.CertDirectory = ""
	admission.Configure(o.Recommended.Admission)
	o.Recommended.ExtraAdmissionInitializers = o.AdmissionInitializers
	return o
}

// Flags binds the options to flags, grouped for --help.
func (o *Options) Flags() cliflag.NamedFlagSets {
	var fss cliflag.NamedFlagSets
	o.addHubFlags(fss.FlagSet("hub"))
	o.addStorageFlags(fss.FlagSet("storage"))
	o.Rollout.AddFlags(fss.FlagSet("rollout"))
	addFlagsExcept(fss.FlagSet("leader election"), o.Rollout.AddLeaderElectionFlags, "leader-elect-resource-lock")
	addFlagsExcept(fss.FlagSet("secure serving"), o.Recommended.SecureServing.AddFlags, "cert-dir")
	o.Recommended.Authentication.AddFlags(fss.FlagSet("authentication"))
	o.Recommended.Authorization.AddFlags(fss.FlagSet("authorization"))
	o.Recommended.Admission.AddFlags(fss.FlagSet("admission"))
	fss.FlagSet("admission").IntVar(&o.MaxObjects, "max-objects-per-namespace", o.MaxObjects, "Number of objects of a kind that users may create "+
		"in a namespace, and of a cluster-scoped kind in all. MemberClusters and what the controllers create are not limited. 0 means no limit.")
	o.Recommended.Audit.AddFlags(fss.FlagSet("auditing"))
	o.Recommended.Features.AddFlags(fss.FlagSet("features"))
	o.Recommended.EgressSelector.AddFlags(fss.FlagSet("egress selector"))
	o.Recommended.Traces.AddFlags(fss.FlagSet("traces"))
	o.ServerRun.AddUniversalFlags(fss.FlagSet("generic"))
	logsapi.AddFlags(o.Logs, fss.FlagSet("logs"))
	return fss
}

func (o *Options) addHubFlags(fs *pflag.FlagSet) {
	o.Recommended.CoreAPI.AddFlags(fs)
	fs.Lookup("kubeconfig").Usage = "Kubeconfig of the hub. In the hub itself the pod's ServiceAccount is used."
}

func (o *Options) addStorageFlags(fs *pflag.FlagSet) {
	o.Embedded.AddFlags(fs)
	addFlagsExcept(fs, o.Recommended.Etcd.AddFlags,
		"storage-backend", "storage-media-type", "etcd-servers-overrides", "default-watch-cache-size")
	fs.Lookup("etcd-servers").Usage = "Servers of an external etcd (scheme://ip:port), comma separated. " +
		"None means the etcd in this process, which is right for one replica."
}

// addFlagsExcept adds what add binds, but for flags that leave no choice here.
func addFlagsExcept(fs *pflag.FlagSet, add func(*pflag.FlagSet), names ...string) {
	all := pflag.NewFlagSet(fs.Name(), pflag.ContinueOnError)
	add(all)
	all.VisitAll(func(flag *pflag.Flag) {
		if !slices.Contains(names, flag.Name) {
			fs.AddFlag(flag)
		}
	})
}

// Complete fills in what follows from other options.
func (o *Options) Complete() {
	r := o.Recommended
	if r.CoreAPI == nil {
		return
	}
	if r.Authentication != nil && r.Authentication.RemoteKubeConfigFile == "" {
		r.Authentication.RemoteKubeConfigFile = r.CoreAPI.CoreAPIKubeconfigPath
	}
	if r.Authorization != nil && r.Authorization.RemoteKubeConfigFile == "" {
		r.Authorization.RemoteKubeConfigFile = r.CoreAPI.CoreAPIKubeconfigPath
	}
}

// Validate refuses options that do not go together.
func (o *Options) Validate() error {
	errs := slices.Concat(o.ServerRun.Validate(), o.validateStorage(), o.Rollout.Validate(),
		o.Recommended.SecureServing.Validate(),
		o.Recommended.Authentication.Validate(),
		o.Recommended.Authorization.Validate(),
		o.Recommended.Audit.Validate(),
		o.Recommended.Features.Validate(),
		o.Recommended.CoreAPI.Validate(),
		o.Recommended.Admission.Validate(),
		o.Recommended.EgressSelector.Validate(),
		o.Recommended.Traces.Validate(),
	)
	if o.MaxObjects < 0 {
		errs = append(errs, errors.New("--max-objects-per-namespace must be 0, which means no limit, or more"))
	}
	if err := logsapi.Validate(o.Logs, utilfeature.DefaultFeatureGate, nil).ToAggregate(); err != nil {
		errs = append(errs, err)
	}
	return utilerrors.NewAggregate(errs)
}

// embedded reports whether etcd runs in this process.
func (o *Options) embedded() bool {
	return len(o.Recommended.Etcd.StorageConfig.Transport.ServerList) == 0
}

func (o *Options) validateStorage() []error {
	if !o.embedded() {
		return o.Recommended.Etcd.Validate()
	}
	errs := o.Embedded.Validate()
	transport := o.Recommended.Etcd.StorageConfig.Transport
	for flag, value := range map[string]string{
		"etcd-cafile": transport.TrustedCAFile, "etcd-certfile": transport.CertFile, "etcd-keyfile": transport.KeyFile,
	} {
		if value != "" {
			errs = append(errs, fmt.Errorf("--%s is for an external etcd and needs --etcd-servers", flag))
		}
	}
	return errs
}
