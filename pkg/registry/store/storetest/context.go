// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Namespace is where the namespaced objects of tests are.
const Namespace = "team"

// User makes the requests.
var User = &user.DefaultInfo{Name: "alice", UID: "1", Groups: []string{"team"}}

// Request is the context of a request for a resource in a version; subresource may be empty.
func Request(ctx context.Context, r store.Resource, version, subresource string) context.Context {
	namespace := metav1.NamespaceNone
	if r.Namespaced {
		namespace = Namespace
	}
	ctx = genericapirequest.WithNamespace(ctx, namespace)
	ctx = genericapirequest.WithUser(ctx, User)
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
		IsResourceRequest: true,
		APIGroup:          r.Group,
		APIVersion:        version,
		Namespace:         namespace,
		Resource:          r.Plural,
		Subresource:       subresource,
	})
}
