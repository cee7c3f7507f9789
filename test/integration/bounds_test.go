// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"k8s.io/client-go/util/workqueue"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

const mib = 1 << 20

// manifestPatch is a merge patch that adds to an envelope a manifest with so many bytes of the letter a.
func manifestPatch(number, size int) []byte {
	return fmt.Appendf(nil, `{"data":{"m%d":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m%d","namespace":%q},"data":{"a":%q}}}}`, number, number, sampleNamespace, strings.Repeat("a", size))
}

// skipUnderRace skips a test of what something costs in time or memory: the race detector multiplies both.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("the race detector multiplies what this measures")
	}
}

// TestATenantCannotFillTheServersMemory plays somebody who may edit one namespace: with one object that is large and compresses well,
// and with very many.
func TestATenantCannotFillTheServersMemory(t *testing.T) {
	skipUnderRace(t)
	hub := testserver.NewHub()
	if _, err := hub.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: sampleNamespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s := testserver.Start(t, testserver.WithHub(hub))
	r := find(t, s, "v1", "resourceenvelopes")
	client := r.client(t, s.As(testserver.Bob))
	create(t, client, sample(t, r, "large"))

	held := heldAfter(func() {
		for i := range 49 {
			_, err := client.Patch(t.Context(), "large", types.MergePatchType, manifestPatch(i, 15*mib), metav1.PatchOptions{})
			if !apierrors.IsRequestEntityTooLargeError(err) || !strings.Contains(err.Error(), "at most 3145728 bytes (3 MiB) are read") {
				t.Fatalf("patch %d of 15 MiB: %v", i, err)
			}
		}
	})
	// That is what the test itself takes for its patches.
	if held > 400*mib {
		t.Errorf("the process has grown by %d MiB through 49 patches of 15 MiB", held/mib)
	}
	held = heldAfter(func() {
		refused := 0
		for i := range 49 {
			_, err := client.Patch(t.Context(), "large", types.MergePatchType, manifestPatch(i, 100<<10), metav1.PatchOptions{})
			switch {
			case apierrors.IsRequestEntityTooLargeError(err) && strings.Contains(err.Error(), "ResourceEnvelope "+sampleNamespace+"/large") && strings.Contains(err.Error(), "at most 1048576"):
				refused++
			case err != nil || refused > 0:
				t.Fatalf("patch %d of 100 KiB after %d were refused: %v", i, refused, err)
			}
		}
		if refused != 39 {
			t.Errorf("of 49 patches of 100 KiB %d are refused, want 39: the object may have a mebibyte", refused)
		}
	})
	if held > 300*mib {
		t.Errorf("the process has grown by %d MiB through 49 patches of 100 KiB", held/mib)
	}

	const writers = 8
	var created, forbidden atomic.Int64
	created.Add(1)
	workqueue.ParallelizeUntil(t.Context(), writers, 600, func(i int) {
		_, err := client.Create(t.Context(), sample(t, r, fmt.Sprintf("many-%d", i)), metav1.CreateOptions{})
		switch {
		case err == nil:
			created.Add(1)
		case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "namespace "+sampleNamespace+" has 50"):
			forbidden.Add(1)
		default:
			t.Errorf("envelope %d: %v", i, err)
		}
	})
	// Those who create at the same time may get in together.
	if created.Load() < 500 || created.Load() >= 500+writers || created.Load()+forbidden.Load() != 601 {
		t.Errorf("%d envelopes are created and %d refused, want 500 or a few more of 601", created.Load(), forbidden.Load())
	}
	// Server-side apply creates, too.
	_, err := client.Apply(t.Context(), "applied", sample(t, r, "applied"), metav1.ApplyOptions{FieldManager: "test"})
	if !apierrors.IsForbidden(err) {
		t.Errorf("one more by apply: %v, want forbidden", err)
	}
	if _, err := client.Patch(t.Context(), "many-7", types.MergePatchType, labelPatch("yes"), metav1.PatchOptions{}); err != nil {
		t.Errorf("a change of one of 500: %v", err)
	}
	for i := range created.Load() - 499 {
		if err := client.Delete(t.Context(), fmt.Sprintf("many-%d", 7+i), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	create(t, client, sample(t, r, "after-all"))
}

// heldAfter returns by how many bytes the memory that the process has of its system has grown.
func heldAfter(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.Sys - before.Sys
}

func TestBodiesAreBoundedWhateverTheVerb(t *testing.T) {
	s := testserver.Start(t)
	r := find(t, s, "v1", "resourceenvelopes")
	create(t, r.client(t, s.As(testserver.Alice)), sample(t, r, "body"))
	config := s.As(testserver.Alice)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	collection := config.Host + "/apis/placement.kubernetes-fleet.io/v1/namespaces/" + sampleNamespace + "/resourceenvelopes"
	object := collection + "/body"
	payload := manifestPatch(0, 4*mib)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(payload)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		method, url, contentType, encoding string
		body                               []byte
		want                               int
	}{
		"create":       {http.MethodPost, collection, "application/json", "", payload, http.StatusRequestEntityTooLarge},
		"replace":      {http.MethodPut, object, "application/json", "", payload, http.StatusRequestEntityTooLarge},
		"merge patch":  {http.MethodPatch, object, string(types.MergePatchType), "", payload, http.StatusRequestEntityTooLarge},
		"JSON patch":   {http.MethodPatch, object, string(types.JSONPatchType), "", payload, http.StatusRequestEntityTooLarge},
		"strategic":    {http.MethodPatch, object, string(types.StrategicMergePatchType), "", payload, http.StatusRequestEntityTooLarge},
		"apply":        {http.MethodPatch, object + "?fieldManager=m", string(types.ApplyPatchType), "", payload, http.StatusRequestEntityTooLarge},
		"delete":       {http.MethodDelete, object, "application/json", "", payload, http.StatusRequestEntityTooLarge},
		"delete all":   {http.MethodDelete, collection, "application/json", "", payload, http.StatusRequestEntityTooLarge},
		"gzip'ed":      {http.MethodPost, collection, "application/json", "gzip", bytes.Repeat(zipped.Bytes(), 4*mib/zipped.Len()), http.StatusRequestEntityTooLarge},
		"a small gzip": {http.MethodPatch, object, string(types.MergePatchType), "gzip", zipped.Bytes(), http.StatusBadRequest},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", name, chunked), func(t *testing.T) {
				var body io.Reader = bytes.NewReader(test.body)
				if chunked {
					body = struct{ io.Reader }{body}
				}
				request, err := http.NewRequestWithContext(t.Context(), test.method, test.url, body)
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Content-Type", test.contentType)
				if test.encoding != "" {
					request.Header.Set("Content-Encoding", test.encoding)
				}
				response, err := client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = response.Body.Close() }()
				answer, _ := io.ReadAll(response.Body)
				if response.StatusCode != test.want {
					t.Errorf("answered %d %s, want %d", response.StatusCode, answer, test.want)
				}
				if test.want == http.StatusRequestEntityTooLarge && !bytes.Contains(answer, []byte("at most 3145728 bytes (3 MiB) are read")) {
					t.Errorf("%s does not name the limit", answer)
				}
			})
		}
	}
}

func TestControllersWriteMoreThanUsers(t *testing.T) {
	s := testserver.Start(t)
	r := find(t, s, "v1", "clusterresourcesnapshots")
	payload := strings.Repeat("member-cluster ", 2*mib/15)
	_, err := r.client(t, s.As(testserver.Alice)).Create(t.Context(), snapshotOf(t, r, "users", payload), metav1.CreateOptions{})
	if !apierrors.IsRequestEntityTooLargeError(err) || !strings.Contains(err.Error(), "ClusterResourceSnapshot users would have 2") {
		t.Errorf("a user's snapshot of 2 MiB: %v, want RequestEntityTooLarge", err)
	}
	create(t, r.client(t, s.Controllers()), snapshotOf(t, r, "controllers", payload))
}

// storedByAnOlderVersion is an envelope as it was stored while every kind was compressed and nothing bounded it, with so many bytes of
// the letter a.
func storedByAnOlderVersion(t *testing.T, s *testserver.Server, name string, size int) {
	t.Helper()
	out := bytes.NewBufferString("stagegate:gzip:")
	w := gzip.NewWriter(out)
	write := func(text string) {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf(`{"kind":"ResourceEnvelope","apiVersion":"placement.kubernetes-fleet.io/v1beta1","metadata":{"name":%q,"namespace":%q,`+
		`"uid":"aa1e4b6e-7d2c-4b8a-9d9a-1c2f3b4a5d6e","generation":1,"creationTimestamp":"2026-01-01T00:00:00Z"},`+
		`"data":{"a":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"`, name, sampleNamespace))
	chunk := strings.Repeat("a", 1<<10)
	for range size >> 10 {
		write(chunk)
	}
	write(`"}}}}`)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := etcdClient(t, s).Put(t.Context(), envelopeKey(name), out.String()); err != nil {
		t.Fatal(err)
	}
}

func envelopeKey(name string) string {
	return "/registry/kubernetes-fleet.io/placement.kubernetes-fleet.io/resourceenvelopes/" + sampleNamespace + "/" + name
}

func TestWhatIsTooLargeAlreadyCanBeLabeledShrunkAndDeleted(t *testing.T) {
	s := testserver.Start(t)
	r := find(t, s, "v1", "resourceenvelopes")
	client := r.client(t, s.As(testserver.Bob))
	storedByAnOlderVersion(t, s, "old", 5*mib)
	patch := func(patch string) (*unstructured.Unstructured, error) {
		return client.Patch(t.Context(), "old", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	}
	if _, err := patch(`{"metadata":{"labels":{"a":"b"}}}`); err != nil {
		t.Errorf("a label: %v", err)
	}
	if _, err := patch(`{"data":{"b":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","namespace":"sample-namespace"}}}}`); !apierrors.IsRequestEntityTooLargeError(err) {
		t.Errorf("one more manifest: %v, want RequestEntityTooLarge", err)
	}
	if _, err := patch(`{"metadata":{"finalizers":["example.com/keep"]}}`); err != nil {
		t.Errorf("a finalizer: %v", err)
	}
	if err := client.Delete(t.Context(), "old", metav1.DeleteOptions{}); err != nil {
		t.Errorf("deleting: %v", err)
	}
	if got, err := client.Get(t.Context(), "old", metav1.GetOptions{}); err != nil || got.GetDeletionTimestamp() == nil || len(fmt.Sprint(got.Object)) < 5*mib {
		t.Errorf("it is not whole and being deleted: %v", err)
	}
	if _, err := patch(`{"metadata":{"finalizers":null}}`); err != nil {
		t.Errorf("no finalizer: %v", err)
	}
	if _, err := client.Get(t.Context(), "old", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestTheServerStartsWithWhatIsTooLargeToRead starts on the store of an older version with an object that takes 700 MiB decoded. Of its
// kind all lists fail until it is deleted, so that nobody takes what is left for the whole. All else is served.
func TestTheServerStartsWithWhatIsTooLargeToRead(t *testing.T) {
	skipUnderRace(t)
	dir := t.TempDir()
	s := testserver.Start(t, testserver.WithDataDir(dir))
	storedByAnOlderVersion(t, s, "bomb", 700*mib)
	s.Stop()

	var r served
	grown := heldAfter(func() {
		s = testserver.Start(t, testserver.WithDataDir(dir), testserver.WithOptions(func(o *apiserver.Options) {
			o.ServerRun.StorageInitializationTimeout = time.Second
		}))
		r = find(t, s, "v1", "resourceenvelopes")
	})
	if grown > 400*mib {
		t.Errorf("the process has grown by %d MiB at the start", grown/mib)
	}
	client := r.client(t, s.As(testserver.Bob))
	placements := find(t, s, "v1", "clusterresourceplacements").client(t, s.As(testserver.Bob))
	if _, err := placements.List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("listing another kind: %v", err)
	}

	if _, err := client.List(t.Context(), metav1.ListOptions{}); err == nil || !strings.Contains(err.Error(), envelopeKey("bomb")) {
		t.Errorf("listing: %v, want an error with the key", err)
	}
	stub, err := client.Get(t.Context(), "bomb", metav1.GetOptions{})
	if err != nil {
		t.Fatalf("reading by name: %v", err)
	}
	if why := stub.GetAnnotations()[wellknown.UnreadableAnnotation]; !strings.Contains(why, "delete it by its name") || stub.Object["data"] != nil {
		t.Errorf("read by name it is %v, want its metadata with the reason", stub.Object)
	}
	if _, err := r.client(t, s.Controllers()).Get(t.Context(), "bomb", metav1.GetOptions{}); err == nil {
		t.Error("a controller gets what it would take for an empty envelope")
	}
	if _, err := client.Patch(t.Context(), "bomb", types.MergePatchType, labelPatch("x"), metav1.PatchOptions{}); !apierrors.IsRequestEntityTooLargeError(err) {
		t.Errorf("a change: %v, want RequestEntityTooLarge", err)
	}
	another := types.UID("another")
	if err := client.Delete(t.Context(), "bomb", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &another}}); !apierrors.IsConflict(err) {
		t.Errorf("deleting another of its name: %v, want Conflict", err)
	}
	if err := client.Delete(t.Context(), "bomb", metav1.DeleteOptions{}); err != nil {
		t.Fatalf("deleting: %v", err)
	}
	err = retry.OnError(retry.DefaultBackoff, func(error) bool { return true }, func() error {
		_, err := client.List(t.Context(), metav1.ListOptions{})
		return err
	})
	if err != nil {
		t.Errorf("listing once it is gone: %v", err)
	}
	create(t, client, sample(t, r, "small"))
}

// TestJSONPatchesEndWithinBounds sends the JSON patches that make most of one request. The library bounds what they copy.
func TestJSONPatchesEndWithinBounds(t *testing.T) {
	skipUnderRace(t)
	s := testserver.Start(t)
	r := find(t, s, "v1", "resourceenvelopes")
	client := r.client(t, s.As(testserver.Bob))
	create(t, client, sample(t, r, "patched"))
	if _, err := client.Patch(t.Context(), "patched", types.MergePatchType, manifestPatch(0, 900<<10), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	numbers := `{"data":{"list":{"apiVersion":"v1","kind":"List","metadata":{"name":"l","namespace":"sample-namespace"},"n":[` + strings.Repeat("1,", 50_000) + `1]}}}`
	if _, err := client.Patch(t.Context(), "patched", types.MergePatchType, []byte(numbers), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	steps := func(n int, step func(i int) string) []byte {
		all := make([]string, n)
		for i := range all {
			all[i] = step(i)
		}
		return []byte("[" + strings.Join(all, ",") + "]")
	}
	tooLarge := apierrors.IsRequestEntityTooLargeError
	done := func(err error) bool { return err == nil }
	for name, test := range map[string]struct {
		patch []byte
		want  func(error) bool
	}{
		"3 MiB of copies": {steps(50_000, func(i int) string { return fmt.Sprintf(`{"op":"copy","from":"/data/m0","path":"/data/c%d"}`, i) }), tooLarge},
		// The library bounds the bytes that are copied, and answers 422.
		"copies":                     {steps(1000, func(i int) string { return fmt.Sprintf(`{"op":"copy","from":"/data/m0","path":"/data/c%d"}`, i) }), apierrors.IsInvalid},
		"copies of copies":           {steps(1000, func(int) string { return `{"op":"copy","from":"/data","path":"/data/x"}` }), tooLarge},
		"additions to an object":     {steps(1000, func(i int) string { return fmt.Sprintf(`{"op":"add","path":"/data/m0/data/k%d","value":"v"}`, i) }), done},
		"additions to a list":        {steps(1000, func(int) string { return `{"op":"add","path":"/data/list/n/0","value":1}` }), done},
		"moves in a list":            {steps(1000, func(int) string { return `{"op":"move","from":"/data/list/n/0","path":"/data/list/n/-"}` }), done},
		"10,000 additions to a list": {steps(10_000, func(int) string { return `{"op":"add","path":"/data/list/n/0","value":1}` }), tooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			var err error
			held := heldAfter(func() {
				_, err = client.Patch(t.Context(), "patched", types.JSONPatchType, test.patch, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
			})
			if !test.want(err) {
				t.Errorf("answered %v", err)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it takes %s", took)
			}
			if held > 400*mib {
				t.Errorf("the process has grown by %d MiB", held/mib)
			}
		})
	}
}

// TestNestedPatchesEndWithinBounds sends patches of which the libraries would write what they change once for each of thousands of levels.
// Nobody else is served meanwhile, and the server's own etcd neither.
func TestNestedPatchesEndWithinBounds(t *testing.T) {
	skipUnderRace(t)
	s := testserver.Start(t)
	r := find(t, s, "v1", "resourceenvelopes")
	client := r.client(t, s.As(testserver.Bob))
	nested := func(levels int, within string) string {
		return strings.Repeat(`{"a":`, levels) + within + strings.Repeat("}", levels)
	}
	many := fmt.Sprintf("%q", strings.Repeat("a", 500<<10))
	patch := func(content string) []byte {
		return []byte(`{"data":{"m":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","namespace":"sample-namespace"},"data":` + content + `}}}`)
	}
	apply := func(content string) []byte {
		return bytes.Replace(patch(content), []byte(`{"data"`), []byte(`{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"ResourceEnvelope","metadata":{"name":"deep"},"data"`), 1)
	}
	// What is nested as deep as that can be stored and labeled.
	if _, err := client.Patch(t.Context(), "deep", types.ApplyPatchType, apply(nested(9000, many)), metav1.PatchOptions{FieldManager: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Patch(t.Context(), "deep", types.MergePatchType, labelPatch("yes"), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	var moves []string
	for i := range 500 {
		moves = append(moves, fmt.Sprintf(`{"op":"add","path":"/x%d","value":%s}`, i+1, nested(90, "{}")),
			fmt.Sprintf(`{"op":"move","from":"/x%d","path":"/x%d%s/b"}`, i, i+1, strings.Repeat("/a", 90)))
	}
	tooLarge := apierrors.IsRequestEntityTooLargeError
	done := func(err error) bool { return err == nil }
	for name, test := range map[string]struct {
		kind  types.PatchType
		patch []byte
		want  func(error) bool
	}{
		"merge":                    {types.MergePatchType, patch(nested(9000, many)), tooLarge},
		"merge of no field":        {types.MergePatchType, []byte(`{"x":` + nested(9000, "1") + "}"), tooLarge},
		"strategic merge":          {types.StrategicMergePatchType, patch(nested(9000, "1")), tooLarge},
		"step down":                {types.JSONPatchType, []byte(`[{"op":"add","path":"/data/m/data` + strings.Repeat("/a", 8990) + `/b","value":1}]`), tooLarge},
		"moves into each other":    {types.JSONPatchType, []byte("[" + strings.Join(moves[1:], ",") + "]"), tooLarge},
		"as deep as a merge may":   {types.MergePatchType, patch(nested(60, many)), done},
		"as deep as a step may":    {types.JSONPatchType, []byte(`[{"op":"add","path":"/data/m/data` + strings.Repeat("/a", 90) + `/b","value":1}]`), done},
		"server-side apply deeper": {types.ApplyPatchType, apply(nested(9000, "1")), done},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			var err error
			held := heldAfter(func() {
				options := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}
				if test.kind == types.ApplyPatchType {
					options.FieldManager = "test"
				}
				_, err = client.Patch(t.Context(), "deep", test.kind, test.patch, options)
			})
			if !test.want(err) {
				t.Errorf("answered %.300v", err)
			}
			took := time.Since(began)
			t.Logf("took %s, held %d MiB more", took, held/mib)
			if took > 30*time.Second {
				t.Errorf("it takes %s", took)
			}
			if held > 400*mib {
				t.Errorf("the process has grown by %d MiB", held/mib)
			}
		})
	}
}
