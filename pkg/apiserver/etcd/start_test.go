// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"go.etcd.io/bbolt"
	"k8s.io/klog/v2"
	clocktesting "k8s.io/utils/clock/testing"
)

// deadline is far more than anything here takes.
const deadline = 30 * time.Second

// occupy keeps etcd from opening its database until the test ends it.
func occupy(t *testing.T, dir string) (release func()) {
	t.Helper()
	fill(t, dir, 0, 1)
	db, err := bbolt.Open(databaseOf(dir), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = db.Close() }
}

// begin starts a server that cannot get on, and returns when it has logged what it is at.
func begin(ctx context.Context, t *testing.T, o Options) (line string, failed <-chan error) {
	t.Helper()
	lines, ended := make(chan string, 100), make(chan error, 1)
	logger := funcr.New(func(_, line string) { lines <- line }, funcr.Options{})
	clock := clocktesting.NewFakeClock(time.Now())
	o.clock = clock
	go func() {
		server, err := Start(klog.NewContext(ctx, logger), o)
		if err == nil {
			server.Close()
		}
		ended <- err
	}()
	for !clock.HasWaiters() {
		runtime.Gosched()
	}
	for !strings.Contains(line, "reading the write-ahead log") {
		clock.Step(progressPeriod)
		select {
		case line = <-lines:
		case err := <-ended:
			t.Fatalf("the start ended: %v", err)
		case <-time.After(deadline):
			t.Fatal("nothing is logged")
		}
	}
	return line, ended
}

func await(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(deadline):
		t.Fatal("the start goes on")
		return nil
	}
}

func TestAStartEndsWithItsContextOrItsTimeWhateverEtcdDoes(t *testing.T) {
	for name, tc := range map[string]struct {
		timeout time.Duration
		cancel  bool
		wantErr error
		want    string
	}{
		"the context": {
			timeout: deadline, cancel: true,
			wantErr: context.Canceled, want: `was to stop before it was ready, its start was at "reading the write-ahead log"`,
		},
		"the time": {
			timeout: time.Second,
			wantErr: context.DeadlineExceeded, want: `is not ready after 1s, its start was at "reading the write-ahead log"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			release := occupy(t, dir)
			defer release()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, ended := begin(ctx, t, Options{DataDir: dir, StartTimeout: tc.timeout})
			if tc.cancel {
				cancel()
			}
			if err := await(t, ended); !errors.Is(err, tc.wantErr) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			// The directory stays locked while etcd is at it, and no longer.
			_, err := Start(t.Context(), Options{DataDir: dir, StartTimeout: 100 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), "in use by another process") {
				t.Errorf("got %v for a second start", err)
			}
			release()
			start(t, dir)
		})
	}
}

func TestAStartThatTakesItsTimeSaysWhatItDoes(t *testing.T) {
	dir := t.TempDir()
	release := occupy(t, dir)
	defer release()
	line, ended := begin(t.Context(), t, Options{DataDir: dir})
	want := regexp.MustCompile(`^"level"=0 "msg"="etcd is starting" "dataDir"="` + regexp.QuoteMeta(dir) +
		`" "for"="[0-9hms]+" "now"="reading the write-ahead log"$`)
	if !want.MatchString(line) {
		t.Errorf("got  %s\nwant %s", line, want)
	}
	release()
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
}
