// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartarchive "helm.sh/helm/v4/pkg/chart/loader/archive"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/util/yaml"
	k8syaml "sigs.k8s.io/yaml"
)

const testVersion = "v0.1.0-rc.1"

var (
	repository = filepath.Join("..", "..")
	testImages = map[string]imageName{
		serverName: {"registry.example.com/fleet/" + serverName, testVersion},
		agentName:  {"registry.example.com/fleet/" + agentName, testVersion},
	}
)

// values reads values as a user writes them.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	parsed := map[string]any{}
	if err := k8syaml.UnmarshalStrict([]byte(text), &parsed); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return parsed
}

// render does what helm template does: the schema is asked, and nothing else than the files of the chart.
func (c chart) render(values map[string]any, namespace string) ([]object, error) {
	var files []*chartarchive.BufferedFile
	for _, f := range c.files {
		files = append(files, &chartarchive.BufferedFile{Name: f.name, Data: f.data})
	}
	loaded, err := loader.LoadFiles(files)
	if err != nil {
		return nil, err
	}
	with, err := util.ToRenderValues(loaded, values, common.ReleaseOptions{Name: "test", Namespace: namespace, Revision: 1, IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(loaded, with)
	if err != nil {
		return nil, err
	}
	var objects []object
	for name, text := range rendered {
		if strings.HasSuffix(name, "NOTES.txt") {
			continue
		}
		for docs := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text))); ; {
			doc, err := docs.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			var obj object
			if err == nil {
				err = k8syaml.UnmarshalStrict(doc, &obj)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
			}
			if obj != nil {
				objects = append(objects, obj)
			}
		}
	}
	return objects, nil
}

func (c chart) mustRender(t *testing.T, text, namespace string) []object {
	t.Helper()
	objects, err := c.render(values(t, text), namespace)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// sorted are objects as the hub would get them: in JSON there is one kind of number, and their order means nothing.
func sorted(t *testing.T, objects []object) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, obj := range objects {
		data, err := k8syaml.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := k8syaml.Unmarshal(data, &plain); err != nil {
			t.Fatal(err)
		}
		id := identity(obj)
		if all[id] != nil {
			t.Errorf("%s is there twice", id)
		}
		all[id] = plain
	}
	return all
}

func build(t *testing.T, o overlay) []object {
	t.Helper()
	o.images = testImages
	objects, err := o.build(repository)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func testCharts(t *testing.T) (server, agent chart) {
	t.Helper()
	server, err := serverChart(repository, testVersion, testImages)
	if err != nil {
		t.Fatal(err)
	}
	agent, err = agentChart(repository, testVersion, testImages)
	if err != nil {
		t.Fatal(err)
	}
	return server, agent
}

// TestTheChartsAreTheManifests renders nothing, each one and all of what can be turned on, and compares every object with the overlay of
// kustomize. No object depends on two of them, or there would be no chart.
func TestTheChartsAreTheManifests(t *testing.T) {
	server, agent := testCharts(t)
	for _, mask := range []int{0, 1, 2, 4, 8, 16, 32, 62, 63} {
		on := func(i int) bool { return mask&(1<<i) != 0 }
		want := overlay{resources: []string{"deploy/base"}}
		if on(0) {
			want.resources[0] = "deploy/ha"
		}
		mode := "secret"
		if on(1) {
			mode, want.components = "cert-manager", append(want.components, "deploy/cert-manager")
		}
		if on(2) {
			want.resources = append(want.resources, "rbac")
		}
		for i, component := range map[int]string{3: "deploy/report-back", 4: "deploy/no-workloads", 5: "deploy/network-policy"} {
			if on(i) {
				want.components = append(want.components, component)
			}
		}
		given := fmt.Sprintf(`{namespace: {create: true}, ha: {enabled: %t}, certificates: {mode: %s}, roles: {create: %t}, reportBack: {enabled: %t},
			noWorkloads: {enabled: %t}, networkPolicy: {enabled: %t, controlPlane: [{ipBlock: {cidr: ADDRESS-OF-THE-CONTROL-PLANE}}]}}`,
			on(0), mode, on(2), on(3), on(4), on(5))
		got := server.mustRender(t, strings.ReplaceAll(given, "\t", ""), "fleet-system")
		if diff := cmp.Diff(sorted(t, build(t, want)), sorted(t, got)); diff != "" {
			t.Fatalf("%s (-kustomize +helm):\n%s", given, diff)
		}
	}
	want := build(t, overlay{resources: []string{"member-agent"}})
	for _, obj := range want {
		if obj["kind"] == "Deployment" {
			_, container, _ := podOf(obj)
			maps(container, "env")[0]["value"] = "paris"
		}
	}
	got := agent.mustRender(t, "{namespace: {create: true}, cluster: paris}", "stagegate-system")
	if diff := cmp.Diff(sorted(t, want), sorted(t, got)); diff != "" {
		t.Errorf("the agent (-kustomize +helm):\n%s", diff)
	}
	least := agent.mustRender(t, "{namespace: {create: true}, cluster: paris, leastRole: {create: true}}", "stagegate-system")
	if len(least) != len(want)+1 {
		t.Errorf("with the least role there are %d objects, want %d", len(least), len(want)+1)
	}
}

// TestNobodyButCertManagerWritesItsBundle holds that a chart that is rendered again, by Argo CD say, does not take a bundle away.
func TestNobodyButCertManagerWritesItsBundle(t *testing.T) {
	server, _ := testCharts(t)
	for given, want := range map[string]string{
		"{certificates: {mode: cert-manager, caBundle: eA==}}": "",
		"{certificates: {mode: secret, caBundle: eA==}}":       "eA==",
		"{certificates: {mode: secret}}":                       "",
	} {
		services := 0
		for _, obj := range server.mustRender(t, given, "fleet-system") {
			if obj["kind"] != "APIService" {
				continue
			}
			services++
			bundle, has := at(obj, "spec")["caBundle"]
			if got, _ := bundle.(string); got != want || has != (want != "") {
				t.Errorf("%s: caBundle is %v", given, bundle)
			}
			if injected := at(obj, "metadata", "annotations")["cert-manager.io/inject-ca-from"] != nil; injected != strings.Contains(given, "cert-manager") {
				t.Errorf("%s: cert-manager injects: %t", given, injected)
			}
		}
		if services != 5 {
			t.Errorf("%s: %d APIServices", given, services)
		}
	}
}

// TestValuesGetWhereTheyBelong gives every value that is no part of an overlay.
func TestValuesGetWhereTheyBelong(t *testing.T) {
	const pod = `
image: {repository: example.com/x, digest: "sha256:` + "%[1]s" + `", pullPolicy: Always, pullSecrets: [{name: pull}]}
resources: {limits: {memory: 1000Mi}, requests: {cpu: 1m, memory: 1Mi}}
extraArgs: ["--v=2"]
extraEnv: [{name: HTTPS_PROXY, value: "http://proxy:3128"}]
podAnnotations: {a: "1"}
nodeSelector: {disk: fast}
tolerations: [{key: only, operator: Exists}]
affinity: {podAntiAffinity: {}}
`
	digest := strings.Repeat("0a", 32)
	server, agent := testCharts(t)
	check := func(obj object) object {
		t.Helper()
		spec, container, err := podOf(obj)
		if err != nil {
			t.Fatal(err)
		}
		args, _ := container["args"].([]any)
		env := maps(container, "env")
		got := []any{
			container["image"], container["imagePullPolicy"], spec["imagePullSecrets"], container["resources"], args[len(args)-1], env[len(env)-1]["value"],
			at(obj, "spec", "template", "metadata", "annotations")["a"], spec["nodeSelector"], spec["tolerations"], spec["affinity"],
		}
		want := []any{
			"example.com/x@sha256:" + digest, "Always", []any{object{"name": "pull"}}, object{"limits": object{"memory": "1000Mi"}, "requests": object{"cpu": "1m", "memory": "1Mi"}}, "--v=2", "http://proxy:3128",
			"1", object{"disk": "fast"}, []any{object{"key": "only", "operator": "Exists"}}, object{"podAntiAffinity": object{}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-values +rendered):\n%s", diff)
		}
		return spec
	}
	of := func(objects []object, kind string) object {
		t.Helper()
		i := slices.IndexFunc(objects, func(obj object) bool { return obj["kind"] == kind })
		if i < 0 {
			t.Fatalf("no %s", kind)
		}
		return objects[i]
	}
	objects := server.mustRender(t, fmt.Sprintf(pod, digest)+`
certificates: {mode: secret, secretName: mine}
ha: {enabled: true, replicas: 3, etcdServers: ["https://a:2379", "https://b:2379"]}
extraVolumes: [{name: audit, configMap: {name: audit}}]
extraVolumeMounts: [{name: audit, mountPath: /etc/stagegate/audit}]
`, "fleet-system")
	deployment := of(objects, "Deployment")
	spec := check(deployment)
	text, err := k8syaml.Marshal(deployment)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--etcd-servers=https://a:2379,https://b:2379", "mountPath: /etc/stagegate/audit", "secretName: mine", "\n  replicas: 3\n"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the Deployment has no %s:\n%s", want, text)
		}
	}
	if volumes := maps(spec, "volumes"); len(volumes) != 3 {
		t.Errorf("the volumes are %v", volumes)
	}
	claim := of(server.mustRender(t, `persistence: {size: 20Gi, storageClassName: fast}`, "fleet-system"), "PersistentVolumeClaim")
	if got := at(claim, "spec"); got["storageClassName"] != "fast" || at(got, "resources", "requests")["storage"] != "20Gi" {
		t.Errorf("the claim is %v", got)
	}
	for _, certificate := range server.mustRender(t, `certificates: {mode: cert-manager, secretName: mine}`, "fleet-system") {
		if name := at(certificate, "spec")["secretName"]; certificate["kind"] == "Certificate" && name != "mine" && name != "stagegate-ca" {
			t.Errorf("cert-manager writes the Secret %v", name)
		}
	}

	objects = agent.mustRender(t, fmt.Sprintf(pod, digest)+"cluster: paris\nclusterRole: mine\nreplicas: 1\n", "elsewhere")
	check(of(objects, "Deployment"))
	for _, obj := range objects {
		if namespace := at(obj, "metadata")["namespace"]; namespace != nil && namespace != "elsewhere" {
			t.Errorf("%s is in %v", identity(obj), namespace)
		}
		for _, subject := range maps(obj, "subjects") {
			if subject["namespace"] != "elsewhere" {
				t.Errorf("%s binds the ServiceAccount of %v", identity(obj), subject["namespace"])
			}
		}
	}
	if name := at(of(objects, "ClusterRoleBinding"), "roleRef")["name"]; name != "mine" {
		t.Errorf("the agent is bound to %v", name)
	}
}

// TestValuesThatMeanNothingAreRefused holds that a mistake is told when it is made, and not by a cluster in which something is missing.
func TestValuesThatMeanNothingAreRefused(t *testing.T) {
	server, agent := testCharts(t)
	for given, of := range map[string]chart{
		"{certificates: {mode: selfsigned}}":                          server,
		"{certificate: {mode: secret}}":                               server,
		"{ha: {enabled: true, replicas: 1}}":                          server,
		"{ha: {enabled: true, etcdServers: []}}":                      server,
		"{networkPolicy: {enabled: true}}":                            server,
		"{networkPolicy: {enabled: true, controlPlane: []}}":          server,
		"{image: {digest: latest}}":                                   server,
		"{goMemoryLimit: 3GiB}":                                       server,
		"{}":                                                          agent,
		"{cluster: paris, replicas: 0}":                               agent,
		"{cluster: paris, extraArgs: [cluster]}":                      agent,
		"{cluster: paris, certificates: {mode: secret}}":              agent,
		`{certificates: {mode: secret, caBundle: "-----BEGIN ..."}}`:  server,
		"{certificates: {mode: secret, secretName: Mine}}":            server,
		"{image: {repository: https://registry.example.com/x}}":       server,
		"{image: {repository: example.com/x@sha256}}":                 server,
		"{image: {tag: a b}}":                                         server,
		"{image: {pullSecrets: [pull]}}":                              server,
		"{persistence: {size: lots}}":                                 server,
		"{persistence: {size: 0Gi}}":                                  server,
		"{persistence: {storageClassName: -}}":                        server,
		"{resources: {limit: {memory: 4Gi}}}":                         server,
		"{resources: {limits: {memory: 4 GB}}}":                       server,
		"{affinity: {podAntiAfinity: {}}}":                            server,
		"{ha: {enabled: true, etcdServers: [etcd:2379]}}":             server,
		"{ha: {enabled: true, etcdServers: ['https://a,https://b']}}": server,
		"{extraVolumes: [{configMap: {name: audit}}]}":                server,
		"{extraVolumeMounts: [{name: audit, mountPath: audit}]}":      server,
		"{extraEnv: [{value: a}]}":                                    server,
		"{cluster: Paris}":                                            agent,
	} {
		if _, err := of.render(values(t, given), "fleet-system"); err == nil {
			t.Errorf("%s: %s is rendered", of.name, given)
		} else {
			t.Logf("%s: %s: %v", of.name, given, err)
		}
	}
}

// TestEveryValueHasOneType gives each value of a chart one of a type that means nothing there, and each map of our own a value that nobody
// reads. A value that the schema does not have would be taken.
func TestEveryValueHasOneType(t *testing.T) {
	server, agent := testCharts(t)
	for _, c := range []chart{server, agent} {
		i := slices.IndexFunc(c.files, func(f file) bool { return f.name == "values.yaml" })
		seen := 0
		var walk func(path []string, value any)
		refused := func(path []string, wrong any) {
			t.Helper()
			seen++
			nested := wrong
			for _, name := range slices.Backward(path) {
				nested = map[string]any{name: nested}
			}
			given, _ := nested.(map[string]any)
			if c.name == agentName && path[0] != "cluster" {
				given["cluster"] = "paris"
			}
			if _, err := c.render(given, "fleet-system"); err == nil || !strings.Contains(err.Error(), path[0]) {
				t.Errorf("%s takes %v: %v", c.name, given, err)
			}
		}
		walk = func(path []string, value any) {
			settings, isMap := value.(map[string]any)
			if !isMap {
				refused(path, map[string]any{"wrong": true})
				return
			}
			if len(path) > 0 {
				refused(path, "wrong")
				refused(append(slices.Clone(path), "wrong"), []any{true})
			}
			for name, value := range settings {
				walk(append(slices.Clone(path), name), value)
			}
		}
		walk(nil, values(t, string(c.files[i].data)))
		if seen < 20 {
			t.Errorf("%s has %d values", c.name, seen)
		}
	}
}

// TestTheChartsAreClean asks helm lint, and that a chart says nothing else where there is no cluster to look at.
func TestTheChartsAreClean(t *testing.T) {
	server, agent := testCharts(t)
	dir := t.TempDir()
	for _, c := range []chart{server, agent} {
		for _, f := range c.files {
			for _, function := range []string{"lookup", "genCA", "genSelfSignedCert", "genSignedCert", "randAlpha", "now |"} {
				if strings.Contains(string(f.data), function) {
					t.Errorf("%s of %s uses %s: it would be another one at each rendering", f.name, c.name, function)
				}
			}
		}
		if err := c.write(dir); err != nil {
			t.Fatal(err)
		}
		for _, given := range []string{"cluster: paris", "{cluster: paris, ha: {enabled: true}, certificates: {mode: secret}}"} {
			with := values(t, given)
			if c.name == server.name {
				delete(with, "cluster")
			} else {
				with = map[string]any{"cluster": "paris"}
			}
			linted := lint.RunAll(filepath.Join(dir, c.name), with, "fleet-system")
			for _, message := range linted.Messages {
				if message.Severity >= support.WarningSev {
					t.Errorf("helm lint of %s: %s", c.name, message)
				}
			}
			if linted.HighestSeverity >= support.WarningSev {
				t.Errorf("helm lint of %s: severity %d", c.name, linted.HighestSeverity)
			}
		}
	}
}
