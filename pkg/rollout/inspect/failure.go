// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// Reasons for which a member cannot be used, besides those of its credentials and of its agent.
const (
	ReasonUnreachable  = "Unreachable"
	ReasonUnauthorized = "Unauthorized"
	ReasonForbidden    = "Forbidden"
	ReasonNotReady     = "NotReady"
	ReasonOtherStore   = "OtherStore"
	ReasonOtherHub     = "OtherHub"
	ReasonOtherMember  = "OtherMember"
)

const (
	// MaxMessage bounds what a condition says of a failure, in bytes: most of it can be the member's own words.
	MaxMessage = 1024
	// MaxProperty bounds a property that a member says of itself, in bytes.
	MaxProperty = 256
)

// errNotServed says that a member has a kind, and does not serve it.
var errNotServed = errors.New("the kind is not served")

// Failure is why a member cannot be used, in a user's words.
type Failure struct {
	Reason, Message string
	// Passing says that the failure may go by itself: whether the cluster belongs to the fleet is not known then.
	Passing bool
	// Holder is the member as which the cluster has joined, where it is another one, and HeldMessage the message as long as that member is there.
	Holder, HeldMessage string
	// Answers reports that the member is there and says itself that it is not ready.
	Answers bool
}

// unknownOrFalse is what a failure makes of a condition that has not been True.
func (f *Failure) unknownOrFalse() metav1.ConditionStatus {
	if f.Passing {
		return metav1.ConditionUnknown
	}
	return metav1.ConditionFalse
}

// Revokes reports whether the failure ends a membership: the cluster is somebody else's. All others only make the member unhealthy.
func (f *Failure) Revokes() bool {
	return f.Reason == ReasonOtherStore || f.Reason == ReasonOtherHub || f.Reason == ReasonOtherMember
}

// Classify returns why a member cannot be used, in at most MaxMessage bytes.
func Classify(err error) *Failure {
	f := classified(err)
	f.Message = wording.Shorten(f.Message, MaxMessage)
	return f
}

func classified(err error) *Failure {
	var otherStore *storeid.OtherStoreError
	var otherHub *storeid.OtherHubError
	var otherMember *storeid.OtherMemberError
	var answer apierrors.APIStatus
	switch {
	case errors.As(err, &otherStore):
		return &Failure{Reason: ReasonOtherStore, Message: "The member belongs to another fleet: " + err.Error()}
	case errors.As(err, &otherHub):
		return &Failure{Reason: ReasonOtherHub, Message: "The member belongs to the fleet of another hub: " + err.Error()}
	case errors.As(err, &otherMember):
		return &Failure{Reason: ReasonOtherMember, Message: "The cluster is another member: " + err.Error(),
			Holder: otherMember.Holder, HeldMessage: wording.Shorten("The cluster is another member: "+otherMember.WithoutRename(), MaxMessage)}
	case apierrors.IsUnauthorized(err):
		return &Failure{Reason: ReasonUnauthorized, Message: "The member does not accept the credentials: " + brief(err)}
	case apierrors.IsForbidden(err):
		return &Failure{Reason: ReasonForbidden, Message: "The credentials do not allow what is needed on the member: " + brief(err)}
	case errors.As(err, &answer), errors.Is(err, errNotServed):
		return &Failure{Reason: ReasonNotReady, Message: "The member is not ready: " + brief(err), Passing: true, Answers: true}
	default:
		return &Failure{Reason: ReasonUnreachable, Message: "The member cannot be reached: " + brief(err), Passing: true}
	}
}

// brief leaves out of an error what differs at each attempt, such as the port that a connection was made from or the time: a
// message that says the same is to be the same.
func brief(err error) string {
	var operation *net.OpError
	var request *url.Error
	var certificate x509.CertificateInvalidError
	message := err.Error()
	switch {
	case errors.As(err, &certificate) && certificate.Reason == x509.Expired:
		message = fmt.Sprintf("its certificate is valid from %s to %s only",
			certificate.Cert.NotBefore.UTC().Format(time.RFC3339), certificate.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &operation):
		anonymous := *operation
		anonymous.Source = nil
		message = anonymous.Error()
	case errors.As(err, &request) && errors.Is(err, context.DeadlineExceeded):
		message = "no answer in time"
	case errors.As(err, &request):
		message = request.Err.Error()
	}
	return message
}
