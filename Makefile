# Sluice. The commands that people need: make run, make test.
# Everything is built with Go alone; see scripts/prepare for what the tests need.

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.0
SECONDS     ?= 60
ROUNDS      ?= 3
CYCLES      ?= 1000
CUTS        ?= 300
SEEDS       ?= 100000
FUZZTIME    ?= 60s

.PHONY: run build test lint unit pictures bench torture fuzz clean

# Start the server with its embedded default on 127.0.0.1:8080.
run: build
	./bin/sluice serve --data sluice-data

build:
	$(GO) build -trimpath -o bin/sluice ./cmd/sluice

# Everything that has to hold before a change lands.
test: prepare lint unit

prepare:
	@scripts/prepare

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	cd testservers/cloudlogging && $(GO) vet ./...
	cd testservers/openapi && $(GO) vet ./...
	$(GO) mod tidy -diff
	$(GO) run $(STATICCHECK) ./...

unit:
	$(GO) test -race -timeout 20m ./...

# Pictures of every page, at three widths, light and dark, into out/pages.
pictures: prepare
	SLUICE_PICTURES=1 $(GO) test -count=1 -v -timeout 20m ./web/webtest

# Floor and Sluice side by side; about 5 minutes for each scenario with the defaults.
bench:
	$(GO) run ./bench -seconds $(SECONDS) -rounds $(ROUNDS)

# Every drill at length, docs/FAULTS.md from what they did, and fuzzing; hours.
# scripts/torture says how to make it shorter.
torture: prepare
	CYCLES=$(CYCLES) CUTS=$(CUTS) SEEDS=$(SEEDS) FUZZTIME=$(FUZZTIME) scripts/torture

# Every fuzz target for FUZZTIME each.
fuzz:
	FUZZTIME=$(FUZZTIME) scripts/fuzz

clean:
	rm -rf bin out
