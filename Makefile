# Nothing is needed beforehand but make and a CPython 3.11 or newer; every target sets up what it needs.

.PHONY: help demo test lint format typecheck bench real foreign clean

help:
	@echo "make demo       trace the example shop and print the report"
	@echo "make test       the tests under every supported CPython found, lint and types"
	@echo "make lint | format | typecheck"
	@echo "make bench      the benchmarks"
	@echo "make real       programs from PyPI, plain and traced"
	@echo "make foreign    other packages' own tests, plain and woven"
	@echo "make clean      remove what the targets above made"

demo:
	@sh scripts/demo.sh

test:
	@sh scripts/test.sh

.venv/tools/done: pyproject.toml
	@python=$$(sh scripts/pythons.sh | head -n 1 | cut -d' ' -f2-); \
	test -n "$$python" || { echo "no CPython 3.11 or newer found" >&2; exit 2; }; \
	rm -rf .venv/tools && "$$python" -m venv .venv/tools && \
	.venv/tools/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench]' && touch $@

lint: .venv/tools/done
	.venv/tools/bin/ruff check .
	.venv/tools/bin/ruff format --check .

format: .venv/tools/done
	.venv/tools/bin/ruff check --fix .
	.venv/tools/bin/ruff format .

typecheck: .venv/tools/done
	.venv/tools/bin/mypy

bench: .venv/tools/done
	.venv/tools/bin/python benchmarks/call.py
	.venv/tools/bin/python benchmarks/startup.py
	.venv/tools/bin/python benchmarks/imports.py
	.venv/tools/bin/python benchmarks/export.py
	.venv/tools/bin/python benchmarks/memory.py
	.venv/tools/bin/python benchmarks/reconfigure.py
	.venv/tools/bin/python benchmarks/macro.py

real: .venv/tools/done
	.venv/tools/bin/python scripts/real_programs.py

foreign: .venv/tools/done
	.venv/tools/bin/python tests/foreign/run.py

clean:
	rm -rf .venv .venv-demo .autoscope build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
