// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storeid

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Membership is as what a cluster has joined a fleet.
type Membership struct {
	// Ruler is what places objects on it.
	Ruler
	// Member is the name of its MemberCluster.
	Member string
	// ClusterUID is the uid of the cluster, that of its namespace kube-system; empty where it is not known.
	ClusterUID string
}

// OtherMemberError reports that a cluster is not the member that it was taken for: a kubeconfig was copied or swapped, or the cluster
// was rebuilt.
type OtherMemberError struct {
	message string
	// Holder is the member as which the cluster has joined, empty where that is not known.
	Holder string
	// rename is what follows where the cluster may have another name now.
	rename string
}

func (e *OtherMemberError) Error() string { return e.message + e.rename }

// WithoutRename is the error where the member that has the cluster is there: whoever renamed the cluster would take it from that member.
func (e *OtherMemberError) WithoutRename() string { return e.message }

// MemberCRD is the CustomResourceDefinition on a member whose annotations say as what the cluster has joined.
const MemberCRD = "appliedworks.placement.kubernetes-fleet.io"

// ClusterUIDProperty is the property of a MemberCluster that has the uid of the cluster that has joined.
const ClusterUIDProperty = clusterv1beta1.PropertyName(wellknown.Prefix + "cluster-uid")

// Mismatch reports why a cluster is not the member that is wanted, by the annotations of its CustomResourceDefinition of AppliedWorks
// and its uid; nil where nothing contradicts. What an annotation does not name is not decided yet, see Undecided. It returns an
// OtherStoreError, an OtherHubError or an OtherMemberError.
func Mismatch(annotations map[string]string, clusterUID string, want Membership) error {
	holder := func(annotation string) string {
		return fmt.Sprintf("annotation %s of its CustomResourceDefinition %s", annotation, MemberCRD)
	}
	forget := func(annotation string) string {
		return fmt.Sprintf("kubectl annotate crd %s %s- on the member", MemberCRD, annotation)
	}
	if found := annotations[wellknown.StoreIDAnnotation]; found != "" && found != want.Store {
		return &OtherStoreError{Holder: holder(wellknown.StoreIDAnnotation), Found: found, Want: want.Store, Adopt: forget(wellknown.StoreIDAnnotation)}
	}
	if found := annotations[wellknown.HubUIDAnnotation]; found != "" && found != want.Hub {
		return &OtherHubError{Holder: holder(wellknown.HubUIDAnnotation), Found: found, Want: want.Hub, Adopt: forget(wellknown.HubUIDAnnotation)}
	}
	if found := annotations[wellknown.MemberNameAnnotation]; found != "" && found != want.Member {
		return &OtherMemberError{
			message: fmt.Sprintf("the kubeconfig leads to the cluster that has joined as member %s, not to %s; put the kubeconfig of %s into its Secret", found, want.Member, want.Member),
			Holder:  found,
			rename: fmt.Sprintf("; only if the cluster was renamed, and MemberCluster %s is deleted: "+
				"kubectl annotate --overwrite crd %s %s=%s on the member, then hand over each of its AppliedWorks: "+
				`kubectl patch appliedwork NAME --type=merge -p '{"spec":{"workNamespace":"%s"}}'`,
				found, MemberCRD, wellknown.MemberNameAnnotation, want.Member, wellknown.MemberNamespace(want.Member)),
		}
	}
	if want.ClusterUID != "" && clusterUID != want.ClusterUID {
		return &OtherMemberError{message: fmt.Sprintf("the kubeconfig leads to the cluster with uid %s, and member %s has joined as the one with uid %s; "+
			"if the cluster was rebuilt: kubectl annotate --overwrite membercluster %s %s=%s on the hub",
			clusterUID, want.Member, want.ClusterUID, want.Member, wellknown.AdoptClusterUIDAnnotation, clusterUID)}
	}
	return nil
}

// Undecided reports whether annotations do not name store, hub and member yet.
func Undecided(annotations map[string]string) bool {
	return annotations[wellknown.StoreIDAnnotation] == "" || annotations[wellknown.HubUIDAnnotation] == "" ||
		annotations[wellknown.MemberNameAnnotation] == ""
}

// OtherMemberOf is the error of an AppliedWork that belongs to the Works of another namespace than the one wanted.
func OtherMemberOf(appliedWork, found, want string) error {
	if len(validation.IsDNS1123Subdomain(appliedWork)) > 0 {
		// The command below would be the cluster's.
		return &OtherMemberError{message: "an AppliedWork on the member cluster has a name that no API server takes"}
	}
	return &OtherMemberError{message: fmt.Sprintf("AppliedWork %s on the member cluster belongs to Works of namespace %s, not %s: "+
		"a kubeconfig was copied or swapped, or the member was renamed; if it was renamed: "+
		`kubectl patch appliedwork %s --type=merge -p '{"spec":{"workNamespace":"%s"}}' on the member`,
		appliedWork, found, want, appliedWork, want)}
}

// OtherHubAsMember is the error of a cluster that is a hub, and not the one of this fleet.
func OtherHubAsMember(found, want string) error {
	return &OtherMemberError{message: fmt.Sprintf("the kubeconfig leads to a hub with uid %s, and the hub of this server has uid %s: "+
		"a hub is a member of its own fleet only; remove the Stagegate there first", found, want)}
}
