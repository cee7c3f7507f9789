// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command hub runs a real hub and real member clusters on loopback; see package hub.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/test/hub"
)

const usage = `Usage: hub COMMAND [flags]

  up     bring up a hub and its member clusters, or bring back what is missing of them
  demo   bring it up and run the tutorial on it, command by command
  down   stop all of it and remove its data
  user   make a user of the hub: hub user NAME [-group GROUP]...

hub COMMAND -h lists the flags of a command.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// What the client libraries log is noise here: what matters comes back as an error.
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "error:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return flag.ErrHelp
	}
	switch command := args[0]; command {
	case "up":
		return up(ctx, args[1:])
	case "demo":
		return demo(ctx, args[1:])
	case "down":
		return down(args[1:])
	case "user":
		return user(args[1:])
	default:
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("unknown command %q", command)
	}
}

// newFlags returns the flags that all commands have.
func newFlags(command string) (*flag.FlagSet, *hub.Options) {
	options := &hub.Options{Out: os.Stderr}
	flags := flag.NewFlagSet("hub "+command, flag.ContinueOnError)
	flags.StringVar(&options.Root, "root", "", "the `repository` (default: found from the working directory)")
	flags.StringVar(&options.Dir, "dir", "", "the environment's `directory` (default: _output/hub in the repository)")
	return flags, options
}

func up(ctx context.Context, args []string) error {
	flags, options := newFlags("up")
	flags.IntVar(&options.Members, "members", 3, "how many member clusters")
	flags.IntVar(&options.Nodes, "nodes", 0, "how many nodes each member has, on which Pods seem to run; with 0 no Pod runs")
	flags.BoolVar(&options.OldKubernetes, "oldkube", false, "have clusters of the oldest Kubernetes that a hub may be, which is built first")
	serverFlags := flags.String("server-flags", "", "further `flags` of stagegate-apiserver, separated by spaces")
	if err := parse(flags, args); err != nil {
		return err
	}
	options.ServerFlags = strings.Fields(*serverFlags)
	e, err := hub.Up(ctx, *options)
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s PATH=%s:$PATH\n", e.Kubeconfig(hub.HubName), e.BinDir())
	return nil
}

func down(args []string) error {
	flags, options := newFlags("down")
	if err := parse(flags, args); err != nil {
		return err
	}
	return hub.Down(*options)
}

func user(args []string) error {
	flags, options := newFlags("user")
	var groups []string
	flags.Func("group", "a `group` of the user; may be repeated", func(group string) error {
		groups = append(groups, group)
		return nil
	})
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return errors.New("name the user: hub user NAME [-group GROUP]")
	}
	if err := parse(flags, args[1:]); err != nil {
		return err
	}
	e, err := hub.Open(*options)
	if err != nil {
		return err
	}
	path, err := e.User(args[0], groups...)
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n", path)
	return nil
}

func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes no argument %q", flags.Name(), flags.Arg(0))
	}
	return nil
}
