// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/admission/hubkinds"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// TestManyWritesOfOneUserAskAsMuchAtOnceAsOne has the hub not answer about one user, who sends many placements of a hundred selectors.
func TestManyWritesOfOneUserAskAsMuchAtOnceAsOne(t *testing.T) {
	const writes = 10
	asked, answer := make(chan string, 10_000), make(chan struct{})
	p := New()
	p.SetUnconditionalAuthorizer(authorizer.AuthorizerFunc(func(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetUser().GetName() == "busy" && a.GetVerb() != "*" {
			asked <- a.GetName()
			select {
			case <-answer:
			case <-ctx.Done():
				return authorizer.DecisionNoOpinion, "", ctx.Err()
			}
		}
		return authorizer.DecisionNoOpinion, "", nil
	}))
	p.SetHubKinds(hubkinds.New(func(context.Context) (hubkinds.Kinds, error) { return hubkinds.Kinds{Served: hubKinds}, nil }, clock.RealClock{}))
	write := func(ctx context.Context, who string) error {
		var selectors []v1beta1.ResourceSelectorTerm
		for i := range 100 {
			s := selector("/Secret")
			s.Name = fmt.Sprintf("%s-%d", who, i)
			selectors = append(selectors, s)
		}
		return p.Validate(ctx, admission.NewAttributesRecord(resourcePlacement(selectors...), nil, schema.GroupVersionKind{}, "team-a", "o",
			schema.GroupVersionResource{Group: v1beta1.GroupName}, "", admission.Create, nil, false, &user.DefaultInfo{Name: who}), nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var busy sync.WaitGroup
	for range writes {
		busy.Go(func() {
			if err := write(ctx, "busy"); !apierrors.IsForbidden(err) {
				t.Errorf("answered with %v, want forbidden", err)
			}
		})
	}
	for range askers {
		select {
		case <-asked:
		case <-ctx.Done():
			t.Fatal("fewer questions than may be are asked at once")
		}
	}
	// Another user is answered meanwhile.
	if err := write(ctx, "other"); !apierrors.IsForbidden(err) {
		t.Errorf("another user is answered with %v, want forbidden", err)
	}
	if more := len(asked); more > 0 {
		t.Errorf("%d questions more than %d are asked at once", more, askers)
	}
	// Who hangs up while waiting is not asked about any more.
	gone, hangUp := context.WithCancel(ctx)
	hangUp()
	if err := write(gone, "busy"); !apierrors.IsInternalError(err) {
		t.Errorf("a write whose time is over is answered with %v", err)
	}
	close(answer)
	busy.Wait()
	if left := len(p.authorizer.(*paced).turns); left > 0 {
		t.Errorf("%d users are remembered when nothing is asked", left)
	}
}
