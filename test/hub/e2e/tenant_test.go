// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testTenantFloods has somebody who may edit one namespace try to fill the server: with one object that is large and compresses well, and
// with very many. Each attempt ends in a refusal that says what to do, and what the server holds in memory hardly grows.
func testTenantFloods(t *testing.T, s *suite) {
	if _, err := s.environment.User("mallory", "flood-team"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete ns flood --ignore-not-found --wait=false") })
	s.mustRun(t, "kubectl create ns flood; kubectl create rolebinding edit -n flood --clusterrole=edit --group=flood-team")
	s.awaitPermission(t, "mallory", "flood", "update", "resourceenvelopes")
	do := func(script string) error {
		_, err := s.run(t.Context(), "mallory", script)
		return err
	}
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "content")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const envelope = `{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: ResourceEnvelope, metadata: {name: large, namespace: flood}, ` +
		`data: {first: {apiVersion: v1, kind: ConfigMap, metadata: {name: first, namespace: flood}}}}`
	if err := do("kubectl create -f " + file(envelope)); err != nil {
		t.Fatal(err)
	}
	patch := func(manifest, size int) error {
		return do("kubectl patch -n flood resourceenvelope large --type=merge --patch-file=" + file(fmt.Sprintf(
			`{"data":{"m%[1]d":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m%[1]d","namespace":"flood"},"data":{"a":%[2]q}}}}`, manifest, strings.Repeat("a", size))))
	}

	before := s.resident(t)
	for i := range 20 {
		wantRefusal(t, patch(i, 14<<20), "(RequestEntityTooLarge)", "at most 3145728 bytes (3 MiB) are read: divide what it has over several objects")
	}
	if err := patch(0, 900<<10); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, patch(1, 900<<10), "(RequestEntityTooLarge)",
		"ResourceEnvelope flood/large would have ", "a user may write at most 1048576 (1 MiB): divide it into several objects")
	// What was sent is 280 MiB.
	if grown := s.resident(t) - before; grown > 200 {
		t.Errorf("the server has grown by %d MiB", grown)
	}

	var many strings.Builder
	for i := range 510 {
		fmt.Fprintf(&many, "---\n{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: StagedUpdateStrategy, metadata: {name: s%d, namespace: flood}, "+
			"spec: {stages: [{name: all, labelSelector: {}}]}}\n", i)
	}
	wantRefusal(t, do("kubectl create -f "+file(many.String())), "(Forbidden)", "500")
	if n := strings.Count(s.mustRun(t, "kubectl get sus -n flood -o name"), "\n"); n != 500 {
		t.Errorf("there are %d strategies, want 500", n)
	}
}

func wantRefusal(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Fatalf("answered with %v, want a refusal that says %q", err, text)
		}
	}
}

// resident is how many MiB of memory the server has.
func (s *suite) resident(t *testing.T) int {
	t.Helper()
	bytes, err := s.environment.Resident("stagegate-apiserver")
	if err != nil {
		t.Fatal(err)
	}
	return bytes >> 20
}
