// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package traces

import "go.opentelemetry.io/otel/attribute"

// Attributes of OpenTelemetry's semantic conventions. Those of CI/CD are in development there, and may get other names.
const (
	// attrPipeline is the strategy of the run.
	attrPipeline = attribute.Key("cicd.pipeline.name")
	// attrRunID is the uid of the run.
	attrRunID = attribute.Key("cicd.pipeline.run.id")
	// attrAction is what the pipeline does, always actionRun.
	attrAction = attribute.Key("cicd.pipeline.action.name")
	actionRun  = "RUN"
	// attrResult is the result of the run.
	attrResult = attribute.Key("cicd.pipeline.result")
	// attrTask is the stage of a span, on all below it too.
	attrTask = attribute.Key("cicd.pipeline.task.name")
	// attrTaskResult is the result of a stage, and of all below it.
	attrTaskResult = attribute.Key("cicd.pipeline.task.run.result")
	// attrCluster is the MemberCluster of a span.
	attrCluster = attribute.Key("k8s.cluster.name")
	// attrNamespace is the namespace of the run. It is absent from a cluster-scoped one.
	attrNamespace = attribute.Key("k8s.namespace.name")

	attrServiceName     = attribute.Key("service.name")
	attrServiceInstance = attribute.Key("service.instance.id")
)

// Attributes of our own.
const (
	// attrRun is the name of the run.
	attrRun = attribute.Key("stagegate.run")
	// attrPlacement is the name of the placement.
	attrPlacement = attribute.Key("stagegate.placement")
	// attrSnapshot is the index of the resource snapshot: of a cluster the one that it gets, of a run the one that it rolls out.
	attrSnapshot = attribute.Key("stagegate.snapshot")
	// attrOutcome is the status.outcome of the run.
	attrOutcome = attribute.Key("stagegate.outcome")
	// attrRequest is the name of the approval request that a span waits for.
	attrRequest = attribute.Key("stagegate.approval_request")
)

// Values of attrResult and attrTaskResult.
const (
	resultSuccess      = "success"
	resultFailure      = "failure"
	resultError        = "error"
	resultTimeout      = "timeout"
	resultCancellation = "cancellation"
	resultSkip         = "skip"
)
