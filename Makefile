# Every target sets up what it needs first; a finished setup costs a fraction of a second.
.DEFAULT_GOAL := help
.PHONY: help setup demo up test lint check-specs check-telemetry check-image check-deploy bench mutants fuzz screenshots requirements

BIN := .venv/bin
PYTHON ?=
ARGS ?=
KEEP ?=

help: ## Say what each target does
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/\1|\2/' \
		| while IFS='|' read -r target words; do printf '  make %-16s %s\n' "$$target" "$$words"; done

setup: ## Make .venv with the pinned packages; PYTHON=... names the interpreter
	@PYTHON='$(PYTHON)' .ci/setup

demo: setup ## Sell, cancel and refund in both channels, and check the outcome; KEEP=1 leaves all running
	@$(BIN)/giftcert demo $(if $(KEEP),--keep) $(ARGS)

up: setup ## Start the whole stack here until Ctrl-C; ARGS="--ports auto" where ports are taken
	@$(BIN)/giftcert up $(ARGS)

# More workers than four would want more connections than PostgreSQL gives. A file stays with one worker, because its
# tests may share a stack; those that take long are collected first.
test: setup ## Run all tests, on as many processors as there are up to four; ARGS="tests/unit -x" for some
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup ## Check style, types and the layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# What is not on the machine (Node.js, Go, Java with Maven) is not needed for the rest; each check says what it needs.
check-specs: setup ## Lint the specifications, make clients of them, sell; ARGS="openapi go" for some
	@$(BIN)/python -m specs.check $(ARGS)

# Prometheus is the machine's, or Debian's package unpacked into .build; nothing is installed on the machine.
check-telemetry: setup ## Check alert rules and dashboards against a demo; ARGS=--pictures draws the dashboards
	@$(BIN)/python -m specs.monitoring.check $(ARGS)

# Go builds helm, once; Node.js has the schemas of KEDA and of the operator of Prometheus.
check-deploy: setup ## Render the chart of deploy/helm and check it by Kubernetes' schemas; ARGS="lint service" for some
	@$(BIN)/python -m deploy.check $(ARGS)

# Docker is not needed: the environment is made as the Dockerfile makes it.
check-image: setup ## Make the image's environment, import all, start each process in it on real servers
	@$(BIN)/python -m tests.image

bench: setup ## Measure against the floors and write docs/performance.md
	@$(BIN)/python -m benchmarks $(ARGS)

# Those that were tried and have not changed since are not tried again; remove mutants/ to begin anew.
mutants: setup ## Change domain and lifecycle in thousands of small ways and see tests go red; ARGS=domain for one
	@$(BIN)/python -m tests.mutation $(ARGS)

# Toxiproxy and the checker of linearizability are built once, which takes Go; what cannot be done here is left out.
.PHONY: chaos
chaos: setup ## Break everything amid 10,000 sales and compare with the books; ARGS="--sales 300 --seed 7" for less
	@$(BIN)/python -m chaos $(ARGS)

fuzz: setup ## Decode a million records and batches of any bytes, then ask the API anything for 5 min
	@$(BIN)/python -m tests.fuzz $(ARGS)

# The browser is Playwright's own after `.venv/bin/playwright install chromium`, else the machine's.
screenshots: setup ## Take the pictures of README and docs/support.md anew: a real demo, and a real Chromium
	@$(BIN)/python -m tests.demo_picture docs/images/demo.svg
	@SCREENSHOTS=docs/images/support $(BIN)/python -m pytest -q -rs tests/integration/command_line/test_support_guide.py

# Versions that still fit are kept; ARGS=--upgrade moves all of them, ARGS="--upgrade-package NAME" one.
requirements: setup ## Pin the versions and hashes of requirements*.in anew; ARGS=--upgrade for the newest
	@for name in requirements requirements-dev; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
			--custom-compile-command 'make requirements' $(ARGS) "$$name.in" --output-file "$$name.txt" || exit 1; \
	done
