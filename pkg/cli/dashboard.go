// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagegate/stagegate/pkg/dashboard"
	"github.com/stagegate/stagegate/pkg/view"
)

type dashboardOptions struct {
	*options
	port     int
	idle     time.Duration
	readOnly bool
}

func (o *options) newDashboard() *cobra.Command {
	d := &dashboardOptions{options: o}
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Show rollouts in a browser, and approve and operate them there",
		Long: `Serve pages for a browser on this machine until you interrupt it. They show runs, approvals, members and placements, and are up to date. What you do
there is a request of yours to the hub, as with the other commands.

It listens on 127.0.0.1 and [::1] alone, and prints the address to open. The key in it opens the dashboard once. With -n it shows the objects of that
namespace, beside the cluster-scoped ones.`,
		Example: `  kubectl stagegate dashboard
  kubectl stagegate dashboard -n team-a --port=8800 --read-only`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.IntVar(&d.port, "port", 0, "The port to listen on. A free one if not set.")
	flags.DurationVar(&d.idle, "idle", 8*time.Hour, "End after this time in which no page was open. 0 goes on for ever.")
	flags.BoolVar(&d.readOnly, "read-only", false, "Leave out all that changes something.")
	return cmd
}

func (d *dashboardOptions) run(ctx context.Context) error {
	if d.port < 0 || d.port > 65535 {
		return fmt.Errorf("--port=%d: a port is 1 to 65535", d.port)
	}
	if err := d.connect(); err != nil {
		return err
	}
	hub, err := d.hub()
	if err != nil {
		return err
	}
	err = dashboard.Run(ctx, dashboard.Options{
		Stagegate: d.stagegate, Kubernetes: d.kubernetes, Clock: d.clock, Namespace: d.namespace(), Hub: hub, Port: d.port, Idle: d.idle, ReadOnly: d.readOnly,
		Ready: func(address string) {
			d.print(address)
			fmt.Fprintln(d.ErrOut, "Open it in a browser on this machine. It opens once. Ctrl-C ends the dashboard.")
		},
	})
	if errors.Is(err, dashboard.ErrIdle) {
		fmt.Fprintln(d.ErrOut, view.Clean(err.Error())+".")
		return nil
	}
	return err
}

// hub returns how the user calls the hub: the context of the kubeconfig, or its address.
func (o *options) hub() (string, error) {
	if name := *o.flags.Context; name != "" {
		return name, nil
	}
	raw, err := o.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return "", err
	}
	if raw.CurrentContext != "" {
		return raw.CurrentContext, nil
	}
	config, err := o.flags.ToRESTConfig()
	if err != nil {
		return "", err
	}
	return config.Host, nil
}
