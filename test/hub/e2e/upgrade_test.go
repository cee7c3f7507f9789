// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stagegate/stagegate/test/hub"
)

// previousVersion is the commit of the version before this one, of which a fleet is upgraded.
const previousVersion = "6ff14007eaa4ea1a84ea0bfff04100a4d8272fbf"

// TestUpgrade has a fleet of the version before, with a placement over two Works, go on with this version. Everything that was placed keeps
// its uid, through the upgrade and through the next version of the placement, in which objects move between its Works.
func TestUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("brings up a hub")
	}
	t.Parallel()
	const name = "upgraded"
	root, err := hub.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	options := hub.Options{Root: checkOut(t, root, previousVersion), Dir: filepath.Join(root, "_output", "upgrade"), Members: 2, Out: os.Stderr}
	down := func() {
		if err := hub.Down(options); err != nil {
			t.Error(err)
		}
	}
	down()
	t.Cleanup(down)
	s := &suite{options: options, changes: &changes{}, since: time.Now()}
	s.up(t)
	t.Cleanup(s.changes.close)

	s.hub().mustCreate(t, fmt.Sprintf(precious, name))
	s.createGadget(t, hub.HubName, name)
	filler := func(from, to int) {
		for i := from; i < to; i++ {
			s.hub().mustCreate(t, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: filler-%02d, namespace: %s}, data: {x: %q}}`,
				i, name, strings.Repeat("x", 60<<10)))
		}
	}
	filler(0, 13)
	s.hub().mustCreate(t, keptPlacement(name))
	members, objects := s.environment.Members(), preciousIn(name)
	for i := range 13 {
		objects = append(objects, object{kindConfigMap, name, fmt.Sprintf("filler-%02d", i)})
	}
	before := s.awaitUIDs(t, members, objects)
	s.placeIntoNamespacesMadeByHand(t, members)

	s.options.Root = root
	s.up(t)
	s.namespacesMadeByHandGoOn(t, members)
	settled := func(works int) {
		t.Helper()
		s.eventually(t, func() error {
			for _, member := range members {
				parts, err := s.partsOf(t.Context(), name, member)
				if err != nil {
					return err
				}
				if len(parts) != works {
					return fmt.Errorf("%d Works on %s, want %d", len(parts), member, works)
				}
			}
			return nil
		})
		s.sameUIDs(t, before, members, objects)
	}
	settled(1)
	for _, member := range members {
		// As what it has joined is written down at the first contact.
		out, err := s.run(t.Context(), member, `kubectl get crd appliedworks.placement.kubernetes-fleet.io -o jsonpath='{.metadata.annotations.kubernetes-fleet\.io/member-name}'`)
		if err != nil || out != member {
			t.Errorf("%s has joined as %q: %v", member, out, err)
		}
	}
	filler(13, 16)
	settled(2)
	s.mustRun(t, "kubectl -n "+name+" delete configmap filler-13 filler-14 filler-15")
	settled(1)
	s.mustRun(t, "kubectl delete crp "+name+" --timeout=1m")
	s.eventually(t, func() error {
		for _, member := range members {
			if _, err := s.clusters[member].get(t.Context(), kindNamespace, "", name); !isGone(err) {
				return fmt.Errorf("the namespace is still on %s: %v", member, err)
			}
		}
		return nil
	})
}

// checkOut makes a directory with the repository as of a commit, and with the binaries of Kubernetes that are there already.
func checkOut(t *testing.T, root, commit string) string {
	t.Helper()
	dir := filepath.Join(root, "_output", "previous")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	script := `git cat-file -e "$1^{commit}" || exit 3
mkdir -p "$2/_output/hub"
git archive "$1" | tar -x -C "$2"
if test -d _output/hub/bin; then cp -r _output/hub/bin "$2/_output/hub/bin"; fi`
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", script, "bash", commit, dir)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() == 3 {
		t.Skipf("the version before is built from the repository's history, which does not reach back to %s", commit)
	} else if err != nil {
		t.Fatalf("checking out %s: %v\n%s", commit, err, out)
	}
	return dir
}
