"""`python -m autoscope` is the command `autoscope`."""

import sys

from autoscope.cli import main

if __name__ == "__main__":
    sys.exit(main())
