# Every target sets up what it needs by itself. `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

# The locks are complete, so nothing is left to resolve; Python compiles what it imports when it does.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile

APT_INSTALL := $(shell command -v sudo) sh -c 'apt-get update && apt-get install -y --no-install-recommends "$$@"' --

# Checks see only this much of the caller's environment: no keys, no settings, no colours.
SCRUBBED := env -i PATH="$(CURDIR)/$(BIN):$(PATH)" HOME="$(HOME)" LANG=C.UTF-8 CI="$(CI)"

# What Python has compiled once it keeps, whatever the caller's environment says: a start takes seconds less.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo serve bench test lint check browser lock clean

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/run.stamp: requirements/run.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed."; exit 1; }
	@echo "Installing into $(VENV)/ what requirements/ names; this takes a minute or two, once."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r requirements/run.lock
	$(INSTALL) --no-index --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.lock $(VENV)/run.stamp
	$(INSTALL) --require-hashes -r requirements/dev.lock
	@touch $@

demo: $(VENV)/run.stamp  ## Make the demo world and show the whole loop on it
	$(BIN)/prebuffer demo

serve: $(VENV)/run.stamp  ## Register the schedules and run them until interrupted
	$(BIN)/prebuffer serve

bench: $(VENV)/dev.stamp  ## Measure throughput and the cost of a step
	$(BIN)/python -m benchmarks.pipeline

lint: $(VENV)/dev.stamp  ## Format, lint, strict types, direction of imports
	$(SCRUBBED) ruff format --check .
	$(SCRUBBED) ruff check .
	$(SCRUBBED) mypy
	$(SCRUBBED) lint-imports

test: $(VENV)/dev.stamp  ## Run the tests
	$(SCRUBBED) python -m pytest -n $(WORKERS)

check: lint test  ## All that a change must pass

browser:  ## Install what some tests need: Chromium, Node, PostgreSQL, fonts from Debian; npm's in tests/npm
	command -v chromium >/dev/null || $(APT_INSTALL) chromium
	command -v npm >/dev/null || $(APT_INSTALL) nodejs npm
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || $(APT_INSTALL) postgresql
	ls /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc >/dev/null 2>&1 || $(APT_INSTALL) fonts-noto-core fonts-noto-cjk
	npm ci --prefix tests/npm --no-audit --no-fund

lock: $(VENV)/dev.stamp  ## Write requirements/*.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group build $(LOCK_OPTIONS) -o requirements/run.lock
	$(BIN)/uv pip compile pyproject.toml --group dev -c requirements/run.lock $(LOCK_OPTIONS) -o requirements/dev.lock

LOCK_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

clean:  ## Remove the environment, the demo and the caches; your own warehouse and ledger stay
	rm -rf $(VENV) data/var/demo dist node_modules tests/npm/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
