# Everything runs in .venv, with the versions and hashes of requirements*.txt. Only Python and make have to be there.

PYTHON ?= python3
PORT ?= 8000
SIMULATOR_PORT ?= 8900
# Tests run in this many processes, one more than there are cores, since many of them wait for servers and processes;
# PYTEST_ARGS are passed on: make test PYTEST_ARGS="-k lane"
JOBS ?= $(shell expr $$(nproc 2>/dev/null || echo 1) + 1)
PYTEST_ARGS ?=
# How many fault schedules, and the seed of the first one
SCHEDULES ?= 300
SEED ?= 1

# Bytecode is kept, whatever the environment says: to compile the tests takes each worker as long as hundreds of them.
test soak bench lint: export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps
# Whoever is done early takes tests from whoever is not.
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal
PO_FILES := $(wildcard */locale/*/LC_MESSAGES/*.po)

.DEFAULT_GOAL := help
.PRECIOUS: .env
.PHONY: help setup dev run test lint bench soak pins

help: ## Show this list
	@sed -n 's/^\([a-z]*\): .*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done
	@echo "PORT (now $(PORT)) and SIMULATOR_PORT ($(SIMULATOR_PORT)) move the two servers: make run PORT=8001"

setup: .env $(VENV)/translations.stamp ## Virtualenv, pinned install, and an .env with random secrets if there is none
	@mkdir -p var

dev: setup $(VENV)/dev.stamp

run: setup ## A running product with a demo world; Ctrl-C stops it
	@exec env PORT=$(PORT) SIMULATOR_PORT=$(SIMULATOR_PORT) $(BIN)/python manage.py run

test: dev ## Every test, on SQLite and again on a real PostgreSQL
	DATABASE_URL=sqlite:///var/tests.sqlite3 $(PYTEST) $(PYTEST_ARGS)
	$(BIN)/python tests/with_postgres.py $(PYTEST) -m "not browser and not pure" $(PYTEST_ARGS)

lint: dev ## Style, types, migrations and translations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py translations check
	$(BIN)/python -m pytest --quiet tests/test_architecture.py

bench: dev ## Measurements, each printing a ratio
	$(BIN)/python -m benchmarks

soak: dev ## Fault schedules: make soak SCHEDULES=10000 SEED=1; a failing seed is told
	$(BIN)/python -m tests.convergence.soak --schedules $(SCHEDULES) --seed $(SEED) --jobs $(JOBS)

pins: dev ## Resolve requirements*.in into requirements*.txt again
	$(BIN)/uv pip compile requirements.in --output-file requirements.txt $(PIN_OPTIONS)
	$(BIN)/uv pip compile requirements-dev.in --output-file requirements-dev.txt $(PIN_OPTIONS)

PIN_OPTIONS := --quiet --generate-hashes --universal --no-header --no-emit-index-url --python-version 3.11

.env: .env.example $(VENV)/python.stamp
	@$(BIN)/python -m config.write_env
	@touch .env

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Evenshelf needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/runtime.stamp: requirements.txt $(VENV)/python.stamp
	@echo "Installing the pinned requirements into $(VENV) ..."
	@$(PIP) --requirement requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/runtime.stamp
	@echo "Installing what tests and lint need ..."
	@$(PIP) --requirement requirements-dev.txt
	@touch $@

$(VENV)/translations.stamp: $(PO_FILES) .env $(VENV)/runtime.stamp
	@$(BIN)/python manage.py translations compile
	@touch $@
