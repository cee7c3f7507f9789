// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/rollout"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// writer is a controller that writes once when it starts and once when it is told to end.
type writer struct {
	apiserver.Manager
	client  versioned.Interface
	started chan struct{}
	first   error
	last    error
}

func (w *writer) write(ctx context.Context, name string) error {
	strategy := sampleStrategy(name)
	_, err := w.client.PlacementV1beta1().ClusterStagedUpdateStrategies().Create(ctx, strategy, metav1.CreateOptions{})
	return err
}

func (w *writer) Run(ctx context.Context) error {
	w.first = w.write(ctx, "first")
	close(w.started)
	<-ctx.Done()
	w.last = w.write(context.WithoutCancel(ctx), "last")
	return nil
}

func TestLoopsHaveTheAPIFromStartToEnd(t *testing.T) {
	dir := t.TempDir()
	queue := &writer{started: make(chan struct{})}
	var gotHub *rest.Config
	var got rollout.Options
	s := testserver.Start(t, testserver.WithDataDir(dir), testserver.WithConfig(func(c *apiserver.Config) {
		c.Generic.ClientConfig = &rest.Config{Host: "https://hub.invalid"}
		c.Extra.Rollout.StoreID = "store"
		c.Extra.NewManager = func(api, hub *rest.Config, options rollout.Options) (apiserver.Manager, error) {
			gotHub, got = hub, options
			var err error
			queue.client, err = versioned.NewForConfig(api)
			return queue, err
		}
	}))
	<-queue.started
	s.Stop()
	if queue.first != nil {
		t.Errorf("write at the start: %v", queue.first)
	}
	if queue.last != nil {
		t.Errorf("write at the end: %v", queue.last)
	}
	if gotHub.Host != "https://hub.invalid" || got.StoreID != "store" || gotHub.QPS <= 5 {
		t.Errorf("the controllers got hub %s with %v requests a second and store %q", gotHub.Host, gotHub.QPS, got.StoreID)
	}

	s = testserver.Start(t, testserver.WithDataDir(dir))
	client, err := versioned.NewForConfig(s.Controllers())
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.PlacementV1beta1().ClusterStagedUpdateStrategies().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 2 {
		t.Errorf("%d of 2 writes are stored", len(list.Items))
	}
}

// ailing is a manager whose health the test sets.
type ailing struct {
	apiserver.Manager
	health atomic.Pointer[error]
}

func (a *ailing) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (a *ailing) Health() error {
	if err := a.health.Load(); err != nil {
		return *err
	}
	return nil
}

// A replica whose controllers do not run serves the API, and takes requests.
func TestTheHealthOfTheControllersIsNotThatOfTheAPI(t *testing.T) {
	manager := &ailing{}
	s := testserver.Start(t, testserver.WithConfig(func(c *apiserver.Config) {
		c.Generic.ClientConfig = &rest.Config{Host: "https://hub.invalid"}
		c.Extra.NewManager = func(_, _ *rest.Config, _ rollout.Options) (apiserver.Manager, error) { return manager, nil }
	}))
	client, err := versioned.NewForConfig(s.Controllers())
	if err != nil {
		t.Fatal(err)
	}
	status := func(path string) int {
		var code int
		client.Discovery().RESTClient().Get().AbsPath(path).Do(t.Context()).StatusCode(&code)
		return code
	}
	if code := status("/healthz/controllers"); code != http.StatusOK {
		t.Errorf("/healthz/controllers of a replica that is well: %d", code)
	}
	err = errors.New("another store rules the hub")
	manager.health.Store(&err)
	for path, want := range map[string]int{
		"/healthz/controllers": http.StatusInternalServerError, "/readyz": http.StatusOK, "/livez": http.StatusOK,
	} {
		if code := status(path); code != want {
			t.Errorf("%s of a replica whose controllers do not run: %d, want %d", path, code, want)
		}
	}
}
