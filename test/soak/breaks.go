// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// What is broken is said in what is placed, so that a member answers the same before and after a kill: a version with this in its
// ConfigMap does not become available on the members whose number ends in brokenDigit, one in each ten but the first five.
const (
	brokenKey   = "broken"
	brokenDigit = "5"
)

// isBroken reports whether a member never has a Work available.
func isBroken(work *v1beta1.Work) bool {
	if !strings.HasSuffix(work.Namespace, brokenDigit) {
		return false
	}
	for _, manifest := range work.Spec.Workload.Manifests {
		if isBrokenVersion(manifest.Raw) {
			return true
		}
	}
	return false
}

func isBrokenVersion(raw []byte) bool {
	return bytes.Contains(raw, fmt.Appendf(nil, `"%s":"yes"`, brokenKey))
}

// clusterTimeout is the time that clusters have. It begins anew with each server: one that is killed before it is over gives no cluster up.
// It is not much shorter, since the server is slow for a while after its start, and must not give up those that are well.
func (s settings) clusterTimeout() time.Duration { return min(20*time.Second, s.killEvery*3/4) }

// The strategies that give clusters up, by what follows on that.
const (
	tolerantStrategy  = "tolerant"
	failingStrategy   = "failing"
	pausingStrategy   = "pausing"
	returningStrategy = "returning"
)

var failurePolicies = map[string]*v1beta1.FailurePolicy{
	tolerantStrategy:  {MaxFailures: ptr.To(intstr.FromString("20%"))},
	failingStrategy:   {},
	pausingStrategy:   {OnFailure: v1beta1.FailureActionPause},
	returningStrategy: {OnFailure: v1beta1.FailureActionRollback},
}

func failurePolicy(strategy string, clusterTimeout time.Duration) *v1beta1.FailurePolicy {
	policy := failurePolicies[strategy].DeepCopy()
	if policy != nil {
		policy.ClusterTimeout = metav1.Duration{Duration: clusterTimeout}
	}
	return policy
}
