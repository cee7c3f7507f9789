// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
)

const (
	serverProcess = "stagegate-apiserver"
	// serverFlags leave out the controllers that need real members.
	serverFlags = "--v=2 --controllers=*,-membership,-apply"
)

// hub is the environment of test/hub, used by its command: a module of its own, whose dependencies are those of Kubernetes.
type hub struct {
	root, dir, command string
}

func newHub(ctx context.Context) (*hub, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/stagegate/stagegate").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the repository: %w", err)
	}
	root := strings.TrimSpace(string(out))
	h := &hub{root: root, dir: filepath.Join(root, "_output", "soak"), command: filepath.Join(root, "_output", "bin", "hub")}
	build := exec.CommandContext(ctx, "go", "build", "-o", h.command, "./cmd/hub")
	build.Dir = filepath.Join(root, "test", "hub")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the command of test/hub: %w\n%s", err, out)
	}
	return h, nil
}

// up starts what does not run, and returns when the hub serves our groups.
func (h *hub) up(ctx context.Context) error {
	return h.do(ctx, "up", "-members", "0", "-server-flags", serverFlags)
}

func (h *hub) down(ctx context.Context) error { return h.do(ctx, "down") }

func (h *hub) do(ctx context.Context, command string, args ...string) error {
	cmd := exec.CommandContext(ctx, h.command, append([]string{command, "-root", h.root, "-dir", h.dir}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("hub %s: %w\n%s", command, err, out)
	}
	return nil
}

func (h *hub) config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(h.dir, "hub.kubeconfig"))
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

func (h *hub) client() (versioned.Interface, error) {
	config, err := h.config()
	if err != nil {
		return nil, err
	}
	return versioned.NewForConfig(config)
}

func (h *hub) core() (kubernetes.Interface, error) {
	config, err := h.config()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// pid of the server.
func (h *hub) pid() (int, error) {
	data, err := os.ReadFile(filepath.Join(h.dir, "pids", serverProcess))
	if err != nil {
		return 0, err
	}
	var record struct {
		PID int `json:"pid"`
	}
	return record.PID, json.Unmarshal(data, &record)
}

// kill ends the server as a crash would.
func (h *hub) kill() error {
	pid, err := h.pid()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// memory is the resident memory of the server, in bytes.
func (h *hub) memory() (int64, error) {
	pid, err := h.pid()
	if err != nil {
		return 0, err
	}
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if fields := strings.Fields(string(line)); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}

// database is the size of the server's etcd database, in bytes.
func (h *hub) database() (int64, error) {
	var size int64
	err := filepath.WalkDir(filepath.Join(h.dir, "data", serverProcess), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "db" {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
