// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

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
	"github.com/stagegate/stagegate/pkg/rollout/members"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// Reasons for which a member cannot be used, besides those of its credentials.
const (
	reasonUnreachable  = "Unreachable"
	reasonUnauthorized = "Unauthorized"
	reasonForbidden    = "Forbidden"
	reasonNotReady     = "NotReady"
	reasonOtherStore   = "OtherStore"
	reasonOtherHub     = "OtherHub"
	reasonOtherMember  = "OtherMember"
)

const (
	// maxMessage bounds what a condition says of a failure, in bytes: most of it can be the member's own words.
	maxMessage = 1024
	// maxProperty bounds a property that a member says of itself, in bytes.
	maxProperty = 256
)

// errNotServed says that a member has a kind, and does not serve it.
var errNotServed = errors.New("the kind is not served")

// failure is why a member cannot be used, in a user's words.
type failure struct {
	reason, message string
	// passing says that the failure may go by itself: whether the cluster belongs to the fleet is not known then.
	passing bool
	// holder is the member as which the cluster has joined, where it is another one, and heldMessage the message as long as that member is there.
	holder, heldMessage string
	// answers reports that the member is there and says itself that it is not ready.
	answers bool
}

// unknownOrFalse is what a failure makes of a condition that has not been True.
func (f *failure) unknownOrFalse() metav1.ConditionStatus {
	if f.passing {
		return metav1.ConditionUnknown
	}
	return metav1.ConditionFalse
}

// revokes reports whether the failure ends a membership: the cluster is somebody else's. All others only make the member unhealthy.
func (f *failure) revokes() bool {
	return f.reason == reasonOtherStore || f.reason == reasonOtherHub || f.reason == reasonOtherMember
}

// classify returns why a member cannot be used, in at most maxMessage bytes.
func classify(err error) *failure {
	f := classified(err)
	f.message = wording.Shorten(f.message, maxMessage)
	return f
}

func classified(err error) *failure {
	var credentials *members.CredentialsError
	var otherStore *storeid.OtherStoreError
	var otherHub *storeid.OtherHubError
	var otherMember *storeid.OtherMemberError
	var answer apierrors.APIStatus
	switch {
	case errors.As(err, &credentials):
		return &failure{reason: string(credentials.Reason), message: err.Error()}
	case errors.As(err, &otherStore):
		return &failure{reason: reasonOtherStore, message: "The member belongs to another fleet: " + err.Error()}
	case errors.As(err, &otherHub):
		return &failure{reason: reasonOtherHub, message: "The member belongs to the fleet of another hub: " + err.Error()}
	case errors.As(err, &otherMember):
		return &failure{reason: reasonOtherMember, message: "The cluster is another member: " + err.Error(),
			holder: otherMember.Holder, heldMessage: wording.Shorten("The cluster is another member: "+otherMember.WithoutRename(), maxMessage)}
	case apierrors.IsUnauthorized(err):
		return &failure{reason: reasonUnauthorized, message: "The member does not accept the credentials: " + brief(err)}
	case apierrors.IsForbidden(err):
		return &failure{reason: reasonForbidden, message: "The credentials do not allow what is needed on the member: " + brief(err)}
	case errors.As(err, &answer), errors.Is(err, errNotServed):
		return &failure{reason: reasonNotReady, message: "The member is not ready: " + brief(err), passing: true, answers: true}
	default:
		return &failure{reason: reasonUnreachable, message: "The member cannot be reached: " + brief(err), passing: true}
	}
}

// naming has a failure that the kubeconfig of the member can be the cause of name the member's Secret, and what to do with it. It leaves out how to
// take a cluster from another member that exists.
func (o observation) naming(secret string, exists func(member string) bool) observation {
	if o.failure == nil {
		return o
	}
	if o.failure.holder != "" && exists(o.failure.holder) {
		held := *o.failure
		held.message = held.heldMessage
		o.failure = &held
		return o
	}
	mend := map[string]string{
		reasonUnreachable:  "; if that is not its address, put its kubeconfig into Secret " + secret,
		reasonUnauthorized: "; put a kubeconfig that it accepts into Secret " + secret,
		reasonForbidden:    "; grant that on the member to the user of the kubeconfig in Secret " + secret,
	}[o.failure.reason]
	if mend != "" {
		named := *o.failure
		named.message = wording.Shorten(named.message, maxMessage-len(mend)) + mend
		o.failure = &named
	}
	return o
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
