// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is kubectl stagegate. It asks the hub with the rights of the user, and leaves to the server what the server decides: what a run waits
// for, who may approve, and what a run allows. It speaks to the API itself, so that the version of kubectl does not matter.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/act"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/version"
	"github.com/stagegate/stagegate/pkg/view"
)

// Codes with which the command ends.
const (
	exitOK = 0
	// exitError: something could not be done.
	exitError = 1
	// exitFailed: the run has failed, was rejected, has expired, or was rolled back.
	exitFailed = 2
	// exitWithFailures: the run has succeeded, and clusters have failed or were skipped.
	exitWithFailures = 3
	// exitAttention: the run waits for a person.
	exitAttention = 4
	// exitTimeout: the time of --timeout is over.
	exitTimeout = 124
)

// exit ends the command with a code. An empty message prints nothing.
type exit struct {
	code    int
	message string
}

func (e exit) Error() string { return e.message }

// Main runs the command and returns the code to exit with.
func Main(args []string, streams genericiooptions.IOStreams) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	return run(ctx, args, streams, clock.RealClock{})
}

func run(ctx context.Context, args []string, streams genericiooptions.IOStreams, clk clock.WithTicker) int {
	name, rest := programName(args)
	cmd := newCommand(streams, clk)
	cmd.SetArgs(rest)
	if name == completionName {
		cmd.SetArgs(append([]string{cobra.ShellCompRequestCmd}, rest...))
	}
	err := cmd.ExecuteContext(ctx)
	var ended exit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &ended):
		if ended.message != "" {
			fmt.Fprintln(streams.ErrOut, "error: "+view.Clean(ended.message))
		}
		return ended.code
	}
	// The words of the server quote names and messages of users.
	fmt.Fprintln(streams.ErrOut, "error: "+view.Clean(explain(err)))
	return exitError
}

// completionName is the name under which kubectl asks a plugin for completions.
const completionName = "kubectl_complete-stagegate"

func programName(args []string) (name string, rest []string) {
	return strings.TrimSuffix(filepath.Base(args[0]), ".exe"), args[1:]
}

// explain adds to an error what helps, where the error does not say it.
func explain(err error) string {
	text := err.Error()
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(text, "at the cluster scope"):
		return text + "; for what is in a namespace give -n NAMESPACE"
	case apierrors.IsNotFound(err) && strings.Contains(text, "the server could not find the requested resource"):
		return "the hub does not serve the API of Stagegate: check that the kubeconfig is that of the hub, and then kubectl get apiservices"
	}
	return text
}

// options are what all commands share.
type options struct {
	genericiooptions.IOStreams
	flags *genericclioptions.ConfigFlags
	clock clock.WithTicker
	// terminal answers for the streams.
	terminal terminalOf
	noColor  bool
	ascii    bool
	// answers reads what a person types.
	answers *bufio.Reader

	// made once a command asks for them.
	stagegate  versioned.Interface
	kubernetes kubernetes.Interface
}

func newCommand(streams genericiooptions.IOStreams, clk clock.WithTicker) *cobra.Command {
	o := &options{IOStreams: streams, flags: genericclioptions.NewConfigFlags(true), clock: clk, terminal: terminalOf{in: streams.In, out: streams.Out}}
	cmd := &cobra.Command{
		Use:   "kubectl-stagegate",
		Short: "Staged rollouts over a fleet of clusters",
		Long: `Show, plan, start, approve, stop and roll back staged rollouts of Stagegate.

A run is named csur/NAME (ClusterStagedUpdateRun) or sur/NAME (StagedUpdateRun, in the namespace of -n or of the context). NAME alone is that of a
cluster-scoped one, and with -n of one in that namespace. So are approval requests (careq/, areq/) and placements (crp/, rp/).`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl stagegate"},
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version.String(),
	}
	cmd.SetIn(streams.In)
	cmd.SetOut(streams.Out)
	cmd.SetErr(streams.ErrOut)
	cmd.SetVersionTemplate("{{.Version}}\n")
	flags := cmd.PersistentFlags()
	o.flags.AddFlags(flags)
	flags.BoolVar(&o.noColor, "no-color", false, "Print without color. The variable NO_COLOR does the same.")
	flags.BoolVar(&o.ascii, "ascii", false, "Print without symbols. TERM=dumb does the same.")
	// What few use does not hide what many do.
	for _, name := range []string{
		"as", "as-group", "as-uid", "as-user-extra", "cache-dir", "certificate-authority", "client-certificate", "client-key", "cluster", "disable-compression",
		"insecure-skip-tls-verify", "password", "request-timeout", "server", "tls-server-name", "token", "user", "username",
	} {
		if flag := flags.Lookup(name); flag != nil {
			flag.Hidden = true
		}
	}
	cmd.AddGroup(&cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "act", Title: "Act:"}, &cobra.Group{ID: "fleet", Title: "The fleet:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			cmd.AddCommand(c)
		}
	}
	add("look", o.newStatus(), o.newApprovals(), o.newHistory(), o.newWhy(), o.newPlan(), o.newDiff(), o.newDashboard())
	add("act", append([]*cobra.Command{o.newRun(), o.newStart(), o.newDecision(act.Approve), o.newDecision(act.Reject)}, o.newOperations()...)...)
	add("fleet", o.newJoin(), o.newLeave(), o.newCheck())
	cmd.AddCommand(o.newVersion())
	return cmd
}

// connect makes the clients.
func (o *options) connect() error {
	if o.stagegate != nil {
		return nil
	}
	config, err := o.config()
	if err != nil {
		return err
	}
	if o.kubernetes, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	o.stagegate, err = versioned.NewForConfig(config)
	return err
}

func (o *options) config() (*rest.Config, error) {
	config, err := o.flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.UserAgent = "kubectl-stagegate/" + version.String()
	config.WarningHandler = warnings{o.ErrOut}
	return config, nil
}

// warnings prints the warnings of the server, without what would write to the terminal.
type warnings struct{ out io.Writer }

// HandleWarningHeader implements rest.WarningHandler.
func (w warnings) HandleWarningHeader(code int, _, text string) {
	if code == 299 && text != "" {
		fmt.Fprintln(w.out, "Warning: "+view.Clean(text))
	}
}

func (o *options) now() time.Time { return o.clock.Now() }

// printObject prints a view for programs.
func (o *options) printObject(format string, obj any) error {
	data, err := yaml.Marshal(obj)
	if err != nil {
		return err
	}
	if format == "json" {
		if data, err = yaml.YAMLToJSON(data); err != nil {
			return err
		}
		data = indent(data)
	}
	_, err = o.Out.Write(data)
	return err
}

// addOutput adds the flag -o to a command that has a view for programs.
func addOutput(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVarP(format, "output", "o", "", "json or yaml: print an object of "+view.APIVersion+" for programs.")
	previous := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		switch *format {
		case "", "json", "yaml":
		default:
			return fmt.Errorf("-o %s: json and yaml are there", *format)
		}
		if previous != nil {
			return previous(cmd, args)
		}
		return nil
	}
}
