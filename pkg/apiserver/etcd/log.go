// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// logCore passes etcd's warnings and errors on to the context's logger; etcd's information is too much to be of use.
type logCore struct {
	zapcore.LevelEnabler
	out    klog.Logger
	fields []zapcore.Field
	muted  *atomic.Bool
}

func newLogCore(ctx context.Context) *logCore {
	return &logCore{
		LevelEnabler: zapcore.WarnLevel,
		out:          klog.FromContext(ctx).WithName("etcd"),
		muted:        &atomic.Bool{},
	}
}

func (c *logCore) logger() *zap.Logger { return zap.New(c) }

// mute is called before etcd stops, which it reports as a number of errors.
func (c *logCore) mute() { c.muted.Store(true) }

// With returns a core that adds the fields to every entry.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	with := *c
	with.fields = append(append([]zapcore.Field{}, c.fields...), fields...)
	return &with
}

// Check asks for the entry if it is severe enough.
func (c *logCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) && !c.muted.Load() {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write passes the entry on.
func (c *logCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	encoder := zapcore.NewMapObjectEncoder()
	var pairs []any
	for _, field := range append(append([]zapcore.Field{}, c.fields...), fields...) {
		field.AddTo(encoder)
	}
	for key, value := range encoder.Fields {
		pairs = append(pairs, key, value)
	}
	if entry.Level >= zapcore.ErrorLevel {
		c.out.Error(nil, entry.Message, pairs...)
	} else {
		c.out.Info(entry.Message, pairs...)
	}
	return nil
}

// Sync has nothing to flush.
func (c *logCore) Sync() error { return nil }
