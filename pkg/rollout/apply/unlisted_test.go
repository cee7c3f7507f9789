// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// An object of which a later manifest is refused stays on the member, and known: once a version lacks it, it goes.
func TestAnObjectOfARefusedManifestIsNotForgotten(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.pass(t)
	version := func(compares bool, manifests ...string) *v1beta1.Work {
		t.Helper()
		b.edit(t, func(w *v1beta1.Work) {
			w.Spec.Workload.Manifests = raw(t, manifests...)
			w.Spec.ApplyStrategy = nil
			if compares {
				w.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
			}
			w.Generation++
		})
		work, _ := b.tryPass(t)
		return work
	}
	refused := strings.Replace(configMapYAML, "name: test-cm", "name: test-cm, generateName: test-", 1)
	version(false, namespaceYAML, refused)
	if !b.has(t, "test-cm") {
		t.Fatal("a manifest that is refused takes the object off the member")
	}
	// The status names what is compared, and nothing else does any more.
	version(true, namespaceYAML)
	work := version(false, namespaceYAML)
	if b.has(t, "test-cm") || !isCleared(work) {
		t.Errorf("the object is on the member: %t; left are %v", b.has(t, "test-cm"), work.Status.LeftObjects)
	}
}

// A member that does not serve a version any more has the object still. Whether it has one of a group that cannot be discovered is not known.
func TestAnObjectOfAVersionThatIsNotServedIsNotGone(t *testing.T) {
	const widget = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: test-namespace}, spec: {}}`
	widgets := schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
	for name, tt := range map[string]struct {
		served       bool
		undiscovered error
		gone, clear  bool
	}{
		"another version is served":      {served: true, gone: true, clear: true},
		"the kind is served no more":     {clear: true},
		"the group cannot be discovered": {undiscovered: errors.New("the server is currently unable to handle the request")},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newWork(t, namespaceYAML, widget))
			var upgraded atomic.Bool
			b.member.undiscovered = tt.undiscovered
			b.member.PrependReactor("get", "widgets", func(action clienttesting.Action) (bool, runtime.Object, error) {
				if !upgraded.Load() || tt.served && action.GetResource().Version == "v1" {
					return false, nil, nil
				}
				return true, nil, apierrors.NewGenericServerResponse(404, "GET", widgets.GroupResource(), "w", "404 page not found", 0, true)
			})
			b.pass(t)
			b.member.change(t, appliedWorks, "", "web-work", func(o *unstructured.Unstructured) {
				list, _, _ := unstructured.NestedSlice(o.Object, "status", "appliedResources")
				for _, r := range list {
					if r := r.(map[string]any); r["kind"] == "Widget" {
						r["version"] = "v1beta1"
					}
				}
				if err := unstructured.SetNestedSlice(o.Object, list, "status", "appliedResources"); err != nil {
					t.Fatal(err)
				}
			})
			upgraded.Store(true)
			b.member.mapper.mu.Lock()
			b.member.mapper.hidden["Widget"] = !tt.served
			b.member.mapper.mu.Unlock()
			b.edit(t, func(w *v1beta1.Work) {
				w.Spec.Workload.Manifests = raw(t, namespaceYAML)
				w.Generation++
			})
			work, err := b.tryPass(t)
			if (err == nil) != tt.clear || isCleared(work) != tt.clear {
				t.Errorf("cleared: %t, want %t: %v", isCleared(work), tt.clear, err)
			}
			if _, err := b.member.Tracker().Get(widgets, "test-namespace", "w"); apierrors.IsNotFound(err) != tt.gone {
				t.Errorf("the object is gone: %t, want %t: %v", !tt.gone, tt.gone, err)
			}
		})
	}
}
