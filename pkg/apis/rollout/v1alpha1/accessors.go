// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// RolloutPolicyObject is a ClusterRolloutPolicy or a RolloutPolicy. Code that treats both alike takes the interface.
// +k8s:deepcopy-gen=false
type RolloutPolicyObject interface {
	metav1.Object
	runtime.Object

	// PolicySpec points into the object.
	PolicySpec() *RolloutPolicySpec
	// PolicyStatus points into the object.
	PolicyStatus() *RolloutPolicyStatus
}

// PolicySpec implements RolloutPolicyObject.
func (o *ClusterRolloutPolicy) PolicySpec() *RolloutPolicySpec { return &o.Spec }

// PolicyStatus implements RolloutPolicyObject.
func (o *ClusterRolloutPolicy) PolicyStatus() *RolloutPolicyStatus { return &o.Status }

// PolicySpec implements RolloutPolicyObject.
func (o *RolloutPolicy) PolicySpec() *RolloutPolicySpec { return &o.Spec }

// PolicyStatus implements RolloutPolicyObject.
func (o *RolloutPolicy) PolicyStatus() *RolloutPolicyStatus { return &o.Status }
