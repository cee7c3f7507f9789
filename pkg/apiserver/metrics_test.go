// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/component-base/metrics/testutil"
)

func TestWhatTheServerWasGivenIsTold(t *testing.T) {
	certificate, key, err := certutil.GenerateSelfSignedCertKey("stagegate", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(certificate)
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := dynamiccertificates.NewStaticCertKeyContent("serving", certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	s := &settings{}
	if err := testutil.CustomCollectAndCompare(s, strings.NewReader("")); err != nil {
		t.Errorf("before anything is given: %v", err)
	}
	s = &settings{}
	s.quota.Store(4 << 30)
	s.certificate.Store(&provider)
	want := fmt.Sprintf(`
# HELP stagegate_embedded_etcd_quota_bytes [ALPHA] Size of the database at which the etcd in this process takes no more writes, in bytes. Absent where etcd is external.
# TYPE stagegate_embedded_etcd_quota_bytes gauge
stagegate_embedded_etcd_quota_bytes 4.294967296e+09
# HELP stagegate_serving_certificate_expiration_timestamp_seconds [ALPHA] When the certificate expires that the server presents, in seconds since 1970.
# TYPE stagegate_serving_certificate_expiration_timestamp_seconds gauge
stagegate_serving_certificate_expiration_timestamp_seconds %v
`, float64(parsed.NotAfter.Unix()))
	if err := testutil.CustomCollectAndCompare(s, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
