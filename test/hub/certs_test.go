// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"crypto/x509"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	certutil "k8s.io/client-go/util/cert"
)

func TestUserCertificateCarriesNameAndGroups(t *testing.T) {
	e := newEnvironment(layout{dir: t.TempDir()}, &state{}, nil)
	if err := e.ensureCertificates(HubName); err != nil {
		t.Fatal(err)
	}
	path, err := e.User("alice", "sre", "dev")
	if err != nil {
		t.Fatal(err)
	}
	if path != e.Kubeconfig("alice") {
		t.Errorf("kubeconfig %s, want %s", path, e.Kubeconfig("alice"))
	}
	config, err := e.RESTConfig("alice")
	if err != nil {
		t.Fatal(err)
	}
	certs, err := certutil.ParseCertsPEM(config.CertData)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.CAData)
	if _, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if got := certs[0].Subject.CommonName; got != "alice" {
		t.Errorf("name %s, want alice", got)
	}
	if diff := cmp.Diff([]string{"dev", "sre"}, slices.Sorted(slices.Values(certs[0].Subject.Organization))); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestUserCannotTakeTheNameOfACluster(t *testing.T) {
	e := newEnvironment(layout{dir: t.TempDir()}, &state{Members: 1}, nil)
	for _, name := range []string{HubName, MemberName(1), "", "../x"} {
		if _, err := e.User(name); err == nil {
			t.Errorf("user %q: no error", name)
		}
	}
}

func TestCertificatesAreKept(t *testing.T) {
	e := newEnvironment(layout{dir: t.TempDir()}, &state{}, nil)
	read := func() []byte {
		t.Helper()
		if err := e.ensureCertificates(HubName); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(e.Kubeconfig(HubName))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if diff := cmp.Diff(string(read()), string(read())); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}
