// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
)

var (
	configMapResource = schema.GroupResource{Resource: "configmaps"}
	immutable         = apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "c", field.ErrorList{
		field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set"),
	})
)

// said is an answer of a member with a code of its own.
func said(code int32, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: message}}
}

func TestWhichAnswersOfAMemberAreFinal(t *testing.T) {
	terminating := apierrors.NewForbidden(configMapResource, "c", errors.New("unable to create new content in namespace ns"))
	terminating.ErrStatus.Details.Causes = append(terminating.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
	forbidden := func(why string) error { return apierrors.NewForbidden(configMapResource, "c", errors.New(why)) }
	for name, tc := range map[string]struct {
		err  error
		want answer
	}{
		"an immutable field":             {immutable, answerFinal},
		"a bad request":                  {apierrors.NewBadRequest("no such field"), answerFinal},
		"a kind that cannot be written":  {apierrors.NewMethodNotSupported(configMapResource, "create"), answerFinal},
		"an object that is too large":    {apierrors.NewRequestEntityTooLargeError("3 MiB"), answerFinal},
		"a field of somebody else":       {apierrors.NewApplyConflict([]metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict}}, "1 conflict"), answerFinal},
		"a patch of what has changed":    {apierrors.NewConflict(configMapResource, "c", errors.New("modified")), answerMayChange},
		"no permission":                  {forbidden("User \"stagegate\" cannot create resource"), answerDenied},
		"pod security":                   {forbidden("violates PodSecurity \"restricted:latest\""), answerDenied},
		"a missing ServiceAccount":       {forbidden("error looking up service account ns/default"), answerDenied},
		"a quota":                        {forbidden("exceeded quota: q, requested: count/configmaps=1"), answerMayChange},
		"an API server that has started": {forbidden("not yet ready to handle request"), answerMayChange},
		"a namespace that is going":      {terminating, answerMayChange},
		"a webhook":                      {said(http.StatusForbidden, "admission webhook \"w\" denied the request: no"), answerDenied},
		"a webhook with another code":    {said(http.StatusBadRequest, "admission webhook \"w\" denied the request: no"), answerDenied},
		"a webhook that is overloaded":   {said(http.StatusTooManyRequests, "admission webhook \"w\" denied the request: later"), answerMayChange},
		"a webhook that is broken":       {apierrors.NewInternalError(errors.New("failed calling webhook \"w\"")), answerMayChange},
		"a policy":                       {said(http.StatusUnprocessableEntity, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"), answerDenied},
		"credentials that are not taken": {apierrors.NewUnauthorized("no"), answerMayChange},
		"a namespace that is missing":    {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "ns"), answerMayChange},
		"too many requests":              {apierrors.NewTooManyRequests("later", 1), answerMayChange},
		"no answer":                      {errors.New("connection refused"), answerMayChange},
	} {
		if got := answerOf(answered(tc.err)); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
	if got := answerOf(fmt.Errorf("reading Work web-work: %w", forbidden("cannot get"))); got != answerMayChange {
		t.Errorf("an answer of the hub: %d", got)
	}
}

func TestARefusalSaysWhatHelps(t *testing.T) {
	selector := errors.New(`Deployment.apps "web" is invalid: spec.selector: Invalid value: {}: field is immutable`)
	invalid := func(err error) error { return answered(said(http.StatusUnprocessableEntity, err.Error())) }
	deployment, claim := schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Kind: "PersistentVolumeClaim"}
	for name, tc := range map[string]struct {
		kind   schema.GroupKind
		exists bool
		err    error
		want   string
	}{
		"what can be recreated":  {deployment, true, invalid(selector), "go back to an earlier version, or delete the Deployment on the member cluster: it is created again"},
		"what holds data":        {claim, true, invalid(errors.New("spec is immutable after creation")), "go back to an earlier version; deleting the PersistentVolumeClaim on the member cluster would delete what it holds"},
		"what never was created": {deployment, false, invalid(selector), "change it on the hub, or go back to an earlier version"},
		"what is wrong":          {deployment, true, invalid(errors.New("spec.replicas: must be greater than 0")), "change it on the hub, or go back to an earlier version"},
		"what is not allowed": {deployment, true, answered(said(http.StatusForbidden, "no")),
			"allow it on the member cluster, change it on the hub, or go back to an earlier version"},
		"what others own": {deployment, true, answered(apierrors.NewApplyConflict([]metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict}}, "1 conflict")),
			"set spec.strategy.applyStrategy.serverSideApplyConfig.force to true in the placement, change it on the hub, or go back to an earlier version"},
	} {
		if got := helps(tc.kind, tc.exists, tc.err); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// refusing has a pass of a Work whose object the member answers with an error, and returns what is said of the object.
func refusing(t *testing.T, b *bench, err error) metav1.Condition {
	t.Helper()
	b.member.fail(func(verb, resource, _ string) error {
		if verb == "create" && resource == "configmaps" {
			return err
		}
		return nil
	})
	work, again := b.tryPass(t)
	if again == nil {
		t.Error("the manifest is not tried again")
	}
	return *meta.FindStatusCondition(work.Status.ManifestConditions[0].Conditions, v1beta1.WorkApplied)
}

func TestWhatAMemberRefusesIsSaidAtOnce(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	got := refusing(t, b, immutable)
	if got.Status != metav1.ConditionFalse || !wellknown.CannotHeal(got.Reason, false) ||
		!strings.HasPrefix(got.Message, `Failed to apply the manifest (error: ConfigMap "c" is invalid: data: Forbidden: field is immutable`) ||
		!strings.HasSuffix(got.Message, "; change it on the hub, or go back to an earlier version") {
		t.Errorf("Applied: %+v", got)
	}
	b.member.fail(nil)
	if work := b.pass(t); condition(work.Status.ManifestConditions[0].Conditions, v1beta1.WorkApplied) != "True Applied" {
		t.Errorf("the member takes it now: %+v", work.Status.ManifestConditions[0].Conditions)
	}
}

func TestWhatIsDeniedIsRefusedOnceItLasts(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	denied := apierrors.NewForbidden(configMapResource, "c", errors.New("no"))
	steps := []struct {
		after time.Duration
		err   error
		want  string
	}{
		{0, denied, reasonApplyFailed},
		{9 * time.Second, denied, reasonApplyFailed},
		{time.Second, denied, reasonRefused},
		{time.Second, apierrors.NewInternalError(errors.New("broken")), reasonApplyFailed},
		{time.Minute, denied, reasonApplyFailed},
		{10 * time.Second, denied, reasonRefused},
	}
	now := testTime
	for i, step := range steps {
		now = now.Add(step.after)
		b.clock.SetTime(now)
		if got := refusing(t, b, step.err); got.Reason != step.want {
			t.Errorf("step %d: %s, want %s", i, got.Reason, step.want)
		}
	}
}

func TestAMemberWhoseWordsDifferEachTimeIsAskedLessAndLessOften(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	api := fleettest.NewClientset().PlacementV1beta1().Works(testNamespace)
	if _, err := api.Create(t.Context(), newWork(t, configMapYAML), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.works = listing{api}
	const attempts = 8
	var mu sync.Mutex
	var asked []time.Time
	enough := make(chan struct{})
	b.member.fail(func(verb, resource, _ string) error {
		if verb != "create" || resource != "configmaps" {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if asked = append(asked, time.Now()); len(asked) == attempts {
			close(enough)
		}
		return apierrors.NewForbidden(configMapResource, "c", fmt.Errorf("denied request: %d", len(asked)))
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	select {
	case <-enough:
	case <-time.After(20 * time.Second):
		t.Error("the member is not asked again")
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	// The pauses double from 50 ms on, but some of the first attempts, which also prepare the Work, wake one another.
	if least, took := 100*time.Millisecond, asked[attempts-1].Sub(asked[0]); took < least {
		t.Errorf("%d attempts took %v, want %v at least", attempts, took, least)
	}
}
