# What a contributor runs. `make` alone lists it.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 5s
SOAKTIME ?= 10m
BENCH    ?= .
LIMITS   ?= 20,200
PKG      ?= ./...

# The packages whose tests run on any kind of Redis: see redistest.Each.
ON_REDIS := ./results ./internal/record ./internal/asynqx ./internal/ratelimit ./internal/conversation ./internal/lane ./tasks ./tasks/batches ./worker ./internal/filestore

# The tools have a go.mod of their own, so that users of the library do not inherit them.
STATICCHECK := go tool -modfile=internal/tools/go.mod staticcheck

# Fails and names the files that gofmt would change.
UNFORMATTED := files=$$(gofmt -l .) && { [ -z "$$files" ] || { echo "not formatted (make fmt does it):"; echo "$$files"; exit 1; }; }

.DEFAULT_GOAL := help

.PHONY: help
help: # list these targets
	@awk '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { split($$0, part, ":.*## "); printf "  make %-14s %s\n", part[1], part[2] }' $(MAKEFILE_LIST)
	@echo
	@echo "PKG=./worker narrows check, test, race, lint, bench and cover."
	@echo "FUZZTIME=$(FUZZTIME) SOAKTIME=$(SOAKTIME) BENCH=$(BENCH) LIMITS=$(LIMITS)"

BUILDFLAGS := -buildvcs=false -trimpath
BUILD      := CGO_ENABLED=0 go build $(BUILDFLAGS) -ldflags '-s -w -X main.version=$(VERSION)'

##@ Every day

.PHONY: build
build: ## build bin/cozeq, static
	$(BUILD) -o bin/cozeq ./cmd/cozeq

# Without inlining and without what debuggers read: a build that is quick, of a program that need not be.
QUICK := -gcflags=all='-l -dwarf=false'

# Most of a first demo is compiling: it goes without the exporter of traces, which takes gRPC with it.
.PHONY: demo
demo: ## build it and ask some questions of the built-in mock of Coze: no token, no Redis
	$(BUILD) $(QUICK) -tags notraces -o bin/cozeq-demo ./cmd/cozeq
	bin/cozeq-demo run --demo

# What to run before each commit: under 90 s on two idle cores with a warm build cache. A test that endangers that is skipped
# in short mode.
.PHONY: check
check: ## gofmt, vet, staticcheck and the short tests
	@$(UNFORMATTED)
	go vet $(PKG)
	$(STATICCHECK) $(PKG)
	go test -short -parallel 16 -timeout 5m $(PKG)

.PHONY: test
test: redis ## run all tests, on the embedded Redis and on a real one
	COZEQ_REQUIRE_REDIS=1 go test -parallel 16 -timeout 8m $(if $(SKIP),-skip '$(SKIP)') $(PKG)

.PHONY: fmt
fmt: ## format the code
	gofmt -w .

##@ Before a merge

.PHONY: lint
lint: ## staticcheck, and is everything formatted and go.mod tidy
	$(STATICCHECK) $(PKG)
	go mod tidy -diff
	@$(UNFORMATTED)

# The detector makes everything several times slower, above all the Lua of the embedded Redis and the start of a program. So
# redistest.Each has the real Redis alone, whose clients are the same, and what does not run anything beside anything else
# is left out: the rules of the tree, the scripts that read texts or do once more on another kind of Redis what others do, and
# hours of the bubble's time in which the limiter settles.
.PHONY: race
race: redis ## run the tests with the race detector, the long ones left out
	COZEQ_REQUIRE_REDIS=1 COZEQ_TEST_REDIS=redis CGO_ENABLED=1 go test -race -short -p 2 -parallel 4 -timeout 20m \
		-skip '^TestLimiterSettles$$/^200|^TestLimiter(AgainstNoise|FarAboveTheLimit)$$|^TestScripts$$/^(completion|errors|errors_zh|help|lang|man|settings_text|redis_.*)$$' $$(go list $(PKG) | grep -v /internal/arch$$)

.PHONY: test-cluster
test-cluster: redis ## run the tests on a Redis Cluster, as an ACL user, and on Valkey if it is there (2 min)
	COZEQ_REQUIRE_REDIS=1 COZEQ_TEST_REDIS=cluster go test -short -count=1 -parallel 16 -skip '^TestLimiter' $(ON_REDIS)
	COZEQ_REQUIRE_REDIS=1 COZEQ_TEST_REDIS=acl go test -short -count=1 -parallel 16 -skip '^TestLimiter' $(ON_REDIS)
	@if command -v valkey-server >/dev/null; then \
		COZEQ_TEST_REDIS=valkey go test -short -count=1 -parallel 16 -skip '^TestLimiter' $(ON_REDIS); \
	else echo 'no valkey-server on PATH: not run on Valkey'; fi

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	@bash .ci/fuzz $(FUZZTIME)

.PHONY: soak
soak: redis ## run the TestSoak tests for SOAKTIME each, with faults
	COZEQ_REQUIRE_REDIS=1 COZEQ_SOAK=$(SOAKTIME) go test -run '^TestSoak' -count=1 -v -timeout 0 $(PKG)

.PHONY: deploy-check
deploy-check: alerts compose manifests image-check stack ## check docker-compose.yml, manifests, image, alert rules and dashboards

.PHONY: ci
ci: ## everything that has to be true before a merge: .ci/run
	bash .ci/run

##@ Measure

.PHONY: bench
bench: redis ## run the benchmarks that match BENCH
	COZEQ_REQUIRE_REDIS=1 go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 0 $(PKG)

# One turn of each: enough to see that a figure has moved, not to write it down.
.PHONY: bench-ratios
bench-ratios: redis ## compare two things in one run each, shortly: the ratios of docs/performance.md (3 min)
	COZEQ_REQUIRE_REDIS=1 go test -short -run '^$$' -bench '^Benchmark(Task|Far|RunAlone|ServeStream)$$' -timeout 20m ./worker ./cmd/cozeq

# How a run alone goes, as a picture.
.PHONY: bench-run
bench-run: ## draw the rate and the CPU of a run alone into docs/run.svg (30 s)
	COZEQ_RUN_PLOT='$(CURDIR)/docs/run.svg' go test -run '^TestRunPlot$$' -count=1 -v ./cmd/cozeq

.PHONY: bench-limits
bench-limits: redis ## measure what the shared limiter makes of the hidden limits LIMITS; draws docs/limits.svg (8 min)
	COZEQ_REQUIRE_REDIS=1 COZEQ_LIMITS='$(LIMITS)' COZEQ_LIMITS_PLOT='$(CURDIR)/docs/limits.svg' \
		go test -run '^TestLimits$$' -count=1 -v -parallel 8 -timeout 30m ./worker

.PHONY: scaling
scaling: redis ## measure what tasks cost Redis, for docs/scaling.md (4 min)
	COZEQ_REQUIRE_REDIS=1 COZEQ_SCALING=1 go test -run '^TestScaling$$' -count=1 -v -timeout 15m ./worker

.PHONY: cover
cover: redis ## write cover.out and print the coverage of each function
	COZEQ_REQUIRE_REDIS=1 go test -coverprofile=cover.out -coverpkg=./... -timeout 10m $(PKG)
	go tool cover -func=cover.out

##@ Run and release

.PHONY: up
up: ## start Redis, the mock of Coze, workers, dashboard, Prometheus and Grafana with docker compose
	VERSION=$(VERSION) docker compose up --build --detach --wait

.PHONY: down
down: ## stop them; the queue's data stay in a volume
	docker compose down

.PHONY: man
man: ## write the manual pages into dist/man
	go run ./cmd/cozeq man dist/man

.PHONY: release-check
release-check: ## make a release in dist/ with GoReleaser, publish nothing, and look at it (20 min the first time)
	@goreleaser=$$(bash .ci/goreleaser) && $$goreleaser check && $$goreleaser release --snapshot --clean --skip=publish,announce,sign
	COZEQ_RELEASE='$(CURDIR)/dist' go test -run '^TestRelease' -count=1 -v ./deploy

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist dist-extra cover.out

# Parts of the above that CI and the documents call by name. The help leaves them out.

.PHONY: redis
redis: # make sure that there is a redis-server for the tests
	@bash .ci/redis

.PHONY: vet
vet: # go vet
	go vet $(PKG)

.PHONY: alerts
alerts: # check the alert rules and the queries of Grafana's dashboard and KEDA's scaler with promtool
	@promtool=$$(bash .ci/promtool) && COZEQ_REQUIRE_PROMTOOL=1 COZEQ_PROMTOOL=$$promtool \
		go test -run '^(TestPromtool|TestAlerts|TestDashboard|TestScaler|TestMetricNames)$$' -count=1 ./cmd/cozeq

.PHONY: stack
stack: redis # run what docker-compose.yml runs, without Docker, and see that rules and dashboard have data (1 min)
	@prometheus=$$(bash .ci/promtool prometheus) && COZEQ_REQUIRE_REDIS=1 COZEQ_REQUIRE_PROMETHEUS=1 COZEQ_PROMETHEUS=$$prometheus \
		go test -run '^TestStack$$' -count=1 -v ./deploy

.PHONY: js
js: # check the mock of Coze with Coze's own JavaScript SDK (needs npm and the network)
	COZEQ_REQUIRE_NPM=1 go test -run '^TestJavaScriptSDK$$' -count=1 -v -timeout 5m ./coze/cozetest

.PHONY: clients
clients: # check cozeq serve with OpenAI's library for Go, and with Chromium if it is there
	go -C internal/tools test -count=1 ./openaigo
	go test -run '^TestBrowser$$' -count=1 -v ./gateway

.PHONY: vuln
vuln: # look for known vulnerabilities in what the program calls (needs the network)
	@bash .ci/vuln

.PHONY: compose
compose: # check docker-compose.yml against the Compose specification
	@go tool -modfile=internal/tools/go.mod github.com/compose-spec/compose-go/v2/cmd docker-compose.yml >/dev/null && echo "docker-compose.yml is valid"

.PHONY: manifests
manifests: # check deploy/kubernetes against the types of Kubernetes' API, strictly
	go -C internal/tools test -count=1 ./manifests

.PHONY: image-check
image-check: # build the program as the image holds it, and run it in a file system with nothing else
	COZEQ_IMAGE=1 go test -run '^TestImage$$' -count=1 -v -timeout 10m ./deploy

.PHONY: cross
cross: # build for the platforms of a release
	@for target in linux/arm64 darwin/arm64 windows/amd64; do \
		echo "$$target"; CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} go build $(BUILDFLAGS) $(QUICK) -ldflags '-s -w' -o /dev/null ./cmd/cozeq || exit 1; done
