# make demo   trains an RBM, a VAE and a GAN on MNIST, measures them, and writes runs/demo/report.html
# make test   runs the tests
# make check  style and types

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check
demo: .venv/installed
	$(BIN)/python -m benchmarks.demo

test: .venv/installed
	$(BIN)/python -m pytest -n auto

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

.venv/installed: pyproject.toml
	@echo "Installing genlit into .venv (once; torch is large)"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "genlit needs Python >= 3.11; say which: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@
