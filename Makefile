# What needs more than Go says so: test and check install a C compiler (for the race detector), curl, Node and npm where these are missing;
# gen also protoc. Caches are outside of the tree.
SHELL   := /bin/bash
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unreleased)
TOOLS   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/starling-tools
FUZZ    := 3s

N       := 1000000
OF      := edge

.PHONY: run run-real build test race fuzz bench lint gen check mesh sim proof-wire proof-core proof-delivery

run: build ## one core, one hub, two leaves, two edges; prints where to connect
	bin/starling dev

run-real: build ## the same on a real Postgres, Cassandra and Redis, started by it; the user postgres has to be able to enter .real
	deploy/run-real.sh .real $(FLAGS)

mesh: build ## the same, each role a process that is started again when it is killed
	bin/starling dev --processes --restart --vip 127.0.0.1:7000

build:
	CGO_ENABLED=0 go build -ldflags '-X main.version=$(VERSION)' -o bin/starling ./cmd/starling

test: lint ## everything, as CI runs it: nothing is skipped
	deploy/test-deps.sh gcc curl node
	STARLING_NO_SKIP=1 go test -race -timeout 40m $$(go list ./... | grep -v /loadtest/chaos$$)
	STARLING_NO_SKIP=1 go test -race -timeout 20m ./loadtest/chaos # alone: a record that is on its way for two seconds counts as lost
	deploy/sim.sh relay 10000
	deploy/sim.sh edge 10000
	deploy/fuzz.sh $(FUZZ)

race:
	go test -race -timeout 30m ./...

fuzz: ## make fuzz FUZZ=5m
	deploy/fuzz.sh $(FUZZ)

bench:
	go test -run '^$$' -bench . -benchmem ./...

lint:
	@unformatted="$$(gofmt -l .)"; [ -z "$$unformatted" ] || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	go vet ./...

sim: ## a million schedules of the log and of resume; make sim SEED=7 tells one, of resume, or with OF=relay of the log
ifdef SEED
	go test ./$(OF) -run 'TestSimulation$$' -v -args -sim.seed=$(SEED)
else
	deploy/sim.sh relay $(N)
	deploy/sim.sh edge $(N)
endif

gen: ## protoc-gen-go is of the version in go.mod
	deploy/test-deps.sh protoc
	go build -o $(TOOLS)/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
	cd proto/schema && PATH=$(TOOLS):$$PATH protoc --go_out=../pb --go_opt=paths=source_relative *.proto

check: test gen ## and generated code is what the schemas say
	git diff --exit-code -- proto/pb

proof-wire: build ## the figures of README, a line each; exits 1 where one falls short
	go run ./loadtest/proof wire

proof-core: ## what one core does: history, members, messages/s, presence, on embedded stores and on real ones; make proof-core ONLY=send
	go run ./loadtest/proof core -only "$(ONLY)"

proof-delivery: ## nothing lost: schedules, mutations, libraries, a herd, five minutes of chaos on real stores; make proof-delivery ONLY=herd
	go run ./loadtest/proof delivery -only "$(ONLY)"
