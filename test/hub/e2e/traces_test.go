// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/test/hub"
)

// collector takes spans as a collector of OpenTelemetry does, and keeps those of runs.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer

	address string
	came    chan struct{}

	mu    sync.Mutex
	spans []*tracev1.Span
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, server := &collector{address: listener.Addr().String(), came: make(chan struct{}, 1)}, grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return c
}

// Export takes spans. Those of the requests to the server are of another service.
func (c *collector) Export(_ context.Context, request *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		ofRuns := false
		for _, a := range resource.GetResource().GetAttributes() {
			ofRuns = ofRuns || a.GetKey() == "service.name" && a.GetValue().GetStringValue() == "stagegate"
		}
		for _, scope := range resource.GetScopeSpans() {
			if ofRuns {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}
	select {
	case c.came <- struct{}{}:
	default:
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

// until waits for a span of a trace, and returns all of the trace that are there then.
func (c *collector) until(t *testing.T, trace, name string) []*tracev1.Span {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		c.mu.Lock()
		found := slices.DeleteFunc(slices.Clone(c.spans), func(s *tracev1.Span) bool { return hex.EncodeToString(s.GetTraceId()) != trace })
		c.mu.Unlock()
		if slices.ContainsFunc(found, func(s *tracev1.Span) bool { return s.GetName() == name }) {
			return found
		}
		select {
		case <-c.came:
		case <-deadline.C:
			t.Fatalf("after %s there is no span %q in trace %s: %v", patience, name, trace, found)
		}
	}
}

// tree is a line for each span, with the names of those above it, in order.
func tree(t *testing.T, spans []*tracev1.Span) []string {
	t.Helper()
	byID := map[string]*tracev1.Span{}
	for _, s := range spans {
		if byID[string(s.GetSpanId())] != nil {
			t.Errorf("the span %s is there twice", s.GetName())
		}
		byID[string(s.GetSpanId())] = s
	}
	var lines []string
	for _, s := range spans {
		line := s.GetName()
		for parent := s.GetParentSpanId(); len(parent) > 0; parent = byID[string(parent)].GetParentSpanId() {
			if byID[string(parent)] == nil {
				t.Errorf("the parent of %s is missing", s.GetName())
				break
			}
			line = byID[string(parent)].GetName() + " / " + line
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// testTraces has a server that traces all runs, and logs as JSON, carry one out, and kills it in between. Each of the three starts of the server takes
// about ten seconds.
func testTraces(t *testing.T, s *suite) {
	c := startCollector(t)
	file := filepath.Join(t.TempDir(), "tracing.yaml")
	config := "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\nendpoint: " + c.address + "\nsamplingRatePerMillion: 1000000\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := s.options.ServerFlags
	t.Cleanup(func() {
		s.options.ServerFlags = flags
		s.up(t)
	})
	r := s.newRollout(t, "traced", watchedStages)
	logged := s.logSize(t)
	s.options.ServerFlags = slices.Concat(flags, []string{"--tracing-config-file=" + file, "--logging-format=json"})
	s.up(t)

	r.start(t, "traced", 0, "Run")
	r.awaitRun(t, "traced", func(run runStatus) error { return hasRequest(run, 0) })
	trace := strings.TrimSpace(s.mustRun(t, s.documented(t, "docs/monitoring.md", "kubectl get csur NAME", "NAME", "traced")))
	c.until(t, trace, "wait after staging")
	s.kill(t, serverProcess)
	s.up(t)
	s.eventually(t, func() error {
		_, err := s.run(t.Context(), hub.HubName, `kubectl create --raw=/apis/placement.kubernetes-fleet.io/v1beta1/clusterapprovalrequests/traced-after-staging/approve -f - <<< '{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"Approval","spec":{"comment":"traced"}}'`)
		return err
	})
	r.succeeds(t, "traced", "value1")
	want := []string{
		"RUN traced",
		"RUN traced / stage canary",
		"RUN traced / stage canary / cluster member1",
		"RUN traced / stage canary / cluster member3",
		"RUN traced / stage staging",
		"RUN traced / stage staging / approval after staging",
		"RUN traced / stage staging / cluster member2",
		"RUN traced / stage staging / wait after staging",
	}
	if diff := cmp.Diff(want, tree(t, c.until(t, trace, "RUN traced"))); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	s.checkJSONLog(t, logged, "traced")
}

// hasRequest returns an error unless a run has asked for the approval after a stage.
func hasRequest(run runStatus, stage int) error {
	if len(run.StagesStatus) > stage {
		for _, task := range run.StagesStatus[stage].AfterStageTaskStatus {
			if isTrue(task.Conditions, "ApprovalRequestCreated") && !isTrue(task.Conditions, "ApprovalRequestApproved") {
				return nil
			}
		}
	}
	return fmt.Errorf("no approval is asked for after stage %d", stage)
}

func (s *suite) logSize(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(s.environment.Log(serverProcess))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// checkJSONLog holds that the server's log from an offset on is JSON, and that those of the controller of a run name it.
func (s *suite) checkJSONLog(t *testing.T, from int64, run string) {
	t.Helper()
	log, err := os.Open(s.environment.Log(serverProcess))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Seek(from, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	started, named := false, false
	reader := bufio.NewReader(log)
	for {
		text, err := reader.ReadString('\n')
		if err != nil {
			break
		}
		var line struct {
			Msg, Controller string
			Key             struct{ Name string }
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			// What the server of before logged as it was ended is text, and so is what Go's HTTP server says of connections that break.
			if started && !strings.HasPrefix(text, "http: ") && !strings.HasPrefix(text, "http2: ") {
				t.Fatalf("a line of the log is no JSON (%v): %s", err, text)
			}
			continue
		}
		started = true
		named = named || line.Controller == "updaterun" && line.Key.Name == run
	}
	if !started || !named {
		t.Errorf("the log has JSON: %v, and lines that name the run: %v", started, named)
	}
}

// testOperatorPaths asks the server itself for what tells of its inside: not without a right by the hub's RBAC.
func testOperatorPaths(t *testing.T, s *suite) {
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete clusterrolebinding operator-paths --ignore-not-found")
	})
	admin, err := s.environment.RESTConfig(hub.HubName)
	if err != nil {
		t.Fatal(err)
	}
	client := func(config *rest.Config) func(path string) int {
		config.Host, config.ServerName = s.environment.ServerURL(), "localhost"
		kube, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		return func(path string) int {
			var code int
			kube.Discovery().RESTClient().Get().AbsPath(path).Do(t.Context()).StatusCode(&code)
			return code
		}
	}
	if _, err := s.environment.User("watcher"); err != nil {
		t.Fatal(err)
	}
	watcherConfig, err := s.environment.RESTConfig("watcher")
	if err != nil {
		t.Fatal(err)
	}
	watcher, anonymous := client(watcherConfig), client(rest.AnonymousClientConfig(admin))
	for who, get := range map[string]func(string) int{"somebody anonymous": anonymous, "a user without rights": watcher} {
		for _, path := range []string{"/metrics", "/healthz/controllers", "/debug/pprof/", "/debug/pprof/heap"} {
			if code := get(path); code != http.StatusForbidden {
				t.Errorf("%s gets %d from %s, want %d", who, code, path, http.StatusForbidden)
			}
		}
		for _, path := range []string{"/livez", "/readyz", "/healthz"} {
			if code := get(path); code != http.StatusOK {
				t.Errorf("%s gets %d from %s", who, code, path)
			}
		}
	}
	s.mustRun(t, "kubectl create clusterrolebinding operator-paths --clusterrole=system:monitoring --user=watcher")
	// As for awaitPermission, there is no event for it.
	err = wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(ctx context.Context) (bool, error) {
		_, err := s.run(ctx, "watcher", "kubectl auth can-i get /metrics/slis")
		return err == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The server keeps a refusal for ten seconds, but not for a path that nobody has asked it for.
	if code := watcher("/metrics/slis"); code != http.StatusOK {
		t.Errorf("one who may monitor gets %d from /metrics/slis", code)
	}
	if code := watcher("/debug/pprof/goroutine"); code != http.StatusForbidden {
		t.Errorf("one who may monitor gets %d from /debug/pprof/goroutine", code)
	}
	if code := client(admin)("/debug/pprof/goroutine"); code != http.StatusOK {
		t.Errorf("an administrator gets %d from /debug/pprof/goroutine", code)
	}
}
