// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

// WithDefaults is a copy of the strategy with every default filled in. A nil strategy is nothing but defaults.
func (s *ApplyStrategy) WithDefaults() *ApplyStrategy {
	effective := s.DeepCopy()
	if effective == nil {
		effective = &ApplyStrategy{}
	}
	setDefaults(RolloutStrategy{ApplyStrategy: effective})
	if effective.Type == ApplyStrategyTypeServerSideApply && effective.ServerSideApplyConfig == nil {
		effective.ServerSideApplyConfig = &ServerSideApplyConfig{}
	}
	return effective
}

// WithDefaults is a copy of the configuration with every default filled in. A nil configuration is nothing but defaults.
func (c *RollingUpdateConfig) WithDefaults() *RollingUpdateConfig {
	effective := c.DeepCopy()
	if effective == nil {
		effective = &RollingUpdateConfig{}
	}
	setDefaults(RolloutStrategy{RollingUpdate: effective})
	return effective
}

// WithDefaults is a copy of the stages with every default filled in.
func (s *UpdateStrategySpec) WithDefaults() *UpdateStrategySpec {
	effective := &ClusterStagedUpdateStrategy{Spec: *s.DeepCopy()}
	SetObjectDefaults_ClusterStagedUpdateStrategy(effective)
	return &effective.Spec
}

// setDefaults gives what the strategy points to the defaults that the API gives it.
func setDefaults(strategy RolloutStrategy) {
	SetObjectDefaults_ClusterResourcePlacement(&ClusterResourcePlacement{Spec: PlacementSpec{Strategy: strategy}})
}
