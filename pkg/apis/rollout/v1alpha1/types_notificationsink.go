// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// +genclient
// +genclient:nonNamespaced
// +k8s:supportsSubresource="/status"
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// NotificationSink is an HTTPS endpoint that is told what happens to runs: each entry of a run's status.history is one notification, sent
// at least once and in the order of the run. It is the platform's: the server makes the requests. Its name has at most 63 characters.
type NotificationSink struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's standard metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says where notifications go, and which.
	// +required
	Spec NotificationSinkSpec `json:"spec"`

	// status says what was delivered, written by Stagegate.
	// +optional
	Status NotificationSinkStatus `json:"status,omitempty,omitzero"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// NotificationSinkList is a list of NotificationSinks.
type NotificationSinkList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the list's standard metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the NotificationSinks.
	Items []NotificationSink `json:"items"`
}

// NotificationFormat is what the body of a notification is.
// +enum
// +k8s:enum
type NotificationFormat string

const (
	// NotificationFormatCloudEvents is a CloudEvent 1.0 in structured JSON.
	NotificationFormatCloudEvents NotificationFormat = "CloudEvents"
	// NotificationFormatSlack is a JSON object whose field text says what happened, as incoming webhooks of Slack and Mattermost take it.
	NotificationFormatSlack NotificationFormat = "Slack"
)

// SecretKeyReference is a key of a Secret in the namespace of the server on the hub, fleet-system. The Secret must have the label
// rollout.stagegate.dev/notification-sink with the name of the sink as its value: no sink reads any other Secret.
type SecretKeyReference struct {
	// name is the name of the Secret.
	// +required
	// +k8s:required
	// +k8s:maxLength=253
	Name string `json:"name"`

	// key is the key in the data of the Secret.
	// +required
	// +k8s:required
	// +k8s:maxLength=253
	Key string `json:"key"`
}

// NotificationAuth is how the server shows who it is.
type NotificationAuth struct {
	// bearerTokenSecret has the token that is sent as Authorization: Bearer.
	// +required
	// +k8s:required
	BearerTokenSecret *SecretKeyReference `json:"bearerTokenSecret"`
}

// NotificationSinkSpec is where notifications go, and which.
type NotificationSinkSpec struct {
	// url is where notifications are posted, with https. It must have no user and no fragment. Who reads sinks reads it: put a URL that is
	// a credential itself, as Slack's is, into urlSecret. At most 2048 characters.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=2048
	URL string `json:"url,omitempty"`

	// urlSecret has the URL. One of url and urlSecret must be set.
	// +optional
	// +k8s:optional
	URLSecret *SecretKeyReference `json:"urlSecret,omitempty"`

	// format is CloudEvents or Slack. It defaults to CloudEvents.
	// +optional
	// +k8s:optional
	// +default="CloudEvents"
	Format NotificationFormat `json:"format,omitempty"`

	// hmacSecret has the key with which bodies are signed: the header X-Signature is sha256= and the HMAC-SHA256 of the body in hex. Not set
	// sends no signature.
	// +optional
	// +k8s:optional
	HMACSecret *SecretKeyReference `json:"hmacSecret,omitempty"`

	// auth is how the server shows who it is. Not set sends no credentials.
	// +optional
	// +k8s:optional
	Auth *NotificationAuth `json:"auth,omitempty"`

	// caBundle has the certificates, in PEM, by which the endpoint is verified. Not set takes those of the system. At most 64 KiB.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`

	// types are the notifications that are sent, such as run.succeeded, or run.* for all of runs. Empty means all but cluster.*. At most 32.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=32
	// +listType=set
	// +k8s:listType=set
	Types []string `json:"types,omitempty"`

	// match says of which runs notifications are sent, as it says which ones a ClusterRolloutPolicy binds. Absent, they are those of all
	// cluster-scoped placements, and none in a namespace.
	// +optional
	// +k8s:optional
	Match *PolicyMatch `json:"match,omitempty"`

	// suspend holds notifications back. They are sent once it is false again, unless they are a day old by then.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// NotificationSinkStatus is what was delivered.
type NotificationSinkStatus struct {
	// observedGeneration is the generation of the sink that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// delivered is the number of notifications that the endpoint has accepted.
	// +optional
	Delivered int64 `json:"delivered,omitempty"`

	// failed is the number of notifications that were given up: the endpoint did not accept them for an hour, they were a day old, or their run
	// was deleted before their turn.
	// +optional
	Failed int64 `json:"failed,omitempty"`

	// pending is the number of notifications that wait to be sent.
	// +optional
	Pending int32 `json:"pending,omitempty"`

	// lastError is why the last attempt that failed did. At most 256 bytes. It never has the answer of the endpoint.
	// +optional
	LastError string `json:"lastError,omitempty"`

	// handledBefore is the time before which everything in the histories is handled, except of the runs in runs.
	// +optional
	HandledBefore *metav1.Time `json:"handledBefore,omitempty"`

	// runs are how far the sink is with the runs that are not over, or for which something waits to be sent. At most 1000.
	// +optional
	// +k8s:optional
	// +k8s:maxItems=1000
	// +listType=map
	// +listMapKey=uid
	// +k8s:listType=map
	// +k8s:listMapKey=uid
	Runs []NotificationCursor `json:"runs,omitempty"`

	// conditions of the sink: Ready.
	// +optional
	// +k8s:optional
	// +listType=map
	// +listMapKey=type
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +patchMergeKey=type
	// +patchStrategy=merge
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
}

// NotificationCursor is how far a sink is with a run.
type NotificationCursor struct {
	// uid is the uid of the run.
	// +required
	UID types.UID `json:"uid"`

	// number is the number of the last entry of the run's history that is handled, 0 for none.
	// +optional
	Number int64 `json:"number,omitempty"`

	// failingSince is when the next entry was first tried in vain.
	// +optional
	FailingSince *metav1.Time `json:"failingSince,omitempty"`
}
