#!/bin/sh
# Runs the tests under every supported CPython found, and lint and types under the first. Fails if anything fails.
# With arguments each interpreter's pytest is given those, and nothing is split.
set -u
cd "$(dirname "$0")/.." || exit 2
found=$(sh scripts/pythons.sh)
if [ -z "$found" ]; then
    echo "no CPython 3.11 to 3.14 with venv, ssl and sqlite3 found: install one and run this again" >&2
    exit 2
fi
echo "$found" | sed 's/^/found CPython /'
versions=$(echo "$found" | cut -d' ' -f1)
first=$(echo "$versions" | head -n 1)
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

# What does not depend on the interpreter: how plans are chosen and written once the source was read, how runs are read, what the
# benchmarks print, other packages' own tests, the planner's command line, type checkers, the rules of the house.
once="tests/read tests/foreign tests/test_benchmarks.py tests/test_house.py tests/cli/test_plan_cli.py tests/cli/test_calibrate.py
    tests/interplay/test_type_checkers.py"
for part in budget check choose explain goals link model relink review side_by_side update write; do
    once="$once tests/plan/test_plan_$part.py"
done
# Of the others about half of the time.
half="tests/runtime tests/weave tests/plan tests/promises tests/store tests/export"

ignoring() {
    for path in "$@"; do printf ' --ignore=%s' "$path"; done
}

# All that is to be done, what takes longest first; a few at a time, as a test waits for processes and sockets more than it computes.
jobs="$first-once $first-lint"
for version in $versions; do
    jobs="$jobs $version-rest $version-half"
done
if [ $# -gt 0 ]; then
    jobs="$first-lint"
    for version in $versions; do jobs="$jobs $version-chosen"; done
fi
lanes=$(($(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 2))
rm -rf .venv/jobs
mkdir -p .venv/jobs

run() {
    job=$1
    shift
    bin=.venv/${job%-*}/bin
    case ${job#*-} in
        lint) "$bin/ruff" check . && "$bin/ruff" format --check . && "$bin/mypy" ;;
        once) "$bin/python" -m pytest $once ;;
        half) "$bin/python" -m pytest $half $(ignoring $once) ;;
        rest) "$bin/python" -m pytest $(ignoring $half $once) ;;
        chosen) "$bin/python" -m pytest "$@" ;;
    esac
}

lane() {
    for job in $jobs; do
        kill -0 $$ 2>/dev/null || return # somebody has stopped all this
        mkdir ".venv/jobs/$job" 2>/dev/null || continue
        version=${job%-*}
        while ! [ -f ".venv/jobs/$version" ]; do sleep 1; done
        [ "$(cat ".venv/jobs/$version")" = ready ] || continue
        run "$job" "$@" >".venv/jobs/$job/log" 2>&1
        echo $? >".venv/jobs/$job/status"
    done
}

number=0
while [ $number -lt $lanes ]; do
    lane "$@" &
    number=$((number + 1))
done
for version in $versions; do
    python=$(echo "$found" | sed -n "s/^$version //p")
    state=ready
    if ! { [ -f ".venv/$version/done" ] && cmp -s pyproject.toml ".venv/$version/done"; }; then
        echo "== CPython $version: setting up .venv/$version"
        rm -rf ".venv/$version"
        "$python" -m venv ".venv/$version" &&
            ".venv/$version/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]' &&
            cp pyproject.toml ".venv/$version/done" || { failed="$failed setup-$version"; state=failed; }
    fi
    if [ -n "$agent" ]; then
        wait "$agent" || failed="$failed setup-agent"
        agent=""
    fi
    echo $state >".venv/jobs/$version.new" && mv ".venv/jobs/$version.new" ".venv/jobs/$version"
done
closing=""
for job in $jobs; do
    [ "$(cat ".venv/jobs/${job%-*}")" = ready ] || continue
    echo "== CPython ${job%-*}: ${job#*-}"
    while ! [ -f ".venv/jobs/$job/status" ]; do sleep 1; done
    cat ".venv/jobs/$job/log"
    [ "$(cat ".venv/jobs/$job/status")" = 0 ] || failed="$failed $job"
    closing="$closing$job $(tail -n 1 ".venv/jobs/$job/log")
"
done
wait
printf '%s' "$closing"
if [ -n "$failed" ]; then
    echo "FAILED:$failed"
    exit 1
fi
echo "all passed on CPython $(echo "$versions" | tr '\n' ' ')"
