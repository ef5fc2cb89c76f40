# Nothing is needed beforehand but make and a CPython 3.11 or newer; every target sets up what it needs.

.PHONY: help demo test lint format typecheck bench bench-compare real foreign chaos clean

help:
	@echo "make demo       trace the example shop and print the report"
	@echo "make test       the tests under every supported CPython found, lint and types"
	@echo "make lint | format | typecheck"
	@echo "make bench      the benchmarks, and the targets they are to meet"
	@echo "make bench-compare REV=…   what is slower than at another revision [BENCH=\"call startup\"]"
	@echo "make real       programs from PyPI, plain and traced"
	@echo "make foreign    other packages' own tests, plain and woven"
	@echo "make chaos      ten minutes of changes at random in a running program"
	@echo "make clean      remove what the targets above made"

demo:
	@sh scripts/demo.sh

test:
	@sh scripts/test.sh

.venv/tools/done: pyproject.toml
	@python=$$(sh scripts/pythons.sh | head -n 1 | cut -d' ' -f2-); \
	test -n "$$python" || { echo "no CPython 3.11 or newer found" >&2; exit 2; }; \
	rm -rf .venv/tools && "$$python" -m venv .venv/tools && \
	.venv/tools/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' && touch $@

lint: .venv/tools/done
	.venv/tools/bin/ruff check .
	.venv/tools/bin/ruff format --check .

format: .venv/tools/done
	.venv/tools/bin/ruff check --fix .
	.venv/tools/bin/ruff format .

typecheck: .venv/tools/done
	.venv/tools/bin/mypy

bench:
	@sh scripts/bench.sh

bench-compare:
	@test -n "$(REV)" || { echo "say which revision: make bench-compare REV=HEAD~1" >&2; exit 2; }
	@sh scripts/bench.sh compare $(REV) $(BENCH)

real: .venv/tools/done
	.venv/tools/bin/python scripts/real_programs.py

foreign: .venv/tools/done
	.venv/tools/bin/python tests/foreign/run.py

chaos: .venv/tools/done
	.venv/tools/bin/python tests/chaos/chaos.py --seconds 600

clean:
	rm -rf .venv .venv-demo .autoscope build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
