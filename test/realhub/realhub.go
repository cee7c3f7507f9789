// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package realhub has a command of this module run a hub of test/hub, whose dependencies are those of Kubernetes and in a module of their own.
package realhub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
)

// Processes of a hub without members.
const (
	Server    = "stagegate-apiserver"
	APIServer = "hub-apiserver"
	Etcd      = "etcd"
)

// ticksPerSecond is the unit of times in /proc: USER_HZ, which is 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// Hub is a hub without members, with stagegate-apiserver behind it.
type Hub struct {
	root, dir, command, serverFlags string
}

// New builds the command that runs hubs. The hub of the name has its data in _output, and stagegate-apiserver has the flags, which are
// separated by spaces.
func New(ctx context.Context, name, serverFlags string) (*Hub, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/stagegate/stagegate").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the repository: %w", err)
	}
	root := strings.TrimSpace(string(out))
	h := &Hub{
		root: root, dir: filepath.Join(root, "_output", name), command: filepath.Join(root, "_output", "bin", "hub"), serverFlags: serverFlags,
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", h.command, "./cmd/hub")
	build.Dir = filepath.Join(root, "test", "hub")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the command of test/hub: %w\n%s", err, out)
	}
	return h, nil
}

// Up starts what does not run, and returns when the hub serves our groups.
func (h *Hub) Up(ctx context.Context) error {
	return h.do(ctx, "up", "-members", "0", "-server-flags", h.serverFlags)
}

// Down stops the hub and deletes its data.
func (h *Hub) Down(ctx context.Context) error { return h.do(ctx, "down") }

func (h *Hub) do(ctx context.Context, command string, args ...string) error {
	cmd := exec.CommandContext(ctx, h.command, append([]string{command, "-root", h.root, "-dir", h.dir}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("hub %s: %w\n%s", command, err, out)
	}
	return nil
}

// Output is the path of a file of this name that outlives the hub.
func (h *Hub) Output(name string) string { return filepath.Join(h.root, "_output", name) }

// KeepLog copies the server's log, which Down deletes. It replaces the file.
func (h *Hub) KeepLog(path string) error {
	log, err := os.Open(filepath.Join(h.dir, "logs", Server+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	kept, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(kept, log)
	return errors.Join(err, kept.Close())
}

// Config is how the administrator reaches the hub, without a rate limit.
func (h *Hub) Config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(h.dir, "hub.kubeconfig"))
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

// ServerConfig is how the administrator reaches the server past the hub, by the address and the authority that the hub has for it.
func (h *Hub) ServerConfig(ctx context.Context) (*rest.Config, error) {
	core, err := h.Core()
	if err != nil {
		return nil, err
	}
	data, err := core.Discovery().RESTClient().Get().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices", v1beta1.SchemeGroupVersion.Version+"."+v1beta1.GroupName).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading where the hub finds the server: %w", err)
	}
	var service struct {
		Spec struct {
			CABundle []byte `json:"caBundle"`
			Service  struct {
				Port int `json:"port"`
			} `json:"service"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(data, &service); err != nil {
		return nil, fmt.Errorf("reading where the hub finds the server: %w", err)
	}
	config, err := h.Config()
	if err != nil {
		return nil, err
	}
	config.Host = fmt.Sprintf("https://localhost:%d", service.Spec.Service.Port)
	config.CAFile, config.CAData = "", service.Spec.CABundle
	return config, nil
}

// Fleet is the administrator's client of our groups.
func (h *Hub) Fleet() (versioned.Interface, error) {
	config, err := h.Config()
	if err != nil {
		return nil, err
	}
	return versioned.NewForConfig(config)
}

// Core is the administrator's client of Kubernetes' groups.
func (h *Hub) Core() (kubernetes.Interface, error) {
	config, err := h.Config()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

func (h *Hub) pid(process string) (int, error) {
	data, err := os.ReadFile(filepath.Join(h.dir, "pids", process))
	if err != nil {
		return 0, err
	}
	var record struct {
		PID int `json:"pid"`
	}
	return record.PID, json.Unmarshal(data, &record)
}

// Kill ends the server as a crash would.
func (h *Hub) Kill() error {
	pid, err := h.pid(Server)
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// Memory is the resident memory of a process, in bytes.
func (h *Hub) Memory(process string) (int64, error) {
	pid, err := h.pid(process)
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

// CPU is the time that a process has computed since it started.
func (h *Hub) CPU(process string) (time.Duration, error) {
	pid, err := h.pid(process)
	if err != nil {
		return 0, err
	}
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	// The name of the program, in brackets, may have spaces. User and system time are the 14th and the 15th field, and it is the second.
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("process %d: what the kernel tells of it has %d fields", pid, len(fields))
	}
	var ticks int64
	for _, field := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// Database is the size of the server's etcd database, in bytes.
func (h *Hub) Database() (int64, error) {
	var size int64
	err := filepath.WalkDir(filepath.Join(h.dir, "data", Server), func(path string, entry fs.DirEntry, err error) error {
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
