// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAStartOnAFullDiskIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Dir(databaseOf(dir)), 0o700); err != nil {
		t.Fatal(err)
	}
	// The device that has no room for anything.
	if err := os.Symlink("/dev/full", databaseOf(dir)); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{DataDir: dir})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk of data directory "+dir+" is full: make room") {
		t.Errorf("got %v", err)
	}
}

// small is a disk with room for etcd's log and some writes.
const small = "size=200m"

func init() {
	mountDisk = func(dir string) error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, small) }
}

func TestAServerThatFillsItsDiskSaysSo(t *testing.T) {
	dir := t.TempDir()
	writer := exec.CommandContext(t.Context(), os.Args[0])
	writer.Env = append(os.Environ(), writerDir+"="+dir, writerDisk+"=1")
	// A mount of its own takes no privileges where users may have namespaces.
	writer.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := writer.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || strings.Contains(string(out), noDisk) {
		t.Skipf("this user may not mount a file system: %v, %s", err, out)
	}
	checkFullDisk(t, dir, string(out), err)
}
