#!/bin/sh
# Prints "3.11 /path/to/python" for every supported CPython that works on this machine, one for each minor version.
# Looked for: every python3.X, python3 and python on the PATH, pyenv's versions, the usual prefixes. What is found is
# run, because a name on the PATH may be a shim that only says which versions it could have been.
set -u

candidates() {
    minor=$1
    for name in "python3.$minor" python3 python; do
        echo "$PATH" | tr ':' '\n' | while IFS= read -r folder; do
            [ -n "$folder" ] && echo "$folder/$name"
        done
    done
    for path in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3 \
        /usr/local/bin/python3."$minor" /usr/bin/python3."$minor"; do
        echo "$path"
    done
}

for minor in 11 12 13 14; do
    candidates "$minor" | while IFS= read -r candidate; do
        [ -x "$candidate" ] || continue
        # ensurepip is what venv needs to put pip into a new environment; some distributions leave it out.
        # Builds without the GIL are not among the supported ones. A shim answers with the interpreter behind it.
        if real=$("$candidate" -c "
import sys, sysconfig, venv, ensurepip, ssl, sqlite3, ctypes
supported = sys.version_info[:2] == (3, $minor) and sys.implementation.name == 'cpython'
if not supported or sysconfig.get_config_var('Py_GIL_DISABLED'):
    sys.exit(1)
print(sys.executable)" 2>/dev/null </dev/null) && [ -n "$real" ]; then
            echo "3.$minor $real"
            break
        fi
    done
done
