// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command stagegate-apiserver is an aggregated API server for staged rollouts over a fleet of clusters.
package main

import (
	"os"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"

	"github.com/stagegate/stagegate/pkg/apiserver"
)

func main() {
	os.Exit(cli.Run(apiserver.NewCommand(genericapiserver.SetupSignalContext())))
}
