// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo/leaderelection"
	_ "k8s.io/component-base/metrics/prometheus/restclient"
	_ "k8s.io/component-base/metrics/prometheus/workqueue"
	"k8s.io/component-base/term"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/memory"
	"github.com/stagegate/stagegate/pkg/version"
)

func init() {
	utilruntime.Must(logsapi.AddFeatureGates(utilfeature.DefaultMutableFeatureGate))
}

// NewCommand returns the command of the server. It runs until the context ends.
func NewCommand(ctx context.Context) *cobra.Command {
	o := NewOptions()
	command := &cobra.Command{
		Use:   serverName,
		Short: "API server for staged rollouts over a fleet of clusters",
		Long: "stagegate-apiserver serves the API groups placement.kubernetes-fleet.io and cluster.kubernetes-fleet.io as an aggregated\n" +
			"API server of a hub cluster, and runs the controllers that carry out staged rollouts over the member clusters.",
		Args:    cobra.NoArgs,
		Version: version.String(),
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return compatibility.DefaultComponentGlobalsRegistry.Set()
		},
		RunE: func(*cobra.Command, []string) error {
			if err := logsapi.ValidateAndApply(o.Logs, utilfeature.DefaultFeatureGate); err != nil {
				return err
			}
			o.Complete()
			if err := o.Validate(); err != nil {
				return err
			}
			memory.Spend()
			memory.Bound()
			return Run(ctx, o)
		},
	}
	fss := o.Flags()
	globalflag.AddGlobalFlags(fss.FlagSet("global"), command.Name(), logs.SkipLoggingConfigurationFlags())
	for _, fs := range fss.FlagSets {
		command.Flags().AddFlagSet(fs)
	}
	columns, _, _ := term.TerminalSize(command.OutOrStdout())
	cliflag.SetUsageAndHelpFunc(command, fss, columns)
	command.AddCommand(newImportCommand(ctx))
	return command
}

// Run checks the surroundings, starts etcd unless it is external, and serves until the context ends.
func Run(ctx context.Context, o *Options) error {
	logger := klog.FromContext(ctx)
	hidden, err := preflight(ctx, o)
	if err != nil {
		return err
	}
	embedded := o.embedded()
	if embedded {
		given.quota.Store(o.Embedded.QuotaBytes)
		member, err := o.Embedded.start(ctx)
		if err != nil {
			return err
		}
		// Whatever happens, etcd outlives the server, which writes until its end.
		defer member.Close()
		o.Recommended.Etcd.StorageConfig.Transport.ServerList = []string{member.Endpoint()}
		serving, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() {
			select {
			case <-member.Done():
				cancel(errEtcdStopped)
			case <-serving.Done():
			}
		}()
		ctx = serving
	}
	storeID, err := ensureStoreID(ctx, o.Recommended.Etcd.StorageConfig)
	if err != nil {
		return err
	}
	imports, record, err := openImports(ctx, o.Recommended.Etcd.StorageConfig)
	if err != nil {
		return err
	}
	if err := hidden.refuse(record); err != nil {
		return err
	}
	o.imports = imports
	logger.Info("Starting", "version", version.String(), "storeID", storeID, "embeddedEtcd", embedded)
	o.Rollout.StoreID = storeID
	if o.Rollout.Identity, err = identity(embedded, storeID); err != nil {
		return err
	}
	config, err := o.Config()
	if err != nil {
		return err
	}
	server, err := config.Complete().New()
	if err != nil {
		return err
	}
	err = server.Run(ctx)
	if cause := context.Cause(ctx); err == nil && errors.Is(cause, errEtcdStopped) {
		// Nobody asked the server to end.
		return cause
	}
	return err
}

// errEtcdStopped ends a server whose etcd has stopped by itself.
var errEtcdStopped = errors.New("the etcd in this process has stopped, see its log above")

// identity names this replica in an election. A store in this process has no other replica, so its id will do, and the successor of
// a killed server need not wait for the lease to run out.
func identity(embedded bool, storeID string) (string, error) {
	if embedded {
		return storeID, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("host name: %w", err)
	}
	return host + "_" + uuid.NewString(), nil
}
