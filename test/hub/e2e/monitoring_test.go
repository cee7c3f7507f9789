// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/promql/parser"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/test/hub"
)

// watchedStages have a run wait for a timer and for an approval.
const watchedStages = `
  - name: staging
    labelSelector: {matchLabels: {environment: staging}}
    afterStageTasks: [{type: TimedWait, waitTime: 1s}, {type: Approval}]
  - name: canary
    labelSelector: {matchLabels: {environment: canary}}
    maxConcurrency: 1
`

// testMonitoring has a real Prometheus watch a rollout, with the rules that users are given.
func testMonitoring(t *testing.T, s *suite) {
	if os.Getenv("E2E_WITHOUT_PROMETHEUS") != "" {
		t.Skip("E2E_WITHOUT_PROMETHEUS is set")
	}
	monitoring := filepath.Join(s.options.Root, "artifacts", "monitoring")
	prom := s.startPrometheus(t, filepath.Join(monitoring, "rules.yaml"))
	// Nobody answers there, and the server does not ask.
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete notificationsinks watched --ignore-not-found") })
	s.mustRun(t, `kubectl create -f - <<< '{"apiVersion":"rollout.stagegate.dev/v1alpha1","kind":"NotificationSink","metadata":{"name":"watched"},"spec":{"url":"https://127.0.0.1/"}}'`)
	r := s.newRollout(t, "watched", watchedStages)
	r.start(t, "watched", 0, "Run")
	prom.until(t, `stagegate_update_run_info{namespace="",name="watched",placement="watched",strategy="watched",stage="staging",phase="WaitingForApproval"} == 1`)
	prom.until(t, `stagegate_update_run_clusters{name="watched",state="Succeeded"} == 1`)
	prom.until(t, `time() - stagegate_approval_requests_oldest_pending_timestamp_seconds{namespace=""} < 300`)
	prom.until(t, `leader_election_master_status{name="stagegate-apiserver"} == 1`)
	prom.until(t, `count(stagegate_controller_running == 0) or vector(0) == 0`)
	s.mustRun(t, `kubectl create --raw=/apis/placement.kubernetes-fleet.io/v1beta1/clusterapprovalrequests/watched-after-staging/approve -f - <<< '{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"Approval","spec":{"comment":"watched"}}'`)
	r.succeeds(t, "watched", "value1")
	prom.until(t, `stagegate_update_runs_finished_total{scope="Cluster",result="Succeeded"} >= 1`)
	prom.until(t, `fleet_workload_update_run_status_last_timestamp_seconds{name="watched",condition="Succeeded",status="True",reason="UpdateRunSucceeded"} > 0`)
	prom.until(t, `absent(stagegate_update_run_info{name="watched"})`)
	prom.until(t, `stagegate_notifications_pending{sink="watched"} > 0`)

	t.Run("Rules", func(t *testing.T) {
		promtool(t, monitoring, "check", "rules", "rules.yaml")
		promtool(t, monitoring, "test", "rules", "rules-test.yaml")
		checkEachAlertIsTested(t, monitoring)
	})
	t.Run("WhatIsAskedForIsServed", func(t *testing.T) {
		exprs := ruleExprs(t, filepath.Join(monitoring, "rules.yaml"))
		for _, dashboard := range []string{"fleet.json", "run.json"} {
			exprs = append(exprs, panelExprs(t, filepath.Join(monitoring, dashboard))...)
		}
		if len(exprs) < 30 {
			t.Errorf("only %d expressions are found", len(exprs))
		}
		for _, expr := range exprs {
			prom.checkSelectors(t, expr)
		}
	})
	t.Run("TheDocumentListsWhatIsServed", func(t *testing.T) { checkMetricsTable(t, s, prom) })
	t.Run("NothingIsWrong", func(t *testing.T) {
		// Evaluated at least once.
		prom.until(t, `absent(ALERTS{alertname=~"StagegateNoLeader|StagegateTwoLeaders|StagegateAPIServiceUnavailable|StagegateControllerDown|StagegateCertificateExpires"})`)
		var found struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		prom.get(t, "/api/v1/rules", nil, &found)
		for _, rule := range found.Groups[0].Rules {
			if rule.Health != "ok" {
				t.Errorf("rule %s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
		}
	})
	t.Run("HealthOfTheControllers", func(t *testing.T) {
		if out := prom.server(t, "/healthz/controllers"); out != "ok" {
			t.Errorf("/healthz/controllers: %s", out)
		}
		if out := prom.server(t, "/readyz?verbose"); strings.Contains(out, "controllers") {
			t.Errorf("/readyz is about the controllers, too:\n%s", out)
		}
	})
}

// prometheus is a Prometheus that scrapes the server and the hub each second.
type prometheus struct {
	url string
	// server asks the server for a path, with the rights of Prometheus.
	server func(t *testing.T, path string) string
}

// startPrometheus runs one until the test ends. It has the rights that the document gives to it.
func (s *suite) startPrometheus(t *testing.T, rules string) prometheus {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("%v: install it, with apt-get install --no-install-recommends prometheus for example, which .ci/run does", err)
	}
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete clusterrolebinding monitoring --ignore-not-found; kubectl delete ns monitoring --ignore-not-found --wait=false")
	})
	token := strings.TrimSpace(s.mustRun(t, `exec 3>&1 >/dev/null
kubectl create ns monitoring
kubectl -n monitoring create sa prometheus
kubectl create clusterrolebinding monitoring --clusterrole=system:monitoring --serviceaccount=monitoring:prometheus
kubectl -n monitoring create token prometheus >&3`))
	admin, err := s.environment.RESTConfig(hub.HubName)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// The rights and the certificates of the test's servers are not what is tested.
	job := func(name, server string) map[string]any {
		target, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{
			"job_name": name, "scheme": "https", "honor_labels": true, "tls_config": map[string]any{"insecure_skip_verify": true},
			"authorization": map[string]any{"credentials": token}, "static_configs": []any{map[string]any{"targets": []any{target.Host}}},
		}
	}
	config, err := yaml.Marshal(map[string]any{
		"global":         map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"},
		"rule_files":     []any{rules},
		"scrape_configs": []any{job("stagegate", s.environment.ServerURL()), job("apiserver", admin.Host)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(contextAfter(t))
	cmd := exec.CommandContext(ctx, binary, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+port)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		// It was killed.
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus ends with:\n%s", tail(log.Name()))
		}
	})
	prom := prometheus{url: "http://" + port, server: func(t *testing.T, path string) string {
		t.Helper()
		return s.askServer(t, token, path)
	}}
	prom.until(t, `count(up == 1) == 2`)
	return prom
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// askServer returns what the server answers to a request for a path that does not go through the hub.
func (s *suite) askServer(t *testing.T, token, path string) string {
	t.Helper()
	out, err := s.run(t.Context(), hub.HubName, fmt.Sprintf("kubectl --kubeconfig=/dev/null --server=%s --token=%s --insecure-skip-tls-verify get --raw '%s'",
		s.environment.ServerURL(), token, path))
	if err != nil {
		return err.Error()
	}
	return out
}

// get asks the API of Prometheus.
func (p prometheus) get(t *testing.T, path string, query url.Values, into any) {
	t.Helper()
	if err := p.ask(t.Context(), path, query, into); err != nil {
		t.Fatal(err)
	}
}

func (p prometheus) ask(ctx context.Context, path string, query url.Values, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %s: %w", path, response.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return nil
}

// until waits until an expression has a result. Prometheus sends no events.
func (p prometheus) until(t *testing.T, expr string) {
	t.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		var found struct{ Result []any }
		if err := p.ask(ctx, "/api/v1/query", url.Values{"query": {expr}}, &found); err != nil {
			last = err.Error()
		}
		return len(found.Result) > 0, nil
	})
	if err != nil {
		t.Fatalf("%s has no result: %v; %s", expr, err, last)
	}
}

// series are the label sets that Prometheus has seen of a metric in this test.
func (p prometheus) series(t *testing.T, metric string) []map[string]string {
	t.Helper()
	var found []map[string]string
	p.get(t, "/api/v1/series", url.Values{"match[]": {metric}}, &found)
	return found
}

// checkSelectors has an error for each metric of an expression that is not served, and for each label by which it is selected that it never has.
func (p prometheus) checkSelectors(t *testing.T, expr string) {
	t.Helper()
	parsed, err := parser.ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v", expr, err)
		return
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		series := p.series(t, selector.Name)
		if len(series) == 0 {
			t.Errorf("%s is not served, which this asks for: %s", selector.Name, expr)
		}
		for _, matcher := range selector.LabelMatchers {
			// A cluster-scoped run has no namespace, which is an empty label and so none.
			if matcher.Name == "__name__" || matcher.Name == "namespace" || len(series) == 0 {
				continue
			}
			if !slices.ContainsFunc(series, func(labels map[string]string) bool { return labels[matcher.Name] != "" }) {
				t.Errorf("%s has no label %s, which this asks for: %s", selector.Name, matcher.Name, expr)
			}
		}
		return nil
	})
}

func promtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// ruleFile is what the tests read of a rule file, or of a file that tests one.
type ruleFile struct {
	Groups []struct {
		Rules []struct{ Alert, Expr string }
	}
	Tests []struct {
		AlertRuleTest []struct {
			Alertname string
			ExpAlerts []any `json:"exp_alerts"`
		} `json:"alert_rule_test"`
		PromQLExprTest []struct{ Expr string } `json:"promql_expr_test"`
	}
}

func readRules(t *testing.T, path string) ruleFile {
	t.Helper()
	var file ruleFile
	data, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(data, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func ruleExprs(t *testing.T, path string) []string {
	t.Helper()
	var exprs []string
	for _, group := range readRules(t, path).Groups {
		for _, rule := range group.Rules {
			exprs = append(exprs, rule.Expr)
		}
	}
	return exprs
}

func checkEachAlertIsTested(t *testing.T, monitoring string) {
	t.Helper()
	document, err := os.ReadFile(filepath.Join(monitoring, "..", "..", "docs", "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	fires := map[string]bool{}
	for _, test := range readRules(t, filepath.Join(monitoring, "rules-test.yaml")).Tests {
		for _, query := range test.PromQLExprTest {
			if !strings.Contains(string(document), query.Expr) {
				t.Errorf("the document lacks the query %s", query.Expr)
			}
		}
		for _, alert := range test.AlertRuleTest {
			fires[alert.Alertname] = fires[alert.Alertname] || len(alert.ExpAlerts) > 0
		}
	}
	for _, group := range readRules(t, filepath.Join(monitoring, "rules.yaml")).Groups {
		for _, rule := range group.Rules {
			if !fires[rule.Alert] {
				t.Errorf("%s fires in no test of rules-test.yaml", rule.Alert)
			}
		}
	}
}

// panelExprs are the expressions of a dashboard, with what Grafana puts in for durations.
func panelExprs(t *testing.T, path string) []string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	var exprs []string
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			exprs = append(exprs, strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h").Replace(target.Expr))
		}
	}
	return exprs
}

var metricRow = regexp.MustCompile("(?m)^\\| `((?:stagegate|fleet|leader_election)_\\w+)` \\| (\\w+) \\|([^|]*)\\|")

// checkMetricsTable holds the table of metrics in the document against what is served.
func checkMetricsTable(t *testing.T, s *suite, prom prometheus) {
	document, err := os.ReadFile(filepath.Join(s.options.Root, "docs", "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed, served := map[string]string{}, map[string]string{}
	labels := map[string][]string{}
	for _, row := range metricRow.FindAllStringSubmatch(string(document), -1) {
		listed[row[1]] = row[2]
		labels[row[1]] = strings.Split(strings.TrimSpace(strings.ReplaceAll(row[3], "`", "")), ", ")
	}
	var metadata []struct{ Metric, Type string }
	prom.get(t, "/api/v1/targets/metadata", url.Values{"match_target": {`{job="stagegate"}`}}, &metadata)
	for _, m := range metadata {
		if m.Metric == "leader_election_master_status" || strings.HasPrefix(m.Metric, "stagegate_") || strings.HasPrefix(m.Metric, "fleet_") {
			served[m.Metric] = m.Type
		}
	}
	if diff := cmp.Diff(listed, served); diff != "" {
		t.Errorf("metrics and their types (-docs/monitoring.md +served):\n%s", diff)
	}
	for metric, kind := range served {
		name := metric
		if kind == "histogram" {
			name += "_count"
		}
		for _, series := range prom.series(t, name) {
			for label := range series {
				if !slices.Contains([]string{"__name__", "job", "instance"}, label) && !slices.Contains(labels[metric], label) {
					t.Errorf("docs/monitoring.md does not list the label %s of %s", label, metric)
				}
			}
		}
	}
}
