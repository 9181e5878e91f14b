# Nexus Automation: `make run` starts everything on this machine, `make test` proves that it works.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PYTHON

VENV := .venv/bin
SOURCES := shared/src services/ingest/src services/trigger-processor/src deploy/cli/src tests/fakes/src

.PHONY: help setup run test lint format bench torture contracts clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: ## Set the checkout up: virtual environment, pinned dependencies, RabbitMQ
	@deploy/setup.sh

run: setup ## Start PostgreSQL, RabbitMQ and every service; Ctrl-C stops them, data is kept
	@$(VENV)/nexus up $(ARGS)

test: lint ## Check style, types and imports, then run every test
	$(VENV)/pytest $(ARGS)

lint: setup ## Check style, types and import rules
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy $(SOURCES)
	$(VENV)/lint-imports

format: setup ## Mend what can be mended by a tool
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

bench: setup ## Measure; writes build/bench.json
	$(VENV)/python -m tests.benchmarks $(ARGS)

torture: setup ## Kill things at random for a minute and check that nothing was lost
	$(VENV)/python -m tests.faults.torture $(ARGS)

contracts: setup ## Write again what is generated from the code: catalogue page, schemas, emitters, OpenAPI, AsyncAPI
	$(VENV)/python -m nexus_shared.catalogue.generate
	$(VENV)/python -m nexus_shared.client.generate
	$(VENV)/python -m nexus_cli.contracts

clean: ## Remove what tools wrote; the environment and the data of `make run` stay
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
