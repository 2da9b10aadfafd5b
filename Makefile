# Every command here sets up what it needs: on a fresh machine with Python 3.11 or later and make,
# `make demo` and `make test` work as they stand.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# A machine of two cores is full with one thing.
.NOTPARALLEL:

PYTHON ?= python3
# Tests wait for processes more than they compute, so more of them than cores.
WORKERS ?= 3
BIN := .venv/bin
INSTALL := -m pip install --quiet --disable-pip-version-check

export PIP_REQUIRE_VIRTUALENV := 1
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## Show this list.
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environments. A stamp is newer than what it was made from, or it is made anew.

.venv/.made: requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
		echo "Slipway needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12" >&2
		exit 1
	}
	echo "setting up .venv (a minute or two the first time)"
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python $(INSTALL) --require-hashes -r requirements-dev.lock
	touch $@

.venv/.installed: .venv/.made pyproject.toml requirements.in
	@$(BIN)/python $(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

# The whole of mlflow pins what we don't want beside our code, so its server has a place of its own.
.venv-mlflow/.made: requirements-mlflow.lock
	@echo "setting up .venv-mlflow (about a minute the first time)"
	$(PYTHON) -m venv --clear .venv-mlflow
	.venv-mlflow/bin/python $(INSTALL) --require-hashes -r requirements-mlflow.lock
	touch $@

# Other people's clients of the protocols that are served: they pin what we do not.
.venv-clients/.made: requirements-clients.lock
	@echo "setting up .venv-clients (less than a minute the first time)"
	$(PYTHON) -m venv --clear .venv-clients
	.venv-clients/bin/python $(INSTALL) --require-hashes -r requirements-clients.lock
	touch $@

.PHONY: env
env: .venv/.installed .venv-mlflow/.made ## Set up the environments of our code and of MLflow.

.PHONY: demo
demo: env ## Train, serve, score; stop a bad version, roll out a good one, on this machine alone.
	@$(BIN)/python -m slipway.examples.demo

# nginx is the router's; it comes from the system's packages.
.PHONY: nginx
nginx:
	@if command -v nginx >/dev/null || [ -x /usr/sbin/nginx ]; then exit 0; fi
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "nginx is missing; install it, as with: sudo apt-get install nginx-light" >&2
		exit 1
	fi
	echo "installing nginx-light"
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light >/dev/null

# wrk drives the peers; nobody else needs it.
.PHONY: wrk
wrk:
	@if command -v wrk >/dev/null; then exit 0; fi
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "wrk is missing; install it, as with: sudo apt-get install wrk" >&2
		exit 1
	fi
	echo "installing wrk"
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >/dev/null

.PHONY: lint
lint: .venv/.installed ## Check style and types.
	@$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy

# Quick ones first. Those of the cluster follow on a cluster that fits, made where there is none.
.PHONY: test
test: quick e2e ## Run all tests, after setting up what they need.

.PHONY: quick
quick: env .venv-clients/.made nginx lint ## The tests that need no cluster.
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not platform and not alone and not shared and not long"
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "shared and not long"
	$(BIN)/python -m pytest -m "alone and not long"

.PHONY: e2e
e2e: up ## The tests that need the cluster, on one that it brings up.
	@export KUBECONFIG=$(CURDIR)/.slipway/kubeconfig
	$(BIN)/python -m pytest -n 2 -m "platform and not kind and not long"
	$(BIN)/python -m pytest -m "kind and not long"

.PHONY: e2e-all
e2e-all: up nginx ## What takes too long for `make test` (about an hour); its last result: docs/e2e-all.md.
	@export KUBECONFIG=$(CURDIR)/.slipway/kubeconfig
	$(BIN)/python -m pytest -m long --durations=0

# REGISTRY=none builds what could be pulled; by itself it is found out.
export REGISTRY
.PHONY: up
up: env ## A platform on a local Kubernetes cluster, from whatever this machine has.
	@$(BIN)/python -m k8s.up

.PHONY: down
down: ## Remove the cluster, and the Docker engine if `make up` started it.
	@$(PYTHON) -m k8s.cluster down

LOAD_URL ?= http://127.0.0.1:9696
.PHONY: load
load: .venv/.installed ## Two minutes of load, judged by loadtest/limits.toml (LOAD='--shape spike').
	@code=0
	$(BIN)/python -m locust -f loadtest/locustfile.py --headless --only-summary --host $(LOAD_URL) \
		--html reports/load.html --report reports/load.json $(LOAD) || code=$$?
	if [ -e .slipway/kubeconfig ]; then
		echo "What the controller did of late (UTC), to be read beside who answered when:"
		$(BIN)/slipway history --kubeconfig .slipway/kubeconfig --namespace slipway | tail -n 8 || true
	fi
	exit $$code

.PHONY: bench
bench: env nginx ## Measure what has a goal as a time or a ratio, in one run (minutes; BENCH='--flat 0 --backfill 0').
	@code=0
	$(BIN)/python -m loadtest.bench || code=$$?
	$(BIN)/python -m loadtest.bench.batch --report reports/batch.json $(BENCH) || code=$$?
	$(BIN)/python -m loadtest.bench.batch --model forest --rows 3500000 --flat 0 --backfill 0 || code=$$?
	$(BIN)/python -m loadtest.bench.stream || code=$$?
	exit $$code

.PHONY: bench-peers
bench-peers: env nginx wrk ## Slipway beside MLflow's server, MLServer, BentoML, FastAPI (40 minutes; PEERS='--resume').
	@$(BIN)/python -m loadtest.bench.peers --write-page $(PEERS)

.PHONY: lock
lock: .venv/.made ## Resolve the lock files anew (needs uv: pip install uv).
	@for file in requirements*.in k8s/deps/kinesis/requirements.in loadtest/bench/peers/locks/*.in; do
		group=$${file%.in}
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
			--no-annotate --no-emit-index-url --no-emit-find-links --no-config $$group.in -o $$group.lock
	done
