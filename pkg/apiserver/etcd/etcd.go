// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// DefaultQuotaBytes is the size of the database at which etcd takes no more writes.
	DefaultQuotaBytes = 4 << 30
	// DefaultStartTimeout is how long Start may take: the defragmentation of a database of the default quota on a slow volume
	// included.
	DefaultStartTimeout = 10 * time.Minute
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

	// progressPeriod is how often a start that takes its time tells what it does.
	progressPeriod = 30 * time.Second
)

// Options of an embedded etcd.
type Options struct {
	// DataDir has everything that etcd keeps. It is created if it does not exist.
	DataDir string
	// QuotaBytes limits the size of the database; 0 means DefaultQuotaBytes.
	QuotaBytes int64
	// StartTimeout limits Start as a whole: the wait for the data directory's lock, the reading of the log, the defragmentation and
	// the wait for etcd to take requests. 0 means DefaultStartTimeout.
	StartTimeout time.Duration

	// clock paces the reports of progress; nil means the real one.
	clock clock.WithTicker
}

// Server is a running etcd member.
type Server struct {
	dir     string
	etcd    *embed.Etcd
	lock    *fileutil.LockedFile
	sockets *sockets
	logs    *logCore
	direct  direct
	close   sync.Once
}

// Start runs an etcd member on the data directory and returns when it takes requests. It fails if another process holds the
// directory, or etcd is not ready, for longer than the start timeout; if the directory is damaged, which it then leaves as it is; and
// if its disk is full.
//
// Nothing can interrupt etcd while it reads or defragments. When the context ends or the time is up meanwhile, Start returns, and the
// directory stays locked until etcd has come to an end or the process has.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.QuotaBytes == 0 {
		o.QuotaBytes = DefaultQuotaBytes
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = DefaultStartTimeout
	}
	if o.clock == nil {
		o.clock = clock.RealClock{}
	}
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", o.DataDir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}

	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	s := &Server{dir: dir, logs: newLogCore(ctx, dir), direct: direct{ending: make(chan struct{})}}
	defer s.reportProgress(ctx, o.clock)()

	// etcd replaces the sockets of its predecessor before it takes its own lock, so ours comes first.
	s.logs.at("waiting for the lock of the data directory")
	if s.lock, err = lockDir(ctx, dir); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("data directory %s is in use by another process, waited %s for it", dir, o.StartTimeout)
		}
		return nil, err
	}
	begun := make(chan error, 1)
	go func() { begun <- s.begin(o) }()
	var ready <-chan struct{}
	var stopped <-chan error
	for {
		select {
		case err := <-begun:
			if err != nil {
				s.Close()
				return nil, explain(dir, err)
			}
			ready, stopped = s.etcd.Server.ReadyNotify(), s.etcd.Err()
		case <-ready:
			s.logs.settle()
			if err := s.clearNoSpace(ctx); err != nil {
				s.Close()
				return nil, explain(dir, err)
			}
			members.Store(s.Endpoint(), s)
			return s, nil
		case err := <-stopped:
			s.Close()
			return nil, explain(dir, err)
		case err := <-s.logs.failed:
			// etcd is stuck where it failed, with all that it holds: it cannot be closed.
			return nil, explain(dir, err)
		case <-ctx.Done():
			go func() {
				if ready == nil {
					<-begun
				}
				s.Close()
			}()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, fmt.Errorf("etcd on data directory %s is not ready after %s, its start was at %q: %w",
					dir, o.StartTimeout, s.logs.now(), ctx.Err())
			}
			return nil, fmt.Errorf("etcd on data directory %s was to stop before it was ready, its start was at %q: %w",
				dir, s.logs.now(), ctx.Err())
		}
	}
}

// begin starts etcd. It returns when etcd has read and, where that is worth it, defragmented what there is.
func (s *Server) begin(o Options) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if s.sockets, err = newSockets(s.dir); err != nil {
		return err
	}
	config := s.config(o)
	s.logs.at("reading the write-ahead log")
	if err := inspect(config.Dir); err != nil {
		return err
	}
	if err := removeLeftovers(config.Dir); err != nil {
		return err
	}
	s.logs.at("starting")
	s.etcd, err = embed.StartEtcd(config)
	return err
}

// reportProgress logs what a start is at, so that one that takes its time can be told from one that hangs, until it is stopped.
func (s *Server) reportProgress(ctx context.Context, c clock.WithTicker) (stop func()) {
	begun, ticker, done := c.Now(), c.NewTicker(progressPeriod), make(chan struct{})
	go func() {
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C():
				klog.FromContext(ctx).Info("etcd is starting", "dataDir", s.dir, "for", now.Sub(begun).Round(time.Second), "now", s.logs.now())
			case <-done:
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(done) })
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

func (s *Server) config(o Options) *embed.Config {
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = filepath.Join(s.dir, "etcd")
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
		if s.sockets != nil {
			members.CompareAndDelete(s.Endpoint(), s)
		}
		s.direct.close()
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
