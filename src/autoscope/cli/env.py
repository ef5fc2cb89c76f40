"""`autoscope env`: the lines to set so that `python anything.py` is traced."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

import autoscope
from autoscope.cli import plan_options
from autoscope.errors import AutoscopeError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "env",
        help="print the environment that turns it on for `python anything.py`",
        description='Print the environment that turns tracing on: eval "$(autoscope env --plan plan.yaml)"',
    )
    plan_options.add(parser)
    parser.add_argument("--store", metavar="DIR", help="the local store")
    parser.add_argument("--otlp", metavar="URL", help="send spans to this OTLP endpoint")
    parser.add_argument("--format", choices=("shell", "json"), default="shell")
    parser.set_defaults(command=run)


def site_directory() -> str:
    """The directory of our `sitecustomize.py`: in the package when installed from a wheel, on top of a checkout otherwise."""
    package = Path(autoscope.__file__).resolve().parent
    for directory in (package / "site", package.parent.parent):
        if (directory / "sitecustomize.py").is_file():
            return str(directory)
    raise AutoscopeError(
        f"no sitecustomize.py beside {package}: the installation is incomplete, install autoscope again"
    )


def run(arguments: argparse.Namespace) -> int:
    plan_options.resolve(arguments)  # what cannot be used is said now, not in a server's log
    path = os.environ.get("PYTHONPATH", "")
    ours = site_directory()
    rest = [entry for entry in path.split(os.pathsep) if entry and entry != ours]
    lines = {"PYTHONPATH": os.pathsep.join([ours, *rest]), "AUTOSCOPE_PREFIX": sys.prefix}
    for name, value in (
        ("PLAN", arguments.plan and os.path.abspath(arguments.plan)),
        ("STRATEGY", arguments.strategy),
        ("INCLUDE", ",".join(arguments.include)),
        ("EXCLUDE", ",".join(arguments.exclude)),
        ("RATE", arguments.rate),
        ("BUDGET", arguments.budget),
        ("STORE", arguments.store and os.path.abspath(arguments.store)),
    ):
        if value:
            lines["AUTOSCOPE_" + name] = value
    if not {"AUTOSCOPE_PLAN", "AUTOSCOPE_STRATEGY", "AUTOSCOPE_INCLUDE"} & lines.keys():
        lines["AUTOSCOPE_STRATEGY"] = "balanced"
    if arguments.otlp:
        lines["OTEL_EXPORTER_OTLP_ENDPOINT"] = arguments.otlp
    if arguments.format == "json":
        print(json.dumps(lines, indent=2))
    else:
        for name, value in lines.items():
            print(f"export {name}={shlex.quote(value)}")
    return 0
