# Everything a newcomer needs: `make demo`, `make dev`, `make test`. Each sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FILE ?=
REGION ?= US
ROWS ?= 1000000
LOGS ?= 10000000
CONTACTS ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help demo dev test lint check bench-analytics bench-api bench-intake bench-match bench-webhooks bench-dispatch
.PHONY: bench-latency bench-simulate soak lock stop clean

help:
	@echo "make demo [FILE=leads.csv] [REGION=US]  the whole pipeline once, on generated leads or a file of yours"
	@echo "make dev                                everything up until Ctrl-C; Dagster UI on http://127.0.0.1:3000"
	@echo "make test                               every test"
	@echo "make lint                               ruff, mypy, import-linter"
	@echo "make bench-intake [ROWS=1000000]        how fast lead files become contacts, beside a floor and a row loop"
	@echo "make bench-api [CONTACTS=1000000]       requests per second of the API, beside a bare endpoint with the same statements"
	@echo "make bench-webhooks                     events of providers taken, stored and applied"
	@echo "make bench-match                        contacts matched per second, beside six peers and a floor"
	@echo "make bench-dispatch                     actions sent per second, beside a bare loop and a worker that goes row by row"
	@echo "make bench-simulate                     seconds to forecast 100,000 contacts, beside loading them"
	@echo "make bench-latency                      seconds from a new lead to the request at the provider, on an idle system"
	@echo "make soak                               the long crash and load suites"
	@echo "make bench-analytics [LOGS=10000000]    how fast the warehouse is built, refreshed and asked, beside PostgreSQL"
	@echo "make lock                               resolve requirements.lock again"
	@echo "make stop                               stop the embedded PostgreSQL"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is older. Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --disable-pip-version-check install -q uv || true
	@if [ -x $(BIN)/uv ]; then \
		$(BIN)/uv pip install -q -p $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock && \
		$(BIN)/uv pip install -q -p $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		$(BIN)/python -m pip --disable-pip-version-check install -q --no-deps --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip --disable-pip-version-check install -q --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

demo: $(READY)
	@$(BIN)/engage demo --region $(REGION) $(if $(FILE),--file "$(FILE)")

dev: $(READY)
	@$(BIN)/engage dev

# Three workers on two cores: the end-to-end tests mostly wait, and the rest has its turn meanwhile.
test: $(READY)
	@$(BIN)/python -m pytest -n 3 --dist worksteal --cov --cov-report=term:skip-covered

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint test

bench-intake: $(READY)
	@$(BIN)/python -m benchmarks.intake --rows $(ROWS)

# No index lines and no addresses: the lock installs from whatever index the machine is set up for.
lock: $(READY)
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --extra dev -o requirements.lock pyproject.toml

# The peers are no part of the product, so they are not in the lock file.
bench-webhooks: $(READY)
	@$(BIN)/python -m benchmarks.webhooks

bench-api: $(READY)
	@$(BIN)/python -m benchmarks.api --contacts $(CONTACTS)

bench-analytics: $(READY)
	@$(BIN)/python -m benchmarks.analytics --rows $(LOGS)

bench-match: $(READY)
	@$(BIN)/uv pip install -q -p $(BIN)/python --no-build-isolation -e '.[bench]'
	@$(BIN)/python -m benchmarks.matching

bench-dispatch: $(READY)
	@$(BIN)/python -m benchmarks.dispatch

bench-latency: $(READY)
	@$(BIN)/python -m benchmarks.latency

bench-simulate: $(READY)
	@$(BIN)/python -m benchmarks.simulate

soak: $(READY)
	@$(BIN)/python -m pytest -m soak --timeout 0 tests

stop: $(READY)
	@$(BIN)/engage db stop

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
