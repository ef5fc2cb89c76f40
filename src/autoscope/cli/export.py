"""`autoscope export`: a run in the format of another tool."""

from __future__ import annotations

import argparse
import os
import sys

from autoscope.errors import AutoscopeError
from autoscope.read.formats import FORMATS
from autoscope.read.runs import open_run


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "export",
        help="a run in the format of another tool",
        description="Writes a run as another tool reads it. Without RUN: the newest one in the store.",
    )
    parser.add_argument("run", metavar="RUN", nargs="?", help="a run's id, the beginning of one, or its folder")
    parser.add_argument("--store", metavar="DIR", help="where runs are kept (default: AUTOSCOPE_STORE or .autoscope)")
    parser.add_argument("--format", choices=tuple(FORMATS), required=True)
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="(default: standard output)")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Write the file; what could not be read goes to standard error."""
    from autoscope.export import DEFAULT_STORE

    found = open_run(args.store or os.environ.get("AUTOSCOPE_STORE") or DEFAULT_STORE, args.run)
    pieces = FORMATS[args.format](found)
    if args.output == "-":
        encoding = sys.stdout.encoding or "utf-8"
        for piece in pieces:
            sys.stdout.write(piece.encode(encoding, "backslashreplace").decode(encoding))
    else:
        try:
            with open(args.output, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(pieces)
        except OSError as error:
            raise AutoscopeError(f"can't write {args.output}: {error.strerror}; name another file with -o") from error
    for note in found.notes:
        sys.stderr.write(f"autoscope: {note}\n")
    return 0
