# Every target works on a machine with Go, git, make and gcc; what else it needs
# it installs, pinned by tools/go.mod, into bin/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
export CGO_ENABLED ?= 0

MODULES := proto client core plugin-nacos plugin-consul plugin-apollo plugin-mesh plugin-ai server
APART   := e2e e2e/bench
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/easynet-cn/batata/server.version=$(VERSION)
GOTOOL  := GOBIN=$(CURDIR)/bin GOWORK=off go -C tools install -ldflags '-s -w'

.PHONY: build run
build: ## build bin/batata
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/batata ./server/cmd/batata

run: build ## build and start the server on loopback, standalone, data in ./data
	./bin/batata server --set server.bind=127.0.0.1 --set server.drain=0s

# ---- checks -----------------------------------------------------------------

.PHONY: check lint vet generated tidy-check isolated fmt proto
check: lint vet generated isolated ## lint, vet, generated code, modules without the workspace

lint: bin/golangci-lint
	@for m in $(MODULES) $(APART); do echo "lint $$m"; \
	  (cd $$m && GOWORK=$$( [[ $$m == e2e* ]] && echo off || echo "$(CURDIR)/go.work" ) $(CURDIR)/bin/golangci-lint run ./...); done

fmt: bin/golangci-lint ## format everything
	@for m in $(MODULES) $(APART); do (cd $$m && $(CURDIR)/bin/golangci-lint fmt ./...); done

vet:
	go vet work
	@for m in $(APART); do (cd $$m && GOWORK=off go vet ./...); done

proto: bin/buf bin/protoc-gen-go bin/protoc-gen-go-grpc ## regenerate proto/
	cd proto && PATH="$(CURDIR)/bin:$$PATH" $(CURDIR)/bin/buf generate

generated: proto
	@git diff --exit-code -- proto || { echo "generated code differs: commit what 'make proto' wrote"; exit 1; }

isolated: ## each module builds and is tidy on its own
	@for m in $(MODULES); do (cd $$m && GOWORK=off go build ./... && GOWORK=off go mod tidy -diff) || { echo "module $$m"; exit 1; }; done
	@for m in $(APART); do (cd $$m && GOWORK=off go mod tidy -diff) || { echo "module $$m"; exit 1; }; done

vulncheck: bin/govulncheck ## known vulnerabilities; needs the database of the Go project
	@for m in $(MODULES); do (cd $$m && $(CURDIR)/bin/govulncheck ./...); done

# ---- tests ------------------------------------------------------------------
# Each target ends with "N passed, N failed".

SUM := bin/gotestsum --format testname --jsonfile
RACE := CGO_ENABLED=1

.PHONY: test test-unit test-budget test-wire e2e e2e-nacos e2e-cluster e2e-durability chaos e2e-full fuzz
test: bin/gotestsum bin/gofail build ## unit tests with the race detector, then the wire and durability tests
	@rm -rf .cache/test && mkdir -p .cache/test
	@$(MAKE) --no-print-directory test-unit test-budget test-wire; code=$$?; scripts/summary.sh .cache/test; exit $$code

test-unit:
	$(RACE) $(SUM) .cache/test/unit.json -- -race -timeout 8m work

test-budget: # allocations of hot paths, without the race detector, which allocates too
	@$(SUM) .cache/test/budget.json -- -run '^TestBudget' -count=1 ./core/... ./plugin-nacos/...

test-wire: # all but the SDKs of other languages
	cd e2e && GOWORK=off $(CURDIR)/$(SUM) $(CURDIR)/.cache/test/wire.json -- -count=1 -timeout 8m $$(GOWORK=off go list ./... | grep -vE '/(nacos|cluster)sdk')

e2e: ## SDKs of other languages, against one node and against a cluster
	@code=0; for t in e2e-nacos e2e-cluster; do $(MAKE) --no-print-directory $$t || code=1; done; \
	  scripts/summary.sh .cache/e2e-nacos .cache/e2e-cluster; exit $$code

e2e-nacos: bin/gotestsum bin/gofail build sdk-drivers ## recorded answers, SDKs
	@rm -rf .cache/e2e-nacos && mkdir -p .cache/e2e-nacos
	@(cd e2e && GOWORK=off $(CURDIR)/$(SUM) $(CURDIR)/.cache/e2e-nacos/nacos.json -- -count=1 -timeout 6m -parallel $(SDKS) ./golden/... ./nacosgo/... ./nacossdk/...); code=$$?; \
	  scripts/summary.sh .cache/e2e-nacos; exit $$code

e2e-cluster: bin/gotestsum build sdk-drivers ## SDKs while members of a cluster fail
	@rm -rf .cache/e2e-cluster && mkdir -p .cache/e2e-cluster
	@(cd e2e && GOWORK=off $(CURDIR)/$(SUM) $(CURDIR)/.cache/e2e-cluster/cluster.json -- -count=1 -timeout 8m ./clustersdk/...); code=$$?; \
	  scripts/summary.sh .cache/e2e-cluster; exit $$code

e2e-durability: bin/gotestsum bin/gofail build ## the long durability set
	@rm -rf .cache/e2e-durability && mkdir -p .cache/e2e-durability
	@(cd e2e && BATATA_E2E=full GOWORK=off $(CURDIR)/$(SUM) $(CURDIR)/.cache/e2e-durability/d.json -- -count=1 -timeout 60m ./durability/...); code=$$?; \
	  scripts/summary.sh .cache/e2e-durability; exit $$code

# SEED repeats a run: each test prints its own. RUN narrows it.
SEED  ?= 0
RUN   ?= .
CHAOS := $(CURDIR)/bin/gotestsum --format standard-verbose --jsonfile $(CURDIR)/.cache/chaos

chaos: bin/gotestsum bin/gofail build ## the fault suite: members killed, paused, cut off, on bad disks; 15 minutes
	@rm -rf .cache/chaos && mkdir -p .cache/chaos
	@cd e2e && code=0; export BATATA_E2E=full BATATA_SEED=$(filter-out 0,$(SEED)) GOWORK=off; \
	  $(CHAOS)/cluster.json -- -count=1 -timeout 30m -run '$(RUN)' ./cluster/ || code=$$?; \
	  $(CHAOS)/disk.json -- -count=1 -timeout 30m -run '$(RUN)' ./cluster/netfault/ ./durability/ || code=$$?; \
	  ../scripts/summary.sh ../.cache/chaos; exit $$code

e2e-full: e2e e2e-durability ## everything, the long sets too

FUZZTIME ?= 20s
fuzz: ## run every fuzz target for FUZZTIME
	@scripts/fuzz.sh $(FUZZTIME)

# ---- drivers of foreign SDKs -------------------------------------------------
# Made in .cache/sdk, each again when its inputs change; package e2e/drive runs them.

SDK  := .cache/sdk
SDKS := 9 # the rows of the table and the test of all together: they mostly wait, so all run at a time

.PHONY: sdk-drivers sdk-go
sdk-drivers: ## drivers of the SDKs of Java, Python, Node.js and Go
	@scripts/need.sh
	@$(MAKE) --no-print-directory -j4 sdk-go $(SDK)/java-2.5.1.ok $(SDK)/java-3.2.1-2026.03.30.ok \
	  $(SDK)/python-2.0.11.ok $(SDK)/python-3.2.0.ok $(SDK)/node.ok

sdk-go:
	cd e2e && GOWORK=off go build -o $(CURDIR)/$(SDK)/ ./sdk/go1 ./sdk/go2

MVN := mvn -q -B -f e2e/sdk/java/pom.xml

$(SDK)/java.ok: e2e/sdk/java/pom.xml $(wildcard e2e/sdk/java/src/main/java/batata/sdk/*.java)
	@rm -rf $(SDK)/java/classes && mkdir -p $(SDK)
	$(MVN) compiler:compile
	@touch $@
$(SDK)/java-%.ok: $(SDK)/java.ok
	@rm -rf $(SDK)/java/$*
	$(MVN) -Dnacos.version=$* dependency:copy-dependencies
	@touch $@
$(SDK)/python-%.ok: e2e/sdk/python/requirements-build.txt e2e/sdk/python/requirements-%.txt
	@rm -rf $(SDK)/python-$* && mkdir -p $(SDK) && python3 -m venv $(SDK)/python-$*
	@for f in $^; do $(SDK)/python-$*/bin/pip install -q --no-deps --no-build-isolation --disable-pip-version-check -r $$f; done
	@touch $@
$(SDK)/node.ok: e2e/sdk/node/package.json e2e/sdk/node/package-lock.json e2e/sdk/node/.npmrc
	@rm -rf $(SDK)/node && mkdir -p $(SDK)/node && cp $^ $(SDK)/node/
	npm ci --prefix $(SDK)/node --ignore-scripts --silent
	@touch $@

# ---- benchmark --------------------------------------------------------------

# The driver raises its limit of open files itself. BENCH_FLAGS narrows a run,
# for example BENCH_FLAGS='-only fan-out -rounds 1'.

BENCH_FLAGS ?=
BENCH := cd e2e/bench && GOWORK=off go run . -server $(CURDIR)/bin/batata -out $(CURDIR)/docs/benchmarks.md
LONG  := -sustained 5m -resident 100000,1000000 -failovers 10
PEER  := r-nacos=RNACOS_HTTP_PORT=$$PORT RNACOS_GRPC_PORT=$$GRPC_PORT RNACOS_HTTP_CONSOLE_PORT=0 \
	RNACOS_SDK_HOST=127.0.0.1 RNACOS_DATA_DIR=$$DATA exec $(CURDIR)/.cache/peers/bin/rnacos

.PHONY: bench bench-full bench-peers
bench: build ## one document with in-run ceilings, into docs/benchmarks.md; 30 minutes
	$(BENCH) $(BENCH_FLAGS)

bench-full: build ## the same with the rows that take long
	$(BENCH) $(LONG) $(BENCH_FLAGS)

bench-peers: build .cache/peers/bin/rnacos ## the same with another server of the protocol beside ours
	$(BENCH) $(LONG) -peer '$(PEER)' $(BENCH_FLAGS)

.cache/peers/bin/rnacos: # needs cargo
	cargo install rnacos --version 0.8.8 --root .cache/peers

# ---- tools ------------------------------------------------------------------

bin/golangci-lint: tools/go.mod
	$(GOTOOL) github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
bin/buf: tools/go.mod
	$(GOTOOL) github.com/bufbuild/buf/cmd/buf
	@touch $@
bin/protoc-gen-go: tools/go.mod
	$(GOTOOL) google.golang.org/protobuf/cmd/protoc-gen-go
	@touch $@
bin/protoc-gen-go-grpc: tools/go.mod
	$(GOTOOL) google.golang.org/grpc/cmd/protoc-gen-go-grpc
	@touch $@
bin/gofail: tools/go.mod
	$(GOTOOL) go.etcd.io/gofail
	@touch $@
bin/gotestsum: tools/go.mod
	$(GOTOOL) gotest.tools/gotestsum
	@touch $@
bin/benchstat: tools/go.mod
	$(GOTOOL) golang.org/x/perf/cmd/benchstat
	@touch $@
bin/govulncheck: tools/go.mod
	$(GOTOOL) golang.org/x/vuln/cmd/govulncheck
	@touch $@

.PHONY: clean help
clean: ## remove what the targets made
	rm -rf bin .cache

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort
