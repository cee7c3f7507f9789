// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDataGoesIntoTheImageAndBack(t *testing.T) {
	e := newEnvironment(layout{dir: t.TempDir()}, &state{}, nil)
	usual, image := e.dataDir(serverName), filepath.Join(t.TempDir(), "var", "lib", "data")
	move := func(target string) {
		t.Helper()
		// Twice, as an Up of what runs already does it.
		for range 2 {
			if err := e.moveData(target, os.Getuid(), os.Getgid()); err != nil {
				t.Fatal(err)
			}
		}
	}
	holds := func(dir, want string) {
		t.Helper()
		if got, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || string(got) != want {
			t.Errorf("%s has %q (%v), want %q", dir, got, err, want)
		}
	}
	move(usual)
	if err := os.WriteFile(filepath.Join(usual, "log"), []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	move(image)
	holds(image, "one")
	holds(usual, "one")
	if err := os.WriteFile(filepath.Join(image, "log"), []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	move(usual)
	holds(usual, "two")
	if info, err := os.Lstat(usual); err != nil || !info.IsDir() {
		t.Errorf("%s is %v (%v)", usual, info, err)
	}
	// Of another server, whoever it is.
	if err := os.MkdirAll(image, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(image, "log"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.moveData(image, os.Getuid(), os.Getgid()); err == nil {
		t.Error("data is moved over what is there")
	}
	holds(image, "another")
	holds(usual, "two")
}

func TestThePodIsThatOfTheManifests(t *testing.T) {
	root, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	e := newEnvironment(layout{root: root, dir: t.TempDir()}, &state{Ports: map[string]int{apiserverName(HubName): 1}}, nil)
	e.image = "/image"
	p, err := e.serverPod()
	if err != nil {
		t.Fatal(err)
	}
	if p.user != 65532 || p.group != 65532 || p.tls != "/etc/stagegate/tls" || p.data != "/var/lib/stagegate" ||
		!slices.Contains(p.serverArgs, "--data-dir="+p.data) || !slices.Contains(p.env, "KUBERNETES_SERVICE_PORT=1") {
		t.Errorf("the pod is %+v", p)
	}
}
