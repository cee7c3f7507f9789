// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scheme has the one scheme that knows every type the server serves, and the codecs made from it. It knows nothing
// of storage and serves nothing itself.
package scheme

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	cluster "github.com/stagegate/stagegate/pkg/apis/cluster/install"
	placement "github.com/stagegate/stagegate/pkg/apis/placement/install"
	rollout "github.com/stagegate/stagegate/pkg/apis/rollout/install"
)

var (
	// Scheme has all versions of all groups. The hub version of each is its internal one too.
	Scheme = runtime.NewScheme()
	// Codecs encodes and decodes the types of Scheme.
	Codecs = serializer.NewCodecFactory(Scheme)
	// ParameterCodec reads and writes the options in a request's query.
	ParameterCodec = runtime.NewParameterCodec(Scheme)
)

func init() {
	cluster.Install(Scheme)
	placement.Install(Scheme)
	rollout.Install(Scheme)

	// Options and Status are spoken as core v1 by every client.
	metav1.AddToGroupVersion(Scheme, schema.GroupVersion{Version: "v1"})
}
