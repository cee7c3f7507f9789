// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/availability"
)

// A Job runs once, and an object that is missing is created: together they would run a Job again and again whose cluster deletes it when it
// has finished. So a Job is placed without ttlSecondsAfterFinished, and the AppliedWork on the member records which Jobs have completed. One
// that is gone after that has done what it was placed for.

func (m *manifest) isJob() bool {
	return m.object.GroupVersionKind().GroupKind() == availability.JobKind
}

// withoutTTL takes from a Job that its cluster deletes it when it has finished.
func withoutTTL(object *unstructured.Unstructured) {
	if object.GroupVersionKind().GroupKind() == availability.JobKind {
		unstructured.RemoveNestedField(object.Object, "spec", "ttlSecondsAfterFinished")
	}
}

// completedPrefix begins the annotations on an AppliedWork that record completed Jobs: the rest tells the Job, the value is the hash of the
// manifest with which it completed. Both are so short that a Work full of Jobs has room for all.
const completedPrefix = wellknown.Prefix + "job-"

const maxCompletedHash = 16

func completedKey(m *manifest) string {
	sum := sha256.Sum256([]byte(m.key.String()))
	return completedPrefix + hex.EncodeToString(sum[:])[:maxCompletedHash]
}

func completedValue(m *manifest) string { return m.hash[:maxCompletedHash] }

// completedBefore returns the result of a Job that is not on the member and has completed there from this manifest, nil for any other.
func (p *pass) completedBefore(m *manifest) *result {
	if !m.isJob() || p.record.owner == nil || p.record.owner.Annotations[completedKey(m)] != completedValue(m) {
		return nil
	}
	return &result{
		applied:   &verdict{ok: true, reason: reasonApplied, message: "Manifest has been applied successfully; the Job has completed and was deleted on the member cluster since, and is not run again"},
		available: &verdict{ok: true, reason: availability.ReasonAvailable, message: "Manifest was available: the Job has completed"},
	}
}

// completedBeforeLoss are the annotations for Jobs of which a Work notes that its AppliedWork recorded their completion, and that are the Work's
// as they were then.
func completedBeforeLoss(ctx context.Context, work *v1beta1.Work) map[string]string {
	completed := map[string]string{}
	if !hasLost(work) {
		return completed
	}
	note := readLost(ctx, work)
	for _, m := range decode(work.Spec.Workload.Manifests) {
		key := completedKey(m)
		if m.isJob() && m.refused == nil && note.Jobs[strings.TrimPrefix(key, completedPrefix)] == completedValue(m) {
			completed[key] = completedValue(m)
		}
	}
	return completed
}

// recordCompleted has the AppliedWork tell which Jobs of the Work have completed. It forgets those that the Work has no more.
func (p *pass) recordCompleted(ctx context.Context) error {
	owner := p.record.owner
	if owner == nil {
		return nil
	}
	wanted := map[string]string{}
	for _, m := range p.record.manifests {
		if !m.isJob() || m.refused != nil {
			continue
		}
		key := completedKey(m)
		r, value := p.record.results[m.ordinal], owner.Annotations[key]
		switch {
		case r.completed && r.applied != nil && r.applied.ok:
			wanted[key] = completedValue(m)
		case value != "" && (r.completed || !r.exists):
			wanted[key] = value
		}
	}
	change := map[string]any{}
	for key, value := range wanted {
		if owner.Annotations[key] != value {
			change[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(owner.Annotations)) {
		if _, has := wanted[key]; !has && strings.HasPrefix(key, completedPrefix) {
			change[key] = nil
		}
	}
	if len(change) == 0 {
		return nil
	}
	if err := p.open(ctx); err != nil {
		return err
	}
	// What was dropped is forgotten by the version that was read alone; what has completed stays so.
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": change, "resourceVersion": p.record.owner.ResourceVersion}})
	if err != nil {
		return err
	}
	patched, err := p.member.resource(appliedWorks, "").Patch(ctx, owner.Name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return ofMember(fmt.Errorf("recording completed Jobs in AppliedWork %s: %w", owner.Name, err))
	}
	p.record.owner, err = toAppliedWork(patched)
	return err
}
