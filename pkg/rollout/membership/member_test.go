// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	crdscheme "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/scheme"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kubescheme "k8s.io/client-go/kubernetes/scheme"
)

const (
	crdPath       = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	appliedPath   = "/apis/placement.kubernetes-fleet.io/v1beta1/appliedworks"
	configMapPath = "/api/v1/namespaces/fleet-system/configmaps"
	nodesPath     = "/api/v1/nodes"
	podsPath      = "/api/v1/pods"

	namespacesPath = "/api/v1/namespaces"
	systemPath     = namespacesPath + "/kube-system"
	memberToken    = "secret"
)

// member plays a member cluster: it keeps the objects that it is sent, by path, and fails as it is told to.
type member struct {
	*httptest.Server

	mu      sync.Mutex
	objects map[string]map[string]any
	version int
	// token is what it accepts, ready whether it is, isHub whether it serves AppliedWorks without a CustomResourceDefinition.
	token string
	ready bool
	isHub bool
	// gitVersion is what it says it runs.
	gitVersion string
	// redirect is the address to which it redirects every request, empty for none.
	redirect string
	// hangs has lists of Pods wait until the client goes away.
	hangs atomic.Bool
	// forbidden are the paths of lists that it does not allow.
	forbidden []string
	// lists counts lists by path.
	lists map[string]int
	// probed counts looks at /readyz, deleted has the options of deletions by path.
	probed  int
	deleted map[string]map[string]any
	// keepDeleted keeps what is deleted, as a member does whose garbage collector is slow.
	keepDeleted bool
}

func newMember(t *testing.T) *member {
	m := &member{
		objects: map[string]map[string]any{},
		token:   memberToken,
		ready:   true,

		gitVersion: "v1.37.2",
		deleted:    map[string]map[string]any{},
		lists:      map[string]int{},
	}
	m.Server = httptest.NewTLSServer(m)
	t.Cleanup(m.Close)
	m.put(systemPath, namespaceOf("cluster-a"))
	for i := range 3 {
		m.put(nodesPath+"/node-"+strconv.Itoa(i), map[string]any{"metadata": map[string]any{"name": "node-" + strconv.Itoa(i)}})
	}
	return m
}

// namespaceOf is the namespace that gives a cluster its uid.
func namespaceOf(uid string) map[string]any {
	return map[string]any{"metadata": map[string]any{"name": "kube-system", "uid": uid}}
}

// change sets how the member behaves.
func (m *member) change(f func(m *member)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *member) probes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.probed
}

// get is the object at a path, nil if none is there.
func (m *member) get(path string) map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[path]
}

func (m *member) put(path string, object map[string]any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store(path, object)
}

func (m *member) store(at string, object map[string]any) {
	m.version++
	metadata, _ := object["metadata"].(map[string]any)
	metadata["resourceVersion"] = strconv.Itoa(m.version)
	if metadata["uid"] == nil {
		metadata["uid"] = "uid-" + strconv.Itoa(m.version)
	}
	if path.Dir(at) == crdPath {
		object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": "True"}}}
	}
	m.objects[at] = object
}

func (m *member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == podsPath && m.hangs.Load() {
		<-r.Context().Done()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.redirect != "" {
		http.Redirect(w, r, m.redirect, http.StatusTemporaryRedirect)
		return
	}
	status, body := m.serve(r)
	var answer apierrors.APIStatus
	if err, ok := body.(error); ok && errors.As(err, &answer) {
		failed := answer.Status()
		status, body = int(failed.Code), &failed
	}
	if text, ok := body.(string); ok {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (m *member) serve(r *http.Request) (int, any) {
	resource := schema.GroupResource{Resource: r.URL.Path}
	if r.Header.Get("Authorization") != "Bearer "+m.token {
		return 0, apierrors.NewUnauthorized("Unauthorized")
	}
	switch r.URL.Path {
	case "/readyz":
		m.probed++
		if !m.ready {
			return http.StatusInternalServerError, "[-]etcd failed"
		}
		return http.StatusOK, "ok"
	case "/version":
		return http.StatusOK, map[string]any{"gitVersion": m.gitVersion}
	case path.Dir(appliedPath):
		if !m.isHub {
			return 0, apierrors.NewNotFound(resource, "")
		}
		return http.StatusOK, map[string]any{"resources": []any{map[string]any{"name": "appliedworks"}}}
	}
	var sent map[string]any
	data, err := readJSON(r)
	if err != nil {
		return 0, apierrors.NewBadRequest(err.Error())
	}
	object, found := m.objects[r.URL.Path]
	if r.Method != http.MethodPost && r.Method != http.MethodGet && !found {
		return 0, apierrors.NewNotFound(resource, "")
	}
	switch r.Method {
	case http.MethodPost:
		if err := json.Unmarshal(data, &sent); err != nil {
			return 0, apierrors.NewBadRequest(err.Error())
		}
		at := path.Join(r.URL.Path, sent["metadata"].(map[string]any)["name"].(string))
		m.store(at, sent)
		return http.StatusCreated, sent
	case http.MethodPatch:
		before, _ := json.Marshal(object)
		after, err := jsonpatch.MergePatch(before, data)
		if err != nil {
			return 0, apierrors.NewBadRequest(err.Error())
		}
		patched := map[string]any{}
		_ = json.Unmarshal(after, &patched)
		if resourceVersion(patched) != resourceVersion(object) {
			return 0, apierrors.NewConflict(resource, "", errors.New("changed"))
		}
		m.store(r.URL.Path, patched)
		return http.StatusOK, patched
	case http.MethodDelete:
		_ = json.Unmarshal(data, &sent)
		m.deleted[r.URL.Path] = sent
		if !m.keepDeleted {
			delete(m.objects, r.URL.Path)
		}
		return http.StatusOK, map[string]any{"kind": "Status", "status": "Success"}
	}
	if found {
		return http.StatusOK, object
	}
	return m.list(r, resource)
}

func (m *member) list(r *http.Request, resource schema.GroupResource) (int, any) {
	if !slices.Contains([]string{nodesPath, podsPath, namespacesPath, appliedPath}, r.URL.Path) {
		return 0, apierrors.NewNotFound(resource, "")
	}
	if slices.Contains(m.forbidden, r.URL.Path) {
		return 0, apierrors.NewForbidden(resource, "", errors.New("not allowed"))
	}
	m.lists[r.URL.Path]++
	items := []any{}
	for _, at := range slices.Sorted(maps.Keys(m.objects)) {
		if path.Dir(at) == r.URL.Path {
			items = append(items, m.objects[at])
		}
	}
	list := map[string]any{"items": items, "metadata": map[string]any{}}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	items = items[from:]
	if limit, _ := strconv.Atoi(r.URL.Query().Get("limit")); limit > 0 && len(items) > limit {
		list["metadata"] = map[string]any{"remainingItemCount": len(items) - limit, "continue": strconv.Itoa(from + limit)}
		items = items[:limit]
	}
	list["items"] = items
	if strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
		list["apiVersion"], list["kind"] = "meta.k8s.io/v1", "PartialObjectMetadataList"
	}
	return http.StatusOK, list
}

// readJSON reads a body, for which clients of built-in kinds choose protobuf.
func readJSON(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != runtime.ContentTypeProtobuf {
		return data, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{crdscheme.AddToScheme, kubescheme.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	obj, _, err := serializer.NewCodecFactory(scheme).UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return nil, err
	}
	return json.Marshal(obj)
}

func resourceVersion(object map[string]any) string {
	metadata, _ := object["metadata"].(map[string]any)
	version, _ := metadata["resourceVersion"].(string)
	return version
}

// annotation reads an annotation of an object on the member.
func (m *member) annotation(path, name string) string {
	metadata, _ := m.get(path)["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	value, _ := annotations[name].(string)
	return value
}

// kubeconfig is one that the member accepts if the token is right.
func (m *member) kubeconfig(token string) string {
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Certificate().Raw})
	return kubeconfig(m.URL, base64.StdEncoding.EncodeToString(authority), token)
}

func kubeconfig(server, authority, token string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: m, user: u}}]
clusters: [{name: m, cluster: {server: %q, certificate-authority-data: %q}}]
users: [{name: u, user: {token: %q}}]
`, server, authority, token)
}

// unreachable is an address at which nobody listens.
func unreachable(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return "https://" + listener.Addr().String()
}
