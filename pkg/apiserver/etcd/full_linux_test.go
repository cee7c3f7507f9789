// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
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

// small is a disk with room for etcd's log and some writes, large one with room for more.
const small, large = "size=200m", "size=400m"

func init() {
	mountDisk = func(dir string) error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, small) }
	operateDisk = func(dir string) error { return operate(dir) }
}

// kept is what the operator prints at the end: how many of the acknowledged writes are there.
const kept = "kept %d of %d acknowledged writes"

// operate has a server fill its disk, starts it on that and on the disk made read-only, which both fail, and on the disk made larger.
func operate(dir string) error {
	ctx := context.Background()
	if err := mountDisk(dir); err != nil {
		return fmt.Errorf("%s: %w", noDisk, err)
	}
	writer := exec.CommandContext(ctx, os.Args[0])
	writer.Env = append(os.Environ(), writerDir+"="+dir, writerDisk+"=1")
	writer.Stderr = os.Stderr
	out, err := writer.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		return fmt.Errorf("the server ended with %v, want exit status 1", err)
	}
	acknowledged := int64(bytes.Count(out, []byte("\n")))

	remount := func(flags uintptr, data string) error {
		return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, data)
	}
	if err := remount(syscall.MS_RDONLY, small); err != nil {
		return err
	}
	if _, err := Start(ctx, Options{DataDir: dir}); err == nil || !strings.Contains(err.Error(), dir) || !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("a start on a read-only disk: %w", err)
	}
	if err := remount(0, large); err != nil {
		return err
	}
	server, err := Start(ctx, Options{DataDir: dir})
	if err != nil {
		return fmt.Errorf("a start on the larger disk: %w", err)
	}
	defer server.Close()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		return err
	}
	defer client.Close()
	found, err := client.Get(ctx, "/test/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	if _, err := client.Put(ctx, "/after", strings.Repeat("v", 1<<20)); err != nil {
		return fmt.Errorf("writing to the larger disk: %w", err)
	}
	fmt.Printf(kept+"\n", found.Count, acknowledged)
	return nil
}

// TestAServerThatFillsItsDiskGoesOnOnALargerOne has nothing repaired by hand.
func TestAServerThatFillsItsDiskGoesOnOnALargerOne(t *testing.T) {
	dir := t.TempDir()
	operator := exec.CommandContext(t.Context(), os.Args[0])
	operator.Env = append(os.Environ(), diskOf+"="+dir)
	// A mount of its own takes no privileges where users may have namespaces.
	operator.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	var said bytes.Buffer
	operator.Stderr = &said
	out, err := operator.Output()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || strings.Contains(said.String(), noDisk) {
		t.Skipf("this user may not mount a file system: %v, %s", err, said.String())
	}
	if err != nil {
		t.Fatalf("%v:\n%s", err, said.String())
	}
	var found, acknowledged int
	if _, err := fmt.Sscanf(string(out), kept, &found, &acknowledged); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if acknowledged == 0 || found < acknowledged {
		t.Errorf("the larger disk has %d of %d acknowledged writes", found, acknowledged)
	}
	checkFullDiskLine(t, dir, said.String())
}
