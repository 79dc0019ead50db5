# Everything a person or CI does with a checkout. Needs Python 3.11 or newer, git, make and a package index; nothing else.
#
# Two environments are built, each only when its requirements changed: .venv (ours) and .venv-tools (what sandboxed tools
# run in, which must not find our code). Every package is pinned by hash; uv installs them, pip installs uv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules

# Arguments for pytest, for example: make test ARGS="-k kill tests/unit"
ARGS ?=
# Test processes side by side, each with its own Redis and PostgreSQL; 0 = all in this one. On two cores the tests that
# start whole processes would only take time from each other. Files go in their order, those with whole processes first.
JOBS ?= 0
# `both` has every test with whole processes on SQLite and on PostgreSQL, instead of on one of them.
export DATABASES ?=

VENV := .venv
TOOLS := .venv-tools
BIN := $(VENV)/bin
UV := $(BIN)/python .make/uv.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Every process would otherwise compile the same files again, which takes it seconds.
unexport PYTHONDONTWRITEBYTECODE

# A moved checkout has scripts that point to the old place: both environments are made anew.
ifneq ($(wildcard $(VENV)/.place),)
ifneq ($(shell cat $(VENV)/.place),$(CURDIR))
$(shell rm -rf $(VENV) $(TOOLS))
endif
endif

.PHONY: help up test check bench chaos cloud lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

up: $(VENV)/.run $(TOOLS)/.stamp  ## start Banksman with its playground; Ctrl-C ends all of it
	@exec $(BIN)/banksman up

test: $(VENV)/.dev $(TOOLS)/.stamp  ## the whole suite (ARGS="…" goes to pytest; JOBS=4 runs four at a time)
	@exec $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev  ## format, lint, types, import rules, house rules, docs
	@$(BIN)/python .make/check.py

bench: $(VENV)/.dev $(TOOLS)/.stamp  ## measure; one JSON document as the last line
	@exec $(BIN)/python -m bench $(ARGS)

chaos: $(VENV)/.dev $(TOOLS)/.stamp  ## everything under fire, and judged (TRIALS=10000 for the long form, SEED=… to repeat)
	@exec $(BIN)/python -m tests.chaos $(ARGS)

cloud: $(VENV)/.run requirements-cloud.txt  ## add what models of Google and Bedrock need
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-cloud.txt

lock: $(VENV)/.uv  ## compile every requirements*.in to its hashed .txt (after editing one; UPGRADE=1 takes newer releases)
	@for name in uv "" cloud dev tools; do \
	  file=requirements$${name:+-$$name}; echo "$$file.txt"; \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    --no-annotate $(if $(UPGRADE),--upgrade) $$file.in -o $$file.txt || exit 1; \
	done

clean:  ## remove the environments and every cache; data in .banksman stays
	rm -rf $(VENV) $(TOOLS) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environments --------------------------------------------------------------------------------------------------

$(VENV)/.uv: requirements-uv.txt .make/venv.sh
	@sh .make/venv.sh $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.txt
	@printf %s '$(CURDIR)' > $(VENV)/.place
	@touch $@

# The project itself: its folder on the environment's path and one script. Nothing is built, so nothing has to be fetched.
$(VENV)/.run: $(VENV)/.uv requirements.txt .make/launcher.py
	@echo "Installing what Banksman runs on"
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.txt
	@$(BIN)/python .make/launcher.py
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo "Installing what tests and checks need"
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

$(TOOLS)/.stamp: $(VENV)/.uv requirements-tools.txt
	@echo "Installing the environment of sandboxed tools"
	@$(BIN)/python -m venv --without-pip $(TOOLS)
	@$(UV) pip install --quiet --compile-bytecode --python $(TOOLS)/bin/python --require-hashes -r requirements-tools.txt
	@XDG_CACHE_HOME=$(CURDIR)/$(TOOLS)/cache $(TOOLS)/bin/python -c "import matplotlib.pyplot"  # finds the fonts once
	@touch $@
