"""`autoscope doctor`: what is installed, whether the hook is active or bypassed, which exporters answer, what to do."""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from autoscope import __version__
from autoscope.errors import AutoscopeError

OPTIONAL = ("pyyaml", "rich", "wrapt", "grpcio", "opentelemetry-api", "opentelemetry-sdk")
PROBE = r"""
import json, sys
from autoscope import bootstrap
running = bootstrap.running
first = type(sys.meta_path[0]).__name__ if sys.meta_path else ""
print(json.dumps({
    "active": running is not None,
    "first": running is not None and sys.meta_path[0] is running.finder,
    "finders": [getattr(f, "__name__", type(f).__module__ + "." + type(f).__qualname__) for f in sys.meta_path],
    "before": sorted(running.early) if running is not None else [],
}))
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="what is installed, active, bypassed, and what to do",
        description="Check this environment: packages, the import hook in a fresh interpreter, the exporters, the store.",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    findings = examine()
    if arguments.format == "json":
        print(json.dumps(findings, indent=2))
    else:
        for finding in findings:
            mark = {"ok": "ok  ", "note": "note", "bad": "BAD "}[finding["state"]]
            print(f"{mark}  {finding['what']}" + (f": {finding['do']}" if finding["do"] else ""))
    return 1 if any(finding["state"] == "bad" for finding in findings) else 0


def examine() -> list[dict[str, str]]:
    """Everything looked at, as {what, state: ok|note|bad, do}."""
    found: list[dict[str, str]] = []

    def say(state: str, what: str, do: str = "") -> None:
        found.append({"state": state, "what": what, "do": do})

    say("ok", f"autoscope {__version__} on {sys.implementation.name} {sys.version.split()[0]} ({sys.prefix})")
    _packages(say)
    _hook(say)
    _exporters(say)
    _store(say)
    return found


def _packages(say: Any) -> None:
    from autoscope.weave.weaver import BYTECODE

    how = "bytecode" if BYTECODE else "source (this interpreter's bytecode is not known)"
    say("ok", f"functions are woven by {how}")
    for name in OPTIONAL:
        try:
            say("ok", f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            needed = name in ("pyyaml", "rich")
            say(
                "bad" if needed else "note", f"{name} is not installed", f"pip install {name}" if needed else "optional"
            )


def _hook(say: Any) -> None:
    environ = os.environ
    if environ.get("AUTOSCOPE_DISABLED", "0") not in ("", "0"):
        say("note", "AUTOSCOPE_DISABLED is set: nothing happens at all", "unset it to trace")
        return
    wanted = [name for name in ("PLAN", "STRATEGY", "INCLUDE") if environ.get("AUTOSCOPE_" + name)]
    if not wanted:
        say("note", "the environment does not turn autoscope on", 'eval "$(autoscope env)", or use autoscope run')
    else:
        say("ok", "the environment asks for it: " + ", ".join("AUTOSCOPE_" + name for name in wanted))
    from autoscope.cli.env import site_directory

    try:
        ours = site_directory()
    except AutoscopeError as error:
        say("bad", str(error), "install again")
        return
    child = dict(environ)
    path = child.get("PYTHONPATH", "")
    if wanted and ours not in path.split(os.pathsep):
        say("bad", f"{ours} is not on PYTHONPATH, so no process is traced", 'eval "$(autoscope env)"')
    child["PYTHONPATH"] = os.pathsep.join(entry for entry in (ours, path) if entry)
    if not wanted:
        child["AUTOSCOPE_STRATEGY"] = "minimal"
    child["AUTOSCOPE_STORE"] = ""
    result = subprocess.run([sys.executable, "-c", PROBE], env=child, capture_output=True, text=True, check=False)
    for line in result.stderr.splitlines():
        say("bad" if line.startswith("autoscope:") else "note", f"a fresh interpreter says: {line}")
    try:
        probe = json.loads(result.stdout)
    except ValueError:
        say("bad", "a fresh interpreter did not start", "read the lines above")
        return
    if not probe["active"]:
        say(
            "bad",
            "the hook is not active in a fresh interpreter",
            "read the lines above; is autoscope installed there?",
        )
    elif not probe["first"]:
        say(
            "bad",
            "the hook is bypassed: " + probe["finders"][0] + " stands before it",
            "import that hook before autoscope",
        )
    else:
        say("ok", "the import hook is active and first: " + ", ".join(probe["finders"]))
    if probe["before"]:
        say("note", "imported before the hook and woven in place: " + ", ".join(probe["before"]))


def _exporters(say: Any) -> None:
    from autoscope.export.settings import Settings

    settings = Settings.from_environ(os.environ)
    if settings.disabled:
        say("note", "OTEL_SDK_DISABLED is true: nothing is traced or sent")
    if not settings.otlp_wanted:
        say("ok", "no OTLP endpoint: runs go to the local store")
        return
    try:
        url = urlsplit(settings.traces.url if "//" in settings.traces.url else "//" + settings.traces.url)
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError as error:
        say("bad", f"the OTLP endpoint {settings.traces.url} is no URL ({error})", "set OTEL_EXPORTER_OTLP_ENDPOINT")
        return
    try:
        with socket.create_connection((url.hostname or "localhost", port), timeout=2):
            pass
        say("ok", f"the OTLP endpoint {url.hostname}:{port} ({settings.traces.protocol}) accepts connections")
    except OSError as error:
        say(
            "bad",
            f"the OTLP endpoint {url.hostname}:{port} does not answer ({error})",
            "start it, or unset OTEL_EXPORTER_OTLP_ENDPOINT",
        )
    if settings.traces.protocol == "grpc":
        try:
            metadata.version("grpcio")
        except metadata.PackageNotFoundError:
            say("bad", "OTLP over gRPC needs grpcio", "pip install 'autoscope[grpc]'")


def _store(say: Any) -> None:
    from autoscope.export import DEFAULT_STORE

    directory = os.path.abspath(os.environ.get("AUTOSCOPE_STORE") or DEFAULT_STORE)
    place = directory
    while not os.path.exists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        say("bad", f"the store {directory} cannot be made: {place} is not a directory", "set AUTOSCOPE_STORE")
    elif not os.access(place, os.W_OK):
        say("bad", f"the store {directory} cannot be written", "set AUTOSCOPE_STORE")
    else:
        say("ok", f"the local store {directory} can be written")
