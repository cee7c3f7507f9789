// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/randfill"

	clusterv1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1"
	placementv1 "github.com/stagegate/stagegate/pkg/apis/placement/v1"
	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

const (
	mergePatch     = "application/merge-patch+json"
	strategicPatch = "application/strategic-merge-patch+json"
	jsonPatch      = "application/json-patch+json"
	applyPatch     = "application/apply-patch+yaml"

	tasks = "spec.stages[0].afterStageTasks[0]."
	// pattern is what every message about a duration has.
	pattern = ` in body should match '^(?:(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+$': `
)

func TestAFieldOfAnotherTypeIsNamedWithHowToWriteIt(t *testing.T) {
	run, strategy := "ClusterStagedUpdateRun", "StagedUpdateStrategy"
	waits := func(wait string) string {
		return `{"spec":{"stages":[{"name":"a","afterStageTasks":[{"type":"TimedWait","waitTime":` + wait + `}]}]}}`
	}
	for name, tc := range map[string]struct {
		kind, mediaType, body string
		want                  []string
	}{
		"a number for a text": {
			run, "application/json", `{"spec":{"resourceSnapshotIndex":1}}`,
			[]string{`spec.resourceSnapshotIndex: Invalid value: 1: must be of type string: write it in quotes: "1"`},
		},
		"in YAML": {
			run, "application/yaml", "spec:\n  resourceSnapshotIndex: 1\n",
			[]string{`spec.resourceSnapshotIndex: Invalid value: 1: must be of type string: write it in quotes: "1"`},
		},
		"in a merge patch": {
			run, mergePatch, `{"spec":{"resourceSnapshotIndex":1}}`,
			[]string{`spec.resourceSnapshotIndex: Invalid value: 1: must be of type string: write it in quotes: "1"`},
		},
		"in a strategic merge patch": {
			run, strategicPatch, `{"spec":{"resourceSnapshotIndex":1}}`,
			[]string{`spec.resourceSnapshotIndex: Invalid value: 1: must be of type string: write it in quotes: "1"`},
		},
		"in a JSON patch": {
			run, jsonPatch, `[{"op":"test","path":"/spec/placementName","value":3},{"op":"replace","path":"/spec/resourceSnapshotIndex","value":1}]`,
			[]string{`spec.resourceSnapshotIndex: Invalid value: 1: must be of type string: write it in quotes: "1"`},
		},
		"applied on the server's side": {
			run, applyPatch, "spec: {resourceSnapshotIndex: 1}",
			[]string{`spec.resourceSnapshotIndex: Invalid value: 1: must be of type string: write it in quotes: "1"`},
		},
		"a truth for a text": {
			run, "", `{"spec":{"placementName":true}}`,
			[]string{`spec.placementName: Invalid value: true: must be of type string: write it in quotes`},
		},
		"a label that is a number": {
			run, "", `{"metadata":{"labels":{"build":7}}}`,
			[]string{`metadata.labels[build]: Invalid value: 7: must be of type string: write it in quotes: "7"`},
		},
		"an object for a text": {
			run, "", `{"spec":{"placementName":{"name":"web"}}}`,
			[]string{`spec.placementName: Invalid value: "object": must be of type string`},
		},
		"a text for a list": {
			strategy, "", `{"spec":{"stages":"a"}}`, []string{`spec.stages: Invalid value: "a": must be of type array`},
		},
		"a list for an object": {
			strategy, "", `{"spec":[]}`, []string{`spec: Invalid value: "array": must be of type object`},
		},
		"a text for a number": {
			"ResourcePlacement", "", `{"spec":{"policy":{"numberOfClusters":"3"}}}`,
			[]string{`spec.policy.numberOfClusters: Invalid value: "3": must be of type integer: write it without quotes: 3`},
		},
		"a broken number": {
			"ResourcePlacement", "", `{"spec":{"policy":{"numberOfClusters":1.5}}}`,
			[]string{`spec.policy.numberOfClusters: Invalid value: 1.5: must be of type integer`},
		},
		"a text for a truth": {
			strategy, "", `{"spec":{"stages":[{"name":"a","beforeStageTasks":[{"type":"Approval","approval":{"allowRequester":"true"}}]}]}}`,
			[]string{`spec.stages[0].beforeStageTasks[0].approval.allowRequester: Invalid value: "true": must be of type boolean: write it without quotes: true`},
		},
		"a truth for a number or percentage": {
			strategy, "", `{"spec":{"stages":[{"name":"a","maxConcurrency":true}]}}`,
			[]string{`spec.stages[0].maxConcurrency: Invalid value: true: must be of type integer or string`},
		},
		"something else for a time": {
			run, "", `{"status":{"conditions":[{"lastTransitionTime":"yesterday"}]}}`,
			[]string{`status.conditions[0].lastTransitionTime: Invalid value: "yesterday": must be a time: write it such as "2006-01-02T15:04:05Z"`},
		},
		"all of several": {
			run, "", `{"spec":{"resourceSnapshotIndex":1,"placementName":2}}`,
			[]string{
				`spec.placementName: Invalid value: 2: must be of type string: write it in quotes: "2"`,
				`spec.resourceSnapshotIndex: Invalid value: 1: must be of type string: write it in quotes: "1"`,
			},
		},
		"a day":           {strategy, "", waits(`"1d"`), []string{tasks + `waitTime: Invalid value: "1d": ` + tasks + "waitTime" + pattern + `write days in hours: "24h"`}},
		"a leading zero":  {strategy, "", waits(`"01h"`), []string{tasks + `waitTime: Invalid value: "01h": ` + tasks + "waitTime" + pattern + `write it without leading zeros: "1h"`}},
		"leading zeros":   {strategy, "", waits(`"1h030m"`), []string{tasks + `waitTime: Invalid value: "1h030m": ` + tasks + "waitTime" + pattern + `write it without leading zeros: "1h30m"`}},
		"no unit":         {strategy, "", waits(`"3"`), []string{tasks + `waitTime: Invalid value: "3": ` + tasks + "waitTime" + pattern + `write hours, minutes and seconds, such as "1h30m"`}},
		"a negative wait": {strategy, "", waits(`"-1m"`), []string{tasks + `waitTime: Invalid value: "-1m": ` + tasks + "waitTime" + pattern + `write hours, minutes and seconds, such as "1h30m"`}},
		"a bare fraction": {strategy, "", waits(`".5h"`), []string{tasks + `waitTime: Invalid value: ".5h": ` + tasks + "waitTime" + pattern + `write hours, minutes and seconds, such as "1h30m"`}},
		"a bare number":   {strategy, "", waits(`3`), []string{tasks + `waitTime: Invalid value: 3: must be of type string: write it in quotes and with its unit, such as "3m"`}},
		"a day in a JSON patch": {
			strategy, jsonPatch, `[{"op":"add","path":"/spec/stages/0/afterStageTasks/-","value":{"type":"TimedWait","waitTime":"2d"}}]`,
			[]string{`spec.stages[0].afterStageTasks[-].waitTime: Invalid value: "2d": spec.stages[0].afterStageTasks[-].waitTime` + pattern + `write days in hours: "48h"`},
		},
		"other durations": {
			strategy, "", `{"spec":{"failurePolicy":{"clusterTimeout":"1d"},"stages":[{"name":"a","beforeStageTasks":[{"approval":{"expiresAfter":"02h"}}]}]}}`,
			[]string{
				`spec.failurePolicy.clusterTimeout: Invalid value: "1d": spec.failurePolicy.clusterTimeout` + pattern + `write days in hours: "24h"`,
				`spec.stages[0].beforeStageTasks[0].approval.expiresAfter: Invalid value: "02h": spec.stages[0].beforeStageTasks[0].approval.expiresAfter` +
					pattern + `write it without leading zeros: "2h"`,
			},
		},

		"durations as KubeFleet has them": {strategy, "", `{"spec":{"stages":[{"afterStageTasks":[{"waitTime":"0s"},{"waitTime":"1h30m"},{"waitTime":"1.5h"},{"waitTime":"0.5s"}]}]}}`, nil},
		"durations as they are stored":    {strategy, "", `{"spec":{"stages":[{"afterStageTasks":[{"waitTime":"1h0m0s"},{"waitTime":"500ms"},{"waitTime":"1.5µs"}]}]}}`, nil},
		"numbers and percentages":         {strategy, "", `{"spec":{"stages":[{"maxConcurrency":2},{"maxConcurrency":"50%"}]}}`, nil},
		"null":                            {strategy, mergePatch, `{"metadata":{"labels":null},"spec":{"stages":null,"failurePolicy":null}}`, nil},
		"directives of a patch":           {strategy, strategicPatch, `{"spec":{"$setElementOrder/stages":[{"name":"a"}],"stages":[{"$patch":"delete","name":"a"}]}}`, nil},
		"fields that are not known":       {run, "", `{"spec":{"placementNme":1}}`, nil},
		"manifests":                       {"ResourceEnvelope", "", `{"data":{"a.yaml":{"apiVersion":"v1","kind":"ConfigMap","data":{"a":1}}}}`, nil},
		"a body of another kind":          {run, "", `{"kind":"Status","metadata":{"name":1}}`, nil},
		"no object":                       {run, "", `[]`, nil},
		"no JSON":                         {run, "", `{"spec":`, nil},
		"a JSON patch that is none":       {run, jsonPatch, `{}`, nil},
		"a step to somewhere else":        {run, jsonPatch, `[{"op":"add","path":"/spec/nowhere/0","value":1},{"op":"add","path":"x","value":1},{"op":"remove","path":"/spec"}]`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := refuseMistyped([]byte(tc.body), tc.mediaType, placementv1.SchemeGroupVersion.WithKind(tc.kind), "x")
			want := ""
			switch len(tc.want) {
			case 0:
			case 1:
				want = tc.kind + `.placement.kubernetes-fleet.io "x" is invalid: ` + tc.want[0]
			default:
				want = tc.kind + `.placement.kubernetes-fleet.io "x" is invalid: [` + strings.Join(tc.want, ", ") + "]"
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotMoreThanTenFieldsAreToldOf(t *testing.T) {
	body := `{"metadata":{"labels":{"a":1`
	for c := 'b'; c <= 'z'; c++ {
		body += `,"` + string(c) + `":1`
	}
	err := refuseMistyped([]byte(body+`}}}`), "", placementv1.SchemeGroupVersion.WithKind("ClusterStagedUpdateRun"), "x")
	if err == nil || strings.Count(err.Error(), "must be") != maxMistyped {
		t.Errorf("got %v, want %d fields", err, maxMistyped)
	}
}

// TestWhatIsReadCanBeWritten has every kind filled at random: nothing that the server answers may be refused when it is written back.
func TestWhatIsReadCanBeWritten(t *testing.T) {
	seed := rand.Int63()
	filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, func(serializer.CodecFactory) []any {
		return []any{
			func(d *metav1.Duration, c randfill.Continue) { d.Duration = time.Duration(c.Int63()) },
			func(r *runtime.RawExtension, _ randfill.Continue) {
				r.Raw = []byte(`{"kind":"ConfigMap","data":{"a":1}}`)
			},
			func(j *apiextensionsv1.JSON, _ randfill.Continue) { j.Raw = []byte(`{"a":1}`) },
		}
	}), rand.NewSource(seed), scheme.Codecs)
	for _, gv := range []schema.GroupVersion{placementv1.SchemeGroupVersion, placementv1beta1.SchemeGroupVersion, clusterv1.SchemeGroupVersion} {
		for kind := range scheme.Scheme.KnownTypes(gv) {
			obj, err := scheme.Scheme.New(gv.WithKind(kind))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := obj.(metav1.Object); !ok {
				continue
			}
			for range 20 {
				filler.Fill(obj)
				obj.GetObjectKind().SetGroupVersionKind(gv.WithKind(kind))
				body, err := json.Marshal(obj)
				if err != nil {
					t.Fatal(err)
				}
				if err := refuseMistyped(body, "application/json", gv.WithKind(kind), "x"); err != nil {
					t.Fatalf("%s %s (seed %d): %v", gv, kind, seed, err)
				}
			}
		}
	}
}

func TestOnlyWhatUsersWriteIsLookedThrough(t *testing.T) {
	kinds := kindsOfBodies{{"placement.kubernetes-fleet.io", "v1", "clusterstagedupdateruns", ""}: placementv1.SchemeGroupVersion.WithKind("ClusterStagedUpdateRun")}
	typed := withTypedBodies(readAll, kinds, isController, scheme.Codecs)
	const mistyped = `{"spec":{"placementName":1}}`
	for name, tc := range map[string]struct {
		verb, resource, body string
		controller           bool
		want                 int
	}{
		"a user's":                       {verb: "create", resource: "clusterstagedupdateruns", body: mistyped, want: http.StatusUnprocessableEntity},
		"a controller's":                 {verb: "create", resource: "clusterstagedupdateruns", body: mistyped, controller: true, want: http.StatusOK},
		"options to delete":              {verb: "delete", resource: "clusterstagedupdateruns", body: mistyped, want: http.StatusOK},
		"another resource":               {verb: "create", resource: "subjectaccessreviews", body: mistyped, want: http.StatusOK},
		"what is too large to be stored": {verb: "create", resource: "clusterstagedupdateruns", body: mistyped + strings.Repeat(" ", store.MaxUserBytes), want: http.StatusOK},
		"what is sound":                  {verb: "create", resource: "clusterstagedupdateruns", body: `{"spec":{"placementName":"1"}}`, want: http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tc.body))
			ctx := genericapirequest.WithRequestInfo(r.Context(), &genericapirequest.RequestInfo{
				IsResourceRequest: true, Verb: tc.verb, APIGroup: "placement.kubernetes-fleet.io", APIVersion: "v1", Resource: tc.resource,
			})
			if tc.controller {
				ctx = context.WithValue(ctx, controllerKey{}, true)
			}
			w := httptest.NewRecorder()
			typed.ServeHTTP(w, r.WithContext(ctx))
			if w.Code != tc.want {
				t.Errorf("code %d, want %d: %s", w.Code, tc.want, w.Body)
			}
			if read := strings.TrimSpace(w.Body.String()); tc.want == http.StatusOK && read != strconv.Itoa(len(tc.body)) {
				t.Errorf("the handlers read %s bytes of %d", read, len(tc.body))
			}
		})
	}
}
