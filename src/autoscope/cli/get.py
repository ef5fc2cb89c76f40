"""`autoscope get [PID] [TARGET]`: what holds for functions of a running process."""

from __future__ import annotations

import argparse
from typing import Any

from autoscope.cli import live


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "get",
        help="what holds for functions of a running process",
        description="Lists the functions of a traced process that a glob names, with what holds for each, and the changes in force.",
    )
    live.add_processes(parser)
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", default="*", help="a glob over module.qualname (default: all)"
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print them; 1 where no function has the name."""
    if arguments.pid is not None and not arguments.pid.isdigit():
        arguments.target, arguments.pid = arguments.pid, None  # the only process there is
    request = {"verb": "get", "target": arguments.target}
    return live.tell(arguments, request, _told, found=lambda answer: len(answer["sites"]))


def _told(answer: dict[str, Any]) -> str:
    state = "off, until `autoscope on`" if answer["off"] else "on"
    lines = [f"process {answer['pid']}: {state}; {live.functions(len(answer['sites']))}"]
    for change in answer["changes"]:
        said = [
            f"level={change['level']}" if change["level"] else "",
            "" if change["rate"] is None else f"rate={change['rate']:g}",
        ]
        names = ("args", "return", "exceptions", "state")
        said += [
            f"capture.{name}={value}" for name, value in zip(names, change["capture"], strict=True) if value is not None
        ]
        left = "" if change["seconds_left"] is None else f", {change['seconds_left']:.0f} s left"
        lines.append(f"  change {change['number']}: {change['target']} {' '.join(filter(None, said))}{left}")
    for site in sorted(answer["sites"], key=lambda site: site["name"]):
        args = site["args"] if isinstance(site["args"], bool) else ",".join(site["args"])
        told = f"args {args}, return {site['return']}" if site["args"] or site["return"] else ""
        budget = site.get("budget") or "every call"
        budget = "" if budget == "every call" else f"by the budget {budget}"
        armed = "" if site["armed"] or budget else "not recorded now"
        more = "; ".join(filter(None, (told, budget, armed)))
        lines.append(f"  {site['name']}  {site['level']} at {site['rate']:g}  {more}".rstrip())
    return "\n".join(lines)
