// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

// EffectiveApplyStrategy is the strategy that manifests are applied with: the placement's own, with defaults where it says nothing.
func (s *PlacementSpec) EffectiveApplyStrategy() *ApplyStrategy {
	effective := s.Strategy.ApplyStrategy.DeepCopy()
	if effective == nil {
		effective = &ApplyStrategy{}
	}
	fill := &ClusterResourcePlacement{Spec: PlacementSpec{Strategy: RolloutStrategy{ApplyStrategy: effective}}}
	SetObjectDefaults_ClusterResourcePlacement(fill)
	if effective.Type == ApplyStrategyTypeServerSideApply && effective.ServerSideApplyConfig == nil {
		effective.ServerSideApplyConfig = &ServerSideApplyConfig{}
	}
	return effective
}

// EffectiveRollingUpdate is the pace of a rolling update: the placement's own, with defaults where it says nothing.
func (s *PlacementSpec) EffectiveRollingUpdate() *RollingUpdateConfig {
	effective := s.Strategy.RollingUpdate.DeepCopy()
	if effective == nil {
		effective = &RollingUpdateConfig{}
	}
	fill := &ClusterResourcePlacement{Spec: PlacementSpec{Strategy: RolloutStrategy{RollingUpdate: effective}}}
	SetObjectDefaults_ClusterResourcePlacement(fill)
	return effective
}
