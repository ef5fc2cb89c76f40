"""`autoscope snapshot PID TARGET`: the next calls of some functions, in full."""

from __future__ import annotations

import argparse
from typing import Any

from autoscope.cli import live, output
from autoscope.errors import AutoscopeError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "snapshot",
        help="the next calls of a function of a running process, in full",
        description="Waits for the next calls of the functions a glob names and prints their arguments, results, times and errors. "
        "Exit code 1 where there were fewer in time.",
    )
    live.add_processes(parser)
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", help="a glob over module.qualname, such as shop.cart.Cart.add"
    )
    parser.add_argument("--calls", type=output.count, default=1, metavar="N", help="how many (default: 1)")
    parser.add_argument("--for", dest="seconds", default="60s", metavar="TIME", help="how long to wait (default: 60s)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print them; 1 where some are missing."""
    from autoscope.plan.values import parse_duration

    if arguments.target is None:
        arguments.target, arguments.pid = arguments.pid, None  # the only process there is
    if arguments.target is None:
        raise AutoscopeError("snapshot: name a function, as in `autoscope snapshot 4711 shop.cart.Cart.add`")
    seconds = parse_duration(arguments.seconds, "--for") / 1e9
    request = {"verb": "snapshot", "target": arguments.target, "calls": arguments.calls, "for": seconds}
    return live.tell(arguments, request, _told, found=lambda answer: not answer["missing"], seconds=seconds + 5.0)


def _told(answer: dict[str, Any]) -> str:
    missing = f", {answer['missing']} missing" if answer["missing"] else ""
    number = len(answer["calls"])
    lines = [f"{answer['pid']}: {number} call{'s' * (number != 1)}{missing}"]
    for call in answer["calls"]:
        lines.append(f"{call['name']}  {call['duration_ns'] / 1000:,.1f} µs  trace {call['trace_id']}")
        for name, value in (call["attributes"] or {}).items():
            word = name.removeprefix("autoscope.").removeprefix("arg.")
            lines.append(f"    {word} = {value}")
        if call["error"]:
            lines.append(f"    raised {': '.join(filter(None, call['error']))}")
    return "\n".join(lines)
