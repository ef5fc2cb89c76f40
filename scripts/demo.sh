#!/bin/sh
# The main job, from nothing: an environment of its own, autoscope and the example shop installed, the shop traced
# under its load, and the report of what was seen.
set -eu
cd "$(dirname "$0")/.."
python=$(sh scripts/pythons.sh | tail -n 1 | cut -d' ' -f2-)
if [ -z "$python" ]; then
    echo "no CPython 3.11 or newer with venv, ssl and sqlite3 found: install one and run this again" >&2
    exit 2
fi
bin=.venv-demo/bin
# The installed copy is made anew when what it was made from has changed: a demo of yesterday's code shows nothing.
if [ ! -f .venv-demo/done ] || [ -n "$(find src plans sitecustomize.py pyproject.toml -name '*.pyc' -prune -o \
    -type f -newer .venv-demo/done -print)" ]; then
    echo "== setting up .venv-demo ($("$python" --version))"
    rm -rf .venv-demo
    "$python" -m venv .venv-demo
    "$bin/python" -m pip install --quiet --disable-pip-version-check . flask
    touch .venv-demo/done
fi
store=.venv-demo/store
echo "== autoscope run examples/shop/run.py"
"$bin/autoscope" run --quiet --store "$store" --plan examples/shop/plan.yaml examples/shop/run.py
echo
echo "== autoscope report"
"$bin/autoscope" report --store "$store" --limit 20
