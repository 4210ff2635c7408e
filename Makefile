# Sluice. The commands that people need: make run, make test.
# Everything is built with Go alone; see scripts/prepare for what the tests need.

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.0
SECONDS     ?=
ROUNDS      ?= 5
RUN         ?=
CYCLES      ?= 1000
CUTS        ?= 300
SEEDS       ?= 100000
FUZZTIME    ?= 60s

.PHONY: run build test lint vuln unit smoke pictures bench torture fuzz clean

# Start the server with its embedded default on 127.0.0.1:8080.
run: build
	./bin/sluice serve --data sluice-data

# One file that needs nothing else, no C library either.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/sluice ./cmd/sluice

# Everything that has to hold before a change lands.
test: prepare lint unit smoke

prepare:
	@scripts/prepare

lint: vuln
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags torture ./...
	cd testservers/cloudlogging && $(GO) vet ./...
	cd testservers/openapi && $(GO) vet ./...
	cd testservers/promrules && $(GO) vet ./...
	$(GO) mod tidy -diff
	$(GO) run $(STATICCHECK) ./...

# Known vulnerabilities in what the program calls; says so when it cannot look.
vuln:
	@GO=$(GO) scripts/vuln

# Three packages at once: drills wait for a minute of calm more than they work.
unit:
	$(GO) test -race -p 3 -timeout 20m ./...

# Every fuzz target for a moment.
smoke:
	@GO=$(GO) FUZZTIME=3s scripts/fuzz

# Pictures of every page, at three widths, light and dark, into out/pages.
pictures: prepare
	SLUICE_PICTURES=1 $(GO) test -count=1 -v -timeout 20m ./web/webtest

# Floor, Sluice and peers side by side, five rounds of 60 s: about 15 minutes for each
# scenario, 8 hours in all. RUN chooses scenarios (a regular expression), SECONDS is
# for shorter runs. Rounds are kept in docs/measured, and a run that was cut off goes on
# there; the report is made of them, in docs/PERFORMANCE.md.
bench:
	$(GO) run ./bench $(if $(SECONDS),-seconds $(SECONDS)) -rounds $(ROUNDS) -run '$(RUN)'
	$(GO) run ./bench/report/write

# Every drill at length, docs/FAULTS.md from what they did, and fuzzing; hours. DRILLS
# chooses some, and the records of the others stay, in docs/faults.
# scripts/torture says how to make it shorter.
torture: prepare
	CYCLES=$(CYCLES) CUTS=$(CUTS) SEEDS=$(SEEDS) FUZZTIME=$(FUZZTIME) scripts/torture $(DRILLS)

# Every fuzz target for FUZZTIME each; what it found is kept in testdata.
fuzz:
	KEEP=1 FUZZTIME=$(FUZZTIME) scripts/fuzz

clean:
	rm -rf bin out
