# make demo       stylize a shipped photo in a shipped painting
# make test       the quick tests        make test-slow   all tests
# make lint       ruff and mypy          make format      rewrite files in ruff's format
# make lock       write tests/constraints.txt, the versions that all of this installs, anew
# make docs       build the documentation into docs/_build/html
# make weights    how the shipped weights were trained; with CONTENT=FOLDER STYLE=FOLDER trains one the same way
# make clean      remove what make made
#
# Everything is installed into .venv, made with PYTHON (3.11 or newer), in the versions of tests/constraints.txt; a later
# call reuses it as it is until pyproject.toml or these change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --no-input --disable-pip-version-check --no-compile
PYTEST_ARGS ?= -n 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow lint format lock docs weights clean

help:
	@sed -n 's/^# //p' Makefile | head -n 7

demo: $(VENV)/demo.stamp
	@mkdir -p out
	@$(BIN)/jaxstyle stylize examples/content/chelsea.jpg --style examples/style/starry_night.jpg \
		-o out/demo.png --overwrite

test: $(VENV)/test.stamp
	@$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/test.stamp
	@XLA_FLAGS= $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/test.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@echo "lint: clean"

format: $(VENV)/test.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The newest versions that fit pyproject.toml and each other, for every Python and system (uv writes the markers). PyTorch
# is raised by hand: reference values were made with it.
TORCH := torch==2.13.0
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-python-downloads --no-annotate --no-header \
	--extra dev --extra train --extra large --extra heif --extra video --extra flow --extra studio \
	--extra docs

lock: | $(BIN)/python
	@$(PIP) uv
	@echo "# Written by make lock: all that a development environment may have, in exact versions." > $(VENV)/lock.txt
	@echo "$(TORCH)" | $(LOCK) pyproject.toml - >> $(VENV)/lock.txt
	@mv $(VENV)/lock.txt tests/constraints.txt
	@echo "tests/constraints.txt: $$(grep -c == tests/constraints.txt) lines; make test-slow says whether they work"

# Warnings are errors; docs/sphinx checks that no page loads anything from another host, and runs the snippets.
docs: $(VENV)/docs.stamp
	@JAX_PLATFORMS=cpu $(BIN)/python -m sphinx -W --keep-going -q -d docs/_build/doctrees -b html docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

# The stages of the shipped decoder, docs/adain_vgg16.md. Stopped, the same command goes on where it was.
ADAIN := --batch-size 4 --crop 96 --largest-crop 256 --resize 256 --holdout 40 --seed 1
STAGE1 := --steps 4100 --reconstruct-steps 1000 --lr 5e-4 --schedule cosine --style-weight 10 --identity-weight 20
STAGE2 := --steps 2500 --lr 5e-4 --style-weight 3 --identity-weight 400
STAGE3 := --steps 8000 --lr 4e-4 --schedule cosine --content-term standardised --style-weight 1.2 --relative-style \
	--identity-weight 40 --checkpoint-every 500
STAGE4 := --steps 10000 --lr 4e-4 --schedule cosine --content-term standardised --style-weight 0.7 --relative-style \
	--identity-weight 100 --checkpoint-every 500
STRANGERS := --schedule cosine --content-term standardised --relative-style --identity-weight 100 --augment 0.8
STAGE5 := --steps 1200 --lr 2e-4 $(STRANGERS) --style-weight 1.4 --average 0.99 --checkpoint-every 200
STAGE6 := --steps 1000 --lr 2e-4 $(STRANGERS) --style-weight 1 --relative-to photo --average 0.995 --checkpoint-every 200
STAGE7 := --steps 1700 --lr 2e-4 $(STRANGERS) --style-weight 1.6 --relative-to photo --average 0.997 --checkpoint-every 200
# For an accelerator: 4.5 and 5.5 minutes on an H200.
LARGE := --batch-size 16 --crop 256 --largest-crop 288 --resize 288 --holdout 40 --seed 1 --dtype bfloat16 --augment 0.8 \
	--schedule cosine --relative-style --relative-to photo --half-weight 1 --identity-weight 100 --processes 15
STAGE8 := --steps 4849 --lr 4e-4 $(LARGE) --content-term standardised --style-weight 1.6 --aim learned --checkpoint-every 969
KERNELS := --steps 9882 --lr 3e-4 $(LARGE) --style-weight 1.2 --echo 2 --checkpoint-every 2470
RESUME = $(if $(wildcard $(1)/checkpoints/*),--resume)

ifeq ($(and $(CONTENT),$(STYLE)),)
weights:
	@echo "The shipped AdaIN was trained in eight stages, each starting from the one before (docs/adain_vgg16.md):"
	@echo "  python -m train.adain --content PHOTOS --style PAINTINGS --workdir 1 $(ADAIN) $(STAGE1)"
	@echo "  python -m train.adain ... --workdir 2 --init 1/adain.safetensors $(ADAIN) $(STAGE2)"
	@echo "  python -m train.adain ... --workdir 3 --init 2/adain.safetensors $(ADAIN) $(STAGE3)"
	@echo "  python -m train.adain ... --workdir 4 --init 3/adain.safetensors $(ADAIN) $(STAGE4)"
	@echo "  python -m train.adain ... --workdir 5 --init 4/adain.safetensors $(ADAIN) $(STAGE5)"
	@echo "  python -m train.adain ... --workdir 6 --init 5/adain.safetensors $(ADAIN) $(STAGE6)"
	@echo "  python -m train.adain ... --workdir 7 --init 6/adain.safetensors $(ADAIN) $(STAGE7)"
	@echo "  python -m train.adain ... --workdir 8 --init 7/adain.safetensors $(STAGE8)"
	@echo "and the shipped style kernels from it (docs/style_kernel.md):"
	@echo "  python -m train.style_kernel ... --workdir 9 --init 8/adain.safetensors $(KERNELS)"
	@echo "make weights CONTENT=PHOTOS STYLE=PAINTINGS runs them: 1 to 7 take about four hours on two idle cores, 8 and 9"
	@echo "ten minutes on an accelerator, and days without one."
else
weights: out/weights/8/adain.safetensors out/weights/9/style_kernel.safetensors
	@echo "$^"
out/weights/1/adain.safetensors: START := $(ADAIN) $(STAGE1)
out/weights/2/adain.safetensors: START := --init out/weights/1/adain.safetensors $(ADAIN) $(STAGE2)
out/weights/3/adain.safetensors: START := --init out/weights/2/adain.safetensors $(ADAIN) $(STAGE3)
out/weights/4/adain.safetensors: START := --init out/weights/3/adain.safetensors $(ADAIN) $(STAGE4)
out/weights/5/adain.safetensors: START := --init out/weights/4/adain.safetensors $(ADAIN) $(STAGE5)
out/weights/6/adain.safetensors: START := --init out/weights/5/adain.safetensors $(ADAIN) $(STAGE6)
out/weights/7/adain.safetensors: START := --init out/weights/6/adain.safetensors $(ADAIN) $(STAGE7)
out/weights/8/adain.safetensors: START := --init out/weights/7/adain.safetensors $(STAGE8)
out/weights/9/style_kernel.safetensors: START := --init out/weights/8/adain.safetensors $(KERNELS)
out/weights/2/adain.safetensors: out/weights/1/adain.safetensors
out/weights/3/adain.safetensors: out/weights/2/adain.safetensors
out/weights/4/adain.safetensors: out/weights/3/adain.safetensors
out/weights/5/adain.safetensors: out/weights/4/adain.safetensors
out/weights/6/adain.safetensors: out/weights/5/adain.safetensors
out/weights/7/adain.safetensors: out/weights/6/adain.safetensors
out/weights/8/adain.safetensors: out/weights/7/adain.safetensors
out/weights/9/style_kernel.safetensors: out/weights/8/adain.safetensors
out/weights/%/adain.safetensors: $(VENV)/test.stamp
	@$(BIN)/python -m train.adain --content "$(CONTENT)" --style "$(STYLE)" --workdir out/weights/$* $(START) \
		$(call RESUME,out/weights/$*)
out/weights/%/style_kernel.safetensors: $(VENV)/test.stamp
	@$(BIN)/python -m train.style_kernel --content "$(CONTENT)" --style "$(STYLE)" --workdir out/weights/$* $(START) \
		$(call RESUME,out/weights/$*)
endif

clean:
	rm -rf $(VENV) out dist docs/_build docs/_made .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jaxstyle needs Python 3.11 or newer; call make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)

# The stamps do not depend on the sources: an editable install follows them by itself.
$(VENV)/demo.stamp: pyproject.toml tests/constraints.txt | $(BIN)/python
	@echo "installing jaxstyle into $(VENV) ..."
	@$(PIP) -c tests/constraints.txt -e .
	@touch $@

$(VENV)/test.stamp: pyproject.toml tests/constraints.txt | $(BIN)/python
	@echo "installing jaxstyle and what its tests need into $(VENV) ..."
	@$(PIP) -c tests/constraints.txt -e '.[dev,train]' $(TORCH)
	@touch $(VENV)/demo.stamp $@

$(VENV)/docs.stamp: pyproject.toml tests/constraints.txt | $(BIN)/python
	@echo "installing jaxstyle and what its documentation needs into $(VENV) ..."
	@$(PIP) -c tests/constraints.txt -e '.[docs]'
	@touch $(VENV)/demo.stamp $@
