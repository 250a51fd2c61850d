# Every target works on a fresh machine with Go and gcc.

GO     ?= go
TOOL   := $(GO) tool -modfile=tools/go.mod
TRACE  ?= ../shared/data/azure-llm-2023-conv.csv

.PHONY: check test e2e race lint fmt fuzz crash kill life trace bench

check: ## what CI runs
	bash .ci/run

test:
	$(GO) test ./...

PICTURES ?= testdata/tmp/pages
e2e: ## the pages in headless Chromium; pictures of all of them go to PICTURES
	@mkdir -p $(PICTURES)
	PICTURES=$(abspath $(PICTURES)) $(GO) test -tags e2e -count=1 ./internal/pages/e2e

race:
	$(GO) test -race ./...

lint:
	$(TOOL) golangci-lint run ./...

fmt:
	$(TOOL) gofumpt -w $$(git ls-files '*.go' ':!*.gen.go')

FUZZTIME ?= 30s
fuzz: ## each fuzz target for FUZZTIME; what makes an input smaller is bounded, or it outlasts that and fails the target
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$pkg; \
	  done; \
	done

CRASHES ?= 10000
crash: ## simulated power cuts: CRASHES of the log, a tenth as many of the views, and every write of the others
	$(GO) test -count=1 -timeout 4h -run 'TestPowerCuts|TestFlippedBytes' ./ledger -crashes $(CRASHES) -flips 40
	$(GO) test -count=1 -timeout 4h -run 'TestCrash' ./projections/views -crashes $$(( $(CRASHES) / 10 ))
	$(GO) test -count=1 -timeout 4h -run 'TestCrash' ./ledger/keyring ./ledger/publisher

ROUNDS ?= 100
kill: ## a real server killed ROUNDS times under load
	$(GO) test -count=1 -timeout 4h -run 'Kill' ./internal/killtest -rounds $(ROUNDS)

life: ## random lives of hundreds of customers, against a model of their money; a failure prints its seed
	$(GO) test -count=1 -timeout 4h -run TestLife -v ./internal/scenario -long

trace: ## the demo on a real trace, against an independent computation
	TALLY_TRACE=$(abspath $(TRACE)) $(GO) test -count=1 -tags trace -run '^TestTrace$$' -v ./internal/demo

REF ?= main
bench: ## Go benchmarks here and at REF, compared
	@bash tools/bench.sh $(REF)
