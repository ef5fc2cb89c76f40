"""`autoscope attach PID`: trace a process that was started without autoscope."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

from autoscope.cli import plan_options
from autoscope.errors import AutoscopeError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "attach",
        help="trace a process that runs without autoscope",
        description="Has a running Python process call `autoscope.install()`: what it has imported is woven in place. Needs CPython 3.14 or "
        "later, here and there (`sys.remote_exec`, PEP 768), and the permission to debug the process.",
    )
    parser.add_argument("pid", metavar="PID", type=int, help="the process")
    plan_options.add(parser)
    parser.add_argument("--store", metavar="DIR", help="where spans are stored")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Have the process install autoscope; it does so at its next safe moment."""
    from autoscope.export import DEFAULT_STORE

    remote_exec = getattr(sys, "remote_exec", None)
    if remote_exec is None:
        raise AutoscopeError(
            f"attach {arguments.pid}: Python {sys.version_info[0]}.{sys.version_info[1]} has no safe way into a running process (3.14 has): start it "
            "with `autoscope run`, or call autoscope.install() in it, from a console or a debugger"
        )
    plan = plan_options.resolve(arguments)
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    store = os.path.abspath(arguments.store or DEFAULT_STORE)
    # In the process's own words; it stays there until it was read.
    handle, path = tempfile.mkstemp(prefix="autoscope-attach-", suffix=".py")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(
            f"import os, sys\nos.unlink({path!r})\n"
            f"try:\n    import autoscope\nexcept ImportError:\n    sys.path.append({here!r})\n    import autoscope\n"
            f"from autoscope.plan.model import Plan\nimport json\n"
            f"autoscope.install(Plan.from_dict(json.loads({plan.to_json()!r})), store={store!r})\n"
        )
    try:
        remote_exec(arguments.pid, path)
    except (OSError, RuntimeError) as error:
        os.unlink(path)
        raise AutoscopeError(f"attach {arguments.pid}: {error}") from None
    print(f"process {arguments.pid} is traced from its next instruction in Python on; see `autoscope ps`")
    return 0
