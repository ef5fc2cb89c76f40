"""The options that make a plan, meaning the same wherever they appear."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from autoscope.cli import output

if TYPE_CHECKING:
    from autoscope.plan.model import Plan


def add(parser: argparse.ArgumentParser) -> None:
    """Add `--plan`, `--strategy`, `--include`, `--exclude`, `--rate` and `--budget`."""
    parser.add_argument("--plan", metavar="FILE", type=output.name, help="the plan file")
    parser.add_argument("--strategy", metavar="S", help="minimal, balanced or full_trace; for `plan` also auto")
    parser.add_argument("--include", metavar="GLOB", action="append", default=[], help="modules to trace (repeatable)")
    parser.add_argument(
        "--exclude", metavar="GLOB", action="append", default=[], help="modules to leave alone (repeatable)"
    )
    parser.add_argument("--rate", metavar="R", help="share of traces recorded, 0..1")
    parser.add_argument("--budget", metavar="B", help="share of the program's CPU time, as 3%%")


def resolve(arguments: argparse.Namespace, environ: Mapping[str, str] | None = None) -> Plan:
    """The plan these options, the environment and the files they name amount to. Raises `PlanError`."""
    environ = os.environ if environ is None else environ
    from autoscope.plan.resolve import parse_budget, parse_rate, resolve

    def parts(globs: list[str]) -> tuple[str, ...]:
        return tuple(part.strip() for glob in globs for part in glob.split(",") if part.strip())

    return resolve(
        plan_file=arguments.plan or environ.get("AUTOSCOPE_PLAN") or None,
        environ=environ,
        strategy=arguments.strategy,
        include=parts(arguments.include),
        exclude=parts(arguments.exclude),
        rate=None if arguments.rate is None else parse_rate(arguments.rate, "--rate"),
        budget=None if arguments.budget is None else parse_budget(arguments.budget, "--budget"),
    )
