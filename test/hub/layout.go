// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const rootModule = "github.com/stagegate/stagegate"

// layout names every file of an environment.
type layout struct {
	root string // the repository
	dir  string // the environment
}

func newLayout(root, dir string) (layout, error) {
	var err error
	if root == "" {
		if root, err = FindRoot(); err != nil {
			return layout{}, err
		}
	}
	if root, err = filepath.Abs(root); err != nil {
		return layout{}, err
	}
	if dir == "" {
		dir = filepath.Join(root, "_output", "hub")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return layout{}, err
	}
	return layout{root: root, dir: dir}, nil
}

// binDir is the same for all environments of a repository: the binaries take minutes to build.
func (l layout) binDir() string                  { return filepath.Join(l.root, "_output", "hub", "bin") }
func (l layout) bin(name string) string          { return filepath.Join(l.binDir(), name) }
func (l layout) oldBin(name string) string       { return filepath.Join(l.bin(oldKube), name) }
func (l layout) dataDir(process string) string   { return filepath.Join(l.dir, "data", process) }
func (l layout) pkiDir(cluster string) string    { return filepath.Join(l.dir, "pki", cluster) }
func (l layout) pki(cluster, file string) string { return filepath.Join(l.pkiDir(cluster), file) }
func (l layout) pidDir() string                  { return filepath.Join(l.dir, "pids") }
func (l layout) pidFile(process string) string   { return filepath.Join(l.pidDir(), process) }
func (l layout) logFile(process string) string   { return filepath.Join(l.dir, "logs", process+".log") }
func (l layout) stateFile() string               { return filepath.Join(l.dir, "state.json") }
func (l layout) auditPolicy() string             { return filepath.Join(l.dir, "pki", "audit-policy.yaml") }
func (l layout) podStages() string               { return filepath.Join(l.dir, "pki", "pod-stages.yaml") }
func (l layout) kubeconfig(name string) string   { return filepath.Join(l.dir, name+".kubeconfig") }
func (l layout) componentConfig(name string) string {
	return filepath.Join(l.dir, "pki", name+".kubeconfig")
}

// FindRoot returns the repository's root: the nearest directory from the working directory upwards whose go.mod is the
// main module's.
func FindRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		module, err := moduleOf(filepath.Join(dir, "go.mod"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		if module == rootModule {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod of module %s here or above; name the repository with -root", rootModule)
		}
		dir = parent
	}
}

func moduleOf(goMod string) (string, error) {
	f, err := os.Open(goMod)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "module "); ok {
			return strings.TrimSpace(name), nil
		}
	}
	return "", nil
}
