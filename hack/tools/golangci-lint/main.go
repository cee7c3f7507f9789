// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command golangci-lint is golangci-lint with kube-api-linter built in, as `golangci-lint custom` would build it: that command
// fetches sources by itself, whereas this one takes its versions from go.mod.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter" // registers itself as the linter kubeapilinter
)

func main() {
	if err := commands.Execute(commands.BuildInfo{Version: version(), GoVersion: runtime.Version()}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitcodes.Failure)
	}
}

// version returns golangci-lint's version in go.mod, which is part of the key of its cache.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/golangci/golangci-lint/v2" {
				return module.Version[len("v"):]
			}
		}
	}
	return "unknown"
}
