// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/rollout/agent"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

const (
	memberNodes      = 3
	memberNamespaces = 10
	// pending is how many events of a watch wait for its reader. One that falls behind further ends, as at an API server.
	pending = 100
)

// served are the kinds that a made-up member serves.
var served = []metav1.APIResourceList{
	kinds("v1", map[string]string{"namespaces": "Namespace", "nodes": "Node"}, map[string]string{"pods": "Pod", "configmaps": "ConfigMap", "secrets": "Secret"}),
	kinds("apiextensions.k8s.io/v1", map[string]string{"customresourcedefinitions": "CustomResourceDefinition"}, nil),
	kinds("placement.kubernetes-fleet.io/v1beta1", map[string]string{"appliedworks": "AppliedWork"}, nil),
}

func kinds(groupVersion string, cluster, namespaced map[string]string) metav1.APIResourceList {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: groupVersion}
	for _, scope := range []map[string]string{cluster, namespaced} {
		for resource, kind := range scope {
			list.APIResources = append(list.APIResources, metav1.APIResource{
				Name: resource, Kind: kind, Namespaced: scope[resource] == namespaced[resource], Verbs: metav1.Verbs{"create", "delete", "get", "list", "patch", "update", "watch"},
			})
		}
	}
	return list
}

// member is a cluster in memory: objects by path, and watches. It merges every patch as JSON, deletes at once, and checks nothing, which is
// enough for what is measured: what agents ask of the hub.
type member struct {
	// written is told of each object that is written, by its path.
	written func(path string)

	mu      sync.Mutex
	objects map[string]map[string]any
	version int
	watches map[*watcher]bool
}

type watcher struct {
	of     address
	events chan []byte
}

// address is what a path names.
type address struct {
	groupVersion, namespace, resource, name string
}

func (a address) kind() string {
	for _, list := range served {
		for _, r := range list.APIResources {
			if list.GroupVersion == a.groupVersion && r.Name == a.resource {
				return r.Kind
			}
		}
	}
	return ""
}

func (a address) has(other address) bool {
	return a.groupVersion == other.groupVersion && a.resource == other.resource && (a.namespace == "" || a.namespace == other.namespace)
}

// parse reads the path of a resource or an object. What follows the name is a subresource, which here is the object.
func parse(path string) (address, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var a address
	switch {
	case len(parts) > 2 && parts[0] == "api":
		a.groupVersion, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		a.groupVersion, parts = parts[1]+"/"+parts[2], parts[3:]
	default:
		return a, false
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		a.namespace, parts = parts[1], parts[2:]
	}
	a.resource = parts[0]
	if len(parts) > 1 {
		a.name = parts[1]
	}
	return a, a.kind() != ""
}

func (a address) path() string {
	path := "/api/" + a.groupVersion
	if strings.Contains(a.groupVersion, "/") {
		path = "/apis/" + a.groupVersion
	}
	if a.namespace != "" {
		path += "/namespaces/" + a.namespace
	}
	path += "/" + a.resource
	if a.name != "" {
		path += "/" + a.name
	}
	return path
}

// newMember returns a cluster with the Secret by which its agent reaches the hub.
func newMember(uid string, secret map[string][]byte) *member {
	m := &member{objects: map[string]map[string]any{}, watches: map[*watcher]bool{}}
	put := func(path string, object map[string]any) {
		a, _ := parse(path)
		object["metadata"] = map[string]any{"name": a.name, "namespace": a.namespace, "uid": fmt.Sprintf("%s-%d", uid, m.version)}
		m.store(a, object)
	}
	put("/api/v1/namespaces/kube-system", map[string]any{})
	for i := range memberNamespaces {
		put(fmt.Sprintf("/api/v1/namespaces/team-%d", i), map[string]any{})
	}
	for i := range memberNodes {
		put(fmt.Sprintf("/api/v1/nodes/node-%d", i), map[string]any{"status": map[string]any{
			"capacity": map[string]any{"cpu": "8", "memory": "32Gi"}, "allocatable": map[string]any{"cpu": "8", "memory": "32Gi"},
		}})
	}
	data := map[string]any{}
	for key, value := range secret {
		data[key] = value
	}
	put("/api/v1/namespaces/"+agentNamespace+"/secrets/"+hubSecret, map[string]any{"data": data})
	return m
}

// tellOf has a function told of each object that is written from now on.
func (m *member) tellOf(written func(path string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written = written
}

// config reaches the member without a connection.
func (m *member) config() *rest.Config {
	return &rest.Config{
		Host: "http://member", Transport: m, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON, AcceptContentTypes: runtime.ContentTypeJSON},
	}
}

// store writes an object and tells of it. It is called with the lock held, or before anybody else has the member.
func (m *member) store(a address, object map[string]any) {
	before, found := m.objects[a.path()]
	m.version++
	metadata, _ := object["metadata"].(map[string]any)
	metadata["resourceVersion"] = strconv.Itoa(m.version)
	if metadata["uid"] == nil || metadata["uid"] == "" {
		old, _ := before["metadata"].(map[string]any)
		if metadata["uid"] = old["uid"]; !found {
			metadata["uid"] = "uid-" + strconv.Itoa(m.version)
		}
	}
	object["apiVersion"], object["kind"] = a.groupVersion, a.kind()
	if a.resource == "customresourcedefinitions" {
		object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": "True"}}}
	}
	m.objects[a.path()] = object
	event := "MODIFIED"
	if !found {
		event = "ADDED"
	}
	m.tell(a, event, object)
	if m.written != nil {
		m.written(a.path())
	}
}

func (m *member) tell(a address, event string, object map[string]any) {
	data := encodeEvent(event, object)
	for w := range m.watches {
		if !w.of.has(a) {
			continue
		}
		select {
		case w.events <- data:
		default:
			m.end(w)
		}
	}
}

func (m *member) end(w *watcher) {
	if m.watches[w] {
		delete(m.watches, w)
		close(w.events)
	}
}

func encodeEvent(event string, object map[string]any) []byte {
	// Maps of what came as JSON can be written as JSON.
	data, _ := json.Marshal(map[string]any{"type": event, "object": object})
	return append(data, '\n')
}

// RoundTrip answers a request as the API server of the member.
func (m *member) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	if r.URL.Query().Get("watch") == "true" {
		if a, ok := parse(r.URL.Path); ok {
			return respond(r, http.StatusOK, runtime.ContentTypeJSON, m.watch(r, a)), nil
		}
	}
	status, answer, err := m.serve(r)
	var failed apierrors.APIStatus
	if errors.As(err, &failed) {
		said := failed.Status()
		said.APIVersion, said.Kind = "v1", "Status"
		status, answer, err = int(said.Code), said, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return respond(r, status, runtime.ContentTypeJSON, io.NopCloser(bytes.NewReader(data))), nil
}

func respond(r *http.Request, status int, contentType string, body io.ReadCloser) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Body: body, ContentLength: -1, Request: r,
	}
}

// watch sends what there is, if that is asked for, and what changes until the client goes away.
func (m *member) watch(r *http.Request, a address) io.ReadCloser {
	reader, writer := io.Pipe()
	w := &watcher{of: a, events: make(chan []byte, pending)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches[w] = true
	var first []byte
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for _, object := range m.list(a) {
			first = append(first, encodeEvent("ADDED", object)...)
		}
		first = append(first, encodeEvent("BOOKMARK", map[string]any{
			"apiVersion": a.groupVersion, "kind": a.kind(),
			"metadata": map[string]any{
				"resourceVersion": strconv.Itoa(m.version), "annotations": map[string]any{metav1.InitialEventsAnnotationKey: "true"},
			},
		})...)
	}
	go func() {
		defer func() { _ = writer.Close() }()
		if _, err := writer.Write(first); err != nil {
			return
		}
		for {
			select {
			case <-r.Context().Done():
				m.mu.Lock()
				m.end(w)
				m.mu.Unlock()
				return
			case event, open := <-w.events:
				if !open {
					return
				}
				if _, err := writer.Write(event); err != nil {
					return
				}
			}
		}
	}()
	return reader
}

func (m *member) list(a address) []map[string]any {
	var items []map[string]any
	for _, path := range slices.Sorted(maps.Keys(m.objects)) {
		if of, _ := parse(path); a.has(of) {
			items = append(items, m.objects[path])
		}
	}
	return items
}

func (m *member) serve(r *http.Request) (int, any, error) {
	switch path := r.URL.Path; path {
	case "/readyz":
		return http.StatusOK, "ok", nil
	case "/version":
		return http.StatusOK, map[string]any{"major": "1", "minor": "37", "gitVersion": "v1.37.2"}, nil
	case "/api":
		return http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}, nil
	case "/apis":
		groups := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, list := range served[1:] {
			group, version, _ := strings.Cut(list.GroupVersion, "/")
			of := metav1.GroupVersionForDiscovery{GroupVersion: list.GroupVersion, Version: version}
			groups.Groups = append(groups.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{of}, PreferredVersion: of})
		}
		return http.StatusOK, groups, nil
	default:
		for _, list := range served {
			if path != "/api/"+list.GroupVersion && path != "/apis/"+list.GroupVersion {
				continue
			}
			if list.APIResources[0].Kind == "AppliedWork" && !m.hasJoined() {
				break
			}
			return http.StatusOK, list, nil
		}
	}
	a, ok := parse(r.URL.Path)
	if !ok {
		return 0, nil, apierrors.NewNotFound(schema.GroupResource{Resource: r.URL.Path}, "")
	}
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return 0, nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.handle(r.Method, a, sent)
}

// hasJoined reports whether the agent has brought the kind AppliedWork: a cluster that serves it without is a hub.
func (m *member) hasJoined() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[address{groupVersion: "apiextensions.k8s.io/v1", resource: "customresourcedefinitions", name: storeid.MemberCRD}.path()] != nil
}

// handle is called with the lock held.
func (m *member) handle(method string, a address, sent []byte) (int, any, error) {
	resource := schema.GroupResource{Resource: a.resource}
	if method == http.MethodGet && a.name == "" {
		items := m.list(a)
		if items == nil {
			items = []map[string]any{}
		}
		return http.StatusOK, map[string]any{
			"apiVersion": a.groupVersion, "kind": a.kind() + "List", "items": items, "metadata": map[string]any{"resourceVersion": strconv.Itoa(m.version)},
		}, nil
	}
	before, found := m.objects[a.path()]
	object := map[string]any{}
	switch method {
	case http.MethodPost:
		if err := json.Unmarshal(sent, &object); err != nil {
			return 0, nil, err
		}
		metadata, _ := object["metadata"].(map[string]any)
		a.name, _ = metadata["name"].(string)
		if m.objects[a.path()] != nil {
			return 0, nil, apierrors.NewAlreadyExists(resource, a.name)
		}
		m.store(a, object)
		return http.StatusCreated, object, nil
	case http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete:
		if !found {
			return 0, nil, apierrors.NewNotFound(resource, a.name)
		}
	default:
		return 0, nil, apierrors.NewMethodNotSupported(resource, method)
	}
	switch method {
	case http.MethodGet:
		return http.StatusOK, before, nil
	case http.MethodDelete:
		delete(m.objects, a.path())
		m.version++
		m.tell(a, "DELETED", before)
		return http.StatusOK, before, nil
	case http.MethodPatch:
		old, err := json.Marshal(before)
		if err != nil {
			return 0, nil, err
		}
		if sent, err = jsonpatch.MergePatch(old, sent); err != nil {
			return 0, nil, err
		}
	}
	if err := json.Unmarshal(sent, &object); err != nil {
		return 0, nil, err
	}
	m.store(a, object)
	return http.StatusOK, object, nil
}

// secretOf is how an agent reaches the hub.
func secretOf(hub *rest.Config, token string) map[string][]byte {
	return map[string][]byte{
		agent.ServerKey: []byte(hub.Host), agent.AuthorityKey: hub.CAData, agent.TokenKey: []byte(token),
	}
}
