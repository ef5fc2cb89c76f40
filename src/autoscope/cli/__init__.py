"""The command line: one module a command. The only rooms that print.

A command module has `add_parser(subparsers)` and `run(arguments) -> exit code`; what it cannot do it raises as
`AutoscopeError`, which is said in one line on standard error with exit code 2.
"""

from __future__ import annotations

import argparse
import atexit
import os
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from autoscope import __version__
from autoscope.errors import AutoscopeError, say

COMMANDS = (
    "run",
    "plan",
    "explain",
    "check",
    "analyze",
    "calibrate",
    "report",
    "diff",
    "affected",
    "view",
    "export",
    "ps",
    "top",
    "get",
    "set",
    "off",
    "on",
    "snapshot",
    "attach",
    "show",
    "env",
    "cache",
    "doctor",
)


def leave(code: int) -> NoReturn:
    """End the process without taking it apart object by object: of a large code base's facts, that takes longer than planning."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        os._exit(0)  # `autoscope report | head`: the reader has seen enough
    except OSError as error:
        say(f"autoscope: what was asked for cannot be written: {error.strerror or error}\n")
        os._exit(2)
    except ValueError:
        pass  # closed already
    if threading.active_count() > 1 or "coverage" in sys.modules or sys.gettrace() is not None:
        sys.exit(code)
    atexit._run_exitfuncs()
    os._exit(code)


class Parser(argparse.ArgumentParser):
    """Errors in one line, as everywhere."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise AutoscopeError(f"{message}; see `{self.prog} --help`")


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line, or, to load no more than needed, that of one command."""
    top = Parser(
        prog="autoscope", description="Shows what a Python program's own functions do, as OpenTelemetry spans."
    )
    top.add_argument("--version", action="version", version=f"autoscope {__version__}")
    subparsers = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for name in COMMANDS:
        if only is None or name == only:
            import_module(f"autoscope.cli.{name}").add_parser(subparsers)
    return top


def _fill_streams() -> None:
    """Where standard output or error is closed, as for some daemons, what would be written there goes nowhere.

    The program of `autoscope run` finds it closed as ever: what is opened here ends with this program.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


def _is_nowhere() -> bool:
    """Whether the working directory has been deleted."""
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Without `argv`, as the command line does, it ends the process itself."""
    if argv is None:
        _fill_streams()
        leave(main(sys.argv[1:]))
    given = list(argv)
    only = given[0] if given and given[0] in COMMANDS else None
    try:
        arguments, unknown = parser(only).parse_known_args(given)
        if unknown:
            help_of = f"autoscope {only} --help" if only else "autoscope --help"
            raise AutoscopeError(f"unrecognized arguments: {' '.join(unknown)}; see `{help_of}`")
        result: int = arguments.command(arguments)
        return result
    except AutoscopeError as error:
        print(f"autoscope: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # `autoscope report | head`: the reader has seen enough. What is left in the buffer is nobody's.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        if _is_nowhere():
            print("autoscope: the working directory is gone; go to one that is there", file=sys.stderr)
            return 2
        if error.filename is not None:
            raise
        print(f"autoscope: what was asked for cannot be written: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
