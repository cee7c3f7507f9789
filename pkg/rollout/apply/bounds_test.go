// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/availability"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
)

func TestWhatAMemberSaysDoesNotKeepAStatusFromBeingWritten(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.member.fail(func(verb, resource, _ string) error {
		if verb == "create" && resource == "configmaps" {
			return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "test-cm", errors.New(strings.Repeat("ä", 50<<10)+" is what is wrong"))
		}
		return nil
	})
	work, err := b.tryPass(t)
	if err == nil {
		t.Error("it is not tried again")
	}
	conditions := work.Status.ManifestConditions[1].Conditions
	if errs := metav1validation.ValidateConditions(conditions, field.NewPath("conditions")); len(errs) > 0 {
		t.Errorf("the API refuses it: %v", errs.ToAggregate())
	}
	message := meta.FindStatusCondition(conditions, v1beta1.WorkApplied).Message
	if len(message) > maxMessage || !utf8.ValidString(message) {
		t.Errorf("%d bytes: %q", len(message), message)
	}
	for _, want := range []string{`Failed to apply the manifest (error: configmaps "test-cm" is forbidden: ä`, "ä...ä", "ä is what is wrong)"} {
		if !strings.Contains(message, want) {
			t.Errorf("%q does not contain %q", message, want)
		}
	}
}

func TestAResourceIsCalledWhatOneCanBeCalled(t *testing.T) {
	b := newBench(t, newWork(t, `{apiVersion: example.com/v1, kind: Hostile, metadata: {name: h, namespace: ns}}`))
	kind := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Hostile"}
	called := kind.GroupVersion().WithResource(strings.Repeat("x", 1<<20))
	b.member.mapper.AddSpecific(kind, called, called, meta.RESTScopeNamespace)
	work, err := b.tryPass(t)
	if err == nil {
		t.Error("it is not tried again")
	}
	m := work.Status.ManifestConditions[0]
	if message := meta.FindStatusCondition(m.Conditions, v1beta1.WorkApplied).Message; m.Identifier.Resource != "" || !strings.Contains(message, "a name that none has") {
		t.Errorf("resource of %d bytes, %q", len(m.Identifier.Resource), message)
	}
}

func TestAStatusSaysAsMuchAsCanBeStored(t *testing.T) {
	details := make([]v1beta1.PatchDetail, memberreport.MaxDetails)
	for i := range details {
		details[i] = v1beta1.PatchDetail{Path: fmt.Sprintf("/data/%d", i), ValueInMember: "a", ValueInHub: strings.Repeat("b", memberreport.MaxValue)}
	}
	drifted := &result{applied: &verdict{reason: reasonFoundDrifts, message: "drifted"}, drifts: details, exists: true, generation: 1}
	remote := slices.Clone(details)
	for i := range remote {
		remote[i] = v1beta1.PatchDetail{Path: strings.Repeat("p", memberreport.MaxPath), ValueInMember: strings.Repeat("a", memberreport.MaxValue), ValueInHub: strings.Repeat("b", memberreport.MaxValue)}
	}
	far := &result{applied: drifted.applied, drifts: remote[:memberreport.MaxDetails/2], diffs: remote[:memberreport.MaxDetails/2], exists: true, generation: 1}
	refused := blocked(reasonApplyFailed, strings.Repeat("m", 4*maxMessage))
	reported := &result{applied: &verdict{ok: true, reason: reasonApplied, message: "applied"}, exists: true, generation: 1,
		status: []byte(`{"text": "` + strings.Repeat("s", 100<<10) + `"}`)}
	for name, tc := range map[string]struct {
		manifests int
		result    *result
		// wantDetails is how many drifts are told in all, wantStatuses how many statuses of objects, and wantMessage the longest message.
		wantDetails, wantStatuses, wantMessage int
		wantTrimmed                            bool
	}{
		"all there is": {
			manifests: maxDetailsOfWork / memberreport.MaxDetails, result: drifted,
			wantDetails: maxDetailsOfWork, wantMessage: len("drifted"),
		},
		"drifts up to a number": {
			manifests: 2 * maxDetailsOfWork / memberreport.MaxDetails, result: drifted,
			wantDetails: maxDetailsOfWork, wantMessage: len("drifted"), wantTrimmed: true,
		},
		"statuses": {
			manifests: 5, result: reported,
			wantStatuses: 5, wantMessage: len("applied"),
		},
		"no statuses that are too much together": {
			manifests: 6, result: reported,
			wantMessage: len("applied"), wantTrimmed: true,
		},
		"no drifts whose texts are too much together": {
			manifests: 6, result: far,
			wantMessage: len("drifted"), wantTrimmed: true,
		},
		"messages": {
			manifests: 100, result: refused,
			wantMessage: maxMessage - 1,
		},
		"brief messages where there are very many": {
			manifests: 2500, result: refused,
			wantMessage: maxBriefMessage - 1, wantTrimmed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			manifests := make([]string, tc.manifests)
			for i := range manifests {
				manifests[i] = fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: ns, name: cm-%d}}`, i)
			}
			b := newBench(t, newWork(t, manifests...))
			work := b.work(t)
			p := &pass{Applier: b.Applier, work: work, record: b.recordOf(work), strategy: strategyOf(work)}
			for i := range p.record.results {
				p.record.results[i] = tc.result
			}
			work.Status = p.status()

			details, statuses, message := 0, 0, 0
			for _, m := range work.Status.ManifestConditions {
				if d := m.DriftDetails; d != nil {
					details += len(d.ObservedDrifts)
				}
				if (m.DriftDetails != nil) != (tc.result.drifts != nil) {
					t.Error("that an object has drifted is left out")
				}
				if m.BackReportedStatus != nil {
					statuses++
				}
				for _, c := range m.Conditions {
					message = max(message, len(c.Message))
				}
			}
			trimmed := meta.IsStatusConditionTrue(work.Status.Conditions, v1beta1.WorkStatusTrimmed)
			if details != tc.wantDetails || statuses != tc.wantStatuses || message != tc.wantMessage || trimmed != tc.wantTrimmed {
				t.Errorf("%d drifts, %d statuses, messages of %d bytes, trimmed %v; want %d, %d, %d, %v",
					details, statuses, message, trimmed, tc.wantDetails, tc.wantStatuses, tc.wantMessage, tc.wantTrimmed)
			}
			if data, err := json.Marshal(work); err != nil || len(data) > maxWorkSize {
				t.Errorf("the Work has %d bytes, %v", len(data), err)
			}
			if errs := memberreport.ValidateWorkStatus(work, &v1beta1.Work{}); len(errs) > 0 {
				t.Errorf("an agent may not report it: %v", errs.ToAggregate())
			}

			// A status that differed at each look would be written, and looked at, for ever.
			b.clock.SetTime(b.clock.Now().Add(time.Minute))
			if diff := cmp.Diff(work.Status, p.status()); diff != "" {
				t.Errorf("nothing has changed, and the status has:\n%s", diff)
			}
		})
	}
}

// An agent reports whatever a Work has and its member says: a status that is refused is never written.
func TestAnAgentMayReportTheLargestStatusThatThereCanBe(t *testing.T) {
	group, name := strings.Repeat(strings.Repeat("g", 60)+".", 4)+"example", strings.Repeat("n", 253)
	manifests := make([]string, 400)
	for i := range manifests {
		manifests[i] = fmt.Sprintf(`{apiVersion: %s/v1, kind: %s, metadata: {namespace: %s, name: %s%03d}}`,
			group, strings.Repeat("K", 63), strings.Repeat("s", 63), name[:250], i)
	}
	b := newBench(t, newWork(t, manifests...))
	work := b.work(t)
	p := &pass{Applier: b.Applier, work: work, record: b.recordOf(work), strategy: strategyOf(work)}
	details := make([]v1beta1.PatchDetail, memberreport.MaxDetails)
	for i := range details {
		details[i] = v1beta1.PatchDetail{Path: strings.Repeat("\x01", memberreport.MaxPath), ValueInMember: strings.Repeat("<", memberreport.MaxValue), ValueInHub: strings.Repeat(">", memberreport.MaxValue)}
	}
	loud := strings.Repeat("\x01", 1<<20)
	for i, m := range p.record.manifests {
		m.resource = schema.GroupVersionResource{Resource: strings.Repeat("r", 63)}
		p.record.results[i] = &result{
			applied: &verdict{ok: true, reason: reasonAppliedDriftUnknown, message: loud}, available: &verdict{reason: availability.ReasonNotYet, message: loud},
			drifts: details, diffs: details, exists: true, generation: 1, status: []byte(`{"text": "` + strings.Repeat("s", 1<<20) + `"}`),
		}
	}
	for i := range 2 * maxRemnants {
		p.record.remnants = append(p.record.remnants, remnant{key: keyIn("ns", name), kind: fmt.Sprint("Kind", i), why: loud})
	}
	p.record.owner = &v1beta1.AppliedWork{}
	for range 1000 {
		p.record.kept = append(p.record.kept, v1beta1.AppliedResourceMeta{WorkResourceIdentifier: p.record.manifests[0].identifier()})
	}
	work.Status = p.status()
	if errs := memberreport.ValidateWorkStatus(work, &v1beta1.Work{}); len(errs) > 0 {
		t.Errorf("it is refused: %v", errs.ToAggregate())
	}
	if len(work.Status.Conditions) < 4 || len(work.Status.ManifestConditions) != len(manifests) {
		t.Errorf("it says of the Work %d things, of %d manifests", len(work.Status.Conditions), len(work.Status.ManifestConditions))
	}
	if room := memberreport.RoomOf(&work.Status); room > 0 {
		t.Errorf("the shortest status takes %d bytes of the room", room)
	}
}
