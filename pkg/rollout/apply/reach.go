// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
)

const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// reach remembers whether the member answers. All Works share it: a member that is away is one line in the log, not one for each try
// of each Work, and nothing in any status, since membership reports the member's health.
type reach struct {
	mu sync.Mutex
	// pause grows with every time that all Works try, and not with every Work: a member with many would be left alone for half a minute after
	// it was away for a second.
	pause time.Duration
	// next is when they try again.
	next time.Time
}

// observe takes the outcome of a pass and reports whether the member was away, and if so when to try again, and whether that is news.
func (r *reach) observe(ctx context.Context, now time.Time, err error) (pause time.Duration, away, news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !isUnreachable(err) {
		if r.pause > 0 && err == nil {
			klog.FromContext(ctx).Info("Member answers again")
			r.pause = 0
		}
		return 0, false, false
	}
	switch {
	case r.pause == 0:
		klog.FromContext(ctx).Error(err, "Member does not answer; trying again until it does")
		r.pause, news = firstPause, true
	case now.Before(r.next):
		return r.next.Sub(now), true, false
	default:
		r.pause = min(2*r.pause, lastPause)
	}
	r.next = now.Add(r.pause)
	return r.pause, true, news
}

// isUnreachable tells an answer of an API server, whatever it says, from no answer. Only errors of the member are marked.
func isUnreachable(err error) bool {
	var marked *memberError
	return errors.As(err, &marked)
}

// memberError is a failure to reach the member.
type memberError struct{ err error }

func (e *memberError) Error() string { return e.err.Error() }
func (e *memberError) Unwrap() error { return e.err }

// ofMember marks an error of a request to the member where no answer came.
func ofMember(err error) error {
	var status apierrors.APIStatus
	var transport *url.Error
	if err == nil || errors.As(err, &status) || !errors.As(err, &transport) {
		return err
	}
	return &memberError{err}
}
