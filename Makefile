# make demo       stylize a shipped photo in a shipped painting
# make test       the quick tests        make test-slow   all tests
# make lint       ruff and mypy          make format      rewrite files in ruff's format
# make clean      remove what make made
#
# Everything is installed into .venv, made with PYTHON (3.11 or newer); a later call reuses it as it is until
# pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --no-input --disable-pip-version-check
PYTEST_ARGS ?= -n 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format clean

help:
	@sed -n 's/^# //p' Makefile | head -n 4

demo: $(VENV)/demo.stamp
	@mkdir -p out
	@$(BIN)/jaxstyle stylize examples/content/chelsea.jpg --style examples/style/starry_night.jpg \
		-o out/demo.png --overwrite

test: $(VENV)/test.stamp
	@$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/test.stamp
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/test.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@echo "lint: clean"

format: $(VENV)/test.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) out dist .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jaxstyle needs Python 3.11 or newer; call make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)

# The stamps depend on pyproject.toml only: an editable install follows the sources by itself.
$(VENV)/demo.stamp: pyproject.toml | $(BIN)/python
	@echo "installing jaxstyle into $(VENV) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/test.stamp: pyproject.toml tests/constraints.txt | $(BIN)/python
	@echo "installing jaxstyle and what its tests need into $(VENV) ..."
	@$(PIP) -c tests/constraints.txt -e '.[dev,train]' torch
	@touch $(VENV)/demo.stamp $@
