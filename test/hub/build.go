// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// kubeVersion is what the binaries call themselves; it is the version in go.mod.
const kubeVersion = "v1.37.2"

// buildKube builds etcd, kube-apiserver, kube-controller-manager and kubectl from this module's dependencies, which takes
// about ten minutes on two cores the first time. They depend on nothing but the go tool and go.mod, so a stamp of those
// tells whether they are current; asking the go tool takes it several seconds for each.
func buildKube(ctx context.Context, l layout) error {
	module := filepath.Join(l.root, "test", "hub")
	major, minor, _ := strings.Cut(strings.TrimPrefix(kubeVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const version = "k8s.io/component-base/version."
	ldflags := fmt.Sprintf("-X %sgitVersion=%s -X %sgitMajor=%s -X %sgitMinor=%s",
		version, kubeVersion, version, major, version, minor)

	stamp, err := buildStamp(ldflags, filepath.Join(module, "go.mod"), filepath.Join(module, "go.sum"))
	if err != nil {
		return err
	}
	binaries := []struct{ name, pkg string }{
		{"etcd", "go.etcd.io/etcd/server/v3"},
		{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
		{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
		{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
	}
	stampFile := l.bin(".kube-stamp")
	current, _ := os.ReadFile(stampFile)
	for _, b := range binaries {
		if string(current) == stamp && exists(l.bin(b.name)) {
			continue
		}
		if err := goBuild(ctx, module, "-ldflags", ldflags, "-o", l.bin(b.name), b.pkg); err != nil {
			return err
		}
	}
	if string(current) == stamp {
		return nil
	}
	return writeFile(stampFile, []byte(stamp))
}

// buildServer builds stagegate-apiserver from the repository. The go tool leaves a binary that is current untouched.
func buildServer(ctx context.Context, l layout) error {
	return goBuild(ctx, l.root, "-o", l.bin(serverName), "./cmd/apiserver")
}

func goBuild(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("in %s: go build %s: %w\n%s", dir, args[len(args)-1], err, out)
	}
	return nil
}

func buildStamp(ldflags string, files ...string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00%s", runtime.Version(), ldflags)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "\x00%s", data)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
