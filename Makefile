PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow lint clean

demo: .venv/demo
	$(BIN)/lamnet demo

test: .venv/test lint
	$(BIN)/pytest -n 2

test-slow: .venv/test
	$(BIN)/pytest -m slow

lint: .venv/test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install -c constraints.txt -e '.[demo]'
	touch $@

.venv/test: .venv/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install -c constraints.txt -e '.[demo,test]'
	touch $@

clean:
	rm -rf .venv build dist src/*.egg-info
