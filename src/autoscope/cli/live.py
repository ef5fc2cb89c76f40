"""What the commands for running processes share: which processes are meant, asking each, saying what came of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from autoscope.cli import output
from autoscope.errors import AutoscopeError


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Add the words that say which processes are meant."""
    parser.add_argument(
        "pid", metavar="PID", nargs="?", help="the process, its children with it (default: the only one there is)"
    )
    parser.add_argument("--all", action="store_true", help="every traced process of this user")
    parser.add_argument("--service", metavar="NAME", help="those with this OTEL_SERVICE_NAME")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")


def add_verb(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    told: str,
    *,
    help: str,
    description: str,
) -> None:
    """Register a command that is one word to each process; `told` is what the functions that it answers with are now."""

    def run(arguments: argparse.Namespace) -> int:
        return tell(
            arguments, {"verb": name}, lambda answer: f"{answer['pid']}: {functions(answer['functions'])} {told}"
        )

    parser = subparsers.add_parser(name, help=help, description=description)
    add_processes(parser)
    parser.set_defaults(command=run)


def functions(number: int) -> str:
    """`1 function`, `3 functions`."""
    return f"{number:,} function{'s' * (number != 1)}"


def chosen(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The processes that are meant. Raises AutoscopeError where there are none."""
    from autoscope.control import client

    if sum((arguments.pid is not None, arguments.all, arguments.service is not None)) > 1:
        raise AutoscopeError("PID, --all and --service say three different things: give one of them")
    return client.chosen(arguments.pid, arguments.all, arguments.service)


def answers_of(
    processes: list[dict[str, Any]], request: dict[str, Any], seconds: float | None = None
) -> tuple[list[dict[str, Any]], list[AutoscopeError]]:
    """What each process answers, and why others did not; those that ended meanwhile are left out."""
    from autoscope.control import client

    paths = [process["socket"] for process in processes]
    found = client.ask_all(paths, request, client.ANSWER_SECONDS if seconds is None else seconds)
    return (
        [answer for answer in found if isinstance(answer, dict)],
        [answer for answer in found if isinstance(answer, AutoscopeError)],
    )


def tell(
    arguments: argparse.Namespace,
    request: dict[str, Any],
    say: Callable[[dict[str, Any]], str],
    found: Callable[[dict[str, Any]], int] = lambda answer: 1,
    seconds: float | None = None,
) -> int:
    """Ask each process, print what it answers; 0 if one of them found something, 2 where one did not answer."""
    answers, refused = answers_of(chosen(arguments), request, seconds)
    for error in refused:
        print(f"autoscope: {error}", file=sys.stderr)
    if arguments.format == "json":
        output.write(json.dumps(answers, indent=2) + "\n")
    else:
        for answer in answers:
            output.write(say(answer) + "\n")
    if refused:
        return 2
    return 0 if any(found(answer) for answer in answers) else 1
