# `make run` shows the house, `make test` checks everything; both set up .venv first, with what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than there are cores, as many a test waits for a process or for the network.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)')

UV := $(BIN)/uv --quiet
# Certificates of the system, as behind a proxy that has its own.
export UV_NATIVE_TLS ?= 1

.PHONY: run test setup lint types layers docs tests build bench clean

run: $(VENV)/.ready-to-run
	$(BIN)/eshet-rules run rules/

test: lint types layers docs tests build

setup: $(VENV)/.ready

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.ready-to-run: pyproject.toml uv.lock | $(BIN)/uv
	$(UV) sync --frozen --inexact --no-dev --python $(BIN)/python
	touch $@

$(VENV)/.ready: pyproject.toml uv.lock | $(BIN)/uv
	$(UV) sync --frozen --inexact --python $(BIN)/python
	touch $@ $(VENV)/.ready-to-run

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports --no-cache

docs: setup
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

tests: setup
	$(BIN)/pytest --numprocesses $(JOBS) --dist worksteal

# The wheel must hold all that a user needs, so it is built as a release would build it.
build: setup
	$(UV) build --wheel --out-dir build/dist

# The libraries that ours is measured beside are installed for this only.
bench: setup
	$(UV) sync --frozen --inexact --group bench --python $(BIN)/python
	$(BIN)/python benchmarks/reactive.py

clean:
	rm -rf $(VENV) build
