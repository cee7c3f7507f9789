// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// A Work that only compares by now has no more written by a pass that began before, but for what was under way.
func TestAPassEndsOnceItsWorkIsAnotherOne(t *testing.T) {
	const n = 200
	var manifests []string
	for i := range n {
		manifests = append(manifests, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d, namespace: test-namespace}, data: {k: v}}", i))
	}
	b := newBench(t, newWork(t, append([]string{namespaceYAML}, manifests...)...))
	b.member.meanwhile("configmaps", func() {
		b.edit(t, func(work *v1beta1.Work) {
			work.Generation++
			work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
		})
		b.cacheUp(t)
	})
	_, _ = b.tryPass(t)
	written := 0
	for i := range n {
		if b.has(t, fmt.Sprintf("c%d", i)) {
			written++
		}
	}
	if written > n/2 {
		t.Errorf("%d ConfigMaps were written to a cluster that is only compared", written)
	}
}

// What a Work has again is not deleted by a pass that began before.
func TestAPassDropsNoMoreOnceItsWorkHasItAgain(t *testing.T) {
	const n = 50
	all := []string{namespaceYAML}
	for i := range n {
		all = append(all, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d, namespace: test-namespace}, data: {k: v}}", i))
	}
	holds := func(manifests ...string) func(*v1beta1.Work) {
		return func(work *v1beta1.Work) {
			work.Generation++
			work.Spec.Workload = newWork(t, manifests...).Spec.Workload
		}
	}
	b := newBench(t, newWork(t, all...))
	b.pass(t)
	b.edit(t, holds(namespaceYAML))
	b.cacheUp(t)
	deleted := 0
	b.member.fail(func(verb, resource, _ string) error {
		if resource == "configmaps" && verb == "delete" {
			if deleted++; deleted == 1 {
				b.edit(t, holds(all...))
				b.cacheUp(t)
			}
		}
		return nil
	})
	_, _ = b.tryPass(t)
	if deleted != 1 {
		t.Errorf("%d ConfigMaps were deleted, of which the Work has all again", deleted)
	}
}
