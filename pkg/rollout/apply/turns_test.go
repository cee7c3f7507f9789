// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// slowMember takes its time for the objects that are created in its namespaces. The fake client alone answers one request at a time.
type slowMember struct {
	dynamic.Interface
	create func(ctx context.Context, name string)
}

type slowResource struct {
	dynamic.NamespaceableResourceInterface
	create func(ctx context.Context, name string)
}

type slowNamespace struct {
	dynamic.ResourceInterface
	create func(ctx context.Context, name string)
}

func (s slowMember) Resource(gvr schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return slowResource{s.Interface.Resource(gvr), s.create}
}

func (s slowResource) Namespace(namespace string) dynamic.ResourceInterface {
	return slowNamespace{s.NamespaceableResourceInterface.Namespace(namespace), s.create}
}

func (s slowNamespace) Create(
	ctx context.Context, object *unstructured.Unstructured, options metav1.CreateOptions, subresources ...string,
) (*unstructured.Unstructured, error) {
	s.create(ctx, object.GetName())
	return s.ResourceInterface.Create(ctx, object, options, subresources...)
}

// workOf is a Work of a placement with one ConfigMap of the Work's name. The namespace is empty for a cluster-scoped placement.
func workOf(t testing.TB, namespace, placement, part string) *v1beta1.Work {
	t.Helper()
	name := wellknown.WorkName(namespace, placement, part)
	work := newWork(t, strings.Replace(configMapYAML, "test-cm", name, 1))
	work.Name, work.UID = name, types.UID(name+"-uid")
	work.Labels = map[string]string{wellknown.ParentPlacementLabel: placement}
	if namespace != "" {
		work.Labels[wellknown.ParentNamespaceLabel] = namespace
	}
	return work
}

// benchOf is a bench with several Works and a slow member.
func benchOf(t testing.TB, create func(ctx context.Context, name string), works ...*v1beta1.Work) *bench {
	t.Helper()
	b := newBench(t, works[0])
	b.member.put(t, `{apiVersion: v1, kind: Namespace, metadata: {name: test-namespace, labels: {`+wellknown.AcceptPlacementsLabel+`: "true"}}}`)
	for _, work := range works[1:] {
		if _, err := b.works.Create(t.Context(), work, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	b.connect = func(*rest.Config) (*member, error) {
		m := b.Applier.member
		m.objects = slowMember{b.member, create}
		return m, nil
	}
	return b
}

// start runs the applier until what it returns is called.
func (b *bench) start(t testing.TB) (end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	return func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// applied counts the Works that are applied, by their placement.
func (b *bench) applied(t testing.TB) map[string]int {
	t.Helper()
	list, err := b.works.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for i := range list.Items {
		if work := &list.Items[i]; meta.IsStatusConditionTrue(work.Status.Conditions, v1beta1.WorkApplied) {
			found[placementOf(work).String()]++
		}
	}
	return found
}

func TestALargePlacementKeepsNoOtherWaiting(t *testing.T) {
	const many, others = 40, 5
	var works []*v1beta1.Work
	for i := range many {
		works = append(works, workOf(t, "", "large", fmt.Sprint(i)))
	}
	large := placementOf(works[0]).String()
	for i := range others {
		// A placement of the same name in a namespace is another one.
		works = append(works, workOf(t, fmt.Sprintf("team-%d", i), "large", "0"))
	}
	goOn := make(chan struct{})
	b := benchOf(t, func(ctx context.Context, name string) {
		if !strings.HasPrefix(name, "large-") {
			return
		}
		select {
		case <-goOn:
		case <-ctx.Done():
		}
	}, works...)
	defer b.start(t)()

	// As soon as both workers were at two Works of the large placement, one after the other, everybody else would wait.
	eventually(t, "all other placements are applied while the member is slow", func() bool {
		applied := b.applied(t)
		return len(applied) == others && applied[large] == 0
	})
	close(goOn)
	eventually(t, "the large placement is applied", func() bool { return b.applied(t)[large] == many })
}

// BenchmarkBehindALargePlacement is how long a placement of one Work waits that comes when 500 Works of another one wait already, for a member
// that takes 20 ms for each object.
func BenchmarkBehindALargePlacement(b *testing.B) {
	const many = 500
	var works []*v1beta1.Work
	for i := range many {
		works = append(works, workOf(b, "", "large", fmt.Sprint(i)))
	}
	var small, large time.Duration
	for range b.N {
		func() {
			begun := make(chan struct{}, 1)
			bench := benchOf(b, func(ctx context.Context, _ string) {
				select {
				case begun <- struct{}{}:
				default:
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
				}
			}, works...)
			list, err := bench.works.List(b.Context(), metav1.ListOptions{})
			if err != nil {
				b.Fatal(err)
			}
			watched, err := bench.works.Watch(b.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
			if err != nil {
				b.Fatal(err)
			}
			defer watched.Stop()
			start := time.Now()
			defer bench.start(b)()
			<-begun
			late := workOf(b, "", "small", "")
			if _, err := bench.works.Create(b.Context(), late, metav1.CreateOptions{}); err != nil {
				b.Fatal(err)
			}
			came := time.Now()
			left := map[string]bool{late.Name: true}
			for _, work := range works {
				left[work.Name] = true
			}
			for len(left) > 0 {
				event := <-watched.ResultChan()
				work, ok := event.Object.(*v1beta1.Work)
				if !ok || !left[work.Name] || !meta.IsStatusConditionTrue(work.Status.Conditions, v1beta1.WorkApplied) {
					continue
				}
				delete(left, work.Name)
				if work.Name == late.Name {
					small += time.Since(came)
				}
			}
			large += time.Since(start)
		}()
	}
	b.ReportMetric(small.Seconds()/float64(b.N), "s/small")
	b.ReportMetric(large.Seconds()/float64(b.N), "s/large")
}
