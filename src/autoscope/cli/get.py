"""`autoscope get [PID] [TARGET]`: what holds for functions of a running process."""

from __future__ import annotations

import argparse
import json
from typing import Any

from autoscope.cli import live, output


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
    from autoscope.control import client

    if arguments.pid is not None and not arguments.pid.isdigit():
        arguments.target, arguments.pid = arguments.pid, None  # the only process there is
    answers = []
    for process in live.chosen(arguments):
        try:
            answers.append(client.ask(process["socket"], {"verb": "get", "target": arguments.target}))
        except client.Gone:
            continue  # it ended meanwhile
    if arguments.format == "json":
        output.write(json.dumps(answers, indent=2) + "\n")
    else:
        for answer in answers:
            _print(answer)
    return 0 if any(answer["sites"] for answer in answers) else 1


def _print(answer: dict[str, Any]) -> None:
    state = "off, until `autoscope on`" if answer["off"] else "on"
    output.write(f"process {answer['pid']}: {state}; {len(answer['sites'])} functions\n")
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
        output.write(f"  change {change['number']}: {change['target']} {' '.join(filter(None, said))}{left}\n")
    for site in sorted(answer["sites"], key=lambda site: site["name"]):
        args = site["args"] if isinstance(site["args"], bool) else ",".join(site["args"])
        told = f"args {args}, return {site['return']}" if site["args"] or site["return"] else ""
        armed = "" if site["armed"] else "not recorded now"
        output.write(
            f"  {site['name']}  {site['level']} at {site['rate']:g}  {'; '.join(filter(None, (told, armed)))}".rstrip()
            + "\n"
        )
