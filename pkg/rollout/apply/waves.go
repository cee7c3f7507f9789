// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"cmp"
	"slices"
)

// lastWave has every kind of which nothing is known: custom resources need all else in place.
const lastWave = 999

// waveOf says when a resource is applied: what others need comes in an earlier wave. It goes by the resource alone, whatever its group.
var waveOf = waveTable(
	[]string{"namespaces", "priorityclasses"},
	[]string{
		"networkpolicies", "resourcequotas", "limitranges", "podsecuritypolicies", "poddisruptionbudgets", "serviceaccounts",
		"secrets", "configmaps", "storageclasses", "persistentvolumes", "persistentvolumeclaims", "customresourcedefinitions",
		"ingressclasses",
	},
	[]string{"clusterroles", "roles"},
	[]string{"clusterrolebindings", "rolebindings"},
	[]string{
		"services", "daemonsets", "pods", "replicationcontrollers", "replicasets", "deployments", "horizontalpodautoscalers",
		"statefulsets", "jobs", "cronjobs", "ingresses",
	},
	[]string{"apiservices", "validatingwebhookconfigurations", "mutatingwebhookconfigurations"},
)

func waveTable(waves ...[]string) map[string]int {
	table := map[string]int{}
	for i, resources := range waves {
		for _, r := range resources {
			table[r] = i
		}
	}
	return table
}

// wave of a manifest. A kind that the member does not know may be one that an earlier wave defines.
func (m *manifest) wave() int {
	if wave, known := waveOf[m.resource.Resource]; known {
		return wave
	}
	return lastWave
}

// inWaves orders manifests into groups of which each needs the ones before it.
func inWaves(manifests []*manifest) [][]*manifest {
	sorted := slices.SortedStableFunc(slices.Values(manifests), func(a, b *manifest) int { return cmp.Compare(a.wave(), b.wave()) })
	var waves [][]*manifest
	for _, m := range sorted {
		if last := len(waves) - 1; last >= 0 && waves[last][0].wave() == m.wave() {
			waves[last] = append(waves[last], m)
			continue
		}
		waves = append(waves, []*manifest{m})
	}
	return waves
}
