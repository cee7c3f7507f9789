// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestWhatAPodTakesOfItsNode(t *testing.T) {
	const (
		m  = 1
		Mi = 1 << 20
	)
	for _, tc := range []struct {
		name, pod string
		want      amounts
	}{
		{"nothing is requested", `{"spec":{"containers":[{}]}}`, amounts{}},
		{"containers are added up", `{"spec":{"containers":[
			{"resources":{"requests":{"cpu":"250m","memory":"64Mi"}}},
			{"resources":{"requests":{"cpu":"1"}}}]}}`, amounts{1250 * m, 64 * Mi}},
		{"an init container counts where it takes more, by resource", `{"spec":{
			"initContainers":[{"resources":{"requests":{"cpu":"2","memory":"16Mi"}}}, {"resources":{"requests":{"cpu":"100m","memory":"32Mi"}}}],
			"containers":[{"resources":{"requests":{"cpu":"1","memory":"64Mi"}}}]}}`, amounts{2000 * m, 64 * Mi}},
		{"a sidecar runs beside the containers", `{"spec":{
			"initContainers":[{"restartPolicy":"Always","resources":{"requests":{"cpu":"500m","memory":"8Mi"}}}],
			"containers":[{"resources":{"requests":{"cpu":"1","memory":"64Mi"}}}]}}`, amounts{1500 * m, 72 * Mi}},
		{"an init container runs beside the sidecars before it, and not beside those after it", `{"spec":{
			"initContainers":[
				{"restartPolicy":"Always","resources":{"requests":{"cpu":"500m"}}},
				{"resources":{"requests":{"cpu":"2"}}},
				{"restartPolicy":"Always","resources":{"requests":{"cpu":"300m"}}}],
			"containers":[{"resources":{"requests":{"cpu":"1"}}}]}}`, amounts{2500 * m, 0}},
		{"what is requested for the Pod counts in place of its containers, by resource", `{"spec":{
			"resources":{"requests":{"cpu":"3"}},
			"containers":[{"resources":{"requests":{"cpu":"1","memory":"64Mi"}}}]}}`, amounts{3000 * m, 64 * Mi}},
		{"overhead comes on top", `{"spec":{"overhead":{"cpu":"50m","memory":"10Mi"},
			"resources":{"requests":{"cpu":"3"}},
			"containers":[{"resources":{"requests":{"cpu":"1","memory":"64Mi"}}}]}}`, amounts{3050 * m, 74 * Mi}},
		{"numbers that would take minutes to add are left out", `{"spec":{"containers":[
			{"resources":{"requests":{"cpu":"1e1000000","memory":"` + strings.Repeat("9", 100) + `"}}},
			{"resources":{"requests":{"cpu":"-5","memory":"none"}}}]}}`, amounts{}},
		{"a number beyond the largest is the largest", `{"spec":{"containers":[{"resources":{"requests":{"cpu":"3e20","memory":"3e20"}}}]}}`,
			amounts{math.MaxInt64, math.MaxInt64}},
		{"a sum ends at the largest number", `{"spec":{"containers":[
			{"resources":{"requests":{"cpu":"9E","memory":"7Ei"}}},
			{"resources":{"requests":{"cpu":"9E","memory":"7Ei"}}}]}}`, amounts{math.MaxInt64, math.MaxInt64}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := podOf(t, tc.pod).requests(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestWhichPodsTakeAPartOfANode(t *testing.T) {
	for pod, want := range map[string]bool{
		`{"spec":{},"status":{"phase":"Pending"}}`:               false,
		`{"spec":{"nodeName":"n"}}`:                              true,
		`{"spec":{"nodeName":"n"},"status":{"phase":"Running"}}`: true,
		`{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"nodeName":"n"},"status":{"phase":"Running"}}`: true,
		`{"spec":{"nodeName":"n"},"status":{"phase":"Succeeded"}}`:                                                       false,
		`{"spec":{"nodeName":"n"},"status":{"phase":"Failed"}}`:                                                          false,
	} {
		if got := podOf(t, pod).occupies(); got != want {
			t.Errorf("%s: %t, want %t", pod, got, want)
		}
	}
}

func TestWhatIsFreeIsWrittenAgainWhereItDiffersByMuch(t *testing.T) {
	const Gi = 1 << 30
	allocatable := amounts{100_000, 100 * Gi}.list()
	for _, tc := range []struct {
		name        string
		before, now amounts
		want        bool
	}{
		{"equal", amounts{50_000, 50 * Gi}, amounts{50_000, 50 * Gi}, false},
		{"by less than a hundredth of what the nodes offer", amounts{50_000, 50 * Gi}, amounts{50_999, 50*Gi - 1}, false},
		{"by a hundredth of the CPU", amounts{50_000, 50 * Gi}, amounts{51_000, 50 * Gi}, true},
		{"by a hundredth of the memory", amounts{50_000, 50 * Gi}, amounts{50_000, 49 * Gi}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := differs(tc.before.list(), tc.now.list(), allocatable); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
	if !differs(nil, amounts{}.list(), allocatable) || !differs(amounts{}.list(), nil, allocatable) {
		t.Error("what was not known before is not news")
	}
}

func podOf(t *testing.T, text string) *pod {
	t.Helper()
	p := &pod{}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	return p
}
