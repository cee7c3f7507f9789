// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cliflag "k8s.io/component-base/cli/flag"
	componentbaseconfig "k8s.io/component-base/config"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/restclient"
	_ "k8s.io/component-base/metrics/prometheus/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/memory"
	"github.com/stagegate/stagegate/pkg/rollout/internal/election"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/version"
)

// leaseName is the lease on the member for which the replicas of the agent campaign.
const leaseName = "stagegate-member-agent"

type commandOptions struct {
	cluster, namespace, secret, kubeconfig, healthAddress string
}

// NewCommand returns the command that runs the agent until the context ends.
func NewCommand(ctx context.Context) *cobra.Command {
	o := commandOptions{
		cluster:   os.Getenv("MEMBER_CLUSTER_NAME"),
		namespace: cmp.Or(os.Getenv("POD_NAMESPACE"), "stagegate-system"),
		secret:    "stagegate-hub",

		healthAddress: ":8080",
	}
	logging := logsapi.NewLoggingConfiguration()
	command := &cobra.Command{
		Use:          "stagegate-member-agent",
		Short:        "Applies on this cluster what a Stagegate hub places there, where the hub cannot reach the cluster",
		Version:      version.String(),
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			if err := logsapi.ValidateAndApply(logging, nil); err != nil {
				return err
			}
			memory.Bound()
			return o.run(ctx)
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.cluster, "cluster", o.cluster, "Name of the MemberCluster that this cluster is. Defaults to the environment variable MEMBER_CLUSTER_NAME.")
	flags.StringVar(&o.namespace, "namespace", o.namespace, "Namespace of this cluster with the Secret and the Lease of the agent. Defaults to the environment variable POD_NAMESPACE.")
	flags.StringVar(&o.secret, "hub-secret", o.secret, "Name of the Secret with the keys server, ca.crt and token, by which the hub is reached. The agent renews the token.")
	flags.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "File with the credentials for this cluster. By default those of the Pod.")
	flags.StringVar(&o.healthAddress, "health-bind-address", o.healthAddress,
		"Address of /healthz, /readyz and /metrics, without TLS: none of them tells what is placed on this cluster. Empty serves none.")
	logsapi.AddFlags(logging, flags)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	return command
}

func (o commandOptions) run(ctx context.Context) error {
	if o.cluster == "" {
		return errors.New("--cluster is missing: the name of the MemberCluster that this cluster is")
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("reaching this cluster: %w", err)
	}
	config.UserAgent, config.WarningHandler = rest.DefaultKubernetesUserAgent(), rest.NoWarnings{}
	// This cluster has its own priority and fairness. This only stops runaways.
	config.QPS, config.Burst = 200, 400
	member, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("reaching this cluster: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	health := NewHealth(clock.RealClock{})
	if o.healthAddress != "" {
		stop, err := health.listen(ctx, o.healthAddress)
		if err != nil {
			return fmt.Errorf("--health-bind-address: %w", err)
		}
		defer stop()
	}
	identity := host + "_" + uuid.NewString()
	klog.FromContext(ctx).Info("Starting", "version", version.String(), "cluster", o.cluster, "identity", identity)
	duration, deadline, period := election.Times()
	lease := componentbaseconfig.LeaderElectionConfiguration{
		ResourceNamespace: o.namespace,
		ResourceName:      leaseName,
		LeaseDuration:     metav1.Duration{Duration: duration},
		RenewDeadline:     metav1.Duration{Duration: deadline},
		RetryPeriod:       metav1.Duration{Duration: period},
	}
	reconcile.Forever(ctx, name, func(ctx context.Context) error {
		err := election.Campaign(ctx, member, lease, identity, func(ctx context.Context) error {
			defer health.leads()()
			return o.lead(ctx, config, member, health)
		})
		return cmp.Or(err, errors.New("the term has ended"))
	})
	return nil
}

// lead serves the member for one term.
func (o commandOptions) lead(ctx context.Context, config *rest.Config, member kubernetes.Interface, health *Health) error {
	credentials := NewCredentials(member, o.namespace, o.secret, o.cluster, clock.RealClock{})
	hubConfig, err := credentials.Config(ctx)
	if err != nil {
		return err
	}
	health.asks(credentials.Refusal)
	kube, err := kubernetes.NewForConfig(hubConfig)
	if err != nil {
		return fmt.Errorf("reaching the hub: %w", err)
	}
	fleet, err := versioned.NewForConfig(hubConfig)
	if err != nil {
		return fmt.Errorf("reaching the hub: %w", err)
	}
	served, err := New(fleet, config, Options{Cluster: o.cluster, Version: version.String(), Health: health})
	if err != nil {
		return err
	}
	var renewing sync.WaitGroup
	defer renewing.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	renewing.Go(func() { credentials.Renew(ctx, kube) })
	return served.Run(ctx)
}
