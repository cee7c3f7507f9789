// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"

	"github.com/spf13/pflag"

	"github.com/stagegate/stagegate/pkg/apiserver/etcd"
)

// EmbeddedEtcdOptions are those of the etcd in this process.
type EmbeddedEtcdOptions struct {
	// DataDir has all of the server's state.
	DataDir string
	// QuotaBytes is the size of the database at which it takes no more writes.
	QuotaBytes int64
}

// NewEmbeddedEtcdOptions returns the defaults.
func NewEmbeddedEtcdOptions() *EmbeddedEtcdOptions {
	return &EmbeddedEtcdOptions{DataDir: "/var/lib/stagegate", QuotaBytes: etcd.DefaultQuotaBytes}
}

// AddFlags binds the options to flags.
func (o *EmbeddedEtcdOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.DataDir, "data-dir", o.DataDir, "Directory of the etcd in this process. It has all of the server's state. "+
		"Not used with --etcd-servers.")
	fs.Int64Var(&o.QuotaBytes, "embedded-etcd-quota-bytes", o.QuotaBytes, "Size of the database at which the etcd in this process "+
		"takes no more writes.")
}

// Validate refuses values that cannot be meant.
func (o *EmbeddedEtcdOptions) Validate() []error {
	var errs []error
	if o.DataDir == "" {
		errs = append(errs, errors.New("--data-dir must be set, or --etcd-servers"))
	}
	if o.QuotaBytes <= 0 {
		errs = append(errs, errors.New("--embedded-etcd-quota-bytes must be more than 0"))
	}
	return errs
}
