// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/embed"
)

const (
	// DefaultQuotaBytes is the size of the database at which etcd takes no more writes.
	DefaultQuotaBytes = 4 << 30
	// DefaultStartTimeout is how long Start waits for the data directory and for etcd.
	DefaultStartTimeout = 30 * time.Second
	// MaxRequestBytes is the largest request that etcd takes, which is etcd's own default: what the embedded etcd can store, an
	// external one can.
	MaxRequestBytes = 3 << 19

	memberName = "stagegate"
	// defragThresholdMegabytes of space to be won are worth a defragmentation at start.
	defragThresholdMegabytes = 100
	// snapshotCount is how many writes etcd logs before it makes its database the place to begin from at the next start. Each of
	// them is read and held in memory at a start.
	snapshotCount = 1000
	// catchUpEntries of the log stay in memory, besides the hundred or so that etcd collects before it drops any. They are for
	// followers, which a single member has not. 0 would mean etcd's default of 5,000, each of them a whole write.
	catchUpEntries = 1
)

// Options of an embedded etcd.
type Options struct {
	// DataDir has everything that etcd keeps. It is made if it does not exist.
	DataDir string
	// QuotaBytes limits the size of the database; 0 means DefaultQuotaBytes.
	QuotaBytes int64
	// StartTimeout limits the wait for the data directory's lock, and then for etcd; 0 means DefaultStartTimeout.
	StartTimeout time.Duration
}

// Server is a running etcd member.
type Server struct {
	etcd    *embed.Etcd
	lock    *fileutil.LockedFile
	sockets *sockets
	logs    *logCore
	close   sync.Once
}

// Start runs an etcd member on the data directory and returns when it takes requests. It fails if another process holds the
// directory for longer than the start timeout.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	if o.QuotaBytes == 0 {
		o.QuotaBytes = DefaultQuotaBytes
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = DefaultStartTimeout
	}
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", o.DataDir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}

	s := &Server{logs: newLogCore(ctx)}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	// etcd replaces the sockets of its predecessor before it takes its own lock, so ours comes first.
	if s.lock, err = lockDir(ctx, dir, o.StartTimeout); err != nil {
		return nil, err
	}
	if s.sockets, err = newSockets(dir); err != nil {
		return nil, err
	}
	if s.etcd, err = embed.StartEtcd(s.config(dir, o)); err != nil {
		return nil, fmt.Errorf("etcd on data directory %s: %w", dir, err)
	}
	timeout := time.NewTimer(o.StartTimeout)
	defer timeout.Stop()
	select {
	case <-s.etcd.Server.ReadyNotify():
		return s, s.clearNoSpace(ctx)
	case err := <-s.etcd.Err():
		return nil, fmt.Errorf("etcd on data directory %s: %w", dir, err)
	case <-timeout.C:
		return nil, fmt.Errorf("etcd on data directory %s is not ready after %s", dir, o.StartTimeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// clearNoSpace takes back the alarm that etcd raised when it ran into its quota. Under it even the compaction that would make room
// is refused; without it, the start's defragmentation or a larger quota is all the cure it takes, and where neither made room,
// the next write raises it again.
func (s *Server) clearNoSpace(ctx context.Context) error {
	_, err := s.etcd.Server.Alarm(ctx, &etcdserverpb.AlarmRequest{
		Action:   etcdserverpb.AlarmRequest_DEACTIVATE,
		MemberID: uint64(s.etcd.Server.MemberID()),
		Alarm:    etcdserverpb.AlarmType_NOSPACE,
	})
	if err != nil {
		return fmt.Errorf("clearing the quota alarm of etcd: %w", err)
	}
	return nil
}

func (s *Server) config(dir string, o Options) *embed.Config {
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = filepath.Join(dir, "etcd")
	c.ListenClientUrls = []url.URL{s.sockets.client}
	c.AdvertiseClientUrls = c.ListenClientUrls
	// gRPC that shares no listener with HTTP is served without a multiplexer in between.
	c.ListenClientHttpUrls = []url.URL{s.sockets.http}
	c.ListenPeerUrls = []url.URL{s.sockets.peer}
	c.AdvertisePeerUrls = c.ListenPeerUrls
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.QuotaBackendBytes = o.QuotaBytes
	c.MaxRequestBytes = MaxRequestBytes
	c.BootstrapDefragThresholdMegabytes = defragThresholdMegabytes
	c.SnapshotCount, c.SnapshotCatchUpEntries = snapshotCount, catchUpEntries
	c.EnableGRPCGateway = false
	// Who can open the socket may do everything; there are no users.
	c.AuthToken = ""
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(s.logs.logger())
	return c
}

// Endpoint is where clients reach the member.
func (s *Server) Endpoint() string { return s.sockets.client.String() }

// Done is closed when the member has stopped, be it by Close or by itself.
func (s *Server) Done() <-chan struct{} { return s.etcd.Server.StopNotify() }

// Close stops the member and lets go of the data directory. Clients should be done by then. A second call does nothing.
func (s *Server) Close() {
	s.close.Do(func() {
		s.logs.mute()
		if s.etcd != nil {
			s.etcd.Close()
		}
		if s.sockets != nil {
			s.sockets.remove()
		}
		if s.lock != nil {
			_ = s.lock.Close()
		}
	})
}
