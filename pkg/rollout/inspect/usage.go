// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// rewriteShare is the part of what nodes offer, one in so many, by which what is free must differ to be written again: a busy cluster
// differs a little all the time.
const rewriteShare = 100

// Limits of a quantity that a member sends, in characters: a number of a million digits, or with an exponent of a million, takes
// minutes to add.
const (
	maxQuantity = 32
	maxExponent = 3
)

// resourceNames are what is added up.
var resourceNames = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}

// quantities are resources as a member sends them, by name.
type quantities map[string]string

// amounts are CPU, in thousandths, and memory, in bytes. They end at the largest number, and are not below zero.
type amounts struct {
	cpu, memory int64
}

func (q quantities) amounts() amounts {
	return amounts{cpu: q.amount(corev1.ResourceCPU), memory: q.amount(corev1.ResourceMemory)}
}

// amount is a resource as a number, zero where it is none.
func (q quantities) amount(name corev1.ResourceName) int64 {
	text, found := q[string(name)]
	if !found || len(text) > maxQuantity {
		return 0
	}
	if at := strings.IndexAny(text, "eE"); at >= 0 && len(text)-at-1 > maxExponent {
		return 0
	}
	quantity, err := resource.ParseQuantity(text)
	if err != nil || quantity.Sign() <= 0 {
		return 0
	}
	switch {
	case quantity.CmpInt64(math.MaxInt64/1000) > 0:
		return math.MaxInt64
	case name == corev1.ResourceCPU:
		return quantity.MilliValue()
	}
	return quantity.Value()
}

func (a amounts) plus(b amounts) amounts {
	return amounts{cpu: add(a.cpu, b.cpu), memory: add(a.memory, b.memory)}
}

func (a amounts) minus(b amounts) amounts {
	return amounts{cpu: max(a.cpu-b.cpu, 0), memory: max(a.memory-b.memory, 0)}
}

func (a amounts) atLeast(b amounts) amounts {
	return amounts{cpu: max(a.cpu, b.cpu), memory: max(a.memory, b.memory)}
}

func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func (a amounts) list() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(a.cpu, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(a.memory, resource.BinarySI),
	}
}

// node is what is read of a Node.
type node struct {
	Status struct {
		Capacity    quantities `json:"capacity"`
		Allocatable quantities `json:"allocatable"`
	} `json:"status"`
}

// pod is what is read of a Pod.
type pod struct {
	Spec struct {
		NodeName       string       `json:"nodeName"`
		Containers     []container  `json:"containers"`
		InitContainers []container  `json:"initContainers"`
		Overhead       quantities   `json:"overhead"`
		Resources      requirements `json:"resources"`
	} `json:"spec"`
	Status struct {
		Phase corev1.PodPhase `json:"phase"`
	} `json:"status"`
}

type container struct {
	RestartPolicy corev1.ContainerRestartPolicy `json:"restartPolicy"`
	Resources     requirements                  `json:"resources"`
}

type requirements struct {
	Requests quantities `json:"requests"`
}

// occupies reports whether a Pod has a part of a node: it is bound to one, and has not ended. One that is being deleted has its part
// until it has ended.
func (p *pod) occupies() bool {
	return p.Spec.NodeName != "" && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// requests is what a Pod takes of its node, as the scheduler counts it: all containers and sidecars together, or an init container with
// the sidecars that were started before it, if that is more. What is requested for the Pod as a whole counts in place of that, and
// overhead comes on top.
func (p *pod) requests() amounts {
	var running, sidecars, starting amounts
	for _, c := range p.Spec.Containers {
		running = running.plus(c.Resources.Requests.amounts())
	}
	for _, c := range p.Spec.InitContainers {
		requests := c.Resources.Requests.amounts()
		if c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars = sidecars.plus(requests)
			requests = amounts{}
		}
		starting = starting.atLeast(sidecars.plus(requests))
	}
	total := running.plus(sidecars).atLeast(starting)
	whole := p.Spec.Resources.Requests
	if _, found := whole[string(corev1.ResourceCPU)]; found {
		total.cpu = whole.amount(corev1.ResourceCPU)
	}
	if _, found := whole[string(corev1.ResourceMemory)]; found {
		total.memory = whole.amount(corev1.ResourceMemory)
	}
	return total.plus(p.Spec.Overhead.amounts())
}

// differs reports whether a list of what is free differs from an earlier one by what matters of what the nodes offer.
func differs(before, now, allocatable corev1.ResourceList) bool {
	for _, name := range resourceNames {
		was, wasThere := before[name]
		is, isThere := now[name]
		if wasThere != isThere {
			return true
		}
		share := allocatable.Name(name, resource.DecimalSI).AsApproximateFloat64() / rewriteShare
		if change := math.Abs(is.AsApproximateFloat64() - was.AsApproximateFloat64()); change > 0 && change >= share {
			return true
		}
	}
	return false
}
