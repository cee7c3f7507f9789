// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl is the real kubectl, of the version of the libraries, for tests that have to hold what a person sees.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
		os.Exit(1)
	}
}
