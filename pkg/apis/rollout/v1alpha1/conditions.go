// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// PolicyEffective is the condition of a policy that is True while the policy can be held, and False with the reason why it cannot.
// A policy that is not effective refuses every rollout that it may bind: nobody can tell what it demands.
const PolicyEffective = "Effective"

// Reasons of the condition Effective.
const (
	// ReasonEffective is that of a policy which is held.
	ReasonEffective = "Effective"
	// ReasonInvalidSelector is that of a policy with a selector that cannot be read.
	ReasonInvalidSelector = "InvalidSelector"
)

// PolicyCompatible is the condition of a policy that is False while another one contradicts it: both may bind the same rollouts and protect
// a cluster in common, and no strategy can meet both. Such a rollout is refused by one of them or the other.
const PolicyCompatible = "Compatible"

// Reasons of the condition Compatible.
const (
	// ReasonCompatible is that of a policy which no other one is known to contradict.
	ReasonCompatible = "Compatible"
	// ReasonContradicted is that of a policy which another one contradicts.
	ReasonContradicted = "Contradicted"
)

// PolicyReady is the condition of a policy that is True while Effective and Compatible are, and False with the reason and the message of the
// one that is not. Tools that follow kstatus, such as Flux and Helm, know an object by it.
const PolicyReady = "Ready"

// ReasonPolicyReady is the reason of the condition Ready of a policy that is in effect and that no other one is known to contradict.
const ReasonPolicyReady = "Ready"

// NotificationSinkReady is the condition of a sink that is True while what is to be delivered can be, as far as is known.
const NotificationSinkReady = "Ready"

// Reasons of the condition Ready of a sink.
const (
	// ReasonSinkReady is that of a sink whose last notification was delivered, or that has had none.
	ReasonSinkReady = "Ready"
	// ReasonSinkSuspended is that of a sink with suspend.
	ReasonSinkSuspended = "Suspended"
	// ReasonSinkInvalid is that of a sink whose spec, or a Secret that it names, cannot be used.
	ReasonSinkInvalid = "Invalid"
	// ReasonDeliveryFailed is that of a sink for which a notification waits that could not be delivered.
	ReasonDeliveryFailed = "DeliveryFailed"
)
