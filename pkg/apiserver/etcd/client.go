// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// members are those of this process that take requests, by their endpoints.
var members sync.Map

// Local returns the member of this process that has the only one of the endpoints, or nil if there is none.
func Local(endpoints []string) *Server {
	if len(endpoints) != 1 {
		return nil
	}
	member, _ := members.Load(endpoints[0])
	s, _ := member.(*Server)
	return s
}

// Client returns a client that calls the member's functions: requests pass the same checks as those over a connection, and are neither encoded
// nor sent. What it returns is shared with the member and must not be changed. The caller closes it; it also ends with the member.
func (s *Server) Client() *kubernetes.Client {
	c := v3client.New(s.etcd.Server)
	kv := v3rpc.NewQuotaKVServer(s.etcd.Server)
	c.KV = clientv3.NewKVFromKVClient(&calls{KVClient: adapter.KvServerToKvClient(kv), kv: kv, member: s}, c)
	c.Watcher = newWatcher(v3rpc.NewWatchServer(s.etcd.Server))
	s.direct.add(c)
	client := &kubernetes.Client{Client: c}
	client.Kubernetes = client
	return client
}

// Endpoints returns the endpoint of the member alone.
func (s *Server) Endpoints() []string { return []string{s.Endpoint()} }

// Status returns the state of the member, whatever the endpoint.
func (s *Server) Status(ctx context.Context, _ string) (*clientv3.StatusResponse, error) {
	response, err := v3rpc.NewMaintenanceServer(s.etcd.Server, nil).Status(ctx, &etcdserverpb.StatusRequest{})
	return (*clientv3.StatusResponse)(response), err
}

// direct are the clients that call the member's functions. The member must not close its database under a call.
type direct struct {
	mu      sync.Mutex
	closed  bool
	clients []*clientv3.Client
	calls   sync.WaitGroup
	// ending is closed before the member waits for calls: nobody may read on what a list sends.
	ending chan struct{}
}

func (d *direct) add(c *clientv3.Client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = c.Close()
		return
	}
	d.clients = append(d.clients, c)
}

// begin reports whether a call may begin, which must call d.calls.Done at its end.
func (d *direct) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.calls.Add(1)
	}
	return !d.closed
}

// close ends the clients, and returns when no call is under way. The member bounds how long one takes.
func (d *direct) close() {
	d.mu.Lock()
	d.closed = true
	close(d.ending)
	clients := d.clients
	d.clients = nil
	d.mu.Unlock()
	for _, c := range clients {
		_ = c.Close()
	}
	d.calls.Wait()
}

// calls has the calls of a client end with the member, and tell of a request that nobody waits for any longer as a connection does. The member
// itself would tell of it as of a failure of its own.
type calls struct {
	etcdserverpb.KVClient

	kv     etcdserverpb.KVServer
	member *Server
}

func (c *calls) Range(ctx context.Context, in *etcdserverpb.RangeRequest, opts ...grpc.CallOption) (*etcdserverpb.RangeResponse, error) {
	return call(ctx, c.member, in, opts, c.KVClient.Range)
}

func (c *calls) Put(ctx context.Context, in *etcdserverpb.PutRequest, opts ...grpc.CallOption) (*etcdserverpb.PutResponse, error) {
	return call(ctx, c.member, in, opts, c.KVClient.Put)
}

func (c *calls) DeleteRange(ctx context.Context, in *etcdserverpb.DeleteRangeRequest, opts ...grpc.CallOption) (*etcdserverpb.DeleteRangeResponse, error) {
	return call(ctx, c.member, in, opts, c.KVClient.DeleteRange)
}

func (c *calls) Txn(ctx context.Context, in *etcdserverpb.TxnRequest, opts ...grpc.CallOption) (*etcdserverpb.TxnResponse, error) {
	return call(ctx, c.member, in, opts, c.KVClient.Txn)
}

func (c *calls) Compact(ctx context.Context, in *etcdserverpb.CompactionRequest, opts ...grpc.CallOption) (*etcdserverpb.CompactionResponse, error) {
	return call(ctx, c.member, in, opts, c.KVClient.Compact)
}

// RangeStream returns a list in parts, of which one is read ahead.
func (c *calls) RangeStream(ctx context.Context, in *etcdserverpb.RangeRequest, _ ...grpc.CallOption) (etcdserverpb.KV_RangeStreamClient, error) {
	if !c.member.direct.begin() {
		return nil, rpctypes.ErrGRPCStopped
	}
	l := &list{ctx: ctx, ending: c.member.direct.ending, parts: make(chan *etcdserverpb.RangeStreamResponse, 1)}
	go func() {
		defer c.member.direct.calls.Done()
		defer close(l.parts)
		l.err = c.kv.RangeStream(in, listSender{list: l})
	}()
	return listReceiver{list: l}, nil
}

// list is on its way.
type list struct {
	ctx    context.Context
	ending <-chan struct{}
	parts  chan *etcdserverpb.RangeStreamResponse
	// err is set before parts is closed.
	err error
}

// listSender is the member's end of a list. The methods of grpc.ServerStream that are not here are not called.
type listSender struct {
	grpc.ServerStream

	list *list
}

func (s listSender) Context() context.Context { return s.list.ctx }

func (s listSender) Send(part *etcdserverpb.RangeStreamResponse) error {
	select {
	case s.list.parts <- part:
		return nil
	case <-s.list.ctx.Done():
		return s.list.ctx.Err()
	case <-s.list.ending:
		return rpctypes.ErrGRPCStopped
	}
}

// listReceiver is the client's end of a list. The methods of grpc.ClientStream that are not here are not called.
type listReceiver struct {
	grpc.ClientStream

	list *list
}

func (r listReceiver) Recv() (*etcdserverpb.RangeStreamResponse, error) {
	part, ok := <-r.list.parts
	switch {
	case ok:
		return part, nil
	case r.list.err == nil:
		return nil, io.EOF
	case r.list.ctx.Err() != nil:
		return nil, status.FromContextError(r.list.ctx.Err()).Err()
	}
	return nil, r.list.err
}

func call[I, O any](ctx context.Context, member *Server, in I, opts []grpc.CallOption, function func(context.Context, I, ...grpc.CallOption) (*O, error)) (*O, error) {
	if ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	if !member.direct.begin() {
		return nil, rpctypes.ErrGRPCStopped
	}
	defer member.direct.calls.Done()
	defer endProcessOnPanic()
	out, err := function(ctx, in, opts...)
	if err != nil && ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return out, err
}

// endProcessOnPanic is deferred by what runs etcd's code in a goroutine of a request, whose panics would end that request alone. But etcd may hold
// any lock, and may not have done what it was about to: a process whose etcd has panicked ends.
func endProcessOnPanic() {
	if r := recover(); r != nil {
		stack := debug.Stack()
		go panic(fmt.Sprintf("etcd in this process: %v\n%s", r, stack))
		select {}
	}
}
