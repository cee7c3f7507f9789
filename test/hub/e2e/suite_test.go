// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/test/hub"
)

const (
	serverProcess = "stagegate-apiserver"

	// patience is how long a test waits for what takes seconds at most; it is this long for slow machines, which run two environments.
	patience = 2 * time.Minute

	// upTimeout is for bringing up the environment, building Kubernetes included.
	upTimeout = 30 * time.Minute

	permissionInterval = 20 * time.Millisecond

	logTailLines = 40
)

var (
	placementV1beta1 = schema.GroupVersion{Group: "placement.kubernetes-fleet.io", Version: "v1beta1"}

	kindRun              = placementV1beta1.WithKind("ClusterStagedUpdateRun")
	kindPlacement        = placementV1beta1.WithKind("ClusterResourcePlacement")
	kindStrategy         = placementV1beta1.WithKind("ClusterStagedUpdateStrategy")
	kindApproval         = placementV1beta1.WithKind("ClusterApprovalRequest")
	kindResourceSnapshot = placementV1beta1.WithKind("ClusterResourceSnapshot")
	kindConfigMap        = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	kindService          = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	kindNamespace        = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
)

// suite is the environment with what the tests need of it.
type suite struct {
	options     hub.Options
	environment *hub.Environment
	changes     *changes
	// clusters are the clusters as their administrators see them, by name.
	clusters map[string]cluster
	// since is when the tests began: what is older in a log is of an earlier run on the same environment.
	since time.Time
}

// up brings the environment up, or brings back what has been killed.
func (s *suite) up(t *testing.T) {
	t.Helper()
	// In a cleanup the context of the test has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), upTimeout)
	defer cancel()
	environment, err := hub.Up(ctx, s.options)
	if err != nil {
		// What explains a test that failed reads the one that was there.
		t.Fatal(err)
	}
	s.environment = environment
	s.clusters = map[string]cluster{}
	for _, name := range s.environment.Clusters() {
		s.clusters[name] = s.as(t, name)
	}
	s.changes.watch(t, s.clusters)
}

func (s *suite) hub() cluster { return s.clusters[hub.HubName] }

// as returns the cluster that the user of a kubeconfig sees.
func (s *suite) as(t *testing.T, kubeconfig string) cluster {
	t.Helper()
	config, err := s.environment.RESTConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return cluster{client}
}

// kill kills a process, which a test that fails before it brings it back leaves to be brought back.
func (s *suite) kill(t *testing.T, process string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			s.up(t)
		}
	})
	if err := s.environment.Kill(process); err != nil {
		t.Fatal(err)
	}
}

// run runs a script with kubectl in PATH as the user of a kubeconfig. The error holds what it wrote to stderr.
func (s *suite) run(ctx context.Context, kubeconfig, script string, configure ...func(*exec.Cmd)) (string, error) {
	cmd := s.environment.Command(ctx, kubeconfig, script)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	for _, c := range configure {
		c(cmd)
	}
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// mustRun runs a script as the administrator of the hub.
func (s *suite) mustRun(t *testing.T, script string) string {
	t.Helper()
	out, err := s.run(t.Context(), hub.HubName, script)
	if err != nil {
		t.Fatalf("%s: %v", strings.TrimSpace(script), err)
	}
	return out
}

// mustRunInCleanup is mustRun for when the context of the test has ended. It waits for the placements that it deletes and not for namespaces,
// whose deletion Kubernetes begins five seconds later: NothingIsLeft waits for all of them at once.
func (s *suite) mustRunInCleanup(t *testing.T, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if _, err := s.run(ctx, hub.HubName, script); err != nil {
		t.Errorf("%s: %v", script, err)
	}
}

// timeouts are told once more after all tests: half an hour of output may be cut to its end.
var timeouts unmet

// unmet is what tests have waited for in vain.
type unmet struct {
	mu  sync.Mutex
	all []string
}

func (u *unmet) add(test string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = append(u.all, fmt.Sprintf("%s waited in vain: %v", test, err))
}

func (u *unmet) tell(w io.Writer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, line := range u.all {
		fmt.Fprintln(w, line)
	}
}

// eventually returns once check does without an error. It is called again whenever anything has changed on a cluster.
func (s *suite) eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		changed := s.changes.next()
		err := check()
		if err == nil {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			timeouts.add(t.Name(), err)
			t.Fatalf("after %s still: %v", patience, err)
		}
	}
}

// awaitPermission returns when the hub lets the user do what a role that was just bound allows. Its authorizer sees a binding
// a moment after it is stored, and there is no event for that.
func (s *suite) awaitPermission(t *testing.T, user, namespace, verb, resource string) {
	t.Helper()
	config, err := s.environment.RESTConfig(user)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: placementV1beta1.Group, Resource: resource,
		},
	}}
	err = wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(ctx context.Context) (bool, error) {
		answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed, err
	})
	if err != nil {
		t.Fatalf("%s may not %s %s in namespace %q: %v", user, verb, resource, namespace, err)
	}
}

// explain prints what a failed test was about, objects as kubectl get takes them, and the end of the server's log.
func (s *suite) explain(t *testing.T, objects ...string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		for _, object := range objects {
			out, err := s.run(ctx, hub.HubName, "kubectl get --ignore-not-found -o yaml "+object)
			t.Logf("%s:\n%s%v", object, out, err)
		}
		t.Logf("%s ends with:\n%s", s.environment.Log(serverProcess), tail(s.environment.Log(serverProcess)))
	})
}

func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-logTailLines):], "\n")
}

// cluster is a cluster as one user sees it.
type cluster struct{ dynamic.Interface }

// of returns the client for a kind. All kinds here have regular plurals, so discovery need not be asked.
func (c cluster) of(kind schema.GroupVersionKind, namespace string) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	if namespace == "" {
		return c.Resource(resource)
	}
	return c.Resource(resource).Namespace(namespace)
}

// create creates the objects of a YAML stream up to the first that is refused.
func (c cluster) create(ctx context.Context, manifests string) error {
	for _, text := range strings.Split(manifests, "\n---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
			return err
		}
		options := metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}
		if _, err := c.of(obj.GroupVersionKind(), obj.GetNamespace()).Create(ctx, obj, options); err != nil {
			return err
		}
	}
	return nil
}

func (c cluster) mustCreate(t *testing.T, manifests string) {
	t.Helper()
	if err := c.create(t.Context(), manifests); err != nil {
		t.Fatalf("creating\n%s\n%v", manifests, err)
	}
}

func (c cluster) mustPatch(t *testing.T, kind schema.GroupVersionKind, namespace, name, patch string, subresources ...string) {
	t.Helper()
	if _, err := c.of(kind, namespace).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...); err != nil {
		t.Fatalf("patching %s %s with %s: %v", kind.Kind, name, patch, err)
	}
}

func (c cluster) get(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) (*unstructured.Unstructured, error) {
	return c.of(kind, namespace).Get(ctx, name, metav1.GetOptions{})
}

// condition returns an error unless the object has the condition with the status and the reason, which may be empty for any.
func condition(obj *unstructured.Unstructured, conditionType, status, reason string) error {
	actual, err := findCondition(obj, conditionType)
	if err != nil {
		return err
	}
	if string(actual.Status) != status || reason != "" && actual.Reason != reason {
		return fmt.Errorf("%s %s: condition %s is %s, %s (%s), want %s, %s",
			obj.GetKind(), obj.GetName(), conditionType, actual.Status, actual.Reason, actual.Message, status, reason)
	}
	return nil
}

func findCondition(obj *unstructured.Unstructured, conditionType string) (*metav1.Condition, error) {
	var status struct {
		Conditions []metav1.Condition `json:"conditions"`
	}
	if err := decode(obj.Object["status"], &status); err != nil {
		return nil, err
	}
	if found := meta.FindStatusCondition(status.Conditions, conditionType); found != nil {
		return found, nil
	}
	var has []string
	for _, c := range status.Conditions {
		has = append(has, fmt.Sprintf("%s: %s, %s (%s)", c.Type, c.Status, c.Reason, c.Message))
	}
	return nil, fmt.Errorf("%s %s has no condition %s, but %q", obj.GetKind(), obj.GetName(), conditionType, has)
}

// decode reads a part of an unstructured object.
func decode(value, into any) error {
	if value == nil {
		return nil
	}
	data, err := yaml.Marshal(value)
	if err != nil {
		return err
	}
	return yaml.Unmarshal(data, into)
}

// values returns an error unless the ConfigMap has the value under "key" on each of the members; "" stands for no ConfigMap.
func (s *suite) values(ctx context.Context, namespace, name string, want map[string]string) error {
	var errs []error
	for member, value := range want {
		obj, err := s.clusters[member].get(ctx, kindConfigMap, namespace, name)
		got := ""
		if err == nil {
			got, _, err = unstructured.NestedString(obj.Object, "data", "key")
		}
		if isGone(err) {
			err = nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("on %s: %w", member, err))
		} else if got != value {
			errs = append(errs, fmt.Errorf("on %s: ConfigMap %s/%s has %q, want %q", member, namespace, name, got, value))
		}
	}
	return errors.Join(errs...)
}

// contextAfter is the context of a test without its end, for what is done in a cleanup.
func contextAfter(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }

// sameElements reports whether two lists have the same elements, in whatever order.
func sameElements(got, want []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
}

// sortedLines returns a text with its lines in order.
func sortedLines(text string) string {
	return strings.Join(slices.Sorted(strings.Lines(text)), "")
}
