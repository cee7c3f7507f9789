// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stagegate/stagegate/test/hub"
)

// waitMargin is how long the demonstration waits for what takes no wait of its own.
const waitMargin = time.Minute

func demo(ctx context.Context, args []string) error {
	flags, options := newFlags("demo")
	wait := flags.Duration("wait", 5*time.Second, "how `long` a rollout waits between the stages; the tutorial's is 1m")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *wait < time.Second || *wait%time.Second != 0 {
		return fmt.Errorf("wait %s: want whole seconds, at least one", *wait)
	}
	options.Members = tutorialMembers
	if e, err := hub.Open(*options); err == nil {
		options.Members, options.Nodes, options.ServerFlags = max(options.Members, len(e.Members())), e.Nodes, e.ServerFlags
		options.OldKubernetes = e.OldKubernetes
	}
	built, err := hub.KubeIsBuilt(*options)
	if err != nil {
		return err
	}
	fmt.Fprint(options.Out, plan(built, *wait))
	e, err := hub.Up(ctx, *options)
	if err != nil {
		return err
	}
	d := &demonstration{environment: e, out: os.Stdout}
	if err := d.cleanUp(ctx); err != nil {
		return err
	}
	if err := d.play(ctx, tutorial(filepath.Dir(e.Kubeconfig(hub.HubName)), *wait)); err != nil {
		return err
	}
	fmt.Fprintf(d.out, `
The hub goes on running. Look around with

  export KUBECONFIG=%s PATH=%s:$PATH
  kubectl stagegate status csur/example-run-2 -w
  kubectl stagegate dashboard

and stop it with

  make hub-down
`, e.Kubeconfig(hub.HubName), e.BinDir())
	return nil
}

// plan says what a demonstration does and how long it takes.
func plan(built bool, wait time.Duration) string {
	binaries := "etcd, the parts of Kubernetes, kwok and kubectl are there"
	if !built {
		binaries = "etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok and kubectl: taken from KUBEBUILDER_ASSETS or PATH\n" +
			"     where they are of the right version, else built from source, once: about 9 minutes on two cores"
	}
	return fmt.Sprintf(`The demonstration
  1. %s
  2. stagegate-apiserver, a hub and %d members, on loopback: half a minute, and 2 minutes where the server is built for the first time
  3. the tutorial on them, with waits of %s: half a minute
Interrupt it at any time and run it again: it goes on from there. "make hub-down" stops the hub and deletes its data.

`, binaries, tutorialMembers, wait)
}

// demonstration types commands on the hub as its administrator, with all that they print.
type demonstration struct {
	environment *hub.Environment
	out         io.Writer
}

// scene is some commands with what they are about.
type scene struct {
	title    string
	commands []string
}

func (d *demonstration) play(ctx context.Context, scenes []scene) error {
	for _, s := range scenes {
		fmt.Fprintf(d.out, "\n# %s\n", s.title)
		for _, command := range s.commands {
			fmt.Fprintf(d.out, "\n$ %s\n", command)
			cmd := d.environment.Command(ctx, hub.HubName, command)
			cmd.Stdout, cmd.Stderr = d.out, d.out
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s: %w", command, err)
			}
		}
	}
	return nil
}

// cleanUp removes what a demonstration before has left.
func (d *demonstration) cleanUp(ctx context.Context) error {
	left, err := output(d.environment.Command(ctx, hub.HubName, "kubectl get --ignore-not-found -o name "+
		"ns/test-namespace csur/example-run csur/example-run-2 csus/example-strategy crp/example-placement"))
	if err != nil || left == "" {
		return err
	}
	return d.play(ctx, []scene{{"Clean up after the last demonstration.", []string{
		"kubectl delete csur example-run example-run-2 --ignore-not-found",
		"kubectl delete csus example-strategy --ignore-not-found",
		"kubectl delete crp example-placement --ignore-not-found",
		"kubectl delete namespace test-namespace --ignore-not-found",
	}}})
}

func output(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return string(out), nil
}
