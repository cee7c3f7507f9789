// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/act"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/client/scoped"
)

// What users name.
var runs, requests, placements = act.Runs, act.Requests, act.Placements

// namespace returns the namespace of -n, empty without it. The one of the context counts for what names a namespaced kind only: what is meant must
// not depend on where the user was before.
func (o *options) namespace() string { return *o.flags.Namespace }

// resolve returns the object that an argument names.
func (o *options) resolve(n act.Noun, argument string) (types.NamespacedName, error) {
	kind, name, found := strings.Cut(argument, "/")
	if !found {
		return types.NamespacedName{Namespace: o.namespace(), Name: argument}, nil
	}
	switch kind = strings.ToLower(kind); {
	case name == "":
		return types.NamespacedName{}, fmt.Errorf("%s: the name is missing", argument)
	case n.IsCluster(kind):
		return types.NamespacedName{Name: name}, nil
	case n.IsNamespaced(kind):
		namespace, _, err := o.flags.ToRawKubeConfigLoader().Namespace()
		return types.NamespacedName{Namespace: namespace, Name: name}, err
	}
	return types.NamespacedName{}, fmt.Errorf("%s: there is no %s here: name it %s/NAME, %s/NAME or NAME", argument, kind, n.Short(""), n.Short("x"))
}

func (o *options) runClient(namespace string) scoped.Client[v1beta1.UpdateRunObject] {
	return scoped.RunClient(o.stagegate.PlacementV1beta1(), namespace)
}

func (o *options) requestClient(namespace string) scoped.Client[v1beta1.ApprovalRequestObject] {
	return scoped.ApprovalClient(o.stagegate.PlacementV1beta1(), namespace)
}

// requestsOf returns the approval requests of a run.
func (o *options) requestsOf(ctx context.Context, run types.NamespacedName) ([]v1beta1.ApprovalRequestObject, error) {
	return o.requestClient(run.Namespace).List(ctx, metav1.ListOptions{LabelSelector: ofRun(run.Name)})
}

func ofRun(name string) string { return wellknown.TargetUpdateRunLabel + "=" + name }

func keyOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}
