// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memberagent has the manifests of the agent for programs that print them.
package memberagent

import _ "embed"

// The manifests, as kustomization.yaml lists them.
var (
	//go:embed namespace.yaml
	Namespace []byte
	//go:embed rbac.yaml
	RBAC []byte
	//go:embed deployment.yaml
	Deployment []byte
	//go:embed pdb.yaml
	DisruptionBudget []byte
	// Least is the least that the agent, and an identity of a member that is reached by push, need beside rights on what is placed.
	//go:embed least.yaml
	Least []byte
)
