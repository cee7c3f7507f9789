// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Reason says in one word why a member has no usable credentials. It can be the reason of a condition.
type Reason string

const (
	// SecretNotFound means that the member has no Secret.
	SecretNotFound Reason = "SecretNotFound"
	// KubeconfigNotFound means that the Secret has no kubeconfig.
	KubeconfigNotFound Reason = "KubeconfigNotFound"
	// KubeconfigInvalid means that the kubeconfig cannot be read or names no cluster and user.
	KubeconfigInvalid Reason = "KubeconfigInvalid"
	// KubeconfigRefused means that the kubeconfig would have the server run a program, read a file of its own or send the credentials to
	// whoever answers.
	KubeconfigRefused Reason = "KubeconfigRefused"
)

// CredentialsError is why a member has no usable credentials. It names the Secret and the key to mend.
type CredentialsError struct {
	Reason Reason
	// Secret is namespace/name of the member's Secret.
	Secret string
	// Err has details, and is nil where there are none.
	Err error
}

func (e *CredentialsError) Error() string {
	switch e.Reason {
	case SecretNotFound:
		return fmt.Sprintf("Secret %s does not exist; create it with the kubeconfig of the member under the key %q", e.Secret, wellknown.MemberKubeconfigKey)
	case KubeconfigNotFound:
		return fmt.Sprintf("Secret %s has nothing under the key %q; the kubeconfig of the member belongs there", e.Secret, wellknown.MemberKubeconfigKey)
	default:
		return fmt.Sprintf("Secret %s, key %q: %v", e.Secret, wellknown.MemberKubeconfigKey, e.Err)
	}
}

func (e *CredentialsError) Unwrap() error { return e.Err }
