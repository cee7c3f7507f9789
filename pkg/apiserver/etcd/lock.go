// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// lockDir excludes other processes from the directory. A predecessor that is about to end gets until the end of the context to do so;
// one that was killed holds nothing, since the lock ends with its process.
func lockDir(ctx context.Context, dir string) (*fileutil.LockedFile, error) {
	type result struct {
		lock *fileutil.LockedFile
		err  error
	}
	locked := make(chan result)
	go func() {
		lock, err := fileutil.LockFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
		select {
		case locked <- result{lock, err}:
		case <-ctx.Done():
			if err == nil {
				_ = lock.Close()
			}
		}
	}()
	select {
	case r := <-locked:
		if r.err != nil {
			return nil, fmt.Errorf("data directory: %w", r.err)
		}
		return r.lock, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("data directory %s, waiting for its lock: %w", dir, ctx.Err())
	}
}
