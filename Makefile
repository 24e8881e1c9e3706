# `make` lists the targets.

GO      ?= go
BIN     := bin/restraint
# Tools are run at a pinned version and are no part of go.mod.
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# How long each fuzz target runs in `make fuzz`. What is new is made smaller by 20 tries only: by default a minute goes into each.
FUZZTIME ?= 20s
# What make faults and make faults-long choose by (0: the time; a failure prints it), and how long the latter runs.
SEED     ?= 0
DURATION ?= 30m
# Flags of make bench: -quick for less than a minute, -large for what takes gigabytes, -strict to fail when a mark is missed; -help lists them.
BENCH    ?=

# A test run fails through the pipe that it is read by.
SHELL       := bash
.SHELLFLAGS := -o pipefail -c

.DEFAULT_GOAL := help
.PHONY: help run build test check bench bench-long faults faults-long figures fuzz fmt demo cluster clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/restraint
	@$(GO) build -trimpath -o $(BIN) ./cmd/restraint

run: build ## build and start a node: bids on 127.0.0.1:8080, admin on 127.0.0.1:8081, state in ./data
	@$(BIN) serve

test: ## run all tests with the race detector, in random order; count what is skipped
	@$(GO) test -v -race -shuffle=on -timeout 15m ./... | awk -f .ci/skips.awk

check: ## format, vet, static analysis, allocations without the race detector, and every benchmark once
	@unformatted=$$($(GO) run $(GOFUMPT) -l .); if [ -n "$$unformatted" ]; then echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; fi
	@$(GO) mod verify >/dev/null
	@$(GO) mod tidy -diff
	@$(GO) vet ./...
	@$(GO) run $(STATICCHECK) ./...
	@$(GO) test -run 'Alloc' -bench . -benchtime 1x -timeout 15m ./...

bench: ## measure beside a bare handler, Redis and memory reads, print the table with its marks, write bench.json: make bench BENCH='-large -strict'
	@$(GO) build -o bin/bench ./loadtest/bench
	@bin/bench $(BENCH)

bench-long: ## what takes minutes and gigabytes: a push of 10,000,000 rows; look-ups, bytes a key and false positives of lists of 1e7 and 1e8 members
	$(GO) test -run '^$$' -bench 'BenchmarkPush' -benchtime 1x -count 3 -timeout 30m ./cmd/restraint -push-rows 10000000
	$(GO) test -run '^$$' -bench 'Contains|Lists' -benchtime 300x -timeout 1h ./suppress -keys 10000000
	$(GO) test -run '^$$' -bench 'Contains' -benchtime 300x -timeout 1h ./suppress -keys 100000000

faults: ## break real nodes by a seeded schedule and check what they say afterwards: make faults SEED=7
	@$(GO) test -count=1 -timeout 20m -parallel 5 -v ./edge/replica/faults -faults -seed $(SEED)

figures: ## measure three nodes over NATS: node to node, over-delivery, events a second
	go test -count=1 -timeout 10m -v ./edge/replica/faults -faults -figures -run '^TestFigures$$'

faults-long: ## the same with more rounds, the random faults for DURATION each
	@$(GO) test -count=1 -timeout 0 -parallel 4 -v ./edge/replica/faults -faults -seed $(SEED) -duration $(DURATION)

fuzz: ## fuzz every decoder for FUZZTIME each
	@set -e; for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$package; \
	  done; done

fmt: ## format the code
	@$(GO) run $(GOFUMPT) -w .

demo: build ## replay a log through a node and print what the policy spared: make demo LOG=path (without LOG, a synthetic one)
	@$(BIN) replay --policy deploy/examples $(if $(LOG),"$(LOG)",--synthetic demo/synthetic.csv)

cluster: build ## start three NATS servers and three nodes on loopback, state in ./data-cluster; Ctrl-C stops all
	@RESTRAINT=$(BIN) exec deploy/cluster.sh

clean: ## remove what was built; ./data and ./data-cluster stay
	@rm -rf bin demo
