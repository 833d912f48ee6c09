# make bench: the main job from nothing to a result.  make test: the suite.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
CHECK_PYTHON := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

EXAMPLES ?= 500

# The files with slow tests: to import all the others takes each worker 15 s.
SLOW = $(shell grep -rlF 'mark.slow' tests --include='test_*.py')
# Material announces with every build when its support ends (docs/dependencies.md).
MKDOCS := NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs

# A file's tests share what is made for them, so one process runs them all; tests/conftest.py orders the files
# and groups some.
BY_FILE := --dist loadgroup --no-loadscope-reorder
# Fast tests wait now and then: one process more than there are cores leaves none of these idle.
FAST := --numprocesses $(shell expr $$(nproc) + 1) --maxprocesses 6 $(BY_FILE)
# Whole runs start processes by the dozen: more than two at a time only make them wait for each other.
WHOLE_RUNS := --numprocesses auto --maxprocesses 2 $(BY_FILE)

.PHONY: help setup bench test test-long test-rays test-kill test-differential lint docs clean
help:
	@echo "make setup  the environment in $(VENV), pinned by constraints.txt"
	@echo "make bench  set up what is missing, run the main job, print where the record is;"
	@echo "            overrides in ARGS: make bench ARGS='mode=combined load.requests=8'"
	@echo "make test   set up what is missing, lint, check types, run the test suite"
	@echo "make test-long  the whole runs that resemble one of make test; CI runs both"
	@echo "make test-kill  kill each process of an emulated trial in each phase, and attached trials (23 min)"
	@echo "make test-rays  run the contract tests with the other versions of Ray that vbench works with"
	@echo "make test-differential  compare vbench with plain FFmpeg on EXAMPLES=500 drawn clips"
	@echo "make docs   write the generated pages of docs/ again, and build the manual into site/"
	@echo "make clean  remove $(VENV) and the caches (outputs/ stays)"

# An environment of another Python, which an earlier call has left, is made again.
$(STAMP): pyproject.toml constraints.txt setup.py
	@$(PYTHON) -c '$(CHECK_PYTHON)' || { echo "vbench needs Python 3.11, 3.12 or 3.13, and PYTHON=$(PYTHON) is not:" \
		"make setup PYTHON=python3.11" >&2; exit 1; }
	@! [ -e $(VENV) ] || $(VENV)/bin/python -c '$(CHECK_PYTHON)' || rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(STAMP)

bench: $(STAMP)
	$(VENV)/bin/python -m vbench $(ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/mypy
	$(VENV)/bin/python docs/generate.py --check
	$(MKDOCS) build --strict --quiet --site-dir $(VENV)/site

docs: $(STAMP)
	$(VENV)/bin/python docs/generate.py
	$(MKDOCS) build --strict

test: $(STAMP) lint
	$(VENV)/bin/python -m pytest -m "not slow and not long" $(FAST)
	$(VENV)/bin/python -m pytest -m "slow and not long" $(WHOLE_RUNS) $(SLOW)

test-long: $(STAMP)
	$(VENV)/bin/python -m pytest -m long $(WHOLE_RUNS) $(shell grep -rlF 'mark.long' tests --include='test_*.py')

test-kill: $(STAMP)
	$(VENV)/bin/python -m pytest tests/clusters/emulated/test_interrupts.py tests/clusters/attached/test_trials.py \
		tests/run/test_interrupts.py --every-phase

# The contract tests with the other versions of Ray that vbench works with, each in an environment of its own.
test-rays: $(STAMP)
	$(VENV)/bin/python tests/ray_internals/other_versions.py $(VENV)/rays

test-differential: $(STAMP)
	VBENCH_DIFFERENTIAL_EXAMPLES=$(EXAMPLES) $(VENV)/bin/python -m pytest tests/video/differential --timeout=0

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
