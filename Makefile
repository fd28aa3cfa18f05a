# Everything a contributor or a pipeline runs. `make` alone lists it.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# What the CDK and its CLI would otherwise say about the version of Node, and send home.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION ?= 20
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ?= true
export CDK_DISABLE_CLI_TELEMETRY ?= true
export CDK_DISABLE_VERSION_CHECK ?= 1

BUILD := .cache/bin
TOOLS := .tools
CDK := node_modules/.bin/cdk --no-notices
# Arguments for the CDK CLI: make deploy ARGS="--profile audit -c postern=prod.yaml"
ARGS ?=
STACKS ?= --all
# Arguments for the benchmark: make bench BENCH="-only synth,growth -runs 5"
BENCH ?=

GOLANGCI_LINT := $(TOOLS)/golangci-lint-v2.15.0/golangci-lint
GOFUMPT := $(TOOLS)/gofumpt-v0.12.0/gofumpt
SHFMT := $(TOOLS)/shfmt-v3.14.1/shfmt
GOVULNCHECK := $(TOOLS)/govulncheck-v1.9.0/govulncheck
export GOLANGCI_LINT GOFUMPT SHFMT

.PHONY: help
help: ## List the targets
	@printf 'Postern: safe ways into a private AWS network.\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  make demo KEEP=1           leave the local CloudFormation up and say how to ask it\n'
	@printf '  POSTERN_ENDPOINT=URL make demo   deploy to another endpoint ("aws": the real account)\n'
	@printf '  make deploy ARGS="--profile P -c postern=FILE"   pass arguments to the CDK CLI\n'

## Seeing it ------------------------------------------------------------------

.PHONY: demo
demo: node_modules/.package-lock.json ## Deploy the whole architecture without an AWS account, and report on it
	@printf 'Compiling the app and the demo. The first time, this fetches and builds the AWS CDK: a few minutes.\n'
	@go build -o $(BUILD)/ ./bin/postern ./bin/demo
	@$(BUILD)/demo --app $(BUILD)/postern $(if $(filter-out 0 no false,$(KEEP)),--keep)

## Proving it -----------------------------------------------------------------

.PHONY: test
test: tools node_modules/.package-lock.json ## Run every tier that this machine can run
	@hack/test.sh

.PHONY: test-unit
test-unit: ## Pure Go, no Node: seconds
	@hack/test.sh unit

.PHONY: test-synth
test-synth: node_modules/.package-lock.json ## Templates: constructs, stacks, examples, rule packs
	@hack/test.sh synth

.PHONY: test-policy
test-policy: node_modules/.package-lock.json ## What people's policies allow and deny, by an independent evaluator
	@hack/test.sh policy

.PHONY: test-shell
test-shell: $(SHFMT) ## Shell scripts and sshd configuration
	@hack/test.sh shell

.PHONY: test-fuzz
test-fuzz: ## Each fuzz target for a while (FUZZTIME=3s)
	@hack/test.sh fuzz

.PHONY: test-emulator
test-emulator: node_modules/.package-lock.json ## Deploy, ask, update, destroy: on our own CloudFormation and on moto
	@hack/test.sh emulator moto

.PHONY: test-host
test-host: ## Boot the bastion's user data on a real system and attack it there (root, Linux)
	@hack/test.sh host

.PHONY: test-root
test-root: ## Recorded sessions below a real sshd, as root, in namespaces of their own
	@hack/test.sh root

.PHONY: bench
bench: test/bench/node_modules/.package-lock.json ## Measure what docs/performance.md states (BENCH="-only suite": make test itself)
	@go test ./test/bench
	@go run ./test/bench $(BENCH)

.PHONY: lint
lint: tools ## Vet and lint Go and shell
	@hack/test.sh lint shell

.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## Known vulnerabilities in what is called (asks vuln.go.dev)
	@$(GOVULNCHECK) ./...

.PHONY: fmt
fmt: $(GOFUMPT) $(SHFMT) ## Format Go and shell in place
	@$(GOFUMPT) -w $$(hack/files.sh go)
	@$(SHFMT) -w $$(hack/files.sh shell)

## Using it -------------------------------------------------------------------

$(BUILD)/postern: FORCE
	@go build -o $@ ./bin/postern

.PHONY: synth
synth: node_modules/.package-lock.json $(BUILD)/postern ## Print nothing, write the templates to cdk.out
	@$(CDK) synth --quiet --app $(BUILD)/postern $(ARGS)

.PHONY: diff
diff: node_modules/.package-lock.json $(BUILD)/postern ## What a deploy would change in the account
	@$(CDK) diff --app $(BUILD)/postern $(filter-out --all,$(STACKS)) $(ARGS)

.PHONY: deploy
deploy: node_modules/.package-lock.json $(BUILD)/postern ## Deploy to the account of your credentials
	@$(CDK) deploy --app $(BUILD)/postern $(STACKS) $(ARGS)

.PHONY: destroy
destroy: node_modules/.package-lock.json $(BUILD)/postern ## Take the stacks down again; the archive is protected and stays
	@$(CDK) destroy --app $(BUILD)/postern $(STACKS) $(ARGS) || { \
	  printf '\nThe Archive stack is protected against deletion. To delete it too (its key, bucket and log groups stay):\n'; \
	  printf '  aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name Postern-Archive   # NAME-Archive, where the configuration has a name\n'; exit 1; }

## What the targets above need ------------------------------------------------

.PHONY: tools
tools: $(GOLANGCI_LINT) $(GOFUMPT) $(SHFMT)

# npm writes this file itself when the folder is complete.
node_modules/.package-lock.json: package.json package-lock.json
	@printf 'Installing the AWS CDK CLI and the judge of policies that package-lock.json pins.\n'
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

test/bench/node_modules/.package-lock.json: test/bench/package.json test/bench/package-lock.json
	@printf 'Installing the AWS CDK for JavaScript, to measure against.\n'
	@npm ci --prefix test/bench --no-audit --no-fund --loglevel=error
	@touch $@

# $(1) path, $(2) package. The version is part of the folder's name, so a new one is installed beside the old.
define tool
$(1):
	@printf 'Building %s %s, once.\n' '$$(notdir $(1))' '$(word 2,$(2))'
	@GOFLAGS= GOBIN="$$(abspath $$(dir $(1)))" go install $(word 1,$(2))@$(word 2,$(2))
endef
$(eval $(call tool,$(GOLANGCI_LINT),github.com/golangci/golangci-lint/v2/cmd/golangci-lint v2.15.0))
$(eval $(call tool,$(GOFUMPT),mvdan.cc/gofumpt v0.12.0))
$(eval $(call tool,$(SHFMT),mvdan.cc/sh/v3/cmd/shfmt v3.14.1))
$(eval $(call tool,$(GOVULNCHECK),golang.org/x/vuln/cmd/govulncheck v1.9.0))

.PHONY: FORCE
FORCE:
