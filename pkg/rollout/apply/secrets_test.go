// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/difference"
	"github.com/stagegate/stagegate/pkg/rules/secretvalue"
)

const (
	// What nobody may read in a status.
	hubPassword, memberPassword = "hub-p\"ssw0rd", "member-passw0rd"
)

// secretYAML has a password, and the record of kubectl with it.
func secretYAML(password string) string {
	data := base64.StdEncoding.EncodeToString([]byte(password))
	return fmt.Sprintf(`{apiVersion: v1, kind: Secret, type: %q, metadata: {name: s, namespace: ns, labels: {l: %q}, annotations: {
		kubectl.kubernetes.io/last-applied-configuration: '{"data": {"password": %q}}', note: %q}}, data: {password: %q, pin: %q}}`,
		data, data, data, data, data, base64.StdEncoding.EncodeToString([]byte(password[:3])))
}

// leaks reports the first form of a password that a text has.
func leaks(text string) string {
	for _, password := range []string{hubPassword, memberPassword} {
		encoded := base64.StdEncoding.EncodeToString([]byte(password))
		for _, form := range []string{password, strings.ReplaceAll(password, `"`, `\"`), password[4:], encoded, encoded[4:]} {
			if strings.Contains(text, form) {
				return form
			}
		}
	}
	return ""
}

func TestADifferenceOfASecretIsItsPathAlone(t *testing.T) {
	for name, strategy := range map[string]v1beta1.ApplyStrategy{
		"reported":          {Type: v1beta1.ApplyStrategyTypeReportDiff, ComparisonOption: v1beta1.ComparisonOptionTypeFullComparison},
		"reported, in part": {Type: v1beta1.ApplyStrategyTypeReportDiff, ComparisonOption: v1beta1.ComparisonOptionTypePartialComparison},
		"before a takeover": {
			Type: v1beta1.ApplyStrategyTypeClientSideApply, WhenToTakeOver: v1beta1.WhenToTakeOverTypeIfNoDiff,
			ComparisonOption: v1beta1.ComparisonOptionTypeFullComparison,
		},
	} {
		t.Run(name, func(t *testing.T) {
			work := newWork(t, secretYAML(hubPassword))
			work.Spec.ApplyStrategy = &strategy
			b := newBench(t, work)
			b.member.put(t, secretYAML(memberPassword))
			work = b.pass(t)
			status, err := json.Marshal(work.Status)
			if err != nil {
				t.Fatal(err)
			}
			if leaked := leaks(string(status)); leaked != "" {
				t.Errorf("the status has %q:\n%s", leaked, status)
			}
			diff := work.Status.ManifestConditions[0].DiffDetails
			if diff == nil {
				t.Fatal("no differences")
			}
			var want []v1beta1.PatchDetail
			for _, path := range []string{"/data/password", "/data/pin", "/metadata/annotations/note", "/metadata/labels/l", "/type"} {
				want = append(want, v1beta1.PatchDetail{Path: path, ValueInMember: secretvalue.Redacted, ValueInHub: secretvalue.Redacted})
			}
			if diff := cmp.Diff(want, diff.ObservedDiffs); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRecordsOfWhatWasAppliedAreNoDifferences(t *testing.T) {
	const object = `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm, namespace: ns, managedFields: [{manager: kubectl}],
		annotations: {kubectl.kubernetes.io/last-applied-configuration: x}}}`
	found := difference.Between(comparableParts(parse(t, object)), comparableParts(parse(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm, namespace: ns}}`)), false)
	if len(found) > 0 {
		t.Errorf("got %v", found)
	}
}

func TestAMemberThatQuotesASecretIsNotQuoted(t *testing.T) {
	hub := base64.StdEncoding.EncodeToString([]byte(hubPassword))
	member := base64.StdEncoding.EncodeToString([]byte(memberPassword))
	for name, said := range map[string]string{
		"as it is":             "the password " + hubPassword + " is weak",
		"encoded":              `{"data": {"password": "` + hub + `"}}`,
		"quoted":               fmt.Sprintf("the password %q is weak", hubPassword),
		"in a JSON string":     `{"password": "hub-p\"ssw0rd"}`,
		"as bytes":             fmt.Sprintf("map[password:%v]", []byte(hubPassword)),
		"cut at its end":       "data: " + hub[:len(hub)-3],
		"that on the member":   "old: " + memberPassword + ", " + member,
		"several times":        hubPassword + hubPassword + " " + hub + hub,
		"after very much else": strings.Repeat("x", 1<<20) + hubPassword,
	} {
		t.Run(name, func(t *testing.T) {
			work := newWork(t, secretYAML(hubPassword))
			b := newBench(t, work)
			b.member.put(t, secretYAML(memberPassword))
			b.member.fail(func(verb, resource, _ string) error {
				if resource == "secrets" && verb == "patch" {
					return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "s", errors.New("webhook: "+said))
				}
				return nil
			})
			work, err := b.tryPass(t)
			if err == nil {
				t.Fatal("it is not tried again")
			}
			status, _ := json.Marshal(work.Status)
			for what, text := range map[string]string{"status": string(status), "error": err.Error()} {
				if leaked := leaks(text); leaked != "" || strings.Contains(text, "104 117 98") {
					t.Errorf("the %s has %q:\n%s", what, leaked, text)
				}
				for _, part := range []string{`is forbidden: webhook: `, secretvalue.Redacted} {
					if !strings.Contains(text, part) {
						t.Errorf("the %s does not say %q:\n%s", what, part, text)
					}
				}
			}
		})
	}
}

func TestWhatIsConcealedStaysTheErrorThatItWas(t *testing.T) {
	m := &manifest{object: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "stringData": map[string]any{"password": hubPassword},
	}}}
	if r := m.conceal(failed(fmt.Errorf("%w: %s", errStale, hubPassword))); !errors.Is(r.again, errStale) || leaks(r.again.Error()) != "" {
		t.Errorf("got %v", r.again)
	}
}
