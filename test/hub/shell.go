// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"os"
	"os/exec"
)

// Command returns a bash that runs script up to its first failure, with the environment's binaries first in PATH and a
// kubeconfig, by the name Kubeconfig takes, as KUBECONFIG. It runs in the repository's root unless Dir is changed.
func (e *Environment) Command(ctx context.Context, kubeconfig, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", script)
	cmd.Dir = e.root
	cmd.Env = append(os.Environ(),
		"PATH="+e.binDir()+":"+os.Getenv("PATH"),
		"KUBECONFIG="+e.kubeconfig(kubeconfig),
		// What kubectl remembers of a server must not outlive the server: another environment may get its port.
		"KUBECACHEDIR="+e.dataDir("kubectl"),
	)
	return cmd
}
