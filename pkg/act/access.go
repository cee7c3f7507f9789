// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package act

import (
	"context"
	"fmt"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/approval"
)

// WhoAmI asks the hub who the user is.
func WhoAmI(ctx context.Context, hub kubernetes.Interface) (v1beta1.DecisionUser, error) {
	review, err := hub.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return v1beta1.DecisionUser{}, fmt.Errorf("asking the hub who you are: %w", err)
	}
	info := review.Status.UserInfo
	return v1beta1.DecisionUser{Username: info.Username, UID: info.UID, Groups: info.Groups}, nil
}

// IsOpen reports whether a request can still be decided.
func IsOpen(request v1beta1.ApprovalRequestObject) bool {
	return request.GetDeletionTimestamp() == nil && approval.Of(request).Closing() == nil
}

// keepAccess is how long an answer of the hub on what the user may do is taken for true. The hub decides each request anew.
const keepAccess = 30 * time.Second

// maxAccess is how many answers are kept: one for each object and verb that was on screen.
const maxAccess = 4096

// Access asks the hub what the user may do, and asks each thing once in half a minute. It is safe for concurrent use.
type Access struct {
	hub   kubernetes.Interface
	clock clock.PassiveClock

	mu      sync.Mutex
	answers map[authorizationv1.ResourceAttributes]answer
}

type answer struct {
	allowed bool
	at      time.Time
}

// NewAccess returns an Access that knows nothing yet.
func NewAccess(hub kubernetes.Interface, clk clock.PassiveClock) *Access {
	return &Access{hub: hub, clock: clk, answers: map[authorizationv1.ResourceAttributes]answer{}}
}

// May reports whether the user may use a verb on an object, or with an empty name on all of a namespace. The resource is one of the placement group.
func (a *Access) May(ctx context.Context, verb, resource, subresource, namespace, name string) (bool, error) {
	attributes := authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: verb, Group: v1beta1.GroupName, Resource: resource, Subresource: subresource, Name: name,
	}
	a.mu.Lock()
	known, found := a.answers[attributes]
	a.mu.Unlock()
	if found && a.clock.Since(known.at) < keepAccess {
		return known.allowed, nil
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &attributes}}
	got, err := a.hub.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("asking the hub what you may do: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.answers) >= maxAccess {
		clear(a.answers)
	}
	a.answers[attributes] = answer{got.Status.Allowed, a.clock.Now()}
	return got.Status.Allowed, nil
}

// MayAct reports whether the user may use a subresource by which people act. The server asks for the verb update, whichever way a request comes in;
// these come by create. What the user may on all of a namespace is not asked for each object.
func (a *Access) MayAct(ctx context.Context, n Noun, subresource, namespace, name string) (bool, error) {
	for _, of := range []string{"", name} {
		allowed := true
		for _, verb := range []string{"update", "create"} {
			ok, err := a.May(ctx, verb, n.Resource(namespace), subresource, namespace, of)
			if err != nil {
				return false, err
			}
			if allowed = allowed && ok; !allowed {
				break
			}
		}
		if allowed || name == "" {
			return allowed, nil
		}
	}
	return false, nil
}

// Counts reports whether an approval by the user would count: neither the policy of the request nor an approval that they have given speaks against
// it, and the hub lets them approve. It returns why not, in words.
func (a *Access) Counts(ctx context.Context, me v1beta1.DecisionUser, request v1beta1.ApprovalRequestObject) (why string, err error) {
	tally := approval.Of(request)
	if tally.By(me, v1beta1.DecisionApproved) != nil {
		return "you have approved it already", nil
	}
	if why := tally.Refuses(me); why != "" {
		return why, nil
	}
	allowed, err := a.MayAct(ctx, Requests, Approve.Subresource, request.GetNamespace(), request.GetName())
	if err != nil || allowed {
		return "", err
	}
	return Lacks(Requests, Approve.Subresource, request.GetNamespace()), nil
}

// Lacks tells which permission a user lacks who may not use a subresource.
func Lacks(n Noun, subresource, namespace string) string {
	where := ""
	if namespace != "" {
		where = " in namespace " + namespace
	}
	return "you lack create and update on " + n.Resource(namespace) + "/" + subresource + where
}
