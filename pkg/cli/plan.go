// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
	"github.com/stagegate/stagegate/pkg/view"
	"github.com/stagegate/stagegate/pkg/view/terminal"
)

type runOptions struct {
	*options
	file     string
	strategy string
	snapshot string
	name     string
	start    bool
	override []string
	message  string
	output   string
}

func (r *runOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&r.file, "filename", "f", "", "A manifest of the run, in place of the other flags. - is the standard input.")
	flags.StringVar(&r.strategy, "strategy", "", "The strategy to follow.")
	flags.StringVar(&r.snapshot, "snapshot", "", "The index of the resource snapshot. The resources as they are now if not set.")
	flags.StringSliceVar(&r.override, "override", nil, "Names of ClusterRolloutPolicies that the run may violate, with the reason in -m. You need the verb override on each.")
	flags.StringVarP(&r.message, "message", "m", "", "With --override: the reason.")
}

func (o *options) newPlan() *cobra.Command {
	r := &runOptions{options: o}
	cmd := &cobra.Command{
		Use:   "plan {crp/NAME | rp/NAME | NAME} --strategy STRATEGY",
		Short: "Show what a run would do, and create none",
		Long: `Have the server plan a run, and show which clusters it would move, in which stages, at which pace, and what it would wait for. Nothing is
created. It ends with code 1 where the run could not be initialized.`,
		Example: `  kubectl stagegate plan crp/example-placement --strategy=example-strategy
  kubectl stagegate plan -f run.yaml`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeOne(placements),
		RunE:              func(cmd *cobra.Command, args []string) error { return r.plan(cmd.Context(), args) },
	}
	r.addFlags(cmd)
	addOutput(cmd, &r.output)
	return cmd
}

func (o *options) newRun() *cobra.Command {
	r := &runOptions{options: o}
	cmd := &cobra.Command{
		Use:   "run {crp/NAME | rp/NAME | NAME} --strategy STRATEGY",
		Short: "Create a run, which takes a version of a placement to its clusters",
		Long: `Create a run. Without --start it is only planned: look at it with status, and start it with start. Its name is that of the placement with a few
characters behind it, unless --name gives another.`,
		Example: `  kubectl stagegate run crp/example-placement --strategy=example-strategy --start
  kubectl stagegate run rp/web -n team-a --strategy=rings --snapshot=4 --name=web-4`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeOne(placements),
		RunE:              func(cmd *cobra.Command, args []string) error { return r.create(cmd.Context(), args) },
	}
	r.addFlags(cmd)
	cmd.Flags().StringVar(&r.name, "name", "", "The name of the run.")
	cmd.Flags().BoolVar(&r.start, "start", false, "Start the run as soon as it is planned.")
	return cmd
}

// maxGenerated is how much of the name of a placement begins that of a run: Kubernetes appends 5 characters, and 63 are allowed.
const maxGenerated = 63 - 5 - 1

// asked makes the run that the user describes.
func (r *runOptions) asked(args []string) (v1beta1.UpdateRunObject, error) {
	if r.file != "" {
		if len(args) > 0 || r.strategy != "" || r.snapshot != "" || r.name != "" || len(r.override) > 0 {
			return nil, errors.New("-f takes all from the manifest: leave the rest out")
		}
		return r.fromFile()
	}
	if len(args) == 0 || r.strategy == "" {
		return nil, errors.New("give the placement and its --strategy, or a manifest with -f")
	}
	key, err := r.resolve(placements, args[0])
	if err != nil {
		return nil, err
	}
	run := emptyRun(key.Namespace).(v1beta1.UpdateRunObject)
	run.SetNamespace(key.Namespace)
	if run.SetName(r.name); r.name == "" {
		run.SetGenerateName(strings.TrimRight(key.Name[:min(len(key.Name), maxGenerated)], ".-") + "-")
	}
	*run.RunSpec() = v1beta1.UpdateRunSpec{
		PlacementName: key.Name, StagedUpdateStrategyName: r.strategy, ResourceSnapshotIndex: r.snapshot, State: v1beta1.StateInitialize,
	}
	if r.start {
		run.RunSpec().State = v1beta1.StateRun
	}
	if len(r.override) > 0 {
		reason, err := r.reason(r.message, "the override")
		if err != nil {
			return nil, err
		}
		run.RunSpec().PolicyOverride = &v1beta1.PolicyOverride{Policies: r.override, Reason: reason}
	}
	return run, nil
}

// maxManifest is how large a manifest of a run may be.
const maxManifest = 1 << 20

func (r *runOptions) fromFile() (v1beta1.UpdateRunObject, error) {
	in := r.In
	if r.file != "-" {
		file, err := os.Open(r.file)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxManifest))
	if err != nil {
		return nil, err
	}
	var typed metav1.TypeMeta
	if err := yaml.Unmarshal(data, &typed); err != nil {
		return nil, fmt.Errorf("%s: %w", r.file, err)
	}
	if typed.GroupVersionKind().Group != v1beta1.GroupName || typed.Kind != "ClusterStagedUpdateRun" && typed.Kind != "StagedUpdateRun" {
		return nil, fmt.Errorf("%s has a %s and no run", r.file, typed.Kind)
	}
	var namespace string
	if typed.Kind == "StagedUpdateRun" {
		var err error
		if namespace, _, err = r.flags.ToRawKubeConfigLoader().Namespace(); err != nil {
			return nil, err
		}
	}
	// v1 has the same fields.
	run := emptyRun(namespace).(v1beta1.UpdateRunObject)
	if err := yaml.UnmarshalStrict(data, run); err != nil {
		return nil, fmt.Errorf("%s: %w", r.file, err)
	}
	run.GetObjectKind().SetGroupVersionKind(v1beta1.SchemeGroupVersion.WithKind(typed.Kind))
	if run.GetNamespace() == "" {
		run.SetNamespace(namespace)
	}
	if r.start {
		run.RunSpec().State = v1beta1.StateRun
	}
	return run, nil
}

func (r *runOptions) plan(ctx context.Context, args []string) error {
	if err := r.connect(); err != nil {
		return err
	}
	asked, err := r.asked(args)
	if err != nil {
		return err
	}
	planned, err := r.runClient(asked.GetNamespace()).Create(ctx, asked, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return err
	}
	v := view.BuildPlan(planned, r.now())
	if r.output != "" {
		if err := r.printObject(r.output, v); err != nil {
			return err
		}
	}
	if !runrules.IsPlanned(planned.RunStatus()) {
		message := v.Message
		if message == "" {
			message = "the server has made no plan: its controllers may be off"
		}
		return exit{exitError, "the run could not be initialized: " + message}
	}
	if r.output == "" {
		r.print(terminal.Plan(v, r.drawing())...)
	}
	return nil
}

func (r *runOptions) create(ctx context.Context, args []string) error {
	if err := r.connect(); err != nil {
		return err
	}
	asked, err := r.asked(args)
	if err != nil {
		return err
	}
	run, err := r.runClient(asked.GetNamespace()).Create(ctx, asked, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	key := types.NamespacedName{Namespace: run.GetNamespace(), Name: run.GetName()}
	done := "created"
	if run.RunSpec().State == v1beta1.StateRun {
		done = "created and started"
	}
	r.print(runs.Name(key) + " " + done)
	fmt.Fprintln(r.ErrOut, "  kubectl stagegate status "+runs.Name(key)+" -w")
	return nil
}
