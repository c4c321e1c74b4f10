# Everything a developer or a newcomer runs. Needs Python 3.10 or newer and make; the rest is installed into .venv.
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

demo: $(RUNTIME) ## Play a conversation of six weeks and ask it questions
	@$(BIN)/memoryos demo

test: $(DEV) browser ## Run the tests; BUSY=2 keeps two cores busy meanwhile
	@$(BIN)/python -m pytest -n auto --dist loadfile --busy $(BUSY)

browser: ## Have a Chromium for the inspector's tests: Debian's, installed if it is missing and we are root
	@if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium (once) …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null; \
	else echo "no chromium on PATH: the inspector's tests need one (Debian: apt install chromium)"; fi

check: format lint types test ## Format check, lint, types, tests (layers and docs are tests)

format: $(DEV)
	@$(BIN)/ruff format --check .

lint: $(DEV) ## Lint
	@$(BIN)/ruff check .

types: $(DEV) ## Check types
	@$(BIN)/mypy

docs: $(DEV) ## Build the documentation into docs/build; a warning is an error
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs docs/build
	@echo "docs/build/index.html"

bench: $(DEV) browser ## Run the benchmarks (evaluation data is read from ../shared/data)
	@$(BIN)/python -m benchmarks.micro --json benchmarks/results/micro.json
	@$(BIN)/python -m benchmarks.locomo
	@$(BIN)/python -m benchmarks.gvd
	@$(BIN)/python -m benchmarks.ablation
	@$(BIN)/python -m benchmarks.llm
	@$(BIN)/python -m benchmarks.llm.schedules
	@$(BIN)/python -m benchmarks.forgetting
	@-$(BIN)/python -m benchmarks.hostile --json benchmarks/results/hostile.json
	@$(BIN)/python -m benchmarks.inspector --json benchmarks/results/inspector.json

lock: $(DEV) ## Write the lock files anew
	@$(BIN)/pip install --quiet uv
	@$(UV_COMPILE) --upgrade -o requirements/runtime.lock
	@$(UV_COMPILE) --upgrade -c requirements/runtime.lock --extra postgresql -o requirements/image.lock
	@$(UV_COMPILE) --upgrade -c requirements/runtime.lock --group dev --group bench -o requirements/dev.lock

vendor: $(DEV) ## Fetch the pinned files of others that the inspector ships (needs npm)
	@$(BIN)/python requirements/vendor.py

clean: ## Remove everything that was made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/pip:
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements/runtime.lock pyproject.toml | $(VENV)/bin/pip
	@echo "setting up (once) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(DEV): requirements/dev.lock $(RUNTIME)
	@echo "setting up the tools of developers (once) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@
