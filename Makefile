# `make demo` and `make test` set everything up from a clean clone; `make` alone lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

export BENTOML_DO_NOT_TRACK := True
export UV_CUSTOM_COMPILE_COMMAND := make lock

VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that runs and is new enough; PYTHON=... names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo "$$p" && break; done)
UV_VERSION := $(shell sed -n 's/^uv==\([^ ;]*\).*/\1/p' requirements.lock)
UV := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv -q --no-progress pip
ENGINE := kernel_magics widgets extension/modelyard_lab templates
LABEXTENSION := extension/modelyard_lab/labextension/package.json

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# -- environments -------------------------------------------------------------------------------------------------

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "modelyard needs Python 3.11, 3.12 or 3.13; none found. Install one, or type: make PYTHON=/path/to/python"; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { echo "'$(PYTHON) -m venv' failed; on Debian type: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.base: requirements.lock pyproject.toml extension/package.json | $(BIN)/uv
	@echo "installing what requirements.lock pins"
	@$(UV) sync requirements.lock
	@SKIP_JUPYTER_BUILDER=1 $(UV) install --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements-dev.lock
	@echo "installing what requirements-dev.lock pins"
	@$(UV) install -r requirements-dev.lock
	@touch $@

.PHONY: lock
lock: | $(BIN)/uv ## write both lock files anew from pyproject.toml
	$(BIN)/uv -q pip compile pyproject.toml --group demo --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url -o requirements.lock
	$(BIN)/uv -q pip compile pyproject.toml --group dev -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url -o requirements-dev.lock

# -- the main job -------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.base ## notebook 01: cross-validate, tune, package, serve on loopback, predict
	@$(BIN)/python example_notebooks/demo.py run

.PHONY: stop
stop: $(VENV)/.base ## stop what `make demo` started
	@$(BIN)/python example_notebooks/demo.py stop

.PHONY: lab
lab: $(VENV)/.base ## open the example notebooks in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir=example_notebooks

# -- tests --------------------------------------------------------------------------------------------------------

extension/node_modules/.package-lock.json: extension/package.json extension/package-lock.json
	@command -v npm >/dev/null || { echo "the Lab extension needs Node 20 with npm; none found"; exit 1; }
	cd extension && npm ci --no-audit --no-fund

$(LABEXTENSION): $(VENV)/.dev extension/node_modules/.package-lock.json $(shell find extension/src extension/style extension/schema -type f)
	cd extension && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent build:prod
	@touch $@

.PHONY: extension
extension: $(LABEXTENSION) ## build the JupyterLab extension

.PHONY: chromium
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  if [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; \
	  else echo "the browser test needs Chromium; type: sudo apt-get install chromium fonts-dejavu-core"; exit 1; fi; }

.PHONY: check
check: $(VENV)/.dev extension/node_modules/.package-lock.json ## lint, types, import contracts, TypeScript
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports
	cd extension && npx --no-install tsc --noEmit && npm run --silent check:widgets

# Only these are imported for the tests that want the machine for themselves: to import all takes half a minute.
ALONE = $(shell grep -l 'mark\.alone' tests/test_*.py)
# Several processes on few cores: threads of one that wait by spinning take the time of another.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: test
test: check $(LABEXTENSION) chromium postgresql env-mlflow env-triton ## everything: check, Python, doctests, JavaScript, browser, notebooks, wheel
	cd extension && npm run --silent test:widgets
	$(BIN)/python -m pytest --doctest-modules --import-mode=prepend -q kernel_magics/modelyard templates/modelyard_runtime \
	  --ignore=kernel_magics/modelyard/engines/ray_cluster.py
	$(ONE_THREAD) $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not alone and not thorough"; others=$$?; \
	  $(BIN)/python -m pytest -m "alone and not thorough" $(ALONE) && exit $$others

# Whoever changes what these vary, or is about to release, runs them: with them the tests take longer than an hour.
.PHONY: test-thorough
test-thorough: $(LABEXTENSION) chromium postgresql env-mlflow containers env-targets env-tflite test-torch test-ray ## further cases of what the other tests cover; torch; Ray
	$(ONE_THREAD) $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "thorough and not alone" tests tests/targets
	$(BIN)/python -m pytest -m "thorough and alone" $(ALONE)

# Tools that do not live beside the others have an environment of their own; pip finds torch's CPU wheel, uv does not look for it.
.env-torch/.done: requirements-dev.lock tests/environments/torch.txt | $(BIN)/uv
	@$(PYTHON) -m venv .env-torch
	@VIRTUAL_ENV=$(CURDIR)/.env-torch $(BIN)/uv -q --no-progress pip sync requirements-dev.lock
	@SKIP_JUPYTER_BUILDER=1 VIRTUAL_ENV=$(CURDIR)/.env-torch $(BIN)/uv -q --no-progress pip install --no-deps -e .
	@.env-torch/bin/python -m pip install -q --disable-pip-version-check -r tests/environments/torch.txt
	@touch $@

.env-triton/.done: tests/environments/triton.txt | $(BIN)/uv
	@$(BIN)/uv -q venv --allow-existing --python $(PYTHON) .env-triton
	@VIRTUAL_ENV=$(CURDIR)/.env-triton $(BIN)/uv -q --no-progress pip install -r tests/environments/triton.txt
	@touch $@

.PHONY: env-triton
env-triton: .env-triton/.done ## a client of the Open Inference Protocol that is not ours

.env-mlflow/.done: tests/environments/mlflow.txt | $(BIN)/uv
	@$(BIN)/uv -q venv --allow-existing --python $(PYTHON) .env-mlflow
	@VIRTUAL_ENV=$(CURDIR)/.env-mlflow $(BIN)/uv -q --no-progress pip install -r tests/environments/mlflow.txt
	@touch $@

.env-ray/.done: requirements-dev.lock tests/environments/ray.txt | $(BIN)/uv
	@$(BIN)/uv -q venv --allow-existing --python $(PYTHON) .env-ray
	@VIRTUAL_ENV=$(CURDIR)/.env-ray $(BIN)/uv -q --no-progress pip sync requirements-dev.lock
	@VIRTUAL_ENV=$(CURDIR)/.env-ray $(BIN)/uv -q --no-progress pip install -r tests/environments/ray.txt
	@SKIP_JUPYTER_BUILDER=1 VIRTUAL_ENV=$(CURDIR)/.env-ray $(BIN)/uv -q --no-progress pip install --no-deps -e .
	@touch $@

.PHONY: env-mlflow
env-mlflow: .env-mlflow/.done ## a server of MLflow for the tests of --track

.PHONY: env-ray
env-ray: .env-ray/.done ## the environment of the tests with Ray

.PHONY: test-ray
test-ray: env-ray ## %cv and %tune on a Ray cluster
	MODELYARD_RAY=1 .env-ray/bin/python -m pytest tests/test_engines.py -k ray

# What runs functions of AWS Lambda wants a Python that Lambda has: the first of these that runs; TARGETS_PYTHON=... names another.
TARGETS_PYTHON ?= $(shell for p in $(PYTHON) python3.13 python3.12 $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python $(HOME)/.pyenv/versions/3.12.*/bin/python); do \
	"$$p" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo "$$p" && break; done)

.env-targets/.done: tests/environments/targets.txt | $(BIN)/uv
	@test -n "$(TARGETS_PYTHON)" || { echo "the tests of targets need Python 3.12 or 3.13; none found. Install one, or type: make env-targets TARGETS_PYTHON=/path/to/python"; exit 1; }
	@$(BIN)/uv -q venv --allow-existing --python $(TARGETS_PYTHON) .env-targets
	@VIRTUAL_ENV=$(CURDIR)/.env-targets $(BIN)/uv -q --no-progress pip install -r tests/environments/targets.txt
	@touch $@

.PHONY: env-targets
env-targets: .env-targets/.done ## clouds' own emulators, for the tests of targets

# tflite-runtime has no wheel for a newer Python than 3.11, and wants numpy 1.
TFLITE_PYTHON ?= $(shell for p in $(PYTHON) python3.11 $(wildcard $(HOME)/.pyenv/versions/3.11.*/bin/python); do \
	"$$p" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo "$$p" && break; done)

.env-tflite/.done: tests/environments/tflite.txt | $(BIN)/uv
	@test -n "$(TFLITE_PYTHON)" || { echo "the tests of .tflite need Python 3.11; none found. Install one, or type: make env-tflite TFLITE_PYTHON=/path/to/python"; exit 1; }
	@$(BIN)/uv -q venv --allow-existing --python $(TFLITE_PYTHON) .env-tflite
	@VIRTUAL_ENV=$(CURDIR)/.env-tflite $(BIN)/uv -q --no-progress pip install -r tests/environments/tflite.txt
	@touch $@

.PHONY: env-tflite
env-tflite: .env-tflite/.done ## the older runtime of .tflite files, for the tests of targets

.PHONY: containers
containers:
	@command -v podman >/dev/null && command -v buildah >/dev/null && command -v runc >/dev/null && command -v debootstrap >/dev/null && command -v docker-registry >/dev/null && command -v qemu-aarch64-static >/dev/null && command -v systemd-analyze >/dev/null || { \
	  if [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends podman buildah runc debootstrap docker-registry qemu-user-static systemd; \
	  else echo "the tests of images and devices need podman and qemu; type: sudo apt-get install podman buildah runc debootstrap docker-registry qemu-user-static systemd"; exit 1; fi; }

.PHONY: test-targets
test-targets: $(VENV)/.dev $(LABEXTENSION) chromium env-targets env-tflite containers ## what goes to a cloud or into an image, run by that cloud's own programs and by podman
	$(ONE_THREAD) $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not thorough" tests/targets

.PHONY: postgresql
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { \
	  if [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; \
	  else echo "the tests of shared studies need PostgreSQL; type: sudo apt-get install postgresql"; exit 1; fi; }

.PHONY: env-torch
env-torch: .env-torch/.done ## the environment of the tests with torch

.PHONY: test-torch
test-torch: env-torch ## torch modules become bundles; Gaussian processes
	MODELYARD_TORCH=1 .env-torch/bin/python -m pytest tests/test_torch.py
	.env-torch/bin/python -m pytest tests/test_search_methods.py -k gaussian_process_searches

.PHONY: quick
quick: $(VENV)/.dev ## the tests that need neither browser nor wheel
	$(BIN)/python -m pytest -m "not browser and not wheel"

.PHONY: wrk
wrk:
	@command -v wrk >/dev/null || { \
	  if [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends wrk; \
	  else echo "wrk is not installed: a slower Python client is used; type: sudo apt-get install wrk"; fi; }

.PHONY: bench
bench: $(VENV)/.dev wrk env-targets containers ## measure start-up, bundles, serving, batch, routing, cross-validation, tuning, engines, explanations, compression, targets, devices, panels
	$(BIN)/python benchmarks/startup.py --json
	$(BIN)/python benchmarks/bundles.py --json
	$(BIN)/python benchmarks/hot_path.py --json
	$(BIN)/python benchmarks/serving.py --json
	$(BIN)/python benchmarks/routing.py --json
	$(BIN)/python benchmarks/cross_validation.py --json
	$(BIN)/python benchmarks/tuning.py --json
	$(BIN)/python benchmarks/engines.py --json
	$(BIN)/python benchmarks/explanation.py --json
	$(BIN)/python benchmarks/compression.py --json
	$(BIN)/python benchmarks/targets.py --json
	$(BIN)/python benchmarks/devices.py --json
	$(BIN)/python benchmarks/panels.py --json

.PHONY: bench-check
bench-check: $(VENV)/.dev wrk env-targets containers ## hold every figure that must be reached against its bound
	$(BIN)/python benchmarks/check.py

.PHONY: clean
clean: ## remove environments and build outputs (never .modelyard)
	rm -rf $(VENV) .env-mlflow .env-ray .env-targets .env-torch .env-triton extension/node_modules extension/lib extension/modelyard_lab/labextension dist .demo
