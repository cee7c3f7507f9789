// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/act"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
)

const (
	// patienceWithHub is how long the hub may take to answer for the first time. Pages are shown then without what it has not answered.
	patienceWithHub = 10 * time.Second
	// patienceWithBrowser is how long a browser may take to send a request.
	patienceWithBrowser = 10 * time.Second
	// tries is how often a free port is looked for that is free on both loopback addresses.
	tries = 10
)

// Options are what a dashboard is made of.
type Options struct {
	Stagegate  versioned.Interface
	Kubernetes kubernetes.Interface
	Clock      clock.WithTicker
	// Namespace is the one whose namespaced objects are shown, empty for all. Cluster-scoped objects are shown where the user may list them.
	Namespace string
	// Hub names the hub to the user: the context of the kubeconfig.
	Hub string
	// Port is the port to listen on, 0 for a free one.
	Port int
	// Idle is how long nobody may look before the dashboard ends. 0 is for ever.
	Idle time.Duration
	// ReadOnly leaves out everything that changes something.
	ReadOnly bool
	// Ready is called with the address to open, the key in it, once the dashboard is there.
	Ready func(address string)
}

// ErrIdle is returned by Run where nobody has looked for as long as Options.Idle.
var ErrIdle = errors.New("nobody has looked at the dashboard")

// Run serves the dashboard until the context is over, or nobody has looked for as long as Options.Idle.
func Run(ctx context.Context, o Options) error {
	listeners, port, err := listen(ctx, o.Port)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s, err := newServer(ctx, o, port)
	if err != nil {
		for _, l := range listeners {
			_ = l.Close()
		}
		return err
	}
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: patienceWithBrowser, ReadTimeout: patienceWithBrowser, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		// A browser that goes away is no news.
		ErrorLog: log.New(silence{}, "", 0),
	}
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- server.Serve(l) }()
	}
	defer server.Close()
	o.Ready(s.guard.address())
	go s.watchIdle(ctx, cancel)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), ErrIdle) {
			return fmt.Errorf("%w for %s: start it again", ErrIdle, o.Idle)
		}
		return nil
	}
}

type silence struct{}

func (silence) Write(p []byte) (int, error) { return len(p), nil }

// loopback are the addresses to listen on.
var loopback = []struct{ network, host string }{{"tcp4", "127.0.0.1"}, {"tcp6", "::1"}}

// listen listens on a port of both loopback addresses, or of the one that the machine has. There is no way to have it listen elsewhere.
func listen(ctx context.Context, port int) ([]net.Listener, int, error) {
	var config net.ListenConfig
	var has []struct{ network, host string }
	var errs []error
	for _, l := range loopback {
		probe, err := config.Listen(ctx, l.network, net.JoinHostPort(l.host, "0"))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		_ = probe.Close()
		has = append(has, l)
	}
	if len(has) == 0 {
		return nil, 0, fmt.Errorf("listening on loopback: %w", errors.Join(errs...))
	}
	for range tries {
		chosen := port
		var found []net.Listener
		for _, l := range has {
			listener, err := config.Listen(ctx, l.network, net.JoinHostPort(l.host, strconv.Itoa(chosen)))
			if err != nil {
				errs = append(errs, err)
				break
			}
			chosen = listener.Addr().(*net.TCPAddr).Port
			found = append(found, listener)
		}
		if len(found) == len(has) {
			return found, chosen, nil
		}
		// Whoever else has the port on one of the addresses would be taken for the dashboard.
		for _, l := range found {
			_ = l.Close()
		}
		if port != 0 {
			return nil, 0, fmt.Errorf("port %d cannot be listened on: give another with --port, or leave it out for a free one: %w", port, errs[len(errs)-1])
		}
	}
	return nil, 0, errors.New("no port is free on both 127.0.0.1 and [::1]: give one with --port")
}

// server is the dashboard.
type server struct {
	Options
	guard  *guard
	data   *data
	access *act.Access
	// me is who the hub takes the user for, empty where it does not say.
	me v1beta1.DecisionUser
	// looked is when somebody has looked last, in seconds, and looking how many pages are open.
	looked  atomic.Int64
	looking atomic.Int64
}

func newServer(ctx context.Context, o Options, port int) (*server, error) {
	guard, err := newGuard(port)
	if err != nil {
		return nil, err
	}
	s := &server{Options: o, guard: guard, access: act.NewAccess(o.Kubernetes, o.Clock)}
	s.looked.Store(o.Clock.Now().Unix())
	asking, cancel := context.WithTimeout(ctx, patienceWithHub)
	defer cancel()
	if s.me, err = act.WhoAmI(asking, o.Kubernetes); err != nil {
		return nil, err
	}
	s.data = watchHub(ctx, o.Stagegate, o.Namespace, o.Clock.Now)
	s.data.await(asking)
	return s, nil
}

// watchIdle ends the dashboard once nobody has looked for long enough.
func (s *server) watchIdle(ctx context.Context, end context.CancelCauseFunc) {
	if s.Idle <= 0 {
		return
	}
	ticker := s.Clock.NewTicker(min(s.Idle, time.Minute))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		if s.looking.Load() == 0 && s.Clock.Since(time.Unix(s.looked.Load(), 0)) >= s.Idle {
			end(ErrIdle)
			return
		}
	}
}

// route is a fixed route of the dashboard.
type route struct {
	method, pattern string
	handle          http.HandlerFunc
}

// routes are all that there are, beside the exchange of the key. Runs and the like are cluster-scoped, or in a namespace.
func (s *server) routes() []route {
	routes := []route{
		{http.MethodGet, "/{$}", s.page(s.runsPage)},
		{http.MethodGet, "/approvals", s.page(s.approvalsPage)},
		{http.MethodGet, "/members", s.page(s.membersPage)},
		{http.MethodGet, "/placements", s.page(s.placementsPage)},
		{http.MethodGet, "/assets/{file}", s.asset},
	}
	for _, scope := range []string{"", "/namespaces/{namespace}"} {
		routes = append(routes,
			route{http.MethodGet, scope + "/runs/{name}", s.page(s.runPage)},
			route{http.MethodGet, scope + "/runs/{name}/clusters", s.page(s.clustersPage)},
			route{http.MethodGet, scope + "/placements/{name}", s.page(s.placementPage)},
		)
		if s.ReadOnly {
			continue
		}
		for _, verb := range runVerbs {
			routes = append(routes,
				route{http.MethodGet, scope + "/runs/{name}/" + verb, s.askOperation(verb)},
				route{http.MethodPost, scope + "/runs/{name}/" + verb, s.doOperation(verb)},
			)
		}
		for _, decision := range []act.Decision{act.Approve, act.Reject} {
			routes = append(routes,
				route{http.MethodGet, scope + "/approvals/{name}/" + decision.Subresource, s.askDecision(decision)},
				route{http.MethodPost, scope + "/approvals/{name}/" + decision.Subresource, s.doDecision(decision)},
			)
		}
	}
	return routes
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.method+" "+r.pattern, r.handle)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, "There is no such page.", "The pages are runs, approvals, members and placements.")
	})
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.looked.Store(s.Clock.Now().Unix())
		mux.ServeHTTP(w, r)
	})
	return s.guard.protect(counted)
}
