# Two commands matter: `make run` and `make test`. Everything else is a part of them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps

.PHONY: env assets run test lint types unit conformance fuzz crash bench clean

env: $(STAMPS)/env

$(STAMPS)/env: pyproject.toml .ci/constraints.txt
	@mkdir -p $(STAMPS)
	@$(PYTHON) -c 'import sys; sys.exit("Ratoon needs Python 3.11 or newer; this is " + sys.version) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt --editable '.[dev,build]'
	@touch $@

assets: $(STAMPS)/assets

$(STAMPS)/assets: $(STAMPS)/env $(wildcard ui/package.json ui/package-lock.json ui/build.py) $(wildcard ui/translations/*/LC_MESSAGES/*.po)
	$(BIN)/python ui/build.py
	@touch $@

run: env assets
	$(BIN)/ratoon serve --demo

# mypy cannot follow the finder hooks of an editable install, so it reads the rooms through a folder of links.
.typecheck/ratoon:
	@mkdir -p .typecheck/ratoon
	@for room in platform objects plugins ui schemas; do ln -sfn ../../$$room .typecheck/ratoon/$$room; done

types: env .typecheck/ratoon
	cd .typecheck && ../$(BIN)/mypy --config-file ../pyproject.toml -p ratoon

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

unit: env assets
	$(BIN)/python -m pytest -n 2 --dist worksteal

test: lint types unit

conformance: env
	$(BIN)/python -m pytest -q -s -m conformance tests/conformance

# Throws changed, grown and hostile formulas at the language: make fuzz SECONDS=300 SEED=7
fuzz: env
	RATOON_FUZZ_SECONDS=$(or $(SECONDS),300) RATOON_FUZZ_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -q -s -n0 tests/platform/formulas/test_fuzz.py

# Servers and workers killed with SIGKILL amid mails, calls and records: make crash RECORDS=2000
crash: env
	RATOON_CRASH_RECORDS=$(or $(RECORDS),2000) $(BIN)/python -m pytest -q -s -n0 tests/platform/automation/test_killed_processes.py

# Every part runs, whatever the ones before it missed; each names the goals that it missed and ends with status 1 then.
bench: env
	@rm -rf .bench; failed=; \
	$(BIN)/python tests/benchmarks/__main__.py --json .bench/figures.json || failed=" __main__"; \
	$(BIN)/python tests/benchmarks/formulas.py || failed="$$failed formulas"; \
	$(BIN)/python tests/benchmarks/sharing.py || failed="$$failed sharing"; \
	$(BIN)/python tests/benchmarks/automations.py --json .bench/automations.json || failed="$$failed automations"; \
	$(BIN)/python tests/benchmarks/evolving.py --json .bench/evolving.json || failed="$$failed evolving"; \
	$(BIN)/python tests/benchmarks/table.py .bench/figures.json > .bench/tables.md; \
	test -z "$$failed" || { echo "goals were missed (named above) in:$$failed" >&2; exit 1; }

clean:
	rm -rf $(VENV) $(STAMPS) .typecheck .bench build dist *.egg-info ui/node_modules ui/static/vendor
