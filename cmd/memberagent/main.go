// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command stagegate-member-agent applies on a member what is placed there, for a hub that cannot reach it.
package main

import (
	"os"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"

	"github.com/stagegate/stagegate/pkg/rollout/agent"
)

func main() {
	os.Exit(cli.Run(agent.NewCommand(genericapiserver.SetupSignalContext())))
}
