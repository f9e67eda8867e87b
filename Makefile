# Everything a newcomer, a developer and CI run. Needs make and Python 3.11 or newer; the rest is set up from uv.lock.
PYTHON ?= python3
PORT ?= 8080
CLIENTS ?= tests/clients
# What builds and runs images, the image's name, and what it is built from (deploy/Dockerfile).
CONTAINERS ?= $(firstword $(foreach each,podman docker,$(if $(shell command -v $(each) 2>/dev/null),$(each))))
IMAGE ?= headgate:latest
BASE ?= docker.io/library/python:3.11-slim
# More for the builder: IMAGE_ARGS="--pull" or "--isolation chroot".
IMAGE_ARGS ?=
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin
export UV_PROJECT_ENVIRONMENT = .venv
# The machine's own certificates, as pip uses them: behind a company's proxy others would be refused.
export UV_SYSTEM_CERTS = true
export UV_NATIVE_TLS = true

.DEFAULT_GOAL := help
.PHONY: help setup run test test-system test-wheel test-clients test-stores check fmt soak bench bench-limits record catalogue-rank catalogue-check train-classifier eval-routing image test-deploy test-pod clean

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headgate needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/uv.txt

# Two stamps, so that `make run` fetches no development tools and never removes them either.
.venv/.runtime: uv.lock pyproject.toml | $(filter .uv/bin/uv,$(UV))
	$(UV) sync --quiet --locked --no-dev --inexact --python $(PYTHON)
	@touch $@
.venv/.development: uv.lock pyproject.toml | $(filter .uv/bin/uv,$(UV))
	$(UV) sync --quiet --locked --python $(PYTHON)
	@touch $@ .venv/.runtime

setup: .venv/.development ## the locked environment in .venv, development tools included

run: .venv/.runtime ## start the gateway on 127.0.0.1:$(PORT) with an embedded store and a sandbox model
	@$(BIN)/headgate serve --port $(PORT)

test: .venv/.development ## everything a fresh clone can prove, on a real store
	$(BIN)/pytest $(ARGS)

test-system: .venv/.development ## only the promises that need a real server process
	$(BIN)/pytest tests/system $(ARGS)

soak: .venv/.development ## everything at once for SECONDS=180: memory, descriptors, tasks flat, counts right; WORKERS=1
	HEADGATE_SOAK_S=$(or $(SECONDS),180) HEADGATE_SOAK_WORKERS=$(or $(WORKERS),1) $(BIN)/pytest -s tests/system/test_soak.py $(ARGS)

test-wheel: .venv/.development ## the wheel, installed alone in a clean environment
	UV=$(UV) $(BIN)/python tests/support/check_wheel.py

test-clients: .venv/.development ## foreign clients against a real gateway; fetches their packages (CLIENTS= narrows it)
	UV=$(UV) $(BIN)/pytest $(CLIENTS) $(ARGS)

test-stores: .venv/.development ## limits on a cluster, and with REDIS_SERVER=/usr/bin/redis-server on that server
	HEADGATE_TEST_STORE=cluster $(BIN)/pytest tests/ratelimit $(ARGS)
	$(if $(REDIS_SERVER),HEADGATE_TEST_REDIS_SERVER=$(REDIS_SERVER) $(BIN)/pytest tests/ratelimit tests/system/test_limits_stores.py tests/system/test_budget_race.py tests/system/test_pains_limits.py $(ARGS))

check: .venv/.development ## format, lint, types, import contracts; no tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: .venv/.development ## format and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.development ## CPU per request and per chunk beside a reference relay, in one run
	$(BIN)/python -m tests.bench.run $(ARGS)

bench-limits: .venv/.development ## what limits cost: CPU per request, memory of 100,000 keys, times while the store is away, usage of 100,000 customers
	$(BIN)/python -m tests.bench.limits.cpu
	$(BIN)/python -m tests.bench.limits.keys
	$(BIN)/python -m tests.bench.limits.faults
	$(BIN)/python -m tests.bench.limits.usage

# One thread: sums in one order, so the same rows give the same bytes.
.venv/.fitting: uv.lock pyproject.toml | .venv/.development
	$(UV) sync --quiet --locked --inexact --group fitting --python $(PYTHON)
	@touch $@

train-classifier: .venv/.fitting ## fit the scorer's weights from labelled rows (ARGS="--data DIR")
	@$(BIN)/pytest -q tests/classifiers/fitting
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m classifiers.fitting.train $(ARGS)

eval-routing: .venv/.fitting ## measure the classification on rows not fitted on, write docs/classification.* (ARGS="--data DIR")
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m classifiers.fitting.evaluate $(ARGS)

record: .venv/.development ## one exchange with a provider as a case for the tests (see CONTRIBUTING.md for ARGS)
	$(BIN)/python -m tests.support.record $(ARGS)

catalogue-rank: .venv/.runtime ## quality and the tiers' lists anew from the kept snapshots (docs/catalogue.md)
	$(BIN)/headgate catalogue rank --write

catalogue-check: .venv/.runtime ## the catalogue is valid, sourced and ranked as its snapshots say
	$(BIN)/headgate catalogue validate
	$(BIN)/headgate catalogue rank --check

# podman keeps a HEALTHCHECK only in docker's format.
image: ## the container image $(IMAGE), with podman or docker (BASE=, IMAGE_ARGS=, CONTAINERS=)
	@test -n "$(CONTAINERS)" || { echo "make image needs podman or docker"; exit 1; }
	$(CONTAINERS) build $(if $(findstring podman,$(CONTAINERS)),--format docker) $(IMAGE_ARGS) --build-arg BASE=$(BASE) \
	  --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
	  --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
	  --file deploy/Dockerfile --tag $(IMAGE) .

.venv/.deploy: uv.lock pyproject.toml | .venv/.development
	$(UV) sync --quiet --locked --inexact --group deploy --python $(PYTHON)
	@touch $@

test-deploy: .venv/.deploy ## manifests and chart against Kubernetes' schemas, Helm included (fetches it: 75 MB)
	$(BIN)/pytest tests/deploy $(ARGS)

test-pod: .venv/.deploy ## the image and the sidecar's Pod for real: as root, with podman and debootstrap
	HEADGATE_TEST_PODS=1 $(BIN)/pytest tests/deploy/test_image.py tests/deploy/test_pod.py $(ARGS)

clean: ## remove what make made
	rm -rf .venv .uv dist
