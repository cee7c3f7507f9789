// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storagecodec_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serverstorage "k8s.io/apiserver/pkg/server/storage"

	clusterfuzzer "github.com/stagegate/stagegate/pkg/apis/cluster/fuzzer"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementfuzzer "github.com/stagegate/stagegate/pkg/apis/placement/fuzzer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutfuzzer "github.com/stagegate/stagegate/pkg/apis/rollout/fuzzer"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/apiserver/storagecodec"
)

var groups = map[schema.GroupVersion]fuzzer.FuzzerFuncs{
	v1beta1.SchemeGroupVersion:         placementfuzzer.Funcs,
	clusterv1beta1.SchemeGroupVersion:  clusterfuzzer.Funcs,
	rolloutv1alpha1.SchemeGroupVersion: rolloutfuzzer.Funcs,
}

// codecOf returns the codec with which the generic server stores objects of a group.
func codecOf(t *testing.T, gv schema.GroupVersion, serializer runtime.StorageSerializer) runtime.Codec {
	t.Helper()
	codec, _, err := serverstorage.NewStorageCodec(serverstorage.StorageCodecConfig{
		StorageMediaType:  runtime.ContentTypeJSON,
		StorageSerializer: serializer,
		StorageVersion:    gv,
		MemoryVersion:     schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal},
	})
	if err != nil {
		t.Fatal(err)
	}
	return codec
}

// eachKind calls do with random objects of each kind that has metadata.
func eachKind(t *testing.T, do func(t *testing.T, gv schema.GroupVersion, obj runtime.Object)) {
	for gv, funcs := range groups {
		filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, funcs), rand.NewSource(1), scheme.Codecs)
		for kind, example := range scheme.Scheme.KnownTypes(gv) {
			obj, err := scheme.Scheme.New(gv.WithKind(kind))
			if _, named := obj.(metav1.Object); err != nil || !named || strings.HasPrefix(example.PkgPath(), "k8s.io/") {
				continue
			}
			t.Run(kind, func(t *testing.T) {
				for range 20 {
					obj, err := scheme.Scheme.New(gv.WithKind(kind))
					if err != nil {
						t.Fatal(err)
					}
					filler.Fill(obj)
					do(t, gv, obj)
				}
			})
		}
	}
}

// decode returns what a codec decodes, into nothing or into an object that has been used before.
func decode(t *testing.T, codec runtime.Codec, data []byte, into runtime.Object) (runtime.Object, *schema.GroupVersionKind) {
	t.Helper()
	obj, kind, err := codec.Decode(data, nil, into)
	if err != nil {
		t.Fatal(err)
	}
	return obj, kind
}

// TestWhatWasWrittenIsReadAsTheLibraryReadsIt decodes what was encoded in each order in which the answer and the watch can come.
func TestWhatWasWrittenIsReadAsTheLibraryReadsIt(t *testing.T) {
	recent := storagecodec.NewRecent()
	eachKind(t, func(t *testing.T, gv schema.GroupVersion, obj runtime.Object) {
		library := codecOf(t, gv, scheme.Codecs)
		ours := recent.Codec(codecOf(t, gv, storagecodec.Serializer(scheme.Codecs, scheme.Scheme)))
		fresh := func() runtime.Object {
			empty, err := scheme.Scheme.New(gv.WithKind(kindOf(t, obj)))
			if err != nil {
				t.Fatal(err)
			}
			return empty
		}
		data, err := runtime.Encode(library, obj)
		if err != nil {
			t.Fatal(err)
		}
		answer, answerKind := decode(t, library, data, fresh())
		watched, watchedKind := decode(t, library, data, nil)
		for _, order := range [][]bool{{true, false, false, true}, {false, true, true, false}, {true, true}, {false, false}} {
			encoded, err := runtime.Encode(ours, obj)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(encoded, data) {
				t.Fatalf("the codecs encode to different bytes:\n%s\n%s", encoded, data)
			}
			for _, intoGiven := range order {
				want, wantKind, into := watched, watchedKind, runtime.Object(nil)
				if intoGiven {
					want, wantKind, into = answer, answerKind, fresh()
				}
				got, kind := decode(t, ours, encoded, into)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("into a given object %v: (-library +ours)\n%s", intoGiven, diff)
				}
				if diff := cmp.Diff(wantKind, kind); diff != "" {
					t.Fatalf("into a given object %v: the kind: (-library +ours)\n%s", intoGiven, diff)
				}
			}
		}
	})
}

func kindOf(t *testing.T, obj runtime.Object) string {
	t.Helper()
	kinds, _, err := scheme.Scheme.ObjectKinds(obj)
	if err != nil {
		t.Fatal(err)
	}
	return kinds[0].Kind
}

// TestASecondDecodeHasTheCopyOfTheFirst has a codec fail the second time that it is asked for the same bytes.
func TestASecondDecodeHasTheCopyOfTheFirst(t *testing.T) {
	gv := v1beta1.SchemeGroupVersion
	counting := &countingCodec{Codec: codecOf(t, gv, scheme.Codecs)}
	codec := storagecodec.NewRecent().Codec(counting)
	for _, watchFirst := range []bool{false, true} {
		work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Name: "work", Labels: map[string]string{"a": "b"}}}
		data, err := runtime.Encode(codec, work)
		if err != nil {
			t.Fatal(err)
		}
		counting.decoded = 0
		first, second := runtime.Object(&v1beta1.Work{}), runtime.Object(nil)
		if watchFirst {
			first, second = second, first
		}
		first, _ = decode(t, codec, data, first)
		first.(*v1beta1.Work).Labels["a"] = "changed"
		second, _ = decode(t, codec, data, second)
		if label := second.(*v1beta1.Work).Labels["a"]; label != "b" {
			t.Errorf("the second one has the label %q of the first one, which was changed after it was decoded", label)
		}
		second.(*v1beta1.Work).Labels["a"] = "changed too"
		if counting.decoded != 1 {
			t.Errorf("the answer and the watch decoded %d times, want once", counting.decoded)
		}
		third, _ := decode(t, codec, data, nil)
		if label := third.(*v1beta1.Work).Labels["a"]; label != "b" || counting.decoded != 2 {
			t.Errorf("a third one has the label %q after %d decodes, want one of its own", label, counting.decoded)
		}
	}
}

// TestOtherBytesAreDecoded has objects that nobody encoded here, and one whose bytes differ in a space.
func TestOtherBytesAreDecoded(t *testing.T) {
	codec := storagecodec.NewRecent().Codec(codecOf(t, v1beta1.SchemeGroupVersion, scheme.Codecs))
	data, err := runtime.Encode(codec, &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Name: "here"}})
	if err != nil {
		t.Fatal(err)
	}
	decode(t, codec, data, nil)
	there := bytes.Replace(data, []byte(`"here"`), []byte(`"there"`), 1)
	if obj, _ := decode(t, codec, there, nil); obj.(*v1beta1.Work).Name != "there" {
		t.Errorf("decoded %s, want there", obj.(*v1beta1.Work).Name)
	}
	if _, _, err := codec.Decode([]byte(`{"kind":"Work"`), nil, nil); err == nil {
		t.Error("half an object was decoded")
	}
}

// TestWhatNobodyReadsIsForgotten writes more than is remembered, which is then decoded as if it came from elsewhere.
func TestWhatNobodyReadsIsForgotten(t *testing.T) {
	counting := &countingCodec{Codec: codecOf(t, v1beta1.SchemeGroupVersion, scheme.Codecs)}
	codec := storagecodec.NewRecent().Codec(counting)
	for name, written := range map[string]struct {
		objects, size int
	}{
		"many":  {2_000, 1},
		"large": {40, 1 << 20},
		"huge":  {1, 40 << 20},
	} {
		var first []byte
		for i := range written.objects {
			data, err := runtime.Encode(codec, &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprint(name, i), Annotations: map[string]string{"fill": strings.Repeat("x", written.size)},
			}})
			if err != nil {
				t.Fatal(err)
			}
			decode(t, codec, data, &v1beta1.Work{})
			if first == nil {
				first = data
			}
		}
		before := counting.decoded
		if decode(t, codec, first, nil); counting.decoded != before+1 {
			t.Errorf("%s: the first object is still remembered after all of them", name)
		}
	}
}

// countingCodec counts what it decodes.
type countingCodec struct {
	runtime.Codec

	decoded int
}

func (c *countingCodec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	c.decoded++
	return c.Codec.Decode(data, defaults, into)
}

// TestKindsAreReadAsTheLibraryReadsThem has what is not as encoders write it, too.
func TestKindsAreReadAsTheLibraryReadsThem(t *testing.T) {
	gv := v1beta1.SchemeGroupVersion
	library, ours := codecOf(t, gv, scheme.Codecs), codecOf(t, gv, storagecodec.Serializer(scheme.Codecs, scheme.Scheme))
	for _, data := range []string{
		`{"kind":"Work","apiVersion":"placement.kubernetes-fleet.io/v1beta1","metadata":{"name":"a"}}`,
		`{"kind":"Work","apiVersion":"placement.kubernetes-fleet.io/v1beta1"}`,
		`{"kind":"Work","apiVersion":"placement.kubernetes-fleet.io/v1"}`,
		`{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"Work","metadata":{"name":"a"}}`,
		` {"kind":"Work","apiVersion":"placement.kubernetes-fleet.io/v1beta1","metadata":{"name":"a"}}`,
		`{"kind":"W\u006frk","apiVersion":"placement.kubernetes-fleet.io/v1beta1","metadata":{"name":"a"}}`,
		`{"kind":"Work","apiVersion":"placement.kubernetes-fleet.io\/v1beta1","metadata":{"name":"a"}}`,
		`{"kind":"Work","apiVersion":"a/b/c","metadata":{"name":"a"}}`,
		`{"kind":"Work","apiVersion":"placement.kubernetes-fleet.io/v1beta1"`,
		`{"kind":"Work","apiVersion":"placement.kubernetes-fleet.io/v1beta1"]`,
		`{"kind":"Work","apiVersion":"`,
		`{"kind":"Work","metadata":{"name":"a"}}`,
		`{"kind":"","apiVersion":"placement.kubernetes-fleet.io/v1beta1"}`,
		`{"kind":"Unknown","apiVersion":"placement.kubernetes-fleet.io/v1beta1"}`,
		`{"kind":"Work","apiVersion":"unknown/v1"}`,
		`{}`,
		``,
		`null`,
	} {
		for _, into := range []func() runtime.Object{func() runtime.Object { return nil }, func() runtime.Object { return &v1beta1.Work{} }} {
			want, wantKind, wantErr := library.Decode([]byte(data), nil, into())
			got, gotKind, err := ours.Decode([]byte(data), nil, into())
			if (err == nil) != (wantErr == nil) {
				t.Errorf("%s: the error is %v, and the library's %v", data, err, wantErr)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: (-library +ours)\n%s", data, diff)
			}
			if diff := cmp.Diff(wantKind, gotKind); diff != "" && err == nil {
				t.Errorf("%s: the kind: (-library +ours)\n%s", data, diff)
			}
		}
	}
}

// TestEqualStringsAreInMemoryOnce has two objects with the same label, field and condition.
func TestEqualStringsAreInMemoryOnce(t *testing.T) {
	codec := storagecodec.NewRecent().Codec(codecOf(t, v1beta1.SchemeGroupVersion, scheme.Codecs))
	read := func(name string) *v1beta1.ClusterResourceBinding {
		binding := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"key": "the label's value"}}}
		binding.Spec.TargetCluster = "a cluster"
		binding.Status.Conditions = []metav1.Condition{{Type: "Applied", Message: "All of it is there."}}
		binding.Status.FailedPlacements = []v1beta1.FailedResourcePlacement{{Condition: metav1.Condition{Message: strings.Repeat("long", 200)}}}
		data, err := runtime.Encode(codec, binding)
		if err != nil {
			t.Fatal(err)
		}
		obj, _ := decode(t, codec, data, nil)
		return obj.(*v1beta1.ClusterResourceBinding)
	}
	a, b := read("a"), read("b")
	for what, both := range map[string][2]string{
		"a field":     {a.Spec.TargetCluster, b.Spec.TargetCluster},
		"a label":     {a.Labels["key"], b.Labels["key"]},
		"a condition": {a.Status.Conditions[0].Message, b.Status.Conditions[0].Message},
	} {
		if unsafe.StringData(both[0]) != unsafe.StringData(both[1]) {
			t.Errorf("%s: %q is in memory twice", what, both[0])
		}
	}
	if one, other := a.Status.FailedPlacements[0].Condition.Message, b.Status.FailedPlacements[0].Condition.Message; one != other || one == "" {
		t.Errorf("a long message became %q and %q", one, other)
	}
}

// TestVersionsOfALargeObjectHaveInCommonWhatIsEqual has a run over many clusters of which one changes, as a cache gets its versions.
func TestVersionsOfALargeObjectHaveInCommonWhatIsEqual(t *testing.T) {
	codec := storagecodec.NewRecent().Codec(codecOf(t, v1beta1.SchemeGroupVersion, scheme.Codecs))
	run := &v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "run", UID: "uid", Labels: map[string]string{"a": "b"}}}
	stage := v1beta1.StageUpdatingStatus{StageName: "all", StartTime: &metav1.Time{Time: time.Unix(1, 0)}}
	for i := range 1_000 {
		stage.Clusters = append(stage.Clusters, v1beta1.ClusterUpdatingStatus{
			ClusterName: fmt.Sprint("cluster-", i), Conditions: []metav1.Condition{{Type: "Started", Status: metav1.ConditionFalse}},
		})
	}
	run.Status.StagesStatus = []v1beta1.StageUpdatingStatus{stage}
	write := func(answer bool) (cached *v1beta1.ClusterStagedUpdateRun) {
		t.Helper()
		data, err := runtime.Encode(codec, run)
		if err != nil {
			t.Fatal(err)
		}
		into := &v1beta1.ClusterStagedUpdateRun{}
		if answer {
			decode(t, codec, data, into)
		}
		obj, _ := decode(t, codec, data, nil)
		if !answer {
			decode(t, codec, data, into)
		}
		// Whoever gets the answer may change it.
		for i := range into.Status.StagesStatus[0].Clusters {
			into.Status.StagesStatus[0].Clusters[i].Conditions[0].Type = "changed"
		}
		into.Labels["a"] = "changed"
		return obj.(*v1beta1.ClusterStagedUpdateRun)
	}
	conditions := func(run *v1beta1.ClusterStagedUpdateRun, cluster int) *metav1.Condition {
		return &run.Status.StagesStatus[0].Clusters[cluster].Conditions[0]
	}
	var versions, copies []*v1beta1.ClusterStagedUpdateRun
	for i := range 6 {
		conditions(run, i).Status = metav1.ConditionTrue
		cached := write(i%2 == 0)
		versions, copies = append(versions, cached), append(copies, run.DeepCopy())
	}
	for i, cached := range versions {
		if diff := cmp.Diff(copies[i].Status, cached.Status); diff != "" {
			t.Errorf("version %d is not what was written (-want +got):\n%s", i, diff)
		}
		if cached.Labels["a"] != "b" {
			t.Errorf("version %d has the label %q of an answer that was changed", i, cached.Labels["a"])
		}
		if i == 0 {
			continue
		}
		before := versions[i-1]
		if conditions(before, i) == conditions(cached, i) {
			t.Errorf("version %d has the conditions of a cluster that changed in common with the one before", i)
		}
		if conditions(before, 999) != conditions(cached, 999) || before.Status.StagesStatus[0].StartTime != cached.Status.StagesStatus[0].StartTime {
			t.Errorf("version %d has a copy of what did not change", i)
		}
	}

	// Another object under the same name has nothing in common with it.
	run.UID = "another"
	if other := write(true); conditions(other, 999) == conditions(versions[5], 999) {
		t.Error("two objects have conditions in common")
	}
}

// TestVersionsOnTheirWayAtOnceAreTheirOwn decodes versions of one object at once, as etcd's watch does, and versions them, as storage does. The race
// detector tells what is read while it is written.
func TestVersionsOnTheirWayAtOnceAreTheirOwn(t *testing.T) {
	codec := storagecodec.NewRecent().Codec(codecOf(t, v1beta1.SchemeGroupVersion, scheme.Codecs))
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			for j := range 10 {
				run := &v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "run", UID: "uid"}}
				clusters := make([]v1beta1.ClusterUpdatingStatus, 200)
				for k := range clusters {
					clusters[k].Conditions = []metav1.Condition{{Type: "Started", Reason: fmt.Sprint(k), Message: "A message that makes the object a large one."}}
				}
				run.Status.StagesStatus = []v1beta1.StageUpdatingStatus{{StageName: "all", Clusters: clusters}}
				want := fmt.Sprint(i, j)
				clusters[i].Conditions[0].Reason = want
				data, err := runtime.Encode(codec, run)
				if err != nil {
					t.Error(err)
					return
				}
				obj, _, err := codec.Decode(data, nil, nil)
				if err != nil {
					t.Error(err)
					return
				}
				cached := obj.(*v1beta1.ClusterStagedUpdateRun)
				cached.SetResourceVersion(want)
				if got := cached.Status.StagesStatus[0].Clusters[i].Conditions[0].Reason; got != want {
					t.Errorf("the reason is %s, want %s", got, want)
				}
				cached.DeepCopy()
			}
		})
	}
	writers.Wait()
}
