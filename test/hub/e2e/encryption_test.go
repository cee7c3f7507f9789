// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// testEncryption encrypts what holds manifests, rotates the key and stops encrypting, by the commands of the document: each time etcd has all of
// it as the first provider has it, and what is placed goes on. It takes five restarts.
func testEncryption(t *testing.T, s *suite) {
	const name = "encrypted"
	if err := s.environment.BuildEtcdTools(t.Context()); err != nil {
		t.Fatal(err)
	}
	secret := rand.Text()
	s.place(t, name, fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: %[1]s}
data: {key: value1}
---
apiVersion: v1
kind: Secret
metadata: {name: credentials, namespace: %[1]s}
stringData: {password: %[2]s}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourceEnvelope
metadata: {name: wrapped, namespace: %[1]s}
data: {quota.yaml: {apiVersion: v1, kind: ResourceQuota, metadata: {name: quota, namespace: %[1]s}, spec: {hard: {pods: "7"}}}}
`, name, secret), "", "  strategy: {type: RollingUpdate, rollingUpdate: {unavailablePeriodSeconds: 1}}")
	isPlaced := func(value string) {
		t.Helper()
		s.hub().mustPatch(t, kindConfigMap, name, "settings", fmt.Sprintf(`{"data":{"key":%q}}`, value))
		s.eventually(t, func() error { return s.values(t.Context(), name, "settings", map[string]string{"member1": value}) })
		got, err := s.run(t.Context(), "member1", "kubectl -n "+name+" get secret credentials -o jsonpath='{.data.password}' | base64 -d")
		if err != nil || got != secret {
			t.Errorf("member1 has the password %q, want %q: %v", got, secret, err)
		}
	}

	data := filepath.Join(s.options.Dir, "data", serverProcess)
	// stored returns the providers and keys with which objects are stored, and how often the Secret can be read among them.
	stored := func() (string, int) {
		t.Helper()
		count := s.documented(t, "docs/keys-and-certificates.md", "etcdctl --endpoints=unix:///var/lib/stagegate/client.sock get", "/var/lib/stagegate", data)
		counted := s.mustRun(t, count)
		var found []string
		for line := range strings.Lines(counted) {
			found = append(found, strings.Fields(line)[1])
		}
		raw := s.mustRun(t, "etcdctl --endpoints=unix://"+data+"/client.sock get --prefix /registry/kubernetes-fleet.io")
		return strings.Join(found, " "), strings.Count(raw, base64.StdEncoding.EncodeToString([]byte(secret))) + strings.Count(raw, secret)
	}
	are := func(want string, readable bool) {
		t.Helper()
		if got, n := stored(); got != want || readable != (n > 0) {
			t.Errorf("objects are stored with %q, and have the Secret %d times, want %q", got, n, want)
		}
	}

	page := readDocument(t, s.options.Root, "docs/keys-and-certificates.md")
	at := slices.IndexFunc(page, func(b block) bool {
		return b.kind == fragment && strings.Contains(b.text, "kind: EncryptionConfiguration")
	})
	if at < 0 {
		t.Fatal("the document has no EncryptionConfiguration")
	}
	const provider, plain = `secretbox: {keys: [{name: key1, secret: "..."}]}`, "- identity: {}\n"
	if !strings.Contains(page[at].text, "- "+provider+"\n  "+plain) {
		t.Fatalf("the document has other providers than this test:\n%s", page[at].text)
	}
	flags := s.options.ServerFlags
	configured := false
	t.Cleanup(func() {
		s.options.ServerFlags = flags
		if configured {
			s.up(t)
		}
	})
	dir := t.TempDir()
	keys := map[string]string{}
	for _, key := range []string{"key1", "key2"} {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		keys[key] = fmt.Sprintf(`{name: %s, secret: "%s"}`, key, base64.StdEncoding.EncodeToString(secret))
	}
	// restart has the server take these providers.
	restart := func(file, providers string) {
		t.Helper()
		for key, value := range keys {
			providers = strings.ReplaceAll(providers, fmt.Sprintf(`{name: %s, secret: "..."}`, key), value)
		}
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(page[at].text, "- "+provider+"\n  "+plain, providers)), 0o600); err != nil {
			t.Fatal(err)
		}
		configured = true
		s.options.ServerFlags = append(slices.Clone(flags), "--encryption-provider-config="+path)
		s.up(t)
	}
	rewrite := s.documented(t, "docs/keys-and-certificates.md", "for resource in clusterresourceenvelopes")

	isPlaced("value1")
	are("", true)
	restart("first.yaml", "- "+provider+"\n  "+plain)
	isPlaced("value2")
	s.mustRun(t, rewrite)
	are("k8s:enc:secretbox:v1:key1:", false)

	const both = `secretbox: {keys: [{name: key2, secret: "..."}, {name: key1, secret: "..."}]}`
	if text, err := os.ReadFile(filepath.Join(s.options.Root, "docs", "keys-and-certificates.md")); err != nil || !strings.Contains(string(text), both) {
		t.Fatalf("the document has no %s: %v", both, err)
	}
	restart("both.yaml", "- "+both+"\n  "+plain)
	isPlaced("value3")
	are("k8s:enc:secretbox:v1:key1: k8s:enc:secretbox:v1:key2:", false)
	s.mustRun(t, rewrite)
	are("k8s:enc:secretbox:v1:key2:", false)
	restart("second.yaml", `- secretbox: {keys: [{name: key2, secret: "..."}]}`+"\n  "+plain)
	isPlaced("value4")

	restart("plain.yaml", plain+`  - secretbox: {keys: [{name: key2, secret: "..."}]}`+"\n")
	s.mustRun(t, rewrite)
	are("", true)
	s.options.ServerFlags, configured = flags, false
	s.up(t)
	isPlaced("value5")
}
