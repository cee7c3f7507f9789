// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/view"
	"github.com/stagegate/stagegate/pkg/view/terminal"
)

const (
	// betweenPaints is how often a picture is repainted at most.
	betweenPaints = 100 * time.Millisecond
	// betweenAges is how often it is repainted when nothing has changed, for the ages in it.
	betweenAges = time.Second
)

var errTimeout = errors.New("the time of --timeout is over")

// follow shows a run until it is over, or has come as far as is waited for.
func (s *statusOptions) follow(ctx context.Context, key types.NamespacedName, reached until) error {
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.timeout, errTimeout)
		defer cancel()
	}
	w, err := s.watchRun(ctx, key)
	if err != nil {
		return s.ended(ctx, key, err)
	}
	screen := s.screen()
	defer screen.close()
	// Changes are shown at once, but no faster than a terminal takes them.
	ages := s.clock.NewTicker(betweenAges)
	defer ages.Stop()
	for {
		v, err := w.view(s.now())
		if err != nil {
			return err
		}
		if err := screen.show(v); err != nil {
			return err
		}
		if done, code := reached(v, s.allowFailures); done {
			return s.finish(screen, v, code)
		}
		pause := s.clock.NewTimer(betweenPaints)
		select {
		case <-pause.C():
		case <-ctx.Done():
			pause.Stop()
			return s.ended(ctx, key, nil)
		}
		select {
		case <-w.changed:
		case <-screen.ticks(ages.C()):
		case <-ctx.Done():
			return s.ended(ctx, key, nil)
		}
	}
}

// finish prints what is left to print, and ends with a code.
func (s *statusOptions) finish(screen screen, v *view.Run, code int) error {
	screen.close()
	if s.output != "" {
		if err := s.printObject(s.output, v); err != nil {
			return err
		}
	} else if !s.watch {
		s.print(s.picture(v)...)
	}
	if code == exitOK {
		return nil
	}
	return exit{code: code}
}

// ended returns how the command ends before the run: its time is over, or the user has interrupted it.
func (s *statusOptions) ended(ctx context.Context, key types.NamespacedName, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return exit{exitTimeout, fmt.Sprintf("%s has not come that far within --timeout=%s: kubectl stagegate why %s", runs.Name(key), s.timeout, runs.Name(key))}
	case ctx.Err() != nil:
		return exit{code: exitError}
	}
	return err
}

// watched is a run with its approval requests as the API last told of them.
type watched struct {
	key      types.NamespacedName
	run      cache.Store
	requests cache.Store
	// changed gets a value when something has changed since the last one was taken.
	changed chan struct{}
}

// watchRun begins to watch a run. It fails for one that is not there or that the user may not read.
func (o *options) watchRun(ctx context.Context, key types.NamespacedName) (*watched, error) {
	if _, err := o.runClient(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{}); err != nil {
		return nil, err
	}
	w := &watched{key: key, changed: make(chan struct{}, 1)}
	run, hasRun := o.inform(ctx, w, runs.Resource(key.Namespace), key.Namespace, emptyRun(key.Namespace), func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, key.Name).String()
	})
	w.run = run
	synced := []cache.InformerSynced{hasRun}
	switch _, err := o.requestsOf(ctx, key); {
	case err == nil:
		var hasRequests cache.InformerSynced
		w.requests, hasRequests = o.inform(ctx, w, requests.Resource(key.Namespace), key.Namespace, emptyRequest(key.Namespace), func(options *metav1.ListOptions) {
			options.LabelSelector = ofRun(key.Name)
		})
		synced = append(synced, hasRequests)
	case !apierrors.IsForbidden(err):
		return nil, err
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil, context.Cause(ctx)
	}
	return w, nil
}

func (o *options) inform(ctx context.Context, w *watched, resource, namespace string, kind runtime.Object, only func(*metav1.ListOptions)) (cache.Store, cache.InformerSynced) {
	client := o.stagegate.PlacementV1beta1().RESTClient()
	store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewFilteredListWatchFromClient(client, resource, namespace, only),
		ObjectType:    kind,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { w.hasChanged() },
			UpdateFunc: func(any, any) { w.hasChanged() },
			DeleteFunc: func(any) { w.hasChanged() },
		},
	})
	go controller.RunWithContext(ctx)
	return store, controller.HasSynced
}

func emptyRun(namespace string) runtime.Object {
	if namespace == "" {
		return &v1beta1.ClusterStagedUpdateRun{}
	}
	return &v1beta1.StagedUpdateRun{}
}

func emptyRequest(namespace string) runtime.Object {
	if namespace == "" {
		return &v1beta1.ClusterApprovalRequest{}
	}
	return &v1beta1.ApprovalRequest{}
}

func (w *watched) hasChanged() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *watched) view(now time.Time) (*view.Run, error) {
	found := w.run.List()
	if len(found) == 0 {
		return nil, fmt.Errorf("%s was deleted", runs.Name(w.key))
	}
	var asked []v1beta1.ApprovalRequestObject
	if w.requests != nil {
		for _, request := range w.requests.List() {
			asked = append(asked, request.(v1beta1.ApprovalRequestObject))
		}
	}
	return view.Build(found[0].(v1beta1.UpdateRunObject), asked, now), nil
}

// screen shows a run again and again.
type screen interface {
	show(v *view.Run) error
	// ticks returns the ticks at which the ages in a picture are old.
	ticks(ages <-chan time.Time) <-chan time.Time
	close()
}

func (s *statusOptions) screen() screen {
	switch {
	case !s.watch || s.output != "":
		return silent{}
	case s.terminal.isOut() && !s.ascii:
		return &repainted{s: s, painter: terminal.NewPainter(s.Out)}
	}
	return &logged{s: s}
}

// silent shows nothing until the end.
type silent struct{}

func (silent) show(*view.Run) error                    { return nil }
func (silent) ticks(<-chan time.Time) <-chan time.Time { return nil }
func (silent) close()                                  {}

// repainted is a picture on a terminal.
type repainted struct {
	s       *statusOptions
	painter *terminal.Painter
}

func (r *repainted) show(v *view.Run) error {
	width, height := r.s.terminal.size()
	return r.painter.Paint(r.s.picture(v), width, height)
}

func (r *repainted) ticks(ages <-chan time.Time) <-chan time.Time { return ages }

func (r *repainted) close() {
	// Nothing helps where the terminal is gone.
	_ = r.painter.Close()
}

// logged is one line for each entry of the history.
type logged struct {
	s    *statusOptions
	last int64
}

func (l *logged) show(v *view.Run) error {
	for _, e := range v.History {
		if e.Number > l.last {
			if _, err := fmt.Fprintln(l.s.Out, terminal.Entry(e)); err != nil {
				return err
			}
			l.last = e.Number
		}
	}
	return nil
}

func (*logged) ticks(<-chan time.Time) <-chan time.Time { return nil }
func (*logged) close()                                  {}
