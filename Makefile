# Copyright The Stagegate Authors.
# SPDX-License-Identifier: Apache-2.0

GO ?= go
OUTPUT := _output
BIN := $(OUTPUT)/bin

# Settings of hub-up, demo, bench-agents, soak and nightly, see help.
MEMBERS ?= 3
NODES ?= 0
SERVER_FLAGS ?=
WAIT ?= 5s
DURATION ?= 30m
RUNS ?= 200
AGENTS ?= 1000
SEED ?= 0
STEPS ?=

# MODULES are the Go modules beside the one of this directory.
MODULES := test/hub test/hub/etcdtools test/hub/oldkube test/gitops hack/tools hack/release

# Settings of image and release: the version that binaries bear, where the images will be, such as registry.example.com/fleet, and where the
# other files will be, such as https://downloads.example.com/stagegate/v0.1.0.
VERSION ?=
IMAGES ?=
DOWNLOADS ?=
PLATFORMS ?= linux/amd64,linux/arm64

.PHONY: help
help: ## Print the targets.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the server, the agent of members and the plugin of kubectl into _output/bin.
	$(GO) build -o $(BIN)/stagegate-apiserver ./cmd/apiserver
	$(GO) build -o $(BIN)/stagegate-member-agent ./cmd/memberagent
	$(GO) build -o $(BIN)/kubectl-stagegate ./cmd/kubectl-stagegate

.PHONY: image
image: ## Build an OCI image of each binary, for PLATFORMS=linux/amd64,linux/arm64, without a container engine: _output/image.
	cd hack/release && $(GO) run . image -version '$(VERSION)' -platforms '$(PLATFORMS)' -out ../../$(OUTPUT)/image

.PHONY: release
release: ## Build all that is published of VERSION=v0.1.0 with images in IMAGES=registry.example.com/fleet: _output/release/v0.1.0.
	cd hack/release && $(GO) run . release -version '$(VERSION)' -images '$(IMAGES)' -downloads '$(DOWNLOADS)' -platforms '$(PLATFORMS)' \
		-out '../../$(OUTPUT)/release/$(VERSION)'

.PHONY: generate
generate: ## Regenerate everything that is derived from the types in pkg/apis.
	hack/update-codegen.sh
	$(GO) test -count=1 ./test/integration -run '^TestOpenAPIDocumentsAreServed$$' -openapi.update

.PHONY: verify
verify: ## Fail if generated code, OpenAPI documents or go.mod are not up to date.
	hack/verify-codegen.sh
	$(GO) test -count=1 ./test/integration -run '^TestOpenAPIDocumentsAreServed$$'
	$(GO) mod tidy -diff
	for module in $(MODULES); do (cd $$module && $(GO) mod tidy -diff) || exit 1; done

.PHONY: lint
lint: ## Run golangci-lint with kube-api-linter, as .golangci.yml has it. Building it takes two minutes the first time.
	cd hack/tools && $(GO) build -o ../../$(BIN)/golangci-lint ./golangci-lint
	$(BIN)/golangci-lint run ./...
	cd test/hub && ../../$(BIN)/golangci-lint run ./...
	cd test/gitops && ../../$(BIN)/golangci-lint run ./...
	cd hack/tools && ../../$(BIN)/golangci-lint run ./...
	cd hack/release && ../../$(BIN)/golangci-lint run ./...

.PHONY: test
test: ## Run unit and integration tests. Needs Go alone.
	$(GO) test -timeout 30m ./...
	@# The documents are outside of that module, so that the go tool does not see when they have changed.
	cd test/hub && $(GO) test -short -count=1 . ./e2e
	cd test/gitops && $(GO) test -count=1 ./...
	cd hack/release && $(GO) test -count=1 ./...

.PHONY: race
race: ## Run the unit and the integration tests under the race detector, with few random fleets. Needs a C compiler.
	$(GO) test -timeout 30m -race -short ./pkg/... ./test/integration/...

.PHONY: e2e
e2e: ## Run the tutorial, every command of the documents and the failure tests on a real hub with real members.
	cd test/hub && $(GO) test -count=1 -timeout 60m -parallel 2 -v ./e2e/...

# What a newcomer may lack is named before anything starts.
.PHONY: prerequisites
prerequisites:
	@[ "$$(uname)" = Linux ] || { echo "The hub runs on Linux only: use a virtual machine or a container."; exit 1; }
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.26 or later from https://go.dev/dl/ and put its bin directory on the PATH."; exit 1; }
	@command -v git >/dev/null || { echo "git is missing, which Go asks for the revision that it builds: install it with your distribution's package manager."; exit 1; }
	@echo "Building the tool that runs the hub: a minute or two the first time."

.PHONY: demo
demo: prerequisites ## Run the tutorial command by command on a real hub. WAIT=1m waits as long as the document does.
	cd test/hub && $(GO) run ./cmd/hub demo -wait '$(WAIT)'

.PHONY: hub-up
hub-up: prerequisites ## Start a real hub with MEMBERS=3 member clusters of NODES=0 nodes and leave it running. SERVER_FLAGS go to stagegate-apiserver.
	cd test/hub && $(GO) run ./cmd/hub up -members '$(MEMBERS)' -nodes '$(NODES)' -server-flags '$(SERVER_FLAGS)'

.PHONY: hub-down
hub-down: ## Stop what hub-up started and delete its data.
	cd test/hub && $(GO) run ./cmd/hub down

.PHONY: bench
bench: ## Measure the speed of the API and of rollouts.
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./test/bench/...

.PHONY: bench-agents
bench-agents: ## Measure what AGENTS=1000 agents of members cost a real hub: a quarter of an hour.
	$(GO) run ./test/agents -agents '$(AGENTS)'

.PHONY: bench-aggregation
bench-aggregation: ## Measure what the hub's aggregation layer adds to requests and runs, on a real hub: a few minutes.
	$(GO) run ./test/aggregation

.PHONY: soak
soak: ## Kill a working server every minute for DURATION=30m and watch that nothing is lost. RUNS=200 SEED=0
	$(GO) run ./test/soak -duration '$(DURATION)' -runs '$(RUNS)' -seed '$(SEED)'

.PHONY: nightly
nightly: ## Run what takes too long for every change: 3h on two idle cores, 4h30m on loaded ones. STEPS='simulator fuzz' runs some; see hack/nightly.sh.
	STEPS='$(STEPS)' hack/nightly.sh

.PHONY: clean
clean: hub-down ## Stop the hub and delete the build output.
	rm -rf $(OUTPUT)
