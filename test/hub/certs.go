// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"time"

	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Certificates live as long as an environment could: nothing renews them.
const certificateLifetime = 10 * 365 * 24 * time.Hour

// authority is a certificate authority kept as <name>.crt and <name>.key in a directory.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// ensureAuthority loads the authority, and makes it first if it is not there.
func ensureAuthority(dir, name string) (*authority, error) {
	certFile, keyFile := filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	if !exists(certFile) {
		key, err := ensureKey(keyFile)
		if err != nil {
			return nil, err
		}
		cert, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: name}, key)
		if err != nil {
			return nil, fmt.Errorf("making authority %s: %w", certFile, err)
		}
		if err := writeFile(certFile, encodeCertificate(cert.Raw)); err != nil {
			return nil, err
		}
	}
	certs, err := certutil.CertsFromFile(certFile)
	if err != nil {
		return nil, err
	}
	key, err := ensureKey(keyFile)
	if err != nil {
		return nil, err
	}
	return &authority{cert: certs[0], key: key}, nil
}

// leaf says whom a certificate is for: a server if it has names, a client otherwise.
type leaf struct {
	commonName string
	groups     []string
	names      []string
	// both is for a server that shows the certificate as a client as well, to its peers.
	both bool
}

// ensure makes <file>.crt and <file>.key unless they are there.
func (a *authority) ensure(file string, l leaf) error {
	if exists(file + ".crt") {
		return nil
	}
	return a.issue(file, l)
}

// issue writes <file>.key, if it is not there, and a new <file>.crt for it.
func (a *authority) issue(file string, l leaf) error {
	key, err := ensureKey(file + ".key")
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: l.commonName, Organization: l.groups},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(certificateLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(l.names) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.DNSNames = l.names
		template.IPAddresses = []net.IP{net.ParseIP(loopback)}
	}
	if l.both {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("signing %s.crt: %w", file, err)
	}
	return writeFile(file+".crt", encodeCertificate(der))
}

// ensureKey loads a private key, and makes it first if it is not there.
func ensureKey(file string) (crypto.Signer, error) {
	if !exists(file) {
		pem, err := keyutil.MakeEllipticPrivateKeyPEM()
		if err != nil {
			return nil, err
		}
		if err := writeFile(file, pem); err != nil {
			return nil, err
		}
	}
	key, err := keyutil.PrivateKeyFromFile(file)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New(file + ": not a signing key")
	}
	return signer, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certutil.CertificateBlockType, Bytes: der})
}
