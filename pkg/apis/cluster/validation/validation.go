// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

var (
	identityPath = field.NewPath("spec", "identity")
	statusPath   = field.NewPath("status")
)

// ValidateMemberCluster returns what is wrong with a new member cluster.
func ValidateMemberCluster(object *v1beta1.MemberCluster) field.ErrorList {
	return append(validateIdentity(object.Spec.Identity), validateDelivery(object.Annotations)...)
}

// ValidateMemberClusterUpdate returns what is wrong with a changed member cluster. An identity that is stored stays usable.
func ValidateMemberClusterUpdate(object, old *v1beta1.MemberCluster) field.ErrorList {
	var errs field.ErrorList
	if object.Spec.Identity != old.Spec.Identity {
		errs = validateIdentity(object.Spec.Identity)
	}
	if object.Annotations[wellknown.DeliveryAnnotation] != old.Annotations[wellknown.DeliveryAnnotation] {
		errs = append(errs, validateDelivery(object.Annotations)...)
	}
	return errs
}

// ValidateMemberClusterStatusUpdate returns what is wrong with a member cluster's new status.
func ValidateMemberClusterStatusUpdate(object, _ *v1beta1.MemberCluster) field.ErrorList {
	return validateReport(object.Status.Conditions, object.Status.AgentStatus)
}

// ValidateInternalMemberCluster returns what is wrong with a new InternalMemberCluster beyond what its type says, which is nothing.
func ValidateInternalMemberCluster(*v1beta1.InternalMemberCluster) field.ErrorList {
	return nil
}

// ValidateInternalMemberClusterUpdate returns what is wrong with a changed InternalMemberCluster beyond what its type says, which
// is nothing.
func ValidateInternalMemberClusterUpdate(_, _ *v1beta1.InternalMemberCluster) field.ErrorList {
	return nil
}

// ValidateInternalMemberClusterStatusUpdate returns what is wrong with an InternalMemberCluster's new status.
func ValidateInternalMemberClusterStatusUpdate(object, _ *v1beta1.InternalMemberCluster) field.ErrorList {
	return validateReport(object.Status.Conditions, object.Status.AgentStatus)
}

// validateIdentity wants a subject that a RoleBinding can name, since the member is given its rights by one.
// validateDelivery refuses what would be taken for push in silence.
func validateDelivery(annotations map[string]string) field.ErrorList {
	value, found := annotations[wellknown.DeliveryAnnotation]
	if supported := []string{wellknown.DeliveryPull, wellknown.DeliveryPush}; found && !slices.Contains(supported, value) {
		return field.ErrorList{field.NotSupported(field.NewPath("metadata", "annotations").Key(wellknown.DeliveryAnnotation), value, supported)}
	}
	return nil
}

func validateIdentity(identity rbacv1.Subject) field.ErrorList {
	switch identity.Kind {
	case "", rbacv1.UserKind, rbacv1.GroupKind:
		return nil
	case rbacv1.ServiceAccountKind:
		if identity.Namespace == "" {
			return field.ErrorList{field.Required(identityPath.Child("namespace"), "a ServiceAccount is in a namespace")}
		}
		return nil
	default:
		return field.ErrorList{field.NotSupported(identityPath.Child("kind"), identity.Kind, []string{rbacv1.GroupKind, rbacv1.ServiceAccountKind, rbacv1.UserKind})}
	}
}

func validateReport(conditions []metav1.Condition, agents []v1beta1.AgentStatus) field.ErrorList {
	errs := metav1validation.ValidateConditions(conditions, statusPath.Child("conditions"))
	for i := range agents {
		errs = append(errs, metav1validation.ValidateConditions(agents[i].Conditions, statusPath.Child("agentStatus").Index(i).Child("conditions"))...)
	}
	return errs
}
