// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package testserver

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2/ktesting"

	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/pkg/apiserver/etcd"
)

const readyTimeout = time.Minute

// Users that the server knows. What they may do, Authorize says.
const (
	// Alice may do everything.
	Alice = "alice"
	// Bob may do everything but approve and reject.
	Bob = "bob"
	// Nobody may read only.
	Nobody = "nobody"
)

var users = []string{Alice, Bob, Nobody}

// Authorize says what the users may do.
func Authorize(a authorizer.Attributes) bool {
	switch a.GetUser().GetName() {
	case Alice:
		return true
	case Bob:
		return a.GetSubresource() != "approve" && a.GetSubresource() != "reject"
	case Nobody:
		return a.IsReadOnly()
	}
	return false
}

// Server is a server that is ready.
type Server struct {
	// Endpoint is where its etcd listens.
	Endpoint string
	// Options are those that it was made with.
	Options *apiserver.Options

	loopback *rest.Config
	stop     func()
}

// Option changes how a server is made.
type Option func(*config)

type config struct {
	dataDir   string
	external  bool
	authorize func(authorizer.Attributes) bool
	hub       kubernetes.Interface
	hubConfig *rest.Config
	fair      bool
	seats     int
	options   []func(*apiserver.Options)
	disabled  []string
	configs   []func(*apiserver.Config)
}

// WithDataDir keeps the state in a directory, so that another server can take it over.
func WithDataDir(dir string) Option { return func(c *config) { c.dataDir = dir } }

// WithExternalEtcd runs an etcd beside the server and not in it.
func WithExternalEtcd() Option { return func(c *config) { c.external = true } }

// WithAuthorizer replaces Authorize.
func WithAuthorizer(authorize func(authorizer.Attributes) bool) Option {
	return func(c *config) { c.authorize = authorize }
}

// WithHub has admission ask this hub, and not one of its own from NewHub.
func WithHub(hub kubernetes.Interface) Option { return func(c *config) { c.hub = hub } }

// WithKindsOf has admission ask this hub for its kinds. Without it there is none to ask, so that only those who may do everything write
// placements, overrides and envelopes.
func WithKindsOf(hub *rest.Config) Option { return func(c *config) { c.hubConfig = hub } }

// WithPriorityAndFairness limits requests as in production: by the priority and fairness of a hub that has what every hub has. Seats is
// how many requests may be served at once in all; 0 means the default.
func WithPriorityAndFairness(seats int) Option {
	return func(c *config) { c.fair, c.seats = true, seats }
}

// WithoutPlugins has admission go without some plugins, as --disable-admission-plugins does.
func WithoutPlugins(names ...string) Option { return func(c *config) { c.disabled = names } }

// WithOptions changes the options of the server before they are applied.
func WithOptions(change func(*apiserver.Options)) Option {
	return func(c *config) { c.options = append(c.options, change) }
}

// WithConfig changes the configuration of the server before it is completed.
func WithConfig(change func(*apiserver.Config)) Option {
	return func(c *config) { c.configs = append(c.configs, change) }
}

// setFeatures is what the program does once its flags are parsed.
var setFeatures = sync.OnceValue(compatibility.DefaultComponentGlobalsRegistry.Set)

// Start runs a server until the test ends.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	if err := setFeatures(); err != nil {
		t.Fatal(err)
	}
	c := config{authorize: Authorize, hub: NewHub()}
	for _, option := range opts {
		option(&c)
	}
	endpoint, closeEtcd := startEtcd(t, c)
	s := &Server{Endpoint: endpoint, Options: newOptions(t, endpoint)}
	for _, change := range c.options {
		change(s.Options)
	}
	config, err := s.Options.Config()
	if err != nil {
		t.Fatal(err)
	}
	config.Generic.Authentication.Authenticator = tokenAuthenticator()
	config.Generic.Authorization.Authorizer = authorize(c.authorize)
	config.Generic.ClientConfig = c.hubConfig
	config.Extra.NewManager = nil
	if err := applyAdmission(s.Options, config.Generic, c.hub, c.disabled); err != nil {
		t.Fatal(err)
	}
	if c.fair {
		beFair(t, config.Generic, c.hub, c.seats)
	}
	for _, change := range c.configs {
		change(config)
	}
	server, err := config.Complete().New()
	if err != nil {
		t.Fatal(err)
	}
	s.loopback = server.Generic.LoopbackClientConfig

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
		closeEtcd()
	}
	t.Cleanup(s.stop)
	s.waitReady(t)
	return s
}

// Stop shuts the server down as a signal would, and its etcd.
func (s *Server) Stop() { s.stop() }

// Controllers is a client's configuration with all rights, such as the controllers have.
func (s *Server) Controllers() *rest.Config { return rest.CopyConfig(s.loopback) }

// As is the configuration of a user's client.
func (s *Server) As(user string) *rest.Config {
	config := rest.AnonymousClientConfig(s.loopback)
	config.BearerToken = token(user)
	config.QPS = -1
	return config
}

func (s *Server) waitReady(t testing.TB) {
	t.Helper()
	client, err := kubernetes.NewForConfig(s.Controllers())
	if err != nil {
		t.Fatal(err)
	}
	var last []byte
	err = wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		body, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Param("verbose", "true").DoRaw(ctx)
		last = body
		return err == nil, nil
	})
	if err != nil {
		t.Fatalf("the server is not ready: %v\n%s", err, last)
	}
}

func startEtcd(t testing.TB, c config) (endpoint string, stop func()) {
	t.Helper()
	if c.external {
		return testserver.RunEtcd(t, nil).Endpoints()[0], func() {}
	}
	if c.dataDir == "" {
		c.dataDir = t.TempDir()
	}
	_, ctx := ktesting.NewTestContext(t)
	member, err := etcd.Start(ctx, etcd.Options{DataDir: c.dataDir})
	if err != nil {
		t.Fatal(err)
	}
	return member.Endpoint(), member.Close
}

// newOptions are the production's without all that takes a hub.
func newOptions(t testing.TB, endpoint string) *apiserver.Options {
	t.Helper()
	o := apiserver.NewOptions()
	r := o.Recommended
	r.Etcd.StorageConfig.Transport.ServerList = []string{endpoint}
	r.CoreAPI, r.Admission, r.Authentication, r.Authorization = nil, nil, nil, nil
	r.Features.EnablePriorityAndFairness = false
	// Admission comes later, with a hub that is made up.
	r.ExtraAdmissionInitializers = func(*genericapiserver.RecommendedConfig) ([]admission.PluginInitializer, error) { return nil, nil }

	loopback := net.IPv4(127, 0, 0, 1)
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	r.SecureServing.Listener = listener
	r.SecureServing.BindAddress = loopback
	if err := r.SecureServing.MaybeDefaultWithSelfSignedCerts("localhost", nil, []net.IP{loopback}); err != nil {
		t.Fatal(err)
	}
	return o
}

func token(user string) string { return user + "-token" }

func tokenAuthenticator() authenticator.Request {
	tokens := map[string]*user.DefaultInfo{}
	for _, name := range users {
		tokens[token(name)] = &user.DefaultInfo{Name: name, UID: name + "-uid", Groups: []string{"people"}}
	}
	return authenticatorfactory.NewFromTokens(tokens, nil)
}

// authorize allows the controllers everything, and others what the function says.
func authorize(allowed func(authorizer.Attributes) bool) authorizer.Authorizer {
	return authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if slices.Contains(a.GetUser().GetGroups(), user.SystemPrivilegedGroup) || allowed(a) {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionDeny, a.GetUser().GetName() + " may not", nil
	})
}
