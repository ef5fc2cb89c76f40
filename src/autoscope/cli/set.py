"""`autoscope set TARGET KEY=VALUE...`: change functions of a running process."""

from __future__ import annotations

import argparse
from typing import Any

from autoscope.cli import live
from autoscope.errors import AutoscopeError

KEYS = ("rate", "level", "capture.args", "capture.return", "capture.exceptions", "capture.state", "for")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "set",
        help="change functions of a running process",
        description="Changes the functions a glob names, in a traced process and all its children, within a second: "
        "autoscope set 4711 'shop.cart.*' rate=1 level=full_trace for=60s. A change with `for` takes itself back. "
        f"Keys: {', '.join(KEYS)}. `autoscope set PID --revert` takes all changes back.",
    )
    live.add_processes(parser)
    parser.add_argument("words", metavar="TARGET KEY=VALUE", nargs="*")
    parser.add_argument("--revert", action="store_true", help="take all changes back")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Change them; 1 where no function has the name."""
    words: list[str] = arguments.words
    if arguments.pid is not None and not arguments.pid.isdigit():
        words, arguments.pid = [arguments.pid, *words], None  # the only process there is
    if arguments.revert:
        if words:
            raise AutoscopeError("set --revert takes all changes back: name no function")
        return live.tell(
            arguments, {"verb": "revert"}, lambda answer: f"{answer['pid']}: {answer['reverted']} changes taken back"
        )
    if not words or "=" in words[0]:
        raise AutoscopeError("set: name functions, as in `autoscope set 4711 'shop.cart.*' rate=1 for=60s`")
    request = {"verb": "set", "target": words[0], **parse(words[1:])}
    return live.tell(
        arguments,
        request,
        lambda answer: f"{answer['pid']}: {live.functions(answer['sites'])}",
        found=lambda answer: answer["sites"],
    )


def parse(words: list[str]) -> dict[str, Any]:
    """KEY=VALUE as the request has them. Raises AutoscopeError."""
    from autoscope.plan.schema import change_from
    from autoscope.plan.values import parse_duration

    given: dict[str, Any] = {}
    capture: dict[str, Any] = {}
    seconds: float | None = None
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS:
            raise AutoscopeError(f"set: {word}: not one of {', '.join(f'{known}=' for known in KEYS)}")
        if key == "for":
            seconds = parse_duration(value, "for") / 1e9
        elif key == "capture.args" and value.lower() not in ("true", "false", "yes", "no", "on", "off"):
            capture["args"] = [name for name in value.split(",") if name]
        elif key.startswith("capture."):
            flags = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
            capture[key[8:]] = value if key == "capture.state" else flags.get(value.lower(), value)
        else:
            given[key] = value
    if not given and not capture:
        raise AutoscopeError(f"set: nothing to change: {', '.join(f'{known}=' for known in KEYS[:-1])}")
    rule = change_from({**given, **({"capture": capture} if capture else {})}, "set")
    patch = rule.capture
    args = list(patch.args) if isinstance(patch.args, tuple) else patch.args
    return {
        "level": rule.level,
        "rate": rule.rate,
        "capture": [args, patch.returns, patch.exceptions, patch.state],
        "for": seconds,
    }
