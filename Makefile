# Everything a person or CI types. Each target sets up what it needs, once;
# later runs need no network. `make PYTHON=/path/to/python3.12 …` picks an interpreter.
.DEFAULT_GOAL := help
.SILENT:
MAKEFLAGS += --no-print-directory
.PHONY: help demo test check bench docs soak clean venv services

BIN := .venv/bin
ARGS ?=
export PYTHON

help:  ## this list
	grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' | expand -t 10

demo: venv  ## kill an agent again and again, resume it, lose nothing (ARGS="--json", ARGS=some/folder)
	$(BIN)/lash demo $(ARGS)

test: venv services  ## every test but the long ones (ARGS="-k name")
	REQUIRE_SERVICES=1 $(BIN)/pytest -n 3 --dist worksteal -q $(ARGS)

soak: venv services  ## the long runs: kill anywhere, simulation (hours)
	REQUIRE_SERVICES=1 $(BIN)/pytest -n 2 -q -m soak --timeout 0 $(ARGS)

check: venv  ## lint, format, types, layers
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports --no-cache >.stamps/imports.log || { cat .stamps/imports.log; exit 1; }

bench: venv services  ## us, the peers and the floor in one round, one table (ARGS="W1 W2")
	$(BIN)/python benchmarks/run.py $(ARGS)

docs: venv  ## the documentation as a site, strictly, and every example of it
	$(BIN)/python scripts/reference.py
	$(BIN)/mkdocs build --quiet --strict
	$(BIN)/pytest -q tests/docs $(ARGS)

clean:  ## forget everything that was set up or built
	rm -rf .venv .stamps .bench .services dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	scripts/setup-venv.sh

services: venv
	scripts/setup-services.sh
