// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestAWatchWithinTheProcess has all that one over a connection has.
func TestAWatchWithinTheProcess(t *testing.T) {
	server := start(t, t.TempDir())
	direct := server.Client()
	t.Cleanup(func() { _ = direct.Close() })
	for name, client := range map[string]*clientv3.Client{"direct": direct.Client, "connected": newClient(t, server)} {
		prefix := "/" + name + "/"
		put := func(t *testing.T, key string) int64 {
			t.Helper()
			response, err := client.Put(t.Context(), prefix+key, "v")
			if err != nil {
				t.Fatal(err)
			}
			return response.Header.Revision
		}
		t.Run(name+": all changes in their order, however late they are read, and then how far it is", func(t *testing.T) {
			// More than all who have them on their way keep together.
			const changes = 2000
			watch := client.Watch(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithPrevKV())
			var last int64
			for i := range changes {
				last = put(t, fmt.Sprint(i))
			}
			if _, err := client.Put(t.Context(), "/beside", "v"); err != nil {
				t.Fatal(err)
			}
			seen := 0
			for seen < changes {
				response := receive(t, watch)
				for _, event := range response.Events {
					if want := prefix + fmt.Sprint(seen); string(event.Kv.Key) != want {
						t.Fatalf("change %d is of %s, want %s", seen, event.Kv.Key, want)
					}
					seen++
				}
			}
			if err := client.RequestProgress(t.Context()); err != nil {
				t.Fatal(err)
			}
			if progress := receive(t, watch); !progress.IsProgressNotify() || progress.Header.Revision < last {
				t.Errorf("how far it is: %+v, want revision %d or a later one", progress, last)
			}
		})
		t.Run(name+": one key alone", func(t *testing.T) {
			watch := client.Watch(t.Context(), prefix+"one")
			put(t, "one-more")
			put(t, "one")
			if response := receive(t, watch); len(response.Events) != 1 || string(response.Events[0].Kv.Key) != prefix+"one" {
				t.Errorf("got %v", response.Events)
			}
		})
		t.Run(name+": an error where changes are compacted", func(t *testing.T) {
			first := put(t, "compacted")
			put(t, "compacted")
			if _, err := client.Compact(t.Context(), put(t, "compacted"), clientv3.WithCompactPhysical()); err != nil {
				t.Fatal(err)
			}
			watch := client.Watch(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithRev(first))
			if response := receive(t, watch); !errors.Is(response.Err(), rpctypes.ErrCompacted) {
				t.Errorf("got %+v, want %v", response, rpctypes.ErrCompacted)
			}
			if _, open := <-watch; open {
				t.Error("it goes on after an error")
			}
		})
		t.Run(name+": its end with its context, even if nobody reads", func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			watch := client.Watch(ctx, prefix, clientv3.WithPrefix())
			for i := range 500 {
				put(t, fmt.Sprint(i))
			}
			leave()
			for deadline := time.After(30 * time.Second); ; {
				select {
				case _, open := <-watch:
					if !open {
						return
					}
				case <-deadline:
					t.Fatal("it goes on")
				}
			}
		})
	}
}

// TestProgressIsAskedForWhileWatchesBegin and end: neither may wait for the other.
func TestProgressIsAskedForWhileWatchesBegin(t *testing.T) {
	client := start(t, t.TempDir()).Client()
	asking, done := context.WithCancel(t.Context())
	var asked sync.WaitGroup
	for range 4 {
		asked.Go(func() {
			for asking.Err() == nil {
				_ = client.RequestProgress(asking)
			}
		})
	}
	began := make(chan struct{})
	go func() {
		defer close(began)
		for range 2000 {
			ctx, leave := context.WithCancel(t.Context())
			client.Watch(ctx, "/", clientv3.WithPrefix())
			leave()
		}
	}()
	select {
	case <-began:
	case <-time.After(time.Minute):
		t.Fatal("a watch does not begin")
	}
	done()
	asked.Wait()
	// It tells of its own context, which it has ended.
	_ = client.Close()
}

// TestTheOptionsOfAWatchAreRead that the library keeps to itself.
func TestTheOptionsOfAWatchAreRead(t *testing.T) {
	plain := creation("/a", nil)
	if string(plain.Key) != "/a" || plain.RangeEnd != nil || plain.StartRevision != 0 || plain.PrevKv || plain.ProgressNotify {
		t.Errorf("without options: %v", plain)
	}
	all := creation("/a", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(7), clientv3.WithPrevKV(), clientv3.WithProgressNotify()})
	if string(all.RangeEnd) != "/b" || all.StartRevision != 7 || !all.PrevKv || !all.ProgressNotify {
		t.Errorf("with all options: %v", all)
	}
}

func receive(t *testing.T, watch clientv3.WatchChan) clientv3.WatchResponse {
	t.Helper()
	select {
	case response, open := <-watch:
		if !open {
			t.Fatal("the watch has ended")
		}
		return response
	case <-time.After(30 * time.Second):
		t.Fatal("the watch tells nothing")
	}
	return clientv3.WatchResponse{}
}
