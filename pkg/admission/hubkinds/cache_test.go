// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hubkinds

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
)

var secrets = Kinds{Served: []Kind{{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, Resource: "secrets", Namespaced: true}}}

func TestKindsAreReadForAllRequestsAndNotForTheFirst(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	reads := 0
	cache := New(func(ctx context.Context) (Kinds, error) {
		reads++
		close(asked)
		<-answer
		return secrets, ctx.Err()
	}, clocktesting.NewFakePassiveClock(time.Unix(1e9, 0)))
	first, hangUp := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := cache.Of(first, schema.GroupKind{Kind: "Secret"})
		failed <- err
	}()
	<-asked
	hangUp()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("who hangs up is answered with %v", err)
	}
	waiting, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := cache.Of(waiting, schema.GroupKind{Kind: "Secret"}); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait for a slow hub is answered with %v", err)
	}
	close(answer)
	if found, err := cache.Of(t.Context(), schema.GroupKind{Kind: "Secret"}); err != nil || len(found) != 1 || reads != 1 {
		t.Errorf("found %v, %v after %d reads", found, err, reads)
	}
}

func TestAPanicOfTheReaderIsAnError(t *testing.T) {
	cache := New(func(context.Context) (Kinds, error) { panic("nothing there") }, clocktesting.NewFakePassiveClock(time.Unix(1e9, 0)))
	if _, err := cache.Of(t.Context(), schema.GroupKind{Kind: "Secret"}); err == nil || !strings.Contains(err.Error(), "nothing there") {
		t.Errorf("answered with %v", err)
	}
}
