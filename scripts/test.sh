#!/bin/sh
# Runs the tests under every supported CPython found, then lint and types under the first. Fails if anything fails.
set -u
cd "$(dirname "$0")/.." || exit 2
found=$(sh scripts/pythons.sh)
if [ -z "$found" ]; then
    echo "no CPython 3.11 to 3.14 with venv, ssl and sqlite3 found: install one and run this again" >&2
    exit 2
fi
echo "$found" | sed 's/^/found CPython /'
failed=""
# Receivers with pins of their own, which some tests send to.
agents="ddapm-test-agent==1.69.1"
agent=""
if [ "$(cat .venv/agent/done 2>/dev/null)" != "$agents" ]; then
    echo "== setting up .venv/agent"
    rm -rf .venv/agent
    # Beside the first of those below.
    { "$(echo "$found" | head -n 1 | cut -d' ' -f2-)" -m venv .venv/agent &&
        .venv/agent/bin/python -m pip install --quiet --disable-pip-version-check $agents &&
        echo "$agents" >.venv/agent/done; } &
    agent=$!
fi
first=""
lint=""
rm -f .venv/lint
closing=""
running=""
for version in $(echo "$found" | cut -d' ' -f1); do
    python=$(echo "$found" | sed -n "s/^$version //p")
    bin=.venv/$version/bin
    first=${first:-$bin}
    if ! { [ -f ".venv/$version/done" ] && cmp -s pyproject.toml ".venv/$version/done"; }; then
        echo "== CPython $version: setting up .venv/$version"
        rm -rf ".venv/$version"
        "$python" -m venv ".venv/$version" &&
            "$bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]' &&
            cp pyproject.toml ".venv/$version/done" || { failed="$failed setup-$version"; continue; }
    fi
    if [ -n "$agent" ]; then
        wait "$agent" || failed="$failed setup-agent"
        agent=""
    fi
    if [ "$bin" = "$first" ]; then
        # Beside the tests, which wait more than they compute.
        {
            "$first/ruff" check . || echo ruff >>.venv/lint
            "$first/ruff" format --check . || echo format >>.venv/lint
            "$first/mypy" || echo mypy >>.venv/lint
        } >.venv/lint.log 2>&1 &
        lint=$!
    fi
    # Once is enough for what the benchmarks print, for other packages' own tests, for the planner's command line and for type checkers.
    once=""
    [ "$bin" = "$first" ] || once="--ignore=tests/test_benchmarks.py --ignore=tests/foreign --ignore=tests/cli/test_plan_cli.py --ignore=tests/interplay/test_type_checkers.py"
    rm -f ".venv/$version/status"
    # All at once: a test waits for processes and sockets more than it computes.
    { "$bin/python" -m pytest $once "$@" >".venv/$version/log" 2>&1; echo $? >".venv/$version/status"; } &
    running="$running $version"
done
for version in $running; do
    echo "== CPython $version: pytest"
    while ! [ -f ".venv/$version/status" ]; do sleep 1; done
    cat ".venv/$version/log"
    [ "$(cat ".venv/$version/status")" = 0 ] || failed="$failed pytest-$version"
    closing="$closing$version $(tail -n 1 ".venv/$version/log")
"
done
echo "== lint and types"
if [ -n "$lint" ]; then
    wait "$lint"
    cat .venv/lint.log
fi
[ ! -s .venv/lint ] || failed="$failed $(tr '\n' ' ' <.venv/lint)"
printf '%s' "$closing"
if [ -n "$failed" ]; then
    echo "FAILED:$failed"
    exit 1
fi
echo "all passed on CPython $(echo "$found" | cut -d' ' -f1 | tr '\n' ' ')"
