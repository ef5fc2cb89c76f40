"""`python -m autoscope` is the command `autoscope`."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        # Not the directory we happen to be started in: a program's own `json.py` there is not ours to import.
        del sys.path[0]
    from autoscope.cli import main

    sys.exit(main())
