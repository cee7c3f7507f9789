// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/test/hub"
)

// testDamagedLog overwrites a part of the log of the server's store: the server refuses to start, says what to do, and has all that
// there was once the backup is back.
func testDamagedLog(t *testing.T, s *suite) {
	strategies := func() []string {
		list, err := s.hub().of(kindStrategy, "").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, strategy := range list.Items {
			found = append(found, strategy.GetName()+" "+string(strategy.GetUID())+" "+strategy.GetResourceVersion())
		}
		return found
	}
	r := s.newRollout(t, "damaged-log", stagingThenCanary)
	before := strategies()
	s.kill(t, serverProcess)
	store := filepath.Join(s.options.Dir, "data", serverProcess, "etcd")
	backup := filepath.Join(t.TempDir(), "etcd")
	if err := os.CopyFS(backup, os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(store, "member", "wal", "*.wal"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no log in %s: %v", store, err)
	}
	newest := logs[len(logs)-1]
	data, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	// The rest is room for what is to come.
	used := len(bytes.TrimRight(data, "\x00"))
	copy(data[used/2:], bytes.Repeat([]byte("x"), 64))
	if err := os.WriteFile(newest, data, 0o600); err != nil {
		t.Fatal(err)
	}

	_, err = hub.Up(t.Context(), s.options)
	if err == nil {
		t.Fatal("the server starts")
	}
	for _, want := range []string{filepath.Dir(store) + " is damaged and was left as it is", "restore a backup"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the log does not say %q:\n%v", want, err)
		}
	}
	if left, err := os.ReadFile(newest); err != nil || !bytes.Equal(left, data) {
		t.Errorf("the damaged log was changed: %v", err)
	}

	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(store, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	s.up(t)
	if after := strategies(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("after the restore there are %v, and there were %v", after, before)
	}
	r.start(t, "damaged-log", 0, "Run")
	holdsOrder(t, r.succeeds(t, "damaged-log", "value1"))
}
