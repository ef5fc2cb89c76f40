#!/bin/sh
# The benchmarks, in virtual environments of their own with the peers they are compared with.
#   bench.sh                  the table of all targets, under CPython 3.11 and 3.13 where they are found
#   bench.sh compare REV ...  this tree beside another revision, under the first of them
set -u
cd "$(dirname "$0")/.." || exit 2
found=$(sh scripts/pythons.sh | grep -E '^3\.(11|13) ')
[ -n "$found" ] || found=$(sh scripts/pythons.sh | head -n 1)
if [ -z "$found" ]; then
    echo "no CPython 3.11 to 3.14 with venv, ssl and sqlite3 found: install one and run this again" >&2
    exit 2
fi
for version in $(echo "$found" | cut -d' ' -f1); do
    python=$(echo "$found" | sed -n "s/^$version //p")
    place=.venv/bench-$version
    if ! { [ -f "$place/done" ] && cmp -s pyproject.toml "$place/done"; }; then
        echo "setting up $place" >&2
        rm -rf "$place"
        "$python" -m venv "$place" &&
            "$place/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[bench]' &&
            cp pyproject.toml "$place/done" || exit 1
    fi
    if [ "${1:-}" = compare ]; then
        shift
        exec "$place/bin/python" benchmarks/compare.py "$@"
    fi
    "$place/bin/python" benchmarks/targets.py --json "$place/results.json" || exit 1
done
