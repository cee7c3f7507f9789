// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/stagegate/stagegate/pkg/apiserver/etcd"
)

const startTimeoutFlag = "embedded-etcd-start-timeout"

// EmbeddedEtcdOptions are those of the etcd in this process.
type EmbeddedEtcdOptions struct {
	// DataDir has all of the server's state.
	DataDir string
	// QuotaBytes is the size of the database at which it takes no more writes.
	QuotaBytes int64
	// StartTimeout limits the start of etcd, from the wait for the directory's lock until it takes requests.
	StartTimeout time.Duration
}

// NewEmbeddedEtcdOptions returns the defaults.
func NewEmbeddedEtcdOptions() *EmbeddedEtcdOptions {
	return &EmbeddedEtcdOptions{
		DataDir:      "/var/lib/stagegate",
		QuotaBytes:   etcd.DefaultQuotaBytes,
		StartTimeout: etcd.DefaultStartTimeout,
	}
}

// AddFlags binds the options to flags.
func (o *EmbeddedEtcdOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.DataDir, "data-dir", o.DataDir, "Directory of the etcd in this process. It has all of the server's state. "+
		"Not used with --etcd-servers.")
	fs.Int64Var(&o.QuotaBytes, "embedded-etcd-quota-bytes", o.QuotaBytes, "Size of the database at which the etcd in this process "+
		"takes no more writes.")
	fs.DurationVar(&o.StartTimeout, startTimeoutFlag, o.StartTimeout, "How long the etcd in this process may take to start: "+
		"the wait for a predecessor to leave the data directory, the replay of the log and the defragmentation. The startup probe of "+
		"the pod must allow for it.")
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
	if o.StartTimeout <= 0 {
		errs = append(errs, errors.New("--"+startTimeoutFlag+" must be more than 0"))
	}
	return errs
}

// start starts the etcd in this process.
func (o *EmbeddedEtcdOptions) start(ctx context.Context) (*etcd.Server, error) {
	member, err := etcd.Start(ctx, etcd.Options{DataDir: o.DataDir, QuotaBytes: o.QuotaBytes, StartTimeout: o.StartTimeout})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("%w; --%s gives it longer", err, startTimeoutFlag)
	}
	return member, err
}
