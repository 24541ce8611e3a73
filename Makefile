# `make help` lists the targets. Building needs Go alone; `generate` needs clang, `check` what .ci/run installs.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
SUDO    := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
LINTER  := bin/tools/golangci-lint

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/eunomia
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/eunomia ./cmd/eunomia

.PHONY: run
run: build ## build and start the detector; ARGS='--rules my.yaml' adds flags
	$(SUDO) bin/eunomia server $(ARGS)

# The daemon is started only where it is needed and can be: as root, with dockerd installed and none answering.
.PHONY: test
test: ## all tests; those that lack root, BPF or Docker skip unless EUNOMIA_REQUIRE=bpf,docker; RACE=1 for the race detector
	.ci/dockerd with go test -count=1 $(if $(RACE),-race) ./...

.PHONY: check
check: check-fmt check-vet check-lint check-generated ## what CI runs
	EUNOMIA_REQUIRE=$${EUNOMIA_REQUIRE-bpf,docker} $(MAKE) test

.PHONY: generate
generate: ## rebuild the BPF objects, their bindings and the generated pages
	@command -v clang >/dev/null && command -v llvm-strip >/dev/null || \
		{ echo 'make generate: clang or llvm-strip is missing; on Debian 12: apt-get install clang llvm libbpf-dev' >&2; exit 1; }
	go generate ./...

.PHONY: bench
bench: build ## measure the budgets; KEY=overhead runs a part
	go run -exec '$(SUDO)' ./bench $(if $(KEY),-key '$(KEY)')

.PHONY: fmt
fmt: ## format the Go code
	gofmt -w .

.PHONY: check-fmt check-vet check-lint check-generated
check-fmt:
	@files=$$(gofmt -l .); [ -z "$$files" ] || { printf 'make fmt would change:\n%s\n' "$$files" >&2; exit 1; }

check-vet:
	go vet ./...

check-lint: $(LINTER)
	$(LINTER) run ./...

check-generated:
	.ci/generated

# The linter has its own module so that its dependencies stay out of ours.
$(LINTER): internal/tools/go.mod internal/tools/go.sum
	go build -C internal/tools -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
