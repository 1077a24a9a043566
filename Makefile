PYTHON ?= python3
BIN := .venv/bin
SOURCES := pyproject.toml constraints.txt setup.py $(wildcard src/lamnet/ops/csrc/*)

.PHONY: check demo test test-slow lint docs wheels clean

demo: .venv/demo
	$(BIN)/lamnet demo

check: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal -m 'not slow and not thorough'

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

test-slow: .venv/test
	$(BIN)/pytest -m slow

lint: .venv/test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

docs: .venv/test
	$(BIN)/python docs/make_figures.py
	$(BIN)/python docs/make_results.py

# For Linux, macOS and Windows, all made here; dist/ holds them.
wheels: .venv/bin/pip
	$(BIN)/pip install -q 'setuptools>=77' 'ziglang>=0.13'
	$(BIN)/python tools/make_wheels.py

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/pip $(SOURCES)
	$(BIN)/pip install -q -c constraints.txt -e '.[demo]'
	touch $@

.venv/test: .venv/bin/pip $(SOURCES)
	$(BIN)/pip install -q -c constraints.txt -e '.[demo,test]'
	touch $@

clean:
	rm -rf .venv build dist src/*.egg-info src/lamnet/ops/_native_*
