// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/act"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/view"
)

type operationOptions struct {
	*options
	subresource string
	message     string
	dryRun      bool
	clusters    []string
	stage       string
	wait        bool
}

// newOperations returns the commands that ask something of a run: its subresources.
func (o *options) newOperations() []*cobra.Command {
	return []*cobra.Command{
		o.newOperation("stop", "Let the clusters in flight finish, and start no other", "", nil),
		o.newOperation("resume", "Let a stopped run go on", "", nil),
		o.newOperation("retry", "Update clusters again that have failed in the current stage", `  kubectl stagegate retry csur/example-run --clusters=paris -m 'quota raised'`,
			func(cmd *cobra.Command, op *operationOptions) {
				cmd.Flags().StringSliceVar(&op.clusters, "clusters", nil, "The clusters, separated by commas. All that have failed if not set.")
			}),
		o.newOperation("skip", "Go on without some clusters, without the rest of a stage, or past a timed wait", `  kubectl stagegate skip csur/example-run --clusters=paris -m 'paris is down'
  kubectl stagegate skip csur/example-run --stage=canary --wait -m 'urgent fix'`,
			func(cmd *cobra.Command, op *operationOptions) {
				cmd.Flags().StringSliceVar(&op.clusters, "clusters", nil, "The clusters, separated by commas.")
				cmd.Flags().StringVar(&op.stage, "stage", "", "The stage.")
				cmd.Flags().BoolVar(&op.wait, "wait", false, "With --stage: only the timed wait after the stage.")
			}),
		o.newOperation("rollback", "End the run, and create one that takes its clusters back to what they had", "", nil),
	}
}

func (o *options) newOperation(subresource, short, example string, add func(*cobra.Command, *operationOptions)) *cobra.Command {
	op := &operationOptions{options: o, subresource: subresource}
	cmd := &cobra.Command{
		Use:   subresource + " {csur/NAME | sur/NAME | NAME}",
		Short: short,
		Long: short + `. The reason is recorded in the history of the run with your name; without -m a terminal is asked for it. What the state of the run does
not allow the server refuses, and says why.`,
		Example:           example,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeOne(runs),
		RunE:              func(cmd *cobra.Command, args []string) error { return op.run(cmd.Context(), args[0]) },
	}
	if example == "" {
		cmd.Example = fmt.Sprintf("  kubectl stagegate %s csur/example-run -m 'INC-7'", subresource)
	}
	cmd.Flags().StringVarP(&op.message, "message", "m", "", "The reason, at most 1024 characters.")
	cmd.Flags().BoolVar(&op.dryRun, "dry-run", false, "Ask the server whether it would accept that, and do nothing.")
	if add != nil {
		add(cmd, op)
	}
	return cmd
}

func (op *operationOptions) run(ctx context.Context, argument string) error {
	if err := op.connect(); err != nil {
		return err
	}
	key, err := op.resolve(runs, argument)
	if err != nil {
		return err
	}
	// The run that the user means is the one that is there now, and not a later one of its name.
	run, err := op.runClient(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	reason, err := op.reason(op.message, "the operation")
	if err != nil {
		return err
	}
	spec := v1beta1.UpdateRunOperationSpec{Reason: reason, Clusters: op.clusters, Stage: op.stage}
	if op.wait {
		if op.stage == "" {
			return errors.New("--wait takes the stage with --stage")
		}
		spec.Task = v1beta1.StageTaskTypeTimedWait
	}
	seen := act.Of(run)
	// Clusters that move on meanwhile are no reason to refuse what somebody types.
	seen.ResourceVersion = ""
	if err := act.Operate(ctx, op.stagegate.PlacementV1beta1(), op.subresource, seen, spec, op.dryRun); err != nil {
		return err
	}
	done := op.subresource + " requested"
	if op.dryRun {
		done += " (dry run)"
	}
	op.print(view.Clean(runs.Name(key) + " " + done))
	return nil
}

func (o *options) newStart() *cobra.Command {
	return &cobra.Command{
		Use:               "start {csur/NAME | sur/NAME | NAME}",
		Short:             "Start a run that is only planned",
		Example:           `  kubectl stagegate start csur/example-run`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeOne(runs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.connect(); err != nil {
				return err
			}
			key, err := o.resolve(runs, args[0])
			if err != nil {
				return err
			}
			return o.start(cmd.Context(), key)
		},
	}
}

// start starts a run that is only planned. One that is stopped is resumed with a reason.
func (o *options) start(ctx context.Context, key types.NamespacedName) error {
	client := o.runClient(key.Namespace)
	run, err := client.Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := act.Startable(run); err != nil {
		return err
	}
	if err := act.Start(ctx, o.stagegate.PlacementV1beta1(), act.Of(run)); err != nil {
		return err
	}
	o.print(runs.Name(key) + " started")
	return nil
}
