# The front door. Everything else is reached from here; `make` alone lists the verbs.
#
# Needs python3 (3.11 or later), pip, git and make. The first `run` or `test` makes a virtual environment in .venv from
# the lock files and does it again only when they change.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
PIP_FLAGS := --disable-pip-version-check --root-user-action=ignore --no-input --quiet

# The locks are compiled by the oldest Python we support, with this pip-tools.
LOCK_PYTHON := python3.11
PIP_TOOLS := pip-tools==7.6.2

# The tests' processes: at most five, since each has servers of its own.
PROCESSES = $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? cores + 1 : 5)))

# ONCE=1 and FLEET=1; anything but empty and 0 means yes.
yes = $(filter-out 0,$($1))

.PHONY: help run test lint bench bench-console faults screenshots lock clean system browser token mariadb tracer

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.ready-$(if $(call yes,FLEET),test,run) system ## show the broker at work (ONCE=1: one round and out; FLEET=1: PostgreSQL, Redis and Celery)
	@exec $(PY) -m broker.demo $(if $(call yes,ONCE),--once) $(if $(call yes,FLEET),--fleet)

# Whole files go to one process or another, because what a file shares is dear to make; each process has its own servers.
# In their order: the many small files of tests/unit come last and fill up whichever process is free. One process more than
# there are cores, because a third of the time they wait for sources that answer late, workers that end, pages that load.
test: lint system browser token mariadb tracer ## lint, then every test (PYTEST_ARGS="-k receipt" for a part)
	@exec $(PY) -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(VENV)/.ready-test ## ruff, mypy and the layers
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.ready-test system ## measure speed on this machine
	@exec $(PY) -m tests.bench

faults: $(VENV)/.ready-test system mariadb tracer ## run the fault campaigns and print their figures (FAULTS="F10 --sample" for a part)
	@exec $(PY) -m tests.faults $(FAULTS)

bench-console: $(VENV)/.ready-test system ## time the console's pages over a large database (CONSOLE="--scale 0.01")
	@exec $(PY) -m tests.bench.console $(CONSOLE)

screenshots: $(VENV)/.ready-test system browser ## picture the console's main pages in docs/img
	@exec $(PY) -m tests.screenshots

lock: ## renew both lock files from pyproject.toml (UPGRADE=1: to the newest versions)
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT; \
	$(LOCK_PYTHON) -m venv "$$tools" && "$$tools/bin/python" -m pip install $(PIP_FLAGS) '$(PIP_TOOLS)'; \
	compile() { \
	    CUSTOM_COMPILE_COMMAND='make lock' "$$tools/bin/pip-compile" --quiet --generate-hashes --allow-unsafe \
	        --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	        $(if $(call yes,UPGRADE),--upgrade) --build-deps-for editable "$$@" pyproject.toml; \
	}; \
	compile --output-file requirements.lock; \
	compile --extra test --constraint requirements.lock --output-file requirements-test.lock

clean: ## remove the virtual environment, caches and build leftovers (var/, the data, stays)
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# SM2 and SM3 come from the system's OpenSSL 3, and the tests check ours against its command line.
system: | $(PY)
	@ready() { $(PY) -c 'import ctypes; ctypes.CDLL("libcrypto.so.3")' 2>/dev/null && command -v openssl >/dev/null; }; \
	if ready; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo 'installing openssl ...'; \
	    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openssl; } >/dev/null; \
	fi; \
	ready || { echo 'OpenSSL 3 (libcrypto.so.3 and the openssl command) is missing: apt-get install openssl' >&2; exit 1; }

# The console is tested in a real browser, and a page without Chinese type proves nothing.
browser:
	@ready() { command -v chromium >/dev/null && fc-list :lang=zh-cn 2>/dev/null | grep -q .; }; \
	if ready; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo 'installing chromium and a Chinese font ...'; \
	    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	        chromium fontconfig fonts-wqy-zenhei; } >/dev/null 2>&1 || true; \
	fi; \
	ready || { echo 'chromium or a Chinese font is missing: apt-get install chromium fontconfig fonts-wqy-zenhei' >&2; exit 1; }

# Keys on a token are tested on a real one, SoftHSM; without it those tests are skipped, which they say, and fail under CI.
token:
	@ready() { command -v softhsm2-util >/dev/null; }; \
	if ready; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo 'installing softhsm2 ...'; \
	    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends softhsm2; } \
	        >/dev/null 2>&1 || true; \
	fi; \
	ready || { echo 'softhsm2 is missing, no real token is tried: apt-get install softhsm2' >&2; [ -z "$${CI:-}" ]; }

# Departments' MySQL databases are tested against a real MariaDB, which no wheel brings: 8 MB to fetch, 47 MB of disk, and
# no service is started. Without it those tests are skipped with the reason; under CI they fail.
mariadb:
	@ready() { PATH="$$PATH:/usr/sbin" command -v mariadbd >/dev/null; }; \
	if ready || [ -n "$${BROKER_TEST_MARIADB_URL:-}" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo 'installing mariadb-server-core ...'; \
	    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	        mariadb-server-core; } >/dev/null 2>&1 || true; \
	fi; \
	ready || echo 'MariaDB is missing, so its tests will be skipped: apt-get install mariadb-server-core' >&2

# F1 and F2 let a process fail at its n-th system call.
tracer:
	@if command -v strace >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo 'installing strace ...'; \
	    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends strace; } \
	        >/dev/null 2>&1 || true; \
	fi; \
	command -v strace >/dev/null || { echo 'strace is missing: apt-get install strace' >&2; exit 1; }

# Debian without python3-venv has no ensurepip; then the system's pip installs into the environment from outside.
$(PY):
	@for python in python3 python3.13 python3.12 python3.11; do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    echo "making $(VENV) with $$($$python --version) ..."; \
	    if $$python -c 'import ensurepip' 2>/dev/null; then exec $$python -m venv --clear $(VENV); fi; \
	    $$python -m venv --clear --without-pip $(VENV); \
	    exec $$python -m pip --python $(PY) install $(PIP_FLAGS) --upgrade pip; \
	done; \
	echo 'Python 3.11 or later is needed, as python3 or python3.11 to python3.13 on PATH' >&2; exit 1

# setuptools is in the locks, so that the broker itself is installed without fetching anything unlocked.
define install
	@echo 'installing $< ...'
	@$(PY) -m pip install $(PIP_FLAGS) --require-hashes -r $<
	@$(PY) -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation --no-index --editable .
	@touch $@
endef

$(VENV)/.ready-run: requirements.lock pyproject.toml | $(PY)
	$(install)

$(VENV)/.ready-test: requirements-test.lock pyproject.toml | $(PY)
	$(install)
	@touch $(VENV)/.ready-run
