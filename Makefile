# Commands for users and developers. Requires Python 3.10 or newer and make; everything else is installed into .venv.
PYTHON ?= python3
BUSY ?= 0
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
	--no-emit-find-links --no-emit-index-url --custom-compile-command "make lock" \
	-c requirements/constraints.txt pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo test browser check format lint types docs bench lock vendor clean

help: ## Show this help
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: $(RUNTIME) ## Replay a conversation of six weeks and answer questions about it
	@$(BIN)/memoryos demo

test: $(DEV) browser ## Run the tests; BUSY=2 keeps two cores busy at the same time
	@$(BIN)/python -m pytest -n auto --dist loadfile --busy $(BUSY)

browser: ## Install Chromium for the inspector's tests (only on Debian as root, if missing)
	@if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium (once) …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null; \
	else echo "no chromium on PATH; install it for the inspector's tests (Debian: apt install chromium)"; fi

check: format lint types test ## Check format, lint, types and tests (layers and documents are tested too)

format: $(DEV) ## Check the format
	@$(BIN)/ruff format --check .

lint: $(DEV) ## Lint
	@$(BIN)/ruff check .

types: $(DEV) ## Check types
	@$(BIN)/mypy

docs: $(DEV) ## Build the documentation into docs/build; warnings are errors
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs docs/build
	@echo "docs/build/index.html"

bench: $(DEV) browser ## Run the benchmarks (reads evaluation data from ../shared/data)
	@$(BIN)/python -m benchmarks.micro --json benchmarks/results/micro.json
	@$(BIN)/python -m benchmarks.locomo
	@$(BIN)/python -m benchmarks.gvd
	@$(BIN)/python -m benchmarks.realmem --out benchmarks/results/realmem.json
	@$(BIN)/python -m benchmarks.ablation
	@$(BIN)/python -m benchmarks.llm
	@$(BIN)/python -m benchmarks.llm.schedules
	@$(BIN)/python -m benchmarks.forgetting
	@-$(BIN)/python -m benchmarks.hostile --json benchmarks/results/hostile.json
	@$(BIN)/python -m benchmarks.inspector --json benchmarks/results/inspector.json

lock: $(DEV) ## Update the lock files
	@$(BIN)/pip install --quiet uv
	@$(UV_COMPILE) --upgrade -o requirements/runtime.lock
	@$(UV_COMPILE) --upgrade -c requirements/runtime.lock --extra postgresql -o requirements/image.lock
	@$(UV_COMPILE) --upgrade -c requirements/runtime.lock --group dev --group bench -o requirements/dev.lock

vendor: $(DEV) ## Download the pinned third-party files of the inspector (requires npm)
	@$(BIN)/python requirements/vendor.py

clean: ## Remove the virtual environment and all caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/pip:
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements/runtime.lock pyproject.toml | $(VENV)/bin/pip
	@echo "installing dependencies (once) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(DEV): requirements/dev.lock $(RUNTIME)
	@echo "installing development tools (once) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@
