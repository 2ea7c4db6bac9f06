# `make plan` runs the main job, `make test` everything that CI runs; each sets up what it needs.
PYTHON ?= python3.11
BIN := .venv/bin
EXPERIMENT ?= qwen3_235b
VLLM ?= 0.33.0
SGLANG ?= 0.5.23

.DEFAULT_GOAL := help
.PHONY: help setup plan test lint types unit engines counts bench wheel clean

help: ## This list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.installed ## Make .venv and install the program with its development tools

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv || python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

plan: setup ## Search EXPERIMENT (default qwen3_235b): front, recommended plan, document
	$(BIN)/python -m search +experiment=$(EXPERIMENT)

test: lint types unit ## Lint, types and tests

lint: setup ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy
	$(BIN)/mypy

unit: setup ## pytest, a file at a time on every core
	$(BIN)/python -m pytest -n auto --dist loadfile

engines: setup ## vLLM's, SGLang's, Dynamo's and the routers' own checks of launch files, in environments of their own (30 GB)
	VLLM=$(VLLM) SGLANG=$(SGLANG) PYTHON=$(PYTHON) sh scripts/engines/check.sh

counts: setup ## Our counts against every class of transformers (TRANSFORMERS=, TORCH=) and the configs in SERVEFRONT_CASES
	TRANSFORMERS=$(TRANSFORMERS) TORCH=$(TORCH) PYTHON=$(PYTHON) sh scripts/counts/check.sh --docs docs/models.md

bench: setup ## Benchmarks: evaluate, the stages, the largest inputs (memory too), and the command against its imports
	$(BIN)/python -m pytest --benchmark-only -o addopts= tests/benchmarks

wheel: setup ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## Remove what make made; outputs/ stays
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
