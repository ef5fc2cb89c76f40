"""`python -m autoscope` is the command `autoscope`."""

import os
import sys


def _place(entry: str) -> int:
    """The standard library and what is installed come first: a program's `PYTHONPATH` has modules of its own."""
    library = os.path.dirname(os.__file__)
    if entry == library or entry == os.path.join(library, "lib-dynload"):
        return 0
    return 1 if entry.endswith(("site-packages", "dist-packages")) else 2


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # Not the directory we happen to be started in: a program's own `json.py` there is not ours to import.
        del sys.path[0]
    sys.path.sort(key=_place)
    from autoscope.cli import main

    sys.exit(main())
