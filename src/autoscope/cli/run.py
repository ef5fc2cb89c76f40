"""`autoscope run`: plan, prepare a run in the local store, and become the program.

This process replaces itself (`execve`) by a plain `python app.py` with the environment set, so the program has the
process id, the signals, the standard streams and the exit code it would have had: there is nobody in between.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from autoscope.cli import plan_options
from autoscope.errors import AutoscopeError, notice


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run a program traced",
        usage="autoscope run [options] [--] SCRIPT | -m MODULE [args]",
        description="Run a program traced; exit code, signals and standard streams are the program's.",
    )
    plan_options.add(parser)
    parser.add_argument("--store", metavar="DIR", help="the local store (default .autoscope/)")
    parser.add_argument("--no-store", action="store_true", help="write nothing to disk")
    parser.add_argument("--otlp", metavar="URL", help="send spans to this OTLP endpoint")
    parser.add_argument("--quiet", action="store_true", help="no summary at the end")
    parser.add_argument("-m", dest="program", metavar="MODULE", help="run a module, as python -m does")
    parser.set_defaults(command=run, program=[])
    parse_ours = parser.parse_known_args

    def parse_known_args(  # type: ignore[no-untyped-def]
        args=None, namespace=None
    ):
        ours, program = split(parser, list(args or ()))
        known, unknown = parse_ours(ours, namespace)
        known.program = program
        return known, unknown

    parser.parse_known_args = parse_known_args  # type: ignore[method-assign]


def split(parser: argparse.ArgumentParser, words: list[str]) -> tuple[list[str], list[str]]:
    """Our options, and what comes behind `python`: argparse would take a `--` or an option out of the program's own."""
    takes_value = {
        name: action.nargs is None for action in parser._actions for name in action.option_strings if name != "-m"
    }
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return words[:at], words[at + 1 :]
        if word.startswith("-m"):
            return words[:at], ["-m", *([word[2:]] if word[2:] else []), *words[at + 1 :]]
        if not word.startswith("-") or word == "-":
            return words[:at], words[at:]
        name, equals, _ = word.partition("=")
        meant = [name] if name in takes_value else [option for option in takes_value if option.startswith(name)]
        at += 2 if not equals and len(meant) == 1 and takes_value[meant[0]] else 1
    return words, []


def interpreter_flags() -> list[str]:
    """The options this interpreter was started with, word for word, for the program's own."""
    flags: list[str] = []
    words = iter(sys.orig_argv[1:])
    for word in words:
        if word.startswith("--check-hash-based-pycs"):
            flags.append(word)
            if "=" not in word:
                flags.append(next(words, ""))
            continue
        if not word.startswith("-") or word in ("-", "--"):
            return flags
        for place, letter in enumerate(word[1:], 1):
            if letter in "cm":  # from here on the words are ours, not the interpreter's
                return [*flags, word[:place]] if place > 1 else flags
            if letter in "WX":
                flags.append(word)
                if place == len(word) - 1:
                    flags.append(next(words, ""))
                break
        else:
            flags.append(word)
    return flags


def run(arguments: argparse.Namespace) -> int:
    command = _program(arguments)
    if arguments.store and arguments.no_store:
        raise AutoscopeError("--store and --no-store were both given: choose one")
    ignored = [name for name, on in (("-I", sys.flags.isolated), ("-E", sys.flags.ignore_environment),
                                     ("-S", sys.flags.no_site)) if on]  # fmt: skip
    if ignored:
        raise AutoscopeError(
            f"python {ignored[0]} ignores the environment that carries the plan: start without {ignored[0]}"
        )
    plan = plan_options.resolve(arguments)
    environment = dict(os.environ)
    if environment.get("AUTOSCOPE_DISABLED", "0") in ("", "0"):
        _prepare(environment, arguments, plan, command)
    python = sys.executable
    argv = [python, *interpreter_flags(), *command]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed before we were started
            stream.flush()
    if os.name == "nt":
        return subprocess.call(argv, env=environment)
    os.execve(python, argv, environment)
    raise AssertionError("execve came back")


def _program(arguments: argparse.Namespace) -> list[str]:
    """What comes behind `python`: the script or `-m` and the module, with their arguments."""
    program: list[str] = arguments.program
    if not program:
        raise AutoscopeError("nothing to run: autoscope run [options] SCRIPT | -m MODULE [args]")
    if program[0] == "-m":
        if len(program) == 1:
            raise AutoscopeError("-m needs the name of a module: autoscope run -m MODULE [args]")
    elif not os.path.exists(program[0]):
        raise AutoscopeError(f"cannot run {program[0]}: no such file; for a module write: autoscope run -m MODULE")
    return program


def _prepare(environment: dict[str, str], arguments: argparse.Namespace, plan: object, command: list[str]) -> None:
    """Put into the environment what the program's process needs to know."""
    from autoscope.bootstrap import describe_run
    from autoscope.cli.env import site_directory
    from autoscope.export import DEFAULT_STORE
    from autoscope.export.runs import absolute, create_run, prune
    from autoscope.export.settings import Settings
    from autoscope.plan.model import Plan

    assert isinstance(plan, Plan)
    store = "" if arguments.no_store else arguments.store or environment.get("AUTOSCOPE_STORE")
    otlp = arguments.otlp
    if otlp:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = otlp
        environment.pop("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None)
    wanted = store is None and not Settings.from_environ(environment).otlp_wanted
    text = plan.to_json()
    file = ""
    environment["AUTOSCOPE_STORE"] = ""
    if store or wanted:
        directory = absolute(store or DEFAULT_STORE)
        info = describe_run(plan)
        info["argv"] = command
        try:
            run_id = create_run(directory, info)
        except AutoscopeError as error:
            notice("store-unusable", f"{error}; the program runs traced, nothing is stored")
        else:
            prune(directory, current=run_id)
            environment["AUTOSCOPE_RUN_ID"] = run_id
            environment["AUTOSCOPE_STORE"] = directory
            file = os.path.join(directory, "runs", run_id, "plan.json")
    try:
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError:
        # Nowhere of ours to put it: the variable holds the plan itself, so that nothing need be cleared away.
        file = text
    environment["AUTOSCOPE_PLAN"] = file
    # Where the plan's file is read again because it was changed, these still win over it.
    given = {
        "STRATEGY": arguments.strategy,
        "INCLUDE": ",".join(arguments.include),
        "EXCLUDE": ",".join(arguments.exclude),
        "RATE": arguments.rate,
        "BUDGET": arguments.budget,
    }
    for name, value in given.items():
        if value:
            environment[f"AUTOSCOPE_{name}"] = str(value)
    environment["AUTOSCOPE_PREFIX"] = sys.prefix
    if not arguments.quiet:
        environment["AUTOSCOPE_SUMMARY"] = str(os.getpid())
    path = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = site_directory() + (os.pathsep + path if path else "")
