// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"reflect"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// maxPendingResponses is how many responses of a watch wait for its reader before the member keeps them. With fewer, a busy process has the member wait
// for a core after each of them, until changes come faster than they are read.
const maxPendingResponses = 128

// watcher is a clientv3.Watcher that reads what the member sends to a watch. The library's own one has four goroutines hand each response on, since it
// shares a connection between watches and begins anew when that breaks: a member in this process has neither.
type watcher struct {
	server etcdserverpb.WatchServer

	mu      sync.Mutex
	closed  bool
	streams map[*watchStream]struct{}
	running sync.WaitGroup
}

var _ clientv3.Watcher = &watcher{}

func newWatcher(server etcdserverpb.WatchServer) *watcher {
	return &watcher{server: server, streams: map[*watchStream]struct{}{}}
}

// Watch returns the changes of a key or a range. Its channel ends with the context, with the watcher, and after a response that has an error.
func (w *watcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	s := w.open(ctx, creation(key, opts))
	if s == nil {
		ended := make(chan clientv3.WatchResponse)
		close(ended)
		return ended
	}
	go func() {
		defer w.running.Done()
		defer close(s.responses)
		// Its error is the end of the context, or was sent as a response.
		_ = w.server.Watch(s)
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.streams, s)
		s.cancel()
	}()
	select {
	case <-s.created:
	case <-s.ctx.Done():
	}
	return s.responses
}

// creation is what asks for a watch. Options cannot be read but by the library.
func creation(key string, opts []clientv3.OpOption) *etcdserverpb.WatchCreateRequest {
	op := clientv3.OpGet(key, opts...)
	has := func(option string) bool { return reflect.ValueOf(op).FieldByName(option).Bool() }
	return &etcdserverpb.WatchCreateRequest{
		Key: op.KeyBytes(), RangeEnd: op.RangeBytes(), StartRevision: op.Rev(), PrevKv: has("prevKV"), ProgressNotify: has("progressNotify"),
	}
}

// open returns a stream whose first request is the one that creates its watch, nil where the watcher is closed.
func (w *watcher) open(ctx context.Context, create *etcdserverpb.WatchCreateRequest) *watchStream {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	s := &watchStream{
		requests:  make(chan *etcdserverpb.WatchRequest, 1),
		responses: make(chan clientv3.WatchResponse, maxPendingResponses),
		created:   make(chan struct{}),
	}
	s.requests <- &etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_CreateRequest{CreateRequest: create}}
	s.ctx, s.cancel = context.WithCancel(ctx)
	w.streams[s] = struct{}{}
	w.running.Add(1)
	return s
}

// RequestProgress has each watch get a response without changes, which tells that it has got all up to a revision. One that is being created gets none:
// the member may still keep changes back for it, which the response would overtake.
func (w *watcher) RequestProgress(ctx context.Context) error {
	w.mu.Lock()
	streams := make([]*watchStream, 0, len(w.streams))
	for s := range w.streams {
		select {
		case <-s.created:
			streams = append(streams, s)
		default:
		}
	}
	w.mu.Unlock()
	for _, s := range streams {
		select {
		case s.requests <- &etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_ProgressRequest{ProgressRequest: &etcdserverpb.WatchProgressRequest{}}}:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends all watches, and returns when the member serves none of them any more.
func (w *watcher) Close() error {
	w.mu.Lock()
	w.closed = true
	for s := range w.streams {
		s.cancel()
	}
	w.mu.Unlock()
	w.running.Wait()
	return nil
}

// watchStream is the member's end of a stream with one watch. The methods of grpc.ServerStream that are not here are not called.
type watchStream struct {
	grpc.ServerStream

	ctx       context.Context
	cancel    context.CancelFunc
	requests  chan *etcdserverpb.WatchRequest
	responses chan clientv3.WatchResponse
	// created is closed when changes are kept for the watch, or it was refused.
	created chan struct{}
	once    sync.Once
}

var _ etcdserverpb.Watch_WatchServer = &watchStream{}

// Context returns that of the watch.
func (s *watchStream) Context() context.Context { return s.ctx }

// Recv returns what is asked of the member.
func (s *watchStream) Recv() (*etcdserverpb.WatchRequest, error) {
	select {
	case request := <-s.requests:
		return request, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// Send passes a response on to the reader. It waits while too many are pending.
func (s *watchStream) Send(response *etcdserverpb.WatchResponse) error {
	if response.Created {
		defer s.once.Do(func() { close(s.created) })
		if !response.Canceled {
			return nil
		}
	}
	events := make([]*clientv3.Event, len(response.Events))
	for i, e := range response.Events {
		events[i] = (*clientv3.Event)(e)
	}
	select {
	case s.responses <- clientv3.WatchResponse{
		Header: response.Header, Events: events, CompactRevision: response.CompactRevision, Canceled: response.Canceled,
		Created: response.Created, CancelReason: response.CancelReason,
	}:
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	if response.Canceled {
		s.cancel()
	}
	return nil
}
