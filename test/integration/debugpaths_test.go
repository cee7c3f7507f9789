// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/pflag"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/pkg/rollout"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// reviews is a hub that answers who may do what by the rules of its users, as RBAC does for paths.
type reviews struct {
	rules atomic.Pointer[map[string][]rbacv1.PolicyRule]
}

func (r *reviews) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var review authorizationv1.SubjectAccessReview
	if err := json.NewDecoder(request.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if asked := review.Spec.NonResourceAttributes; asked != nil {
		for _, rule := range (*r.rules.Load())[review.Spec.User] {
			review.Status.Allowed = review.Status.Allowed || slices.Contains(rule.Verbs, asked.Verb) &&
				slices.ContainsFunc(rule.NonResourceURLs, func(url string) bool {
					prefix, isPrefix := strings.CutSuffix(url, "*")
					return url == asked.Path || isPrefix && strings.HasPrefix(asked.Path, prefix)
				})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// asDelegated has a server ask a hub who may do what, as the program does by its default flags, and let in who has no token as anonymous.
func asDelegated(t *testing.T, hub http.Handler) testserver.Option {
	t.Helper()
	server := httptest.NewServer(hub)
	t.Cleanup(server.Close)
	kubeconfig := filepath.Join(t.TempDir(), "hub.kubeconfig")
	if err := testserver.WriteKubeconfig(&rest.Config{Host: server.URL}, kubeconfig); err != nil {
		t.Fatal(err)
	}
	return testserver.WithConfig(func(c *apiserver.Config) {
		c.Generic.Authentication.Authenticator = union.New(c.Generic.Authentication.Authenticator, anonymous.NewAuthenticator(nil))
		delegated := apiserver.NewOptions().Recommended.Authorization
		delegated.RemoteKubeConfigFile = kubeconfig
		// A rule that is added is to be seen at once.
		delegated.AllowCacheTTL, delegated.DenyCacheTTL = 0, 0
		if err := delegated.ApplyTo(&c.Generic.Authorization); err != nil {
			t.Fatal(err)
		}
		c.Generic.ClientConfig = &rest.Config{Host: "https://hub.invalid"}
		// It is well, and waits for the lease as one that stands by does.
		c.Extra.NewManager = func(_, _ *rest.Config, _ rollout.Options) (apiserver.Manager, error) { return &ailing{}, nil }
	})
}

// answers are the status codes of a GET of each path, by path.
func answers(t *testing.T, config *rest.Config, paths ...string) map[string]int {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]int{}
	for _, path := range paths {
		var code int
		client.Discovery().RESTClient().Get().AbsPath(path).Do(t.Context()).StatusCode(&code)
		codes[path] = code
	}
	return codes
}

// What tells of the inside of the server, or has it work, takes a right. What a probe asks takes none, as in kube-apiserver.
func TestPathsForOperatorsTakeARight(t *testing.T) {
	hub := &reviews{}
	hub.rules.Store(&map[string][]rbacv1.PolicyRule{})
	s := testserver.Start(t, asDelegated(t, hub))
	unprobed := []string{
		"/metrics", "/metrics/slis", "/healthz/controllers", "/readyz/ping", "/livez/ping", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile",
		"/debug/flags/v", "/configz", "/version", "/",
	}
	stranger := s.As(testserver.Nobody)
	stranger.BearerToken = ""
	expect := func(who string, config *rest.Config, want int, paths ...string) {
		t.Helper()
		for path, code := range answers(t, config, paths...) {
			if code != want {
				t.Errorf("%s gets %d from %s, want %d", who, code, path, want)
			}
		}
	}
	for who, config := range map[string]*rest.Config{"somebody anonymous": stranger, "a user without rights": s.As(testserver.Nobody)} {
		expect(who, config, http.StatusForbidden, unprobed...)
		expect(who, config, http.StatusOK, "/livez", "/readyz", "/healthz")
	}

	monitoring := rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics", "/healthz/*"}}
	hub.rules.Store(&map[string][]rbacv1.PolicyRule{testserver.Nobody: {monitoring}})
	expect("one who may monitor", s.As(testserver.Nobody), http.StatusOK, "/metrics", "/healthz/controllers")
	expect("one who may monitor", s.As(testserver.Nobody), http.StatusForbidden, "/debug/pprof/", "/debug/pprof/heap", "/metrics/slis")
	expect("somebody anonymous", stranger, http.StatusForbidden, "/metrics", "/healthz/controllers")

	profiling := rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/debug/pprof/*"}}
	hub.rules.Store(&map[string][]rbacv1.PolicyRule{testserver.Nobody: {profiling}})
	expect("one who may profile", s.As(testserver.Nobody), http.StatusOK, "/debug/pprof/", "/debug/pprof/heap")
	expect("one who may profile", s.As(testserver.Nobody), http.StatusForbidden, "/metrics", "/healthz/controllers")
}

func TestProfilingCanBeSwitchedOff(t *testing.T) {
	s := testserver.Start(t, testserver.WithOptions(func(o *apiserver.Options) {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.Recommended.Features.AddFlags(flags)
		if err := flags.Parse([]string{"--profiling=false"}); err != nil {
			t.Fatal(err)
		}
	}))
	for path, code := range answers(t, s.As(testserver.Alice), "/debug/pprof/", "/debug/pprof/heap", "/debug/flags/v") {
		if code != http.StatusNotFound {
			t.Errorf("%s answers %d, want %d", path, code, http.StatusNotFound)
		}
	}
	if code := answers(t, s.As(testserver.Alice), "/metrics")["/metrics"]; code != http.StatusOK {
		t.Errorf("/metrics answers %d without profiling", code)
	}
}
