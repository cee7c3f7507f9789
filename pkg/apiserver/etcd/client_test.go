// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// TestAClientInTheProcessDoesWhatAConnectionDoes to the same member, errors included.
func TestAClientInTheProcessDoesWhatAConnectionDoes(t *testing.T) {
	server := start(t, t.TempDir())
	direct := server.Client()
	t.Cleanup(func() { _ = direct.Close() })
	past, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	gone, leave := context.WithCancel(t.Context())
	leave()

	for name, client := range map[string]*clientv3.Client{"direct": direct.Client, "connected": newClient(t, server)} {
		t.Run(name, func(t *testing.T) {
			prefix := "/" + name + "/"
			put := func(key, value string) *clientv3.TxnResponse {
				t.Helper()
				response, err := client.Txn(t.Context()).If(clientv3.Compare(clientv3.ModRevision(prefix+key), "=", 0)).
					Then(clientv3.OpPut(prefix+key, value)).Else(clientv3.OpGet(prefix + key)).Commit()
				if err != nil {
					t.Fatal(err)
				}
				return response
			}
			created := put("a", "1")
			watch := client.Watch(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithRev(created.Header.Revision), clientv3.WithPrevKV())
			if again := put("a", "2"); !created.Succeeded || again.Succeeded || string(again.Responses[0].GetResponseRange().Kvs[0].Value) != "1" {
				t.Errorf("created %v, and created again %v", created, again)
			}
			if _, err := client.Put(t.Context(), prefix+"a", "3"); err != nil {
				t.Fatal(err)
			}
			list, err := client.Get(t.Context(), prefix, clientv3.WithPrefix())
			if err != nil || len(list.Kvs) != 1 || string(list.Kvs[0].Value) != "3" || list.Kvs[0].CreateRevision != created.Header.Revision {
				t.Errorf("listed %v, error %v", list, err)
			}
			stream, err := client.GetStream(t.Context(), prefix, clientv3.WithPrefix())
			if err != nil {
				t.Fatal(err)
			}
			streamed, err := clientv3.GetStreamToGetResponse(stream)
			if err != nil || streamed.Header.Revision != list.Header.Revision || len(streamed.Kvs) != 1 || string(streamed.Kvs[0].Value) != "3" {
				t.Errorf("in parts %v, error %v, want %v", streamed, err, list)
			}
			for _, test := range []struct {
				ctx  context.Context
				want error
			}{{gone, context.Canceled}, {past, context.DeadlineExceeded}} {
				if stream, err = client.GetStream(test.ctx, prefix, clientv3.WithPrefix()); err == nil {
					_, err = clientv3.GetStreamToGetResponse(stream)
				}
				if !errors.Is(clientv3.ContextError(test.ctx, err), test.want) {
					t.Errorf("a list that nobody waits for: %v, want %v", err, test.want)
				}
			}
			if _, err := client.Delete(t.Context(), prefix+"a"); err != nil {
				t.Fatal(err)
			}
			var seen []string
			for deadline := time.After(30 * time.Second); len(seen) < 3; {
				select {
				case response := <-watch:
					if response.Err() != nil {
						t.Fatal(response.Err())
					}
					for _, event := range response.Events {
						before := ""
						if event.PrevKv != nil {
							before = string(event.PrevKv.Value)
						}
						seen = append(seen, event.Type.String()+" "+before+" "+string(event.Kv.Value))
					}
				case <-deadline:
					t.Fatalf("the watch has only %q", seen)
				}
			}
			if diff := cmp.Diff([]string{"PUT  1", "PUT 1 3", "DELETE 3 "}, seen); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}

			for _, test := range []struct {
				ctx   context.Context
				value string
				want  error
			}{
				{t.Context(), strings.Repeat("v", MaxRequestBytes+1), rpctypes.ErrRequestTooLarge},
				{past, "v", context.DeadlineExceeded},
				{gone, "v", context.Canceled},
			} {
				if _, err := client.Put(test.ctx, prefix+"refused", test.value); !errors.Is(err, test.want) {
					t.Errorf("a write of %d bytes: %v, want %v", len(test.value), err, test.want)
				}
			}
			if _, err := client.Get(t.Context(), prefix, clientv3.WithRev(1<<40)); !errors.Is(err, rpctypes.ErrFutureRev) {
				t.Errorf("a revision to come: %v, want %v", err, rpctypes.ErrFutureRev)
			}
		})
	}
}

// TestAWriteThatNobodyWaitsForEndsAsSuch and not as a failure of etcd, which would be reported as one.
func TestAWriteThatNobodyWaitsForEndsAsSuch(t *testing.T) {
	server := start(t, t.TempDir())
	ctx, leave := context.WithCancel(t.Context())
	_, err := call(ctx, server, 0, nil, func(context.Context, int, ...grpc.CallOption) (*int, error) {
		leave()
		return nil, rpctypes.ErrGRPCCanceled
	})
	if err = clientv3.ContextError(ctx, err); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestAMemberEndsAfterItsCalls whose clients go on: it waits for calls that have begun, takes no more, and its watches end.
func TestAMemberEndsAfterItsCalls(t *testing.T) {
	server := start(t, t.TempDir())
	if Local([]string{server.Endpoint()}) != server || Local([]string{server.Endpoint(), "another"}) != nil || Local([]string{"another"}) != nil || Local(nil) != nil {
		t.Error("a member is found by an endpoint other than its own, or not by that")
	}
	client := server.Client()
	for i := range 500 {
		if _, err := client.KV.Put(t.Context(), key(i), strings.Repeat("v", 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	// A list that is read no further does not keep the member.
	abandoned, err := server.Client().GetStream(t.Context(), "/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if part := <-abandoned; part.Err() != nil || len(part.Kvs) == 0 || len(part.Kvs) == 500 {
		t.Fatalf("the first part of a list has %d keys, error %v", len(part.Kvs), part.Err())
	}
	watch := client.Watch(t.Context(), "/")
	entered, proceed, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := call(t.Context(), server, 0, nil, func(context.Context, int, ...grpc.CallOption) (*int, error) {
			close(entered)
			<-proceed
			return nil, nil
		})
		done <- err
	}()
	<-entered
	closed := make(chan struct{})
	go func() {
		server.Close()
		close(closed)
	}()
	within := time.After(30 * time.Second)
	for open := true; open; {
		select {
		case _, open = <-watch:
		case <-within:
			t.Fatal("a watch goes on")
		}
	}
	if _, err := client.KV.Get(t.Context(), "/"); !errors.Is(err, rpctypes.ErrStopped) {
		t.Errorf("a call after the end: %v, want %v", err, rpctypes.ErrStopped)
	}
	select {
	case <-closed:
		t.Error("the member has ended under a call")
	case <-server.Done():
		t.Error("etcd has ended under a call")
	default:
	}
	close(proceed)
	if err := <-done; err != nil {
		t.Errorf("the call that had begun: %v", err)
	}
	select {
	case <-closed:
	case <-within:
		t.Fatal("the member does not end")
	}
	if Local([]string{server.Endpoint()}) != nil {
		t.Error("a member that has ended is found")
	}
	late := server.Client()
	if _, err := late.KV.Get(t.Context(), "/"); !errors.Is(err, rpctypes.ErrStopped) {
		t.Errorf("a client that is made after the end: %v, want %v", err, rpctypes.ErrStopped)
	}
}

// panicking makes the test binary a server in which etcd panics under a request, whose own panics are recovered.
const panicking = "STAGEGATE_TEST_PANICKING"

func panicInACall(dir string) error {
	server, err := Start(context.Background(), Options{DataDir: dir})
	if err != nil {
		return err
	}
	defer func() { fmt.Println("recovered:", recover()) }()
	_, err = call(context.Background(), server, 0, nil, func(context.Context, int, ...grpc.CallOption) (*int, error) {
		server.etcd.Server.Logger().Panic("etcd does not understand itself")
		return nil, nil
	})
	return err
}

// TestAPanicOfEtcdEndsTheProcess though it is in a goroutine that would be recovered.
func TestAPanicOfEtcdEndsTheProcess(t *testing.T) {
	server := exec.CommandContext(t.Context(), os.Args[0])
	server.Env = append(os.Environ(), panicking+"="+t.TempDir())
	out, err := server.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("the process ended with %v, want that of a panic:\n%s", err, out)
	}
	if text := string(out); !strings.Contains(text, "etcd does not understand itself") || strings.Contains(text, "recovered") || !strings.Contains(text, "panicInACall") {
		t.Errorf("want the panic with where it was:\n%s", out)
	}
}
