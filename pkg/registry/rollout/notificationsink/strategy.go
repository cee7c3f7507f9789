// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notificationsink

import (
	"fmt"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/validation"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/rules/notification"
)

// Resources has the one kind.
func Resources() []store.Resource {
	family := store.Family[*v1alpha1.NotificationSink, v1alpha1.NotificationSinkSpec, v1alpha1.NotificationSinkStatus]{
		Spec:   func(o *v1alpha1.NotificationSink) *v1alpha1.NotificationSinkSpec { return &o.Spec },
		Status: func(o *v1alpha1.NotificationSink) *v1alpha1.NotificationSinkStatus { return &o.Status },
		Name: store.NameLimit{Max: utilvalidation.LabelValueMaxLength, Message: fmt.Sprintf("must have at most %d characters: Secrets have it as the value of the label %s",
			utilvalidation.LabelValueMaxLength, wellknown.NotificationSinkLabel)},
		Validate:             validate,
		ValidateUpdate:       validateUpdate,
		ValidateStatusUpdate: validation.ValidateNotificationSinkStatusUpdate,
		Warnings:             warnings,
		Columns:              columns(),
	}
	return []store.Resource{
		store.NewResource[v1alpha1.NotificationSink, v1alpha1.NotificationSinkList](v1alpha1.GroupName,
			store.Names{Plural: "notificationsinks", ShortNames: []string{"nsink"}, Categories: []string{"fleet"}}, family),
	}
}

func validate(o *v1alpha1.NotificationSink) field.ErrorList {
	errs := validation.ValidateNotificationSink(o)
	for i, pattern := range o.Spec.Types {
		if !notification.Exists(pattern) {
			errs = append(errs, field.Invalid(field.NewPath("spec", "types").Index(i), pattern,
				"there is no such notification: write one of "+strings.Join(notification.Types(), ", ")+", or all of a kind as in run.*"))
		}
	}
	return errs
}

func validateUpdate(o, old *v1alpha1.NotificationSink) field.ErrorList {
	if apiequality.Semantic.DeepEqual(o.Spec, old.Spec) {
		return nil
	}
	return validate(o)
}

// warnings names what keeps a sink from being told anything, and a credential where everybody reads it.
func warnings(o *v1alpha1.NotificationSink) []string {
	var found []string
	if m := o.Spec.Match; m != nil && m.ClusterScoped != nil && !*m.ClusterScoped && m.NamespaceSelector == nil {
		found = append(found, "spec.match: it matches no run: set clusterScoped to true, or write a namespaceSelector")
	}
	if u, err := validation.ParseSinkURL(o.Spec.URL); err == nil && (u.Hostname() == "hooks.slack.com" || u.RawQuery != "") {
		found = append(found, "spec.url: everybody who reads sinks can read the URL: put one that is a credential into a Secret, and name it in urlSecret")
	}
	return found
}
