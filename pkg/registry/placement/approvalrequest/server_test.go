// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	restclient "k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/generated/openapi"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

const (
	// controllers is the user whom the server takes for its own controllers.
	controllers = "system:apiserver"
	// administrator is in the group of the controllers.
	administrator = "administrator"
	// impostor shows all that the controllers show.
	impostor = "impostor"
)

// now is when everything in these tests is decided.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// server serves the approval requests of both scopes over HTTP from an etcd of its own.
type server struct {
	handler http.Handler

	lock sync.Mutex
	// denied are the attributes, as "user verb resource/subresource", that the authorizer refuses.
	denied map[string]bool
	// failing makes the authorizer unable to say.
	failing map[string]bool
	// asked are the attributes the authorizer was asked about by the storage, not by the handlers.
	asked  []authorizer.AttributesRecord
	events []*auditinternal.Event
	// meanwhile is done once, in the middle of the next decision: after the request was read and before it is written.
	meanwhile func()
}

func newServer(t testing.TB) *server {
	t.Helper()
	etcd := testserver.RunEtcd(t, nil)
	storage := storagebackend.NewDefaultConfig("/test", scheme.Codecs.LegacyCodec(v1beta1.SchemeGroupVersion))
	storage.Transport.ServerList = etcd.Endpoints()
	s := &server{denied: map[string]bool{}, failing: map[string]bool{}}

	config := genericapiserver.NewConfig(scheme.Codecs)
	config.ExternalAddress = "127.0.0.1:443"
	config.PublicAddress = net.IPv4(127, 0, 0, 1)
	config.LoopbackClientConfig = &restclient.Config{}
	config.EffectiveVersion = basecompatibility.NewEffectiveVersionFromString("1.0", "", "")
	namer := openapinamer.NewDefinitionNamer(scheme.Scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	config.Authentication.Authenticator = authenticator.RequestFunc(authenticate)
	config.Authorization.Authorizer = authorizer.AuthorizerFunc(letThrough)
	config.AdmissionControl = admission.NewChainHandler(noFoul{}, interruption{s})
	config.AuditBackend = s
	config.AuditPolicyRuleEvaluator = policy.NewFakePolicyRuleEvaluator(auditinternal.LevelMetadata, nil)

	generic, err := config.Complete(nil).New("test", genericapiserver.NewEmptyDelegate())
	if err != nil {
		t.Fatalf("making the server: %v", err)
	}
	group := genericapiserver.NewDefaultAPIGroupInfo(v1beta1.GroupName, scheme.Scheme, scheme.ParameterCodec, scheme.Codecs)
	paths := s.storage(t, storage)
	group.VersionedResourcesStorageMap = map[string]map[string]rest.Storage{"v1": paths, "v1beta1": paths}
	if err := generic.InstallAPIGroup(&group); err != nil {
		t.Fatalf("installing the group: %v", err)
	}
	t.Cleanup(generic.Destroy)
	s.handler = generic.Handler
	return s
}

func (s *server) storage(t testing.TB, config *storagebackend.Config) map[string]rest.Storage {
	t.Helper()
	paths := map[string]rest.Storage{}
	for _, resource := range Resources() {
		stored, err := store.NewStorage(resource, generic.RESTOptions{
			StorageConfig:           config.ForResource(resource.GroupResource()),
			Decorator:               generic.UndecoratedStorage,
			EnableGarbageCollection: true,
			DeleteCollectionWorkers: 1,
			ResourcePrefix:          resource.Plural,
		})
		if err != nil {
			t.Fatalf("making the storage of %s: %v", resource.Plural, err)
		}
		for path, storage := range Paths(stored, authorizer.AuthorizerFunc(s.ask), clocktesting.NewFakePassiveClock(now)) {
			paths[strings.TrimSuffix(resource.Plural+"/"+path, "/")] = storage
		}
	}
	return paths
}

// letThrough is what the handlers ask: under test is what the storage asks besides.
func letThrough(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionAllow, "", nil
}

// authenticate takes the bearer token for the user's name.
func authenticate(request *http.Request) (*authenticator.Response, bool, error) {
	name := strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer ")
	info := &user.DefaultInfo{Name: name, UID: uidOf(name), Groups: []string{"people", user.AllAuthenticated}}
	own := registry.Controllers()
	switch name {
	case controllers:
		return &authenticator.Response{User: own}, true, nil
	case administrator:
		info.Groups = own.GetGroups()
	case impostor:
		info = &user.DefaultInfo{Name: own.GetName(), UID: own.GetUID(), Groups: own.GetGroups()}
	}
	return &authenticator.Response{User: info}, name != "", nil
}

// uidOf is what is recorded of a user beside the name.
func uidOf(name string) string {
	if name == controllers {
		return ""
	}
	return "uid-of-" + name
}

// ask is the authorizer that the storage asks.
func (s *server) ask(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.asked = append(s.asked, a.(authorizer.AttributesRecord))
	key := a.GetUser().GetName() + " " + a.GetVerb() + " " + a.GetResource() + "/" + a.GetSubresource()
	switch {
	case s.failing[key]:
		return authorizer.DecisionNoOpinion, "", io.ErrUnexpectedEOF
	case s.denied[key]:
		return authorizer.DecisionNoOpinion, "no rule allows it", nil
	}
	return authorizer.DecisionAllow, "", nil
}

// ProcessEvents implements audit.Backend.
func (s *server) ProcessEvents(events ...*auditinternal.Event) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, event := range events {
		if event.Stage == auditinternal.StageResponseComplete {
			s.events = append(s.events, event.DeepCopy())
		}
	}
	return true
}

// Run implements audit.Backend.
func (s *server) Run(<-chan struct{}) error { return nil }

// Shutdown implements audit.Backend.
func (s *server) Shutdown() {}

// String implements audit.Backend.
func (s *server) String() string { return "test" }

// lastAudit is the audit event of the last request that was answered.
func (s *server) lastAudit(t testing.TB) *auditinternal.Event {
	t.Helper()
	s.lock.Lock()
	defer s.lock.Unlock()
	if len(s.events) == 0 {
		t.Fatal("nothing was audited")
	}
	return s.events[len(s.events)-1]
}

// lastAsked is what the storage last asked the authorizer.
func (s *server) lastAsked(t testing.TB) authorizer.AttributesRecord {
	t.Helper()
	s.lock.Lock()
	defer s.lock.Unlock()
	if len(s.asked) == 0 {
		t.Fatal("the authorizer was not asked")
	}
	return s.asked[len(s.asked)-1]
}

// noFoul is admission that refuses an Approval with a foul comment, to see that admission is asked.
type noFoul struct{}

func (noFoul) Handles(admission.Operation) bool { return true }

func (noFoul) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	approval, ok := a.GetObject().(*v1beta1.Approval)
	if ok && approval.Spec.Comment == "foul" {
		return admission.NewForbidden(a, errors.New("mind your language"))
	}
	return nil
}

// interruption is admission as the moment between the read of a request and the write of a decision on it.
type interruption struct{ *server }

func (interruption) Handles(admission.Operation) bool { return true }

func (i interruption) Validate(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	i.lock.Lock()
	meanwhile := i.meanwhile
	i.meanwhile = nil
	i.lock.Unlock()
	if meanwhile != nil {
		meanwhile()
	}
	return nil
}

// scope is one of the two kinds of approval request.
type scope struct {
	name      string
	kind      string
	resource  string
	namespace string
}

var scopes = []scope{
	{"cluster-scoped", "ClusterApprovalRequest", "clusterapprovalrequests", ""},
	{"namespaced", "ApprovalRequest", "approvalrequests", "test-namespace"},
}

// path is where something is below the group: a version, the resource, and what follows.
func (s scope) path(version string, rest ...string) string {
	segments := []string{version}
	if s.namespace != "" {
		segments = append(segments, "namespaces", s.namespace)
	}
	return strings.Join(append(append(segments, s.resource), rest...), "/")
}

// call is one HTTP request.
type call struct {
	user, method, path, body, contentType string
	header                                map[string]string
}

// do answers the code and the body.
func (s *server) do(t testing.TB, c call) (int, string) {
	t.Helper()
	response := s.answer(c)
	return response.Code, response.Body.String()
}

func (s *server) answer(c call) *httptest.ResponseRecorder {
	request := httptest.NewRequest(c.method, "https://localhost/apis/"+v1beta1.GroupName+"/"+c.path, strings.NewReader(c.body))
	request.Header.Set("Authorization", "Bearer "+c.user)
	request.Header.Set("Content-Type", c.contentType)
	if c.contentType == "" {
		request.Header.Set("Content-Type", runtime.ContentTypeJSON)
	}
	for key, value := range c.header {
		request.Header.Set(key, value)
	}
	response := httptest.NewRecorder()
	s.handler.ServeHTTP(response, request)
	return response
}

// mustDo is do for what a test takes for granted.
func (s *server) mustDo(t testing.TB, c call) string {
	t.Helper()
	code, body := s.do(t, c)
	if code >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %d %s", c.method, c.path, code, body)
	}
	return body
}

// create makes an undecided request and returns its uid.
func (s *server) create(t testing.TB, in scope, name string) types.UID {
	t.Helper()
	return s.createWithPolicy(t, in, name, "null")
}

// createWithPolicy makes an undecided request with a policy and returns its uid.
func (s *server) createWithPolicy(t testing.TB, in scope, name, policy string) types.UID {
	t.Helper()
	body := s.mustDo(t, call{user: controllers, method: http.MethodPost, path: in.path("v1beta1"), body: `{
		"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "` + in.kind + `", "metadata": {"name": "` + name + `"},
		"spec": {"parentStageRollout": "example-run", "targetStage": "canary", "policy": ` + policy + `}}`})
	return decode[v1beta1.ApprovalRequest](t, body).UID
}

// remove deletes a request.
func (s *server) remove(t *testing.T, in scope, name string) {
	t.Helper()
	s.mustDo(t, call{user: controllers, method: http.MethodDelete, path: in.path("v1beta1", name)})
}

// get reads a request; both kinds have the same fields.
func (s *server) get(t testing.TB, in scope, name string) v1beta1.ApprovalRequest {
	t.Helper()
	return decode[v1beta1.ApprovalRequest](t, s.mustDo(t, call{user: controllers, method: http.MethodGet, path: in.path("v1beta1", name)}))
}

func decode[T any](t testing.TB, body string) T {
	t.Helper()
	var into T
	if err := json.Unmarshal([]byte(body), &into); err != nil {
		t.Fatalf("reading %s: %v", body, err)
	}
	return into
}

func encode(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// expectRefusal wants a code and a message.
func expectRefusal(t testing.TB, code int, body string, wantCode int, wantMessage string) {
	t.Helper()
	if code != wantCode {
		t.Fatalf("code %d, want %d: %s", code, wantCode, body)
	}
	if diff := cmp.Diff(wantMessage, decode[metav1.Status](t, body).Message); diff != "" {
		t.Errorf("message, -want +got:\n%s", diff)
	}
}
