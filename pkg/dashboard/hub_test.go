// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/client/scoped"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
)

// fakeHub answers as a hub does, of objects that no hub would let in: names and labels that are an attack, and ten thousand clusters. What real hubs
// answer is tested end to end.
type fakeHub struct {
	*httptest.Server

	mu      sync.Mutex
	objects map[string][]scoped.Object
	// forbidden are the paths that the user may not list.
	forbidden map[string]bool
	// denied are the subresources that the user may not use.
	denied map[string]bool
	// refuse is what the hub says to whatever changes something, nil for success.
	refuse *metav1.Status
	// asked is what was asked of the hub that changes something.
	asked   []acted
	version int
	wake    chan struct{}
}

// acted is a request that changes something.
type acted struct {
	Path string
	Body map[string]any
}

func newFakeHub(t *testing.T) *fakeHub {
	h := &fakeHub{objects: map[string][]scoped.Object{}, forbidden: map[string]bool{}, denied: map[string]bool{}, version: 1, wake: make(chan struct{})}
	h.Server = httptest.NewServer(h)
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	return h
}

const (
	placementGroup = "/apis/placement.kubernetes-fleet.io/v1beta1/"
	clusterGroup   = "/apis/cluster.kubernetes-fleet.io/v1beta1/"
)

// put adds or replaces an object of a resource, such as clusterstagedupdateruns.
func (h *fakeHub) put(resource string, o scoped.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version++
	of := typeOf(resource)
	o.GetObjectKind().SetGroupVersionKind(of.GroupVersionKind())
	o.SetResourceVersion(fmt.Sprint(h.version))
	h.objects[resource] = append(slices.DeleteFunc(h.objects[resource], func(old scoped.Object) bool {
		return old.GetName() == o.GetName() && old.GetNamespace() == o.GetNamespace()
	}), o)
	close(h.wake)
	h.wake = make(chan struct{})
}

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectreviews"):
		answer(w, &authenticationv1.SelfSubjectReview{
			TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "SelfSubjectReview"},
			Status:   authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: "alice", Groups: []string{"sre"}}},
		})
		return
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		review := &authorizationv1.SelfSubjectAccessReview{}
		if err := json.NewDecoder(r.Body).Decode(review); err != nil || review.Spec.ResourceAttributes == nil {
			status(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "it is no review in JSON")
			return
		}
		h.mu.Lock()
		review.Status.Allowed = !h.denied[review.Spec.ResourceAttributes.Subresource]
		h.mu.Unlock()
		review.TypeMeta = metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"}
		answer(w, review)
		return
	}
	resource, namespace, name := parts(r.URL.Path)
	h.mu.Lock()
	forbidden, refuse, found := h.forbidden[strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, placementGroup), clusterGroup)], h.refuse, h.find(resource, namespace, name)
	version, wake := h.version, h.wake
	h.mu.Unlock()
	switch {
	case forbidden:
		status(w, http.StatusForbidden, metav1.StatusReasonForbidden, "alice may not list "+resource)
	case r.Method != http.MethodGet:
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		h.mu.Lock()
		h.asked = append(h.asked, acted{r.URL.Path, body})
		h.mu.Unlock()
		if refuse != nil {
			status(w, int(refuse.Code), refuse.Reason, refuse.Message)
			return
		}
		answer(w, body)
	case name != "" && len(found) == 0:
		status(w, http.StatusNotFound, metav1.StatusReasonNotFound, name+" not found")
	case name != "":
		answer(w, found[0])
	case r.URL.Query().Get("watch") != "":
		h.watch(w, r, resource, namespace, wake, version)
	default:
		answer(w, map[string]any{"kind": typeOf(resource).Kind + "List", "apiVersion": typeOf(resource).APIVersion, "metadata": map[string]any{"resourceVersion": fmt.Sprint(version)}, "items": found})
	}
}

// watch sends every object whenever one has changed.
func (h *fakeHub) watch(w http.ResponseWriter, r *http.Request, resource, namespace string, wake chan struct{}, since int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	_ = control.Flush()
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		h.mu.Lock()
		for _, o := range h.find(resource, namespace, "") {
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "ADDED", "object": o})
		}
		bookmark := map[string]any{"apiVersion": typeOf(resource).APIVersion, "kind": typeOf(resource).Kind, "metadata": map[string]any{
			"resourceVersion": fmt.Sprint(h.version), "annotations": map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		}}
		since, wake = h.version, h.wake
		h.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"type": "BOOKMARK", "object": bookmark})
		_ = control.Flush()
	}
	for {
		select {
		case <-wake:
		case <-r.Context().Done():
			return
		}
		h.mu.Lock()
		found := h.find(resource, namespace, "")
		version := h.version
		wake = h.wake
		h.mu.Unlock()
		for _, o := range found {
			if of, _ := strconv.Atoi(o.GetResourceVersion()); of > since {
				_ = json.NewEncoder(w).Encode(map[string]any{"type": "MODIFIED", "object": o})
			}
		}
		since = version
		_ = control.Flush()
	}
}

func (h *fakeHub) find(resource, namespace, name string) []scoped.Object {
	// A list is never null.
	found := []scoped.Object{}
	for _, o := range h.objects[resource] {
		if (namespace == "" || o.GetNamespace() == namespace) && (name == "" || o.GetName() == name) {
			found = append(found, o)
		}
	}
	return found
}

// changes returns what was asked of the hub, and forgets it.
func (h *fakeHub) changes() []acted {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = nil
	return asked
}

func parts(path string) (resource, namespace, name string) {
	rest := strings.Split(strings.TrimPrefix(strings.TrimPrefix(path, placementGroup), clusterGroup), "/")
	if rest[0] == "namespaces" && len(rest) > 2 {
		namespace, rest = rest[1], rest[2:]
	}
	if len(rest) > 1 {
		name = rest[1]
	}
	return rest[0], namespace, name
}

var kinds = map[string]string{
	"clusterstagedupdateruns": "ClusterStagedUpdateRun", "stagedupdateruns": "StagedUpdateRun", "clusterapprovalrequests": "ClusterApprovalRequest",
	"approvalrequests": "ApprovalRequest", "clusterresourceplacements": "ClusterResourcePlacement", "resourceplacements": "ResourcePlacement",
	"clusterresourcesnapshots": "ClusterResourceSnapshot", "resourcesnapshots": "ResourceSnapshot", "memberclusters": "MemberCluster",
}

func typeOf(resource string) metav1.TypeMeta {
	group := "placement.kubernetes-fleet.io/v1beta1"
	if resource == "memberclusters" {
		group = "cluster.kubernetes-fleet.io/v1beta1"
	}
	return metav1.TypeMeta{APIVersion: group, Kind: kinds[resource]}
}

func answer(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(what)
}

func status(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(&metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

// opened is a dashboard with a browser that has shown the key.
type opened struct {
	t      *testing.T
	server *server
	http   *httptest.Server
	client *http.Client
}

// open starts a dashboard for a hub.
func open(t *testing.T, hub *fakeHub, change ...func(*Options)) *opened {
	t.Helper()
	o := &opened{t: t}
	o.http = httptest.NewUnstartedServer(nil)
	config := &rest.Config{Host: hub.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	options := Options{
		Stagegate: versioned.NewForConfigOrDie(config), Kubernetes: kubernetes.NewForConfigOrDie(config), Clock: clock.RealClock{}, Hub: "test",
	}
	for _, c := range change {
		c(&options)
	}
	address, err := url.Parse("http://" + o.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscan(address.Port(), &port); err != nil {
		t.Fatal(err)
	}
	if o.server, err = newServer(t.Context(), options, port); err != nil {
		t.Fatal(err)
	}
	// On a busy machine ten thousand members take longer than a person is kept waiting.
	o.server.data.await(t.Context())
	o.http.Config.Handler = o.server.handler()
	o.http.Start()
	t.Cleanup(func() {
		o.http.CloseClientConnections()
		o.http.Close()
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	o.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return o
}

// enter shows the key.
func (o *opened) enter() *opened {
	o.t.Helper()
	if r, _ := o.do(o.request(http.MethodGet, strings.TrimPrefix(o.server.guard.address(), o.http.URL), nil)); r.StatusCode != http.StatusSeeOther {
		o.t.Fatalf("the key is answered with %s", r.Status)
	}
	return o
}

func (o *opened) request(method, path string, form url.Values) *http.Request {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), method, o.http.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		o.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", o.http.URL)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

func (o *opened) do(r *http.Request) (*http.Response, string) {
	o.t.Helper()
	answer, err := o.client.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return answer, string(body)
}

// get returns a page.
func (o *opened) get(path string) string {
	o.t.Helper()
	r, body := o.do(o.request(http.MethodGet, path, nil))
	if r.StatusCode != http.StatusOK {
		o.t.Fatalf("%s: %s\n%s", path, r.Status, body)
	}
	return body
}

// paths are those of all routes, with names filled in.
func (s *server) paths() (found []route) {
	names := strings.NewReplacer("{$}", "", "{namespace}", "team", "{name}", "example", "{file}", "dashboard.css")
	for _, r := range s.routes() {
		found = append(found, route{r.method, names.Replace(r.pattern), nil})
	}
	return found
}
