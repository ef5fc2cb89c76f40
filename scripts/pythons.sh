#!/bin/sh
# Prints "3.11 /path/to/python" for every supported CPython that works on this machine, one for each minor version.
# Looked for: python3.X on the PATH (where it really runs), pyenv's versions, the usual prefixes.
set -u
for minor in 11 12 13 14; do
    for candidate in \
        "$(command -v "python3.$minor" 2>/dev/null)" \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3 \
        /usr/local/bin/python3."$minor" \
        /usr/bin/python3."$minor" \
        "$(command -v python3 2>/dev/null)" \
        "$(command -v python 2>/dev/null)"; do
        [ -n "$candidate" ] && [ -x "$candidate" ] || continue
        # ensurepip is what venv needs to put pip into a new environment; some distributions leave it out.
        if "$candidate" -c "
import sys, venv, ensurepip, ssl, sqlite3, ctypes
sys.exit(sys.version_info[:2] != (3, $minor) or sys.implementation.name != 'cpython')" 2>/dev/null; then
            echo "3.$minor $candidate"
            break
        fi
    done
done
