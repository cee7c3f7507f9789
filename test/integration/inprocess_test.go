// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/pkg/client/inprocess"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/scheme"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/rollout"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// startShared starts a server and returns the clients and their configuration that its controllers get, and what is audited.
func startShared(t *testing.T) (*testserver.Server, versioned.Interface, *rest.Config, *auditLog) {
	t.Helper()
	log := &auditLog{more: make(chan struct{}, 1)}
	var own *rest.Config
	s := testserver.Start(t, testserver.WithConfig(func(c *apiserver.Config) {
		c.Generic.AuditBackend = log
		c.Generic.AuditPolicyRuleEvaluator = policy.NewFakePolicyRuleEvaluator(auditinternal.LevelRequestResponse, nil)
		c.Generic.ClientConfig = &rest.Config{Host: "https://hub.invalid"}
		c.Extra.NewManager = func(api, _ *rest.Config, _ rollout.Options) (apiserver.Manager, error) {
			own = api
			return &ailing{}, nil
		}
	}))
	clients, err := inprocess.NewClientset(own)
	if err != nil {
		t.Fatal(err)
	}
	return s, clients, own, log
}

// auditLog keeps what is audited.
type auditLog struct {
	mu     sync.Mutex
	events []*auditinternal.Event
	// more is told of every event.
	more chan struct{}
}

func (l *auditLog) ProcessEvents(events ...*auditinternal.Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		l.events = append(l.events, e.DeepCopy())
	}
	select {
	case l.more <- struct{}{}:
	default:
	}
	return true
}

func (l *auditLog) Run(<-chan struct{}) error { return nil }
func (l *auditLog) Shutdown()                 {}
func (l *auditLog) String() string            { return "log of a test" }

// await returns the event of a request once its handler has returned.
func (l *auditLog) await(t *testing.T, verb, name string) *auditinternal.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait.ForeverTestTimeout)
	defer cancel()
	find := func() *auditinternal.Event {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, e := range l.events {
			if e.Stage == auditinternal.StageResponseComplete && e.Verb == verb && e.ObjectRef != nil && e.ObjectRef.Name == name {
				return e
			}
		}
		return nil
	}
	for {
		if e := find(); e != nil {
			return e
		}
		select {
		case <-l.more:
		case <-ctx.Done():
			t.Fatalf("no %s of %s has ended", verb, name)
		}
	}
}

func clientOf(t *testing.T, clients versioned.Interface, gv schema.GroupVersion) rest.Interface {
	t.Helper()
	for _, c := range []rest.Interface{
		clients.ClusterV1().RESTClient(), clients.ClusterV1beta1().RESTClient(), clients.PlacementV1().RESTClient(),
		clients.PlacementV1beta1().RESTClient(), clients.RolloutV1alpha1().RESTClient(),
	} {
		if c.APIVersion() == gv {
			return c
		}
	}
	t.Fatalf("no client of %s", gv)
	return nil
}

// object is an object that can be written.
type object interface {
	runtime.Object
	metav1.Object
}

// shared asks for one resource by reference, and fails where the answer is not.
type shared struct {
	*testing.T
	client rest.Interface
	served
}

func (s shared) empty() object {
	s.Helper()
	o, err := scheme.Scheme.New(s.gv.WithKind(s.Kind))
	if err != nil {
		s.Fatal(err)
	}
	return o.(object)
}

func (s shared) on(r *rest.Request) *rest.Request {
	return r.NamespaceIfScoped(sampleNamespace, s.Namespaced).Resource(s.served.Name)
}

func (s shared) do(r *rest.Request) object {
	s.Helper()
	var contentType string
	into := s.empty()
	if err := r.Do(s.Context()).ContentType(&contentType).Into(into); err != nil {
		s.Fatal(err)
	}
	if contentType != inprocess.MediaType {
		s.Fatalf("the answer is %s", contentType)
	}
	if k := into.GetObjectKind().GroupVersionKind(); !k.Empty() {
		s.Errorf("the answer has the kind %s, which clients leave out", k)
	}
	return into
}

func (s shared) watch(resourceVersion, name string) watch.Interface {
	s.Helper()
	o := metav1.ListOptions{Watch: true, ResourceVersion: resourceVersion, FieldSelector: "metadata.name=" + name}
	w, err := s.on(s.client.Get()).VersionedParams(&o, scheme.ParameterCodec).Watch(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(w.Stop)
	return w
}

// spoil changes all that can be changed of what a client was given.
func spoil(o runtime.Object) {
	accessor, err := meta.Accessor(o)
	if err != nil {
		_ = meta.EachListItem(o, func(item runtime.Object) error {
			spoil(item)
			return nil
		})
		return
	}
	accessor.GetLabels()["kept"] = "spoiled"
	spoilBytes(reflect.ValueOf(o))
}

func spoilBytes(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			spoilBytes(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				spoilBytes(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoilBytes(v.Index(i))
		}
	case reflect.Uint8, reflect.String:
		if v.CanSet() {
			v.SetZero()
		}
	}
}

// TestEveryResourceIsSharedWithControllers has a client of the server's own do all that there is with each resource in each version, and spoil
// what it gets. Whoever asks next, in whatever way, must not see that.
func TestEveryResourceIsSharedWithControllers(t *testing.T) {
	server, clients, _, _ := startShared(t)
	for _, r := range discover(t, server.As(testserver.Alice)) {
		t.Run(r.String(), func(t *testing.T) {
			s, others := shared{t, clientOf(t, clients, r.gv), r}, r.client(t, server.Controllers())
			want := sample(t, r, name(r, "shared"))
			want.SetLabels(map[string]string{"kept": "yes"})
			sent := s.empty()
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(want.Object, sent); err != nil {
				t.Fatal(err)
			}
			before := sent.DeepCopyObject()

			// What controllers create has no managedFields before it is applied, and keeps them from then on.
			isApplied := false
			// stored is the object as every other client has it, in the store or from the cache once that has the version.
			stored := func(version string) object {
				t.Helper()
				got, err := others.Get(t.Context(), want.GetName(), metav1.GetOptions{ResourceVersion: version})
				if err != nil {
					t.Fatal(err)
				}
				o := s.empty()
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(got.Object, o); err != nil {
					t.Fatal(err)
				}
				if len(o.GetManagedFields()) > 0 != isApplied {
					t.Errorf("the stored object was applied: %t; its managedFields are %v", isApplied, o.GetManagedFields())
				}
				o.SetManagedFields(nil)
				o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
				return o
			}
			check := func(what string, got runtime.Object) {
				t.Helper()
				for _, version := range []string{"", got.(object).GetResourceVersion()} {
					if want := stored(version); !apiequality.Semantic.DeepEqual(got, want) {
						t.Errorf("%s:\n%s\nwant\n%s", what, asJSON(t, got), asJSON(t, want))
					}
				}
				spoil(got)
			}

			created := s.do(s.on(s.client.Post()).Body(sent))
			if !apiequality.Semantic.DeepEqual(sent, before) {
				t.Errorf("the object that was sent has changed:\n%s", asJSON(t, sent))
			}
			check("created", created)
			apply := &unstructured.Unstructured{}
			apply.SetGroupVersionKind(want.GroupVersionKind())
			apply.SetNamespace(want.GetNamespace())
			apply.SetName(want.GetName())
			apply.SetLabels(map[string]string{"applied": "yes"})
			applied, err := others.Apply(t.Context(), want.GetName(), apply, metav1.ApplyOptions{FieldManager: "test"})
			if err != nil {
				t.Fatal(err)
			}
			isApplied = true
			first := applied.GetResourceVersion()
			check("applied", s.do(s.on(s.client.Get()).Name(want.GetName()).Param("resourceVersion", first)))
			// Up to two watches get copies of their own from the cache, and more of them share an encoding.
			watches := []watch.Interface{}
			for range 4 {
				watches = append(watches, s.watch("0", want.GetName()))
				for i, w := range watches[len(watches)-1:] {
					event := <-w.ResultChan()
					if event.Type != watch.Added {
						t.Fatalf("watch %d: %v", i, event)
					}
					check("watched", event.Object)
				}
			}
			for range 2 {
				check("read", s.do(s.on(s.client.Get()).Name(want.GetName())))
				check("read from the cache", s.do(s.on(s.client.Get()).Name(want.GetName()).Param("resourceVersion", first)))
				list, err := s.on(s.client.Get()).Param("resourceVersion", first).Param("fieldSelector", "metadata.name="+want.GetName()).Do(t.Context()).Get()
				if err != nil || meta.LenList(list) != 1 {
					t.Fatalf("%d objects: %v", meta.LenList(list), err)
				}
				_ = meta.EachListItem(list, func(item runtime.Object) error {
					check("listed", item)
					return nil
				})
			}

			changed := s.do(s.on(s.client.Get()).Name(want.GetName()))
			changed.GetLabels()["more"] = "yes"
			check("updated", s.do(s.on(s.client.Put()).Name(want.GetName()).Body(changed)))
			if got := stored(""); got.GetLabels()["more"] != "yes" || got.GetLabels()["kept"] != "yes" {
				t.Errorf("labels after the update are %v", got.GetLabels())
			}
			for i, w := range watches {
				event := <-w.ResultChan()
				if event.Type != watch.Modified {
					t.Fatalf("watch %d: %v", i, event)
				}
				check("watched", event.Object)
			}
			check("patched", s.do(s.on(s.client.Patch("application/merge-patch+json")).Name(want.GetName()).Body([]byte(`{"metadata":{"labels":{"more":null}}}`))))

			// A stale write and one of what is there already are told as such.
			changed.SetResourceVersion(first)
			if err := s.on(s.client.Put()).Name(want.GetName()).Body(changed).Do(t.Context()).Error(); !apierrors.IsConflict(err) {
				t.Errorf("a stale update: %v", err)
			}
			if err := s.on(s.client.Post()).Body(sent).Do(t.Context()).Error(); !apierrors.IsAlreadyExists(err) {
				t.Errorf("a second creation: %v", err)
			}
			uid := stored("").GetUID()
			wrong := metav1.NewPreconditionDeleteOptions("another")
			if err := s.on(s.client.Delete()).Name(want.GetName()).Body(wrong).Do(t.Context()).Error(); !apierrors.IsConflict(err) {
				t.Errorf("the deletion of another object: %v", err)
			}
			if err := s.on(s.client.Delete()).Name(want.GetName()).Body(metav1.NewPreconditionDeleteOptions(string(uid))).Do(t.Context()).Error(); err != nil {
				t.Errorf("deletion: %v", err)
			}
			for i, w := range watches {
				for event := range w.ResultChan() {
					if event.Type == watch.Deleted {
						if got := event.Object.(object); got.GetUID() != uid {
							t.Errorf("watch %d sees the deletion of %s", i, got.GetUID())
						}
						break
					}
					// A finalizer keeps it for now, or it was patched.
					if event.Type != watch.Modified {
						t.Fatalf("watch %d: %v", i, event)
					}
					if event.Object.(object).GetDeletionTimestamp() != nil {
						break
					}
				}
			}
			if err := s.on(s.client.Get()).Name("nobody").Do(t.Context()).Error(); !apierrors.IsNotFound(err) {
				t.Errorf("what is not there: %v", err)
			}
		})
	}
}

func asJSON(t *testing.T, o runtime.Object) []byte {
	t.Helper()
	data, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Errors come to the client as they do over a connection.
func TestErrorsAreSharedWithControllers(t *testing.T) {
	_, clients, _, _ := startShared(t)
	strategies := clients.PlacementV1beta1().ClusterStagedUpdateStrategies()
	_, err := strategies.Create(t.Context(), sampleStrategy("Invalid Name"), metav1.CreateOptions{})
	if status := apierrors.APIStatus(nil); !apierrors.IsInvalid(err) || !asStatus(err, &status) || len(status.Status().Details.Causes) == 0 {
		t.Errorf("an invalid name: %#v", err)
	}
	if _, err := strategies.Watch(t.Context(), metav1.ListOptions{FieldSelector: "spec.nothing=x"}); !apierrors.IsBadRequest(err) {
		t.Errorf("a watch by a field that there is not: %v", err)
	}
}

func asStatus(err error, status *apierrors.APIStatus) bool {
	s, ok := err.(apierrors.APIStatus)
	*status = s
	return ok
}

// The audit log has the objects of requests and responses, and who has made them.
func TestWhatIsSharedIsAudited(t *testing.T) {
	_, clients, _, log := startShared(t)
	if _, err := clients.PlacementV1beta1().ClusterStagedUpdateStrategies().Create(t.Context(), sampleStrategy("audited"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	e := log.await(t, "create", "audited")
	for what, data := range map[string]*runtime.Unknown{"request": e.RequestObject, "response": e.ResponseObject} {
		if data == nil {
			t.Errorf("the audit log has no object of the %s", what)
			continue
		}
		got := &v1beta1.ClusterStagedUpdateStrategy{}
		if err := json.Unmarshal(data.Raw, got); err != nil || got.Name != "audited" || got.Kind != "ClusterStagedUpdateStrategy" || len(got.Spec.Stages) != 1 {
			t.Errorf("the audit log has %s of the %s: %v", data.Raw, what, err)
		}
	}
	if e.User.Username != registry.Controllers().GetName() || len(e.SourceIPs) != 1 || e.SourceIPs[0] != "127.0.0.1" || e.ResponseStatus.Code != http.StatusCreated {
		t.Errorf("the audit log has %v from %v with %v", e.User, e.SourceIPs, e.ResponseStatus)
	}
}

// TestNobodyElseCanShareObjects asks for the media type over a connection, with any credential, and within the process without an exchange. The
// answers are those to a media type that does not exist.
func TestNobodyElseCanShareObjects(t *testing.T) {
	server, clients, own, _ := startShared(t)
	const unknown = "application/vnd.nobody.object"
	if _, err := clients.PlacementV1beta1().ClusterStagedUpdateStrategies().Create(t.Context(), sampleStrategy("there"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const strategies = "/apis/placement.kubernetes-fleet.io/v1beta1/clusterstagedupdatestrategies"
	for who, config := range map[string]*rest.Config{
		"a user": server.As(testserver.Alice), "the controllers over TLS": server.Controllers(), "the controllers without an exchange": own,
	} {
		connection, err := rest.HTTPClientFor(config)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(method, path, accept, contentType string) (int, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, config.Host+path, bytes.NewReader(make([]byte, 25)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accept)
			r.Header.Set("Content-Type", contentType)
			response, err := connection.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(response.Header.Get("Content-Type"), "stagegate") {
				t.Errorf("%s: %s %s is answered with %v", who, method, path, response.Header)
			}
			return response.StatusCode, string(body)
		}
		for _, tc := range []struct {
			method, path, accept, contentType string
			want                              int
		}{
			{http.MethodGet, strategies, inprocess.MediaType, "", http.StatusNotAcceptable},
			{http.MethodGet, strategies + "/there", inprocess.MediaType, "", http.StatusNotAcceptable},
			{http.MethodGet, strategies + "?watch=1&timeoutSeconds=1", inprocess.MediaType, "", http.StatusNotAcceptable},
			{http.MethodGet, strategies + "?watch=1&timeoutSeconds=1", inprocess.MediaType + ";stream=watch", "", http.StatusNotAcceptable},
			{http.MethodGet, strategies, inprocess.MediaType + ";as=Table;v=v1;g=meta.k8s.io", "", http.StatusNotAcceptable},
			{http.MethodGet, strategies + "/there", inprocess.MediaType + ",application/json", "", http.StatusOK},
			{http.MethodGet, strategies + "/there", "application/vnd.*", "", http.StatusNotAcceptable},
			{http.MethodPost, strategies, "application/json", inprocess.MediaType, http.StatusUnsupportedMediaType},
			{http.MethodPut, strategies + "/there", "application/json", inprocess.MediaType, http.StatusUnsupportedMediaType},
			{http.MethodPatch, strategies + "/there", "application/json", inprocess.MediaType, http.StatusUnsupportedMediaType},
			{http.MethodDelete, strategies + "/there", "application/json", inprocess.MediaType, http.StatusUnsupportedMediaType},
		} {
			code, body := ask(tc.method, tc.path, tc.accept, tc.contentType)
			swap := strings.NewReplacer(inprocess.MediaType, unknown)
			likeCode, likeBody := ask(tc.method, tc.path, swap.Replace(tc.accept), swap.Replace(tc.contentType))
			if code != tc.want || code != likeCode || body != likeBody || strings.Contains(body, "stagegate.object") {
				t.Errorf("%s: %s %s, accepting %s, with %s: %d %s\nwant %d, and as for an unknown media type: %d %s",
					who, tc.method, tc.path, tc.accept, tc.contentType, code, body, tc.want, likeCode, likeBody)
			}
		}
		for _, path := range []string{
			"/openapi/v2", "/openapi/v3", "/openapi/v3/apis/placement.kubernetes-fleet.io/v1beta1", "/apis", "/apis/placement.kubernetes-fleet.io/v1beta1",
		} {
			if code, body := ask(http.MethodGet, path, "application/json", ""); code != http.StatusOK || strings.Contains(body, "vnd.stagegate") {
				t.Errorf("%s tells of the media type, or is answered with %d", path, code)
			}
		}
	}
}

// A client whose request is over gives back what the server has for it.
func TestAWatchOfAControllerEndsWithIt(t *testing.T) {
	_, clients, _, log := startShared(t)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := clients.PlacementV1beta1().ClusterStagedUpdateStrategies().Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=ended"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range w.ResultChan() {
	}
	// The server audits a watch when its handler has returned.
	log.await(t, "watch", "ended")
}
