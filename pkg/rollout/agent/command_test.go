// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/component-base/cli"
)

// argsVariable has this test be the program, with what it has as the only argument beside those of the test.
const argsVariable = "AGENT_TEST_KUBECONFIG"

// TestJSONLogs runs the program, since a process has one log. Its cluster refuses connections, of which it tells again and again.
func TestJSONLogs(t *testing.T) {
	if kubeconfig := os.Getenv(argsVariable); kubeconfig != "" {
		command := NewCommand(t.Context())
		command.SetArgs([]string{"--logging-format=json", "--cluster=rome", "--health-bind-address=", "--kubeconfig=" + kubeconfig})
		os.Exit(cli.Run(command))
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	nowhere := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"nowhere": {Server: "http://127.0.0.1:1"}},
		Contexts:       map[string]*clientcmdapi.Context{"nowhere": {Cluster: "nowhere"}},
		CurrentContext: "nowhere",
	}
	if err := clientcmd.WriteToFile(nowhere, kubeconfig); err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestJSONLogs$")
	program.Env = append(os.Environ(), argsVariable+"="+kubeconfig)
	log, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = program.Process.Kill()
		_ = program.Wait()
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.HasSuffix(lines.Text(), "Data race detection enabled") {
			// A program that is built like that says so before it reads its flags.
			continue
		}
		var line struct{ Msg, Cluster, Err string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Msg == "" {
			t.Fatalf("a line is no JSON with a message (%v): %s", err, lines.Text())
		}
		if line.Msg == "Starting" && line.Cluster != "rome" {
			t.Errorf("the first line does not name the cluster: %s", lines.Text())
		}
		// One with an error comes after those about how the program starts.
		if line.Err != "" {
			return
		}
	}
	t.Errorf("the log has ended: %v", lines.Err())
}
