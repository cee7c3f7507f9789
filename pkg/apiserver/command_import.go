// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apiserver/etcd"
	"github.com/stagegate/stagegate/pkg/importer"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// objectRoom is left of etcd's largest request for what encryption and etcd itself add to an object.
const objectRoom = 16 << 10

// importOptions are those of the command import.
type importOptions struct {
	*Options
	dryRun, back bool
	out          io.Writer
}

// newImportCommand returns the command that moves a hub from KubeFleet to the store of a server, and back.
func newImportCommand(ctx context.Context) *cobra.Command {
	o := importOptions{Options: NewOptions()}
	command := &cobra.Command{
		Use:   "import",
		Short: "Move a hub from KubeFleet to Stagegate",
		Long: "import copies the objects of KubeFleet's CustomResourceDefinitions on the hub, as they are, into the empty store of this server, compares\n" +
			"them, and has the hub pass their API on to the server. KubeFleet's agents must be stopped, and a server with its etcd within it too.\n" +
			"Run it again if it was interrupted. It deletes nothing on the hub, and --back undoes it, until the controllers of the server have begun.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := logsapi.ValidateAndApply(o.Logs, utilfeature.DefaultFeatureGate); err != nil {
				return err
			}
			o.out = command.OutOrStdout()
			return o.run(ctx)
		},
	}
	o.addHubFlags(command.Flags())
	o.addStorageFlags(command.Flags())
	logsapi.AddFlags(o.Logs, command.Flags())
	o.addFlags(command.Flags())
	return command
}

func (o *importOptions) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&o.dryRun, "dry-run", o.dryRun, "Say what would be imported, and what cannot be, and write nothing. It does not open the store.")
	fs.BoolVar(&o.back, "back", o.back, "Give the hub its objects back, as they were when they were imported. It is refused once anything was written since.")
}

func (o *importOptions) run(ctx context.Context) error {
	if o.dryRun && o.back {
		return errors.New("--dry-run and --back do not go together")
	}
	if err := utilerrors.NewAggregate(o.validateStorage()); err != nil {
		return err
	}
	hub, err := hubConfig(o.Recommended.CoreAPI.CoreAPIKubeconfigPath)
	if err != nil {
		return err
	}
	options := importer.Options{Hub: hub, Prefix: o.Recommended.Etcd.StorageConfig.Prefix, MaxBytes: etcd.MaxRequestBytes - objectRoom, Out: o.out}
	if o.dryRun {
		i, err := importer.New(options)
		if err != nil {
			return err
		}
		return i.DryRun(ctx)
	}
	return o.withStore(ctx, options, func(ctx context.Context, i *importer.Importer) error {
		if o.back {
			return i.Back(ctx)
		}
		return i.Import(ctx)
	})
}

// withStore calls a function with an importer into the store of the server.
func (o *Options) withStore(ctx context.Context, options importer.Options, do func(context.Context, *importer.Importer) error) error {
	if o.embedded() {
		if err := checkDataDir(o.Embedded.DataDir); err != nil {
			return err
		}
		member, err := o.Embedded.start(ctx)
		if err != nil {
			return err
		}
		defer member.Close()
		o.Recommended.Etcd.StorageConfig.Transport.ServerList = []string{member.Endpoint()}
	}
	storage := o.Recommended.Etcd.StorageConfig
	storeID, err := ensureStoreID(ctx, storage)
	if err != nil {
		return err
	}
	config := genericapiserver.NewConfig(scheme.Codecs)
	if err := o.ServerRun.ApplyTo(config); err != nil {
		return err
	}
	etcdOptions := *o.Recommended.Etcd
	etcdOptions.SkipHealthEndpoints, etcdOptions.EnableWatchCache = true, false
	if err := applyStorage(&etcdOptions, config); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	dialing, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	client, err := newEtcdClient(ctx, storage.Transport)
	if err != nil {
		return fmt.Errorf("etcd at %v: %w", storage.Transport.ServerList, err)
	}
	defer func() { _ = client.Close() }()
	if _, err := client.Get(dialing, storage.Prefix); err != nil {
		return fmt.Errorf("etcd at %v: %w", storage.Transport.ServerList, err)
	}
	options.Client, options.RESTOptions = client, config.RESTOptionsGetter
	options.Claim = func(ctx context.Context, hub kubernetes.Interface) error {
		_, err := storeid.Claim(ctx, hub, wellknown.SystemNamespace, storeID, hubRecord{storage})
		return err
	}
	i, err := importer.New(options)
	if err != nil {
		return err
	}
	defer i.Close()
	return do(ctx, i)
}
