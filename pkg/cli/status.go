// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
	"github.com/stagegate/stagegate/pkg/view"
	"github.com/stagegate/stagegate/pkg/view/terminal"
)

type statusOptions struct {
	*options
	watch         bool
	until         string
	timeout       time.Duration
	output        string
	allNamespaces bool
	allowFailures bool
}

func (o *options) newStatus() *cobra.Command {
	s := &statusOptions{options: o}
	cmd := &cobra.Command{
		Use:   "status [csur/NAME | sur/NAME | NAME]",
		Short: "Show a run, or all runs that are not over",
		Long: `Show how a run stands: its stages, and of their clusters those that failed, are held or are being updated. Without a name it shows all runs that
are not over, those first that wait for a person.

With -w the picture is repainted in place until the run is over. Where the output is no terminal, -w prints one line for each entry of the
history.

-w and --until end with the code
  0    the run has succeeded, or has come as far as --until asks
  1    an error
  2    the run has failed, was rejected or rolled back, or has expired
  3    the run has succeeded, and clusters have failed or were skipped; 0 with --allow-failures
  4    --until=attention, and the run waits for a person
  124  --timeout is over`,
		Example: `  kubectl stagegate status csur/example-run
  kubectl stagegate status csur/example-run -w
  kubectl stagegate status sur/example-run -n team-a --until=stage=canary --timeout=30m`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeOne(runs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.run(cmd.Context(), args)
		},
	}
	addOutput(cmd, &s.output)
	flags := cmd.Flags()
	flags.BoolVarP(&s.watch, "watch", "w", false, "Go on showing the run until it is over.")
	flags.StringVar(&s.until, "until", "", "Wait, and end once the run has succeeded (succeeded), has completed a stage (stage=NAME), or waits for a person (attention).")
	flags.DurationVar(&s.timeout, "timeout", 0, "End with code 124 after this time, such as 30m. 0 waits for ever.")
	flags.BoolVarP(&s.allNamespaces, "all-namespaces", "A", false, "Show the runs of all namespaces, and the cluster-scoped ones.")
	flags.BoolVar(&s.allowFailures, "allow-failures", false, "End with 0 where the run has succeeded, and clusters have failed or were skipped.")
	return cmd
}

func (s *statusOptions) run(ctx context.Context, args []string) error {
	if err := s.connect(); err != nil {
		return err
	}
	waits := s.watch || s.until != ""
	switch {
	case len(args) == 0 && waits:
		return errors.New("-w and --until take the name of a run: kubectl stagegate status lists those that are not over")
	case len(args) == 0:
		return s.all(ctx)
	case s.allNamespaces:
		return errors.New("-A takes no name: give the namespace with -n")
	}
	reached, err := parseUntil(s.until)
	if err != nil {
		return err
	}
	key, err := s.resolve(runs, args[0])
	if err != nil {
		return err
	}
	if waits {
		return s.follow(ctx, key, reached)
	}
	v, err := s.read(ctx, key)
	if err != nil {
		return err
	}
	return s.show(v)
}

// read makes the view of a run. Who may not read approval requests sees less of them.
func (o *options) read(ctx context.Context, key types.NamespacedName) (*view.Run, error) {
	run, err := o.runClient(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	asked, err := o.requestsOf(ctx, key)
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	return view.Build(run, asked, o.now()), nil
}

// show prints a run and, for people, what to do about it.
func (s *statusOptions) show(v *view.Run) error {
	if s.output != "" {
		return s.printObject(s.output, v)
	}
	s.print(s.picture(v)...)
	return nil
}

func (s *statusOptions) picture(v *view.Run) []string {
	drawing := s.drawing()
	return append(terminal.Run(v, drawing), terminal.Hints(hints(v), drawing)...)
}

// all shows the runs that are not over.
func (s *statusOptions) all(ctx context.Context) error {
	list := &view.RunList{TypeMeta: metav1.TypeMeta{APIVersion: view.APIVersion, Kind: view.KindRunList}, Items: []*view.Run{}}
	err := s.inScopes(s.allNamespaces, func(namespace string) error {
		found, err := s.runClient(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, run := range found {
			if !runrules.IsOver(run.RunStatus()) {
				list.Items = append(list.Items, view.Build(run, nil, s.now()))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	view.SortByUrgency(list.Items)
	if s.output != "" {
		return s.printObject(s.output, list)
	}
	if len(list.Items) == 0 {
		fmt.Fprintln(s.ErrOut, "No run is under way"+s.where(s.allNamespaces)+".")
		return nil
	}
	for i, v := range list.Items {
		if i > 0 {
			s.print("")
		}
		s.print(s.picture(v)...)
	}
	return nil
}

// inScopes reads the namespace of -n, or the cluster-scoped kind; with all, that and all namespaces. It fails where nothing could be read.
func (o *options) inScopes(all bool, read func(namespace string) error) error {
	if !all {
		return read(o.namespace())
	}
	errCluster := read("")
	errNamespaced := read(scoped.AllNamespaces)
	switch {
	case errCluster != nil && errNamespaced != nil:
		return errCluster
	case apierrors.IsForbidden(errCluster):
		fmt.Fprintln(o.ErrOut, "You may not read the cluster-scoped ones; these are those of namespaces.")
		return nil
	case apierrors.IsForbidden(errNamespaced):
		fmt.Fprintln(o.ErrOut, "You may not read those of all namespaces; these are the cluster-scoped ones.")
		return nil
	}
	return errors.Join(errCluster, errNamespaced)
}

func (o *options) where(all bool) string {
	switch {
	case all:
		return ""
	case o.namespace() == "":
		return " (for those of namespaces give -n NAMESPACE or -A)"
	}
	return " in namespace " + o.namespace()
}

// until reports whether a run has come as far as is waited for, and with which code that ends.
type until func(v *view.Run, allowFailures bool) (done bool, code int)

// parseUntil returns what --until says. Whatever is waited for, nothing comes any more once the run is over.
func parseUntil(text string) (until, error) {
	stage, isStage := strings.CutPrefix(text, "stage=")
	switch {
	case isStage && stage != "":
		return func(v *view.Run, allowFailures bool) (bool, int) {
			i := slices.IndexFunc(v.Stages, func(s view.Stage) bool { return s.Name == stage })
			switch {
			case i >= 0 && (v.Stages[i].State == view.StageSucceeded || v.Stages[i].State == view.StageSkipped):
				return true, exitOK
			case i < 0 && v.Outcome == v1beta1.OutcomeSucceeded:
				// There is no such stage.
				return true, exitError
			}
			return v.Over, codeOf(v.Outcome, allowFailures)
		}, nil
	case text == "attention":
		return func(v *view.Run, allowFailures bool) (bool, int) {
			if v.NeedsPerson {
				return true, exitAttention
			}
			return v.Over, codeOf(v.Outcome, allowFailures)
		}, nil
	case text == "" || text == "succeeded":
		return func(v *view.Run, allowFailures bool) (bool, int) { return v.Over, codeOf(v.Outcome, allowFailures) }, nil
	}
	return nil, fmt.Errorf("--until=%s: succeeded, stage=NAME and attention are there", text)
}

// codeOf returns the code for how a run has ended.
func codeOf(outcome v1beta1.UpdateRunOutcome, allowFailures bool) int {
	switch outcome {
	case v1beta1.OutcomeSucceeded:
		return exitOK
	case v1beta1.OutcomeSucceededWithFailures:
		if allowFailures {
			return exitOK
		}
		return exitWithFailures
	}
	return exitFailed
}
