// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// logCore passes etcd's warnings and errors on to the context's logger; etcd's information is too much to be of use.
type logCore struct {
	*logState
	fields []zapcore.Field
}

// logState is shared by all cores of one etcd.
type logState struct {
	dir string
	out klog.Logger
	// failed gets why etcd cannot start.
	failed chan error

	// phase is asked at every entry, the many that are of no use among them.
	phase atomic.Int32

	mu sync.Mutex
	// activity is what a start is at, repeated the warning that it logged last.
	activity, repeated string
}

// Phases of an etcd's life.
const (
	starting int32 = iota
	running
	// stopping etcd reports a number of errors that are none.
	stopping
)

func newLogCore(ctx context.Context, dir string) *logCore {
	return &logCore{logState: &logState{dir: dir, out: klog.FromContext(ctx).WithName("etcd"), failed: make(chan error, 1)}}
}

func (c *logCore) logger() *zap.Logger {
	return zap.New(c, zap.WithFatalHook(failHook{c.logState}), zap.WithPanicHook(failHook{c.logState}))
}

// at sets what a start is at.
func (s *logState) at(activity string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activity = activity
}

// now is what a start is at: what was set, or what etcd has told since.
func (s *logState) now() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.activity
}

// settle is called when etcd takes requests.
func (s *logState) settle() { s.phase.Store(running) }

// mute is called before etcd stops.
func (s *logState) mute() { s.phase.Store(stopping) }

// Enabled reports whether entries of the level are of use: information tells what a start is at.
func (s *logState) Enabled(level zapcore.Level) bool {
	switch s.phase.Load() {
	case starting:
		return level >= zapcore.InfoLevel
	case running:
		return level >= zapcore.WarnLevel
	default:
		return level > zapcore.ErrorLevel
	}
}

// With returns a core that adds the fields to every entry.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{logState: c.logState, fields: append(append([]zapcore.Field{}, c.fields...), fields...)}
}

// Check asks for the entry if it is severe enough.
func (c *logCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write passes the entry on, unless it is information, what a start has just logged, or the end, which is the hook's to tell.
func (c *logCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if entry.Level < zapcore.WarnLevel {
		c.at(entry.Message)
		return nil
	}
	if entry.Level > zapcore.ErrorLevel || c.repeats(entry.Message) {
		return nil
	}
	pairs := c.pairs(fields)
	if entry.Level == zapcore.ErrorLevel {
		c.out.Error(nil, entry.Message, pairs...)
	} else {
		c.out.Info(entry.Message, pairs...)
	}
	return nil
}

// repeats reports whether a start has logged the message last: etcd tries a thousand times a second to tell who it is while it is not
// far enough to.
func (s *logState) repeats(message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	repeats := s.phase.Load() == starting && s.repeated == message
	s.repeated = message
	return repeats
}

func (c *logCore) pairs(fields []zapcore.Field) []any {
	encoder := zapcore.NewMapObjectEncoder()
	var pairs []any
	for _, field := range append(append([]zapcore.Field{}, c.fields...), fields...) {
		field.AddTo(encoder)
	}
	for key, value := range encoder.Fields {
		pairs = append(pairs, key, value)
	}
	return pairs
}

// Sync has nothing to flush.
func (c *logCore) Sync() error { return nil }

// failHook gets the entries after which etcd cannot go on and expects not to be returned to: it may hold any lock, and what it was
// about to do has not been done.
type failHook struct{ *logState }

// OnWrite fails a start, whose goroutine then stays where it is. Later on it ends the process, which is the one way to stop that loses
// nothing: whatever etcd has acknowledged is on the disk.
func (h failHook) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	err := failureOf(entry.Message, fields)
	if h.phase.Load() == starting {
		select {
		case h.failed <- err:
		default:
		}
		select {}
	}
	if entry.Level < zapcore.FatalLevel && !isFull(err) {
		// A mistake in the program, of which the stack is of use.
		panic(err)
	}
	h.out.Error(explain(h.dir, err), "etcd cannot go on, and the server ends with it")
	klog.FlushAndExit(klog.ExitFlushTimeout, 1)
}

// failureOf is what an entry says, with the error that it carries.
func failureOf(message string, fields []zapcore.Field) error {
	for _, field := range fields {
		if cause, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			return fmt.Errorf("%s: %w", message, cause)
		}
	}
	return errors.New(message)
}
