// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStateKeepsItsPorts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if s, err := loadState(path); s != nil || err != nil {
		t.Fatalf("without a file: %v, %v", s, err)
	}
	s := &state{Members: 1, ServerFlags: []string{"--controllers=updaterun"}}
	if err := s.choosePorts("a", "b"); err != nil {
		t.Fatal(err)
	}
	if s.Ports["a"] == s.Ports["b"] {
		t.Errorf("one port for two listeners: %v", s.Ports)
	}
	if err := s.save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := loadState(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, loaded); diff != "" {
		t.Fatalf("(-saved +loaded):\n%s", diff)
	}
	before := maps.Clone(loaded.Ports)
	if err := loaded.choosePorts("a", "b", "c"); err != nil {
		t.Fatal(err)
	}
	if loaded.Ports["a"] != before["a"] || loaded.Ports["b"] != before["b"] || loaded.Ports["c"] == 0 {
		t.Errorf("ports %v, before %v", loaded.Ports, before)
	}
}

func TestMembersAreOnlyEverAdded(t *testing.T) {
	l := layout{dir: t.TempDir()}
	for _, tc := range []struct {
		members int
		wantErr bool
	}{{0, false}, {2, false}, {2, false}, {1, true}, {3, false}} {
		e, err := prepare(l, Options{Members: tc.members})
		if gotErr := err != nil; gotErr != tc.wantErr {
			t.Fatalf("%d members: error %v, want one: %v", tc.members, err, tc.wantErr)
		}
		if err == nil && len(e.Members()) != tc.members {
			t.Errorf("members %v, want %d", e.Members(), tc.members)
		}
	}
}

// A member without nodes costs no process, and the hub never has any.
func TestOnlyMembersWithNodesHaveAScheduler(t *testing.T) {
	l := layout{dir: t.TempDir()}
	for _, nodes := range []int{0, 2} {
		e, err := prepare(l, Options{Members: 2, Nodes: nodes})
		if err != nil {
			t.Fatal(err)
		}
		for _, cluster := range e.Clusters() {
			want := nodes > 0 && cluster != HubName
			for _, listener := range []string{schedulerName(cluster), kwokName(cluster)} {
				if got := e.Ports[listener] != 0; got != want {
					t.Errorf("%d nodes: %s has a port: %v, want %v", nodes, listener, got, want)
				}
			}
		}
	}
}

// A test that names an image by another tag would meet Pods that run.
func TestStagesKnowTheTags(t *testing.T) {
	for _, word := range []string{TagMissing, TagCrashes, TagFails, UnreadyAnnotation} {
		if !strings.Contains(string(podStages), `"`+word+`"`) {
			t.Errorf("stages.yaml knows no %q", word)
		}
	}
}

func TestRunsLoop(t *testing.T) {
	for flags, want := range map[string]bool{
		"":                                      true,
		"-v=2":                                  true,
		"--controllers=*":                       true,
		"--controllers=updaterun":               false,
		"--controllers updaterun":               false,
		"--controllers=updaterun,membership":    true,
		"--controllers=*,-membership":           false,
		"--controllers=membership -v=2":         true,
		"--controllers=* --controllers=rollout": false,
	} {
		if got := runsController(strings.Fields(flags), "membership"); got != want {
			t.Errorf("%q: %v, want %v", flags, got, want)
		}
	}
}

func TestVersionsAreThoseInGoMod(t *testing.T) {
	for file, required := range map[string][]string{
		"go.mod":                         {"k8s.io/kubernetes " + kubeVersion, "go.etcd.io/etcd/server/v3 v" + etcdVersion, "sigs.k8s.io/kwok " + kwokVersion},
		filepath.Join(oldKube, "go.mod"): {"k8s.io/kubernetes " + oldKubeVersion},
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range required {
			if !strings.Contains(string(data), want+"\n") {
				t.Errorf("%s does not require %s", file, want)
			}
		}
	}
}

func TestAnEnvironmentStaysWithItsKubernetes(t *testing.T) {
	l := layout{root: t.TempDir(), dir: t.TempDir()}
	old, err := prepare(l, Options{OldKubernetes: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := old.kubeAPIServer(HubName, nil).path; got != filepath.Join(l.root, "_output", "hub", "bin", oldKube, "kube-apiserver") {
		t.Errorf("its hub is %s", got)
	}
	if got := old.etcd().path; got != l.bin("etcd") {
		t.Errorf("its etcd is %s", got)
	}
	if _, err := prepare(l, Options{OldKubernetes: true}); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if _, err := prepare(l, Options{}); err == nil || !strings.Contains(err.Error(), "take the environment down first") {
		t.Errorf("another version: %v", err)
	}
}

func TestFindRoot(t *testing.T) {
	root := t.TempDir()
	below := filepath.Join(root, "test", "hub")
	for dir, module := range map[string]string{root: rootModule, below: rootModule + "/test/hub"} {
		if err := writeFile(filepath.Join(dir, "go.mod"), []byte("module "+module+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(below)
	got, err := FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := filepath.EvalSymlinks(root); err != nil || got != want {
		t.Errorf("root %s, want %s (%v)", got, want, err)
	}
}
