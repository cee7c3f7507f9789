// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Here, and nowhere else, is decided whether what a member answers to a write can change by itself. Where it cannot, the manifest's
// condition has the reason ManifestRefused, by which bindings, placements and runs know it, and says what helps. It is tried again all the
// same, less and less often: the member may be changed.

// denialPatience is how long a member must deny an object before that counts as its last word. What a policy, a webhook or an admission
// plugin asks for may be about to come: a ServiceAccount of a new namespace, another object of the placement.
const denialPatience = 10 * time.Second

// answeredError is a failure to write an object to the member, and neither to ask whether writing is allowed nor to read.
type answeredError struct{ err error }

func (e *answeredError) Error() string { return e.err.Error() }
func (e *answeredError) Unwrap() error { return e.err }

// answered marks an error of a write of an object.
func answered(err error) error {
	if err == nil {
		return nil
	}
	return &answeredError{err}
}

// answer is what kind of an answer to a write an error is.
type answer int

const (
	// answerMayChange is that of a member that is busy or not ready, or that waits for something which passes.
	answerMayChange answer = iota
	// answerDenied is that somebody on the member does not allow the object.
	answerDenied
	// answerFinal depends on nothing but the object and the manifest.
	answerFinal
)

// answerOf classifies an error.
func answerOf(err error) answer {
	var write *answeredError
	var status apierrors.APIStatus
	if !errors.As(err, &write) || !errors.As(err, &status) {
		return answerMayChange
	}
	switch code := status.Status().Code; {
	case isDenial(status.Status()) && code >= 400 && code < 500 && code != http.StatusConflict && code != http.StatusTooManyRequests:
		return answerDenied
	case code == http.StatusForbidden && passes(err):
		return answerMayChange
	case code == http.StatusForbidden:
		return answerDenied
	case code == http.StatusConflict:
		if apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict) {
			return answerFinal
		}
		return answerMayChange
	case slices.Contains([]int32{
		http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
	}, code):
		return answerFinal
	}
	return answerMayChange
}

// isDenial reports whether a webhook or a policy has spoken, which may choose the code. Nothing but the words tells.
func isDenial(status metav1.Status) bool {
	return strings.Contains(status.Message, "denied the request") || strings.Contains(status.Message, "denied request:")
}

// passes reports whether what is forbidden is so for a while only: other objects must go first, or the API server has just started.
func passes(err error) bool {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return true
	}
	for _, words := range []string{"exceeded quota", "insufficient quota", "status unknown for quota", "not yet ready to handle request"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// unwritten is the result of a manifest that could not be written. live is nil where the member does not have the object, and before is
// the result of the pass before.
func (p *pass) unwritten(m *manifest, live *unstructured.Unstructured, before *result, err error) *result {
	r := failed(err)
	switch answerOf(err) {
	case answerMayChange:
		return r
	case answerDenied:
		now := p.options.Clock.Now()
		if r.deniedSince = now; before != nil && !before.deniedSince.IsZero() {
			r.deniedSince = before.deniedSince
		}
		if now.Sub(r.deniedSince) < denialPatience {
			return r
		}
	}
	r.applied.reason = reasonRefused
	r.applied.message += "; " + helps(m.object.GroupVersionKind().GroupKind(), live != nil, err)
	return r
}

// keepsData are kinds whose deletion takes along more than can be recreated from a manifest.
var keepsData = []schema.GroupKind{
	{Kind: "Namespace"}, {Kind: "PersistentVolume"}, {Kind: "PersistentVolumeClaim"},
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
}

// unchangeable are words with which API servers refuse another value of a field.
var unchangeable = []string{"immutable", "for fields other than", "may not change once set", "may not be changed", "cannot change"}

// helps returns what can be done about a refusal.
func helps(kind schema.GroupKind, exists bool, err error) string {
	says := func(words string) bool { return strings.Contains(err.Error(), words) }
	switch {
	case answerOf(err) == answerDenied:
		return "allow it on the member cluster, change it on the hub, or go back to an earlier version"
	case apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict):
		return "set spec.strategy.applyStrategy.serverSideApplyConfig.force to true in the placement, change it on the hub, or go back to an earlier version"
	case exists && slices.ContainsFunc(unchangeable, says) && slices.Contains(keepsData, kind):
		return "go back to an earlier version; deleting the " + kind.Kind + " on the member cluster would delete what it holds"
	case exists && slices.ContainsFunc(unchangeable, says):
		return "go back to an earlier version, or delete the " + kind.Kind + " on the member cluster: it is created again"
	}
	return "change it on the hub, or go back to an earlier version"
}
