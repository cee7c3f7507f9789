// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stagegate/stagegate/pkg/apiserver/transformer"
)

const (
	// writerDir makes the test binary a server that writes to the data directory until it is killed.
	writerDir = "STAGEGATE_TEST_WRITER_DIR"
	// writerDisk has it do so on a small disk of its own, in values that soon fill it.
	writerDisk = "STAGEGATE_TEST_WRITER_DISK"
	// diskOf makes the test binary the operator of a server that fills such a disk on that directory.
	diskOf = "STAGEGATE_TEST_DISK_OF"
	// noDisk is what either says where it cannot have one.
	noDisk = "no disk of its own"
)

// mountDisk mounts a small disk on a directory, on systems that can.
var mountDisk = func(string) error { return errors.ErrUnsupported }

// operateDisk is what the operator of a server with a small disk does, on systems that have such disks.
var operateDisk = func(string) error { return errors.ErrUnsupported }

func TestMain(m *testing.M) {
	if os.Getenv(fullDisk) != "" {
		meetFullDisk()
		return
	}
	// The operator's server has the environment of the operator, too.
	for _, as := range []struct {
		variable string
		run      func(string) error
	}{{writerDir, write}, {diskOf, operateDisk}, {panicking, panicInACall}} {
		if dir := os.Getenv(as.variable); dir != "" {
			if err := as.run(dir); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(m.Run())
}

// write puts numbered keys and prints each number once etcd has acknowledged it.
func write(dir string) error {
	ctx := context.Background()
	value := strings.Repeat("v", 1000)
	if os.Getenv(writerDisk) != "" {
		value = strings.Repeat("v", 1<<20)
	}
	server, err := Start(ctx, Options{DataDir: dir})
	if err != nil {
		return err
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if _, err := client.Put(ctx, key(i), value); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

func key(i int) string { return fmt.Sprintf("/test/%08d", i) }

func start(t *testing.T, dir string) *Server {
	t.Helper()
	server, err := Start(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func newClient(t *testing.T, server *Server) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestAKilledProcessLosesNoAcknowledgedWrite(t *testing.T) {
	dir := t.TempDir()
	writer := exec.CommandContext(t.Context(), os.Args[0])
	writer.Env = append(os.Environ(), writerDir+"="+dir)
	writer.Stderr = os.Stderr
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	const enough = 50
	last := -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if last == enough {
			// SIGKILL: nothing is flushed, closed or unlocked by the process.
			_ = writer.Process.Kill()
		}
	}
	_ = writer.Wait()
	if last < enough {
		t.Fatalf("the writer ended after %d writes", last+1)
	}

	client := newClient(t, start(t, dir))
	got, err := client.Get(t.Context(), "/test/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	if got.Count < int64(last+1) {
		t.Errorf("%d of %d acknowledged writes are there after the kill", got.Count, last+1)
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	server, err := Start(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newClient(t, server).Put(t.Context(), "a", "1"); err != nil {
		t.Fatal(err)
	}
	server.Close()
	select {
	case <-server.Done():
	default:
		t.Error("a closed server is not done")
	}
	got, err := newClient(t, start(t, dir)).Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "1" {
		t.Errorf("got %v after a restart", got.Kvs)
	}
}

func TestADataDirectoryHasOneServer(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	_, err := Start(t.Context(), Options{DataDir: dir, StartTimeout: 100 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "is in use by another process") {
		t.Fatalf("got %v for a second server", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
	// The attempt has not taken the sockets of the first.
	if _, err := newClient(t, first).Put(t.Context(), "a", "1"); err != nil {
		t.Error(err)
	}
}

func TestADirectoryTooDeepForSocketsWorks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	server := start(t, dir)
	if strings.Contains(server.Endpoint(), "deep") {
		t.Fatalf("endpoint %s would not fit into a socket's address", server.Endpoint())
	}
	if _, err := newClient(t, server).Put(t.Context(), "a", "1"); err != nil {
		t.Error(err)
	}
	temporary := server.sockets.temporary
	server.Close()
	if _, err := os.Stat(temporary); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", temporary, err)
	}
}

func TestAnUnusableDataDirectoryIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{DataDir: file}); err == nil || !strings.Contains(err.Error(), "data directory") {
		t.Errorf("got %v", err)
	}
}

func TestTheLargestValueOfTheTransformerIsTaken(t *testing.T) {
	client := newClient(t, start(t, t.TempDir()))
	longest := "/registry/kubernetes-fleet.io/placement.kubernetes-fleet.io/clusterresourceoverridesnapshots/" +
		strings.Repeat("n", 63) + "/" + strings.Repeat("n", 253)
	value := string(bytes.Repeat([]byte("v"), transformer.Limit))
	_, err := client.Txn(t.Context()).
		If(clientv3.Compare(clientv3.ModRevision(longest), "=", 0)).
		Then(clientv3.OpPut(longest, value)).
		Else(clientv3.OpGet(longest)).
		Commit()
	if err != nil {
		t.Error(err)
	}
}
