// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"crypto/x509"
	"encoding/pem"
	"sync"
	"sync/atomic"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

var (
	certificateDesc = metrics.NewDesc("stagegate_serving_certificate_expiration_timestamp_seconds",
		"When the certificate expires that the server presents, in seconds since 1970.", nil, nil, metrics.ALPHA, "")
	quotaDesc = metrics.NewDesc("stagegate_embedded_etcd_quota_bytes",
		"Size of the database at which the etcd in this process takes no more writes, in bytes. Absent where etcd is external.", nil, nil, metrics.ALPHA, "")
)

// settings collects what the server was given, and alerts compare with. A process has one server; of several, as in tests, the last one counts.
type settings struct {
	metrics.BaseStableCollector

	certificate atomic.Pointer[dynamiccertificates.CertKeyContentProvider]
	// quota of the embedded etcd in bytes, 0 for none.
	quota atomic.Int64
}

var (
	_ metrics.StableCollector = &settings{}

	given            = &settings{}
	registerSettings = sync.OnceFunc(func() { legacyregistry.CustomMustRegister(given) })
)

// tellCertificate has the metrics tell when a certificate expires, by its file as it is at the time.
func tellCertificate(certificate dynamiccertificates.CertKeyContentProvider) {
	registerSettings()
	if certificate != nil {
		given.certificate.Store(&certificate)
	}
}

// DescribeWithStability implements metrics.StableCollector.
func (s *settings) DescribeWithStability(descs chan<- *metrics.Desc) {
	descs <- certificateDesc
	descs <- quotaDesc
}

// CollectWithStability implements metrics.StableCollector.
func (s *settings) CollectWithStability(found chan<- metrics.Metric) {
	if quota := s.quota.Load(); quota > 0 {
		found <- metrics.NewLazyConstMetric(quotaDesc, metrics.GaugeValue, float64(quota))
	}
	provider := s.certificate.Load()
	if provider == nil {
		return
	}
	content, _ := (*provider).CurrentCertKeyContent()
	// The first block is the certificate itself; those of its authorities follow.
	if block, _ := pem.Decode(content); block != nil {
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			found <- metrics.NewLazyConstMetric(certificateDesc, metrics.GaugeValue, float64(certificate.NotAfter.Unix()))
		}
	}
}
