# Needs: make, Python 3.11+ with venv. Everything else comes from wheels, pinned with hashes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help demo serve test test-long kill-test soak check bench format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.runtime: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/.runtime

demo: $(VENV)/.runtime ## three gateways, two simulated axes, statuses back over each, evidence checked
	@$(BIN)/python -m gateway demo

serve: $(VENV)/.runtime ## the sandbox left running, with addresses, keys and first curl lines
	@$(BIN)/python -m gateway demo --serve

# Compiled modules are kept whatever the shell says: the suite starts some hundred processes. Files
# go in the order of their folders, the long ones of tests/fault first: at the end no worker is
# left alone with one (xdist would put files of few tests, which are the long ones, last).
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev ## the test suite (under 15 minutes on 2 cores)
	$(BIN)/python -m pytest -m "not long" -n auto --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/.dev ## kills at every commit, soak, fuzz, 500 MB; report in build/test-long.txt
	@mkdir -p build
	$(BIN)/python -m pytest -m long --timeout=3600 -rA > build/test-long.txt; \
	  long=$$?; tail -n 60 build/test-long.txt; \
	  $(BIN)/python -m pytest tests/property -m "not long" --hypothesis-profile=explore \
	  >> build/test-long.txt; explored=$$?; tail -n 3 build/test-long.txt; \
	  exit $$((long + explored))

kill-test: $(VENV)/.dev ## 200 SIGKILLs on each database and pair of axes, faults on all; build/kill-test.txt
	$(BIN)/python -m tests.kill $(ARGS)

soak: $(VENV)/.dev ## 600 s at 50 documents/s, each database, each side; build/soak.txt
	$(BIN)/python -m tests.soak $(ARGS)

check: $(VENV)/.dev ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev ## benchmarks as ratios to a floor of the same run; tests/bench/results/
	$(BIN)/python -m tests.bench

format: $(VENV)/.dev ## rewrite the format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what make made
	rm -rf $(VENV) build sandbox
