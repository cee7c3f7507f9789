// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-stagegate is a plugin of kubectl that shows rollouts, and lets people plan, start, approve and stop them.
package main

import (
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/stagegate/stagegate/pkg/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}))
}
