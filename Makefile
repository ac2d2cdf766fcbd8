# Keyturn: every task that a developer or an operator runs. `make` prints this list.
.DEFAULT_GOAL := help
GO      ?= go
TOOLS   := $(GO) tool -modfile=tools/go.mod
BIN     := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 10s
COUNT   ?= 5

.PHONY: help demo run test crash contract interop check build bench chaos fuzz powercut fmt schemas

help: ## print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## run the main job on a temporary store: signed webhooks become proven revocations (needs Go, nothing else)
	@$(GO) run ./cmd/keyturn demo

run: ## run everything on this machine with the sandbox as provider, until interrupted
	@$(GO) run ./cmd/keyturn dev

# Those that take longest come first, and many wait more than they work. The race detector lets every process end a second
# late unless it is told not to, and makes each collection of garbage dear: tests and compiler collect less often. `make check`
# vets; nobody debugs these binaries, and each is compiled and linked faster without symbols. The flags stand in GOFLAGS for
# the tests that build our commands, which would compile everything once more without them.
TESTFLAGS = $(shell $(GO) env GOFLAGS) -gcflags=keyturn/...=-dwarf=false '-toolexec=env GOGC=400 GOMEMLIMIT=1GiB'
test: ## all tests, with the race detector
	GORACE=atexit_sleep_ms=20 GOGC=300 GOFLAGS="$(TESTFLAGS)" $(GO) test -race -vet=off -ldflags='-s -w' -p 4 -parallel 4 -timeout 10m ./internal/e2e ./cmd/keyturn ./internal/stream ./...

crash: ## what the race detector is too slow for: deaths at every write and call, of which `make test` draws a part, and a cluster's short chaos
	KEYTURN_CRASH_PAIRS=$${KEYTURN_CRASH_PAIRS:-200} $(GO) test -count=1 -run '^TestCrash$$' -timeout 20m ./internal/e2e
	$(GO) test -count=1 -run '^TestChaos$$' -timeout 10m ./internal/e2e

contract: ## hold the clients to the providers' documents: in the sandbox, and at the real tenants that KEYTURN_CONTRACT_* name
	$(GO) test -count=1 -v -run Contract ./internal/apiclient/contract

interop: ## let the libraries of real senders sign deliveries (needs Node and npm)
	npm ci --prefix tools/interop --ignore-scripts --no-audit --no-fund
	$(GO) test -count=1 -tags interop -run Interop ./internal/ingest

check: fmt ## what CI runs: formatting, vet, staticcheck, then all tests (they include the import rule and schema drift)
	$(GO) vet ./...
	$(TOOLS) staticcheck ./...
	$(MAKE) test

fmt: ## fail when a file is not formatted
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "run gofmt -w on:"; echo "$$files"; exit 1; }

build: ## static binaries in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

ONLY    ?=
bench: ## every figure beside its bound, in one run; ONLY=burst,laptop measures some parts
	$(GO) run ./internal/bench -count $(COUNT) -only '$(ONLY)'

chaos: ## 10 minutes of kills, cut links, full disks and wrong clocks over a cluster of processes; it prints its seed
	$(GO) test -count=1 -v -timeout 60m -run '^TestChaos$$' ./internal/e2e -chaos.for 10m

fuzz: ## every fuzz target for FUZZTIME each (default 10s)
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$pkg || exit 1; \
	  done; done

powercut: ## prove on a loop image that nothing answered 2xx is lost in a power cut (Linux, root)
	$(GO) test -count=1 -v -run PowerCut ./internal/stream -powercut
