"""The house: who may import whom, and what importing us loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import autoscope

ROOT = Path(autoscope.__file__).parent
ALLOWED = {
    # room: rooms it may import from when imported, and rooms it may ask inside a function
    "__init__": ({"errors"}, {"bootstrap", "plan", "runtime"}),
    "__main__": ({"cli"}, set()),
    "errors": (set(), set()),
    "ours": (set(), set()),
    "tuples": (set(), set()),
    "git": ({"errors"}, set()),
    "verdicts": (set(), set()),
    "bootstrap": ({"errors", "runtime", "weave"}, {"__init__", "control", "export", "plan", "read"}),
    "control": ({"control", "errors", "runtime", "weave"}, {"plan", "runtime", "weave"}),
    "plan": ({"errors", "git", "plan", "verdicts"}, {"errors", "plan", "__init__"}),
    "weave": ({"__init__", "errors", "runtime", "weave"}, {"errors", "runtime", "weave"}),
    "runtime": ({"errors", "runtime"}, {"errors", "runtime"}),
    "export": ({"__init__", "errors", "export", "runtime"}, {"__init__", "errors", "export", "runtime"}),
    "read": (
        {"__init__", "errors", "git", "read", "export.runs", "verdicts"},
        {"errors", "read", "export.runs", "runtime.spans"},
    ),
    "pytest_plugin": (set(), {"testing"}),
    "testing": (
        {"errors", "bootstrap", "plan.model", "read", "runtime", "testing", "verdicts", "weave"},
        {"cli.env", "errors", "export", "plan", "runtime", "testing"},
    ),
    "cli": (
        {"__init__", "errors", "cli", "read", "weave"},
        {"__init__", "errors", "cli", "control", "plan", "read", "weave", "export", "bootstrap", "verdicts"},
    ),
}
"""`ours` and `tuples` are known to all. plan -> (file) -> weave -> runtime -> export -> (file) -> read: each room knows those it hands over to, none behind it.

`weave` is given the plan as a value. `bootstrap` asks `plan` when it must read YAML, `export` when there is something to
send, and `read` for the summary at the end of `autoscope run`. `testing` is at home in one program, pytest, and only while that is traced: it begins
and ends everything there, as `cli` and `bootstrap` do elsewhere, records spans of its own, and reads the store for its last section.
"""


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports(file: Path) -> list[tuple[str, bool, int]]:
    """(module, whether at the top, line) of every import of ours; those for types only do not count."""
    found: list[tuple[str, bool, int]] = []

    def visit(node: ast.AST, top: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.extend(
                (alias.name, top, node.lineno) for alias in node.names if alias.name.split(".")[0] == "autoscope"
            )
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "autoscope":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_module = (ROOT / Path(*name.split(".")[1:])).with_suffix(".py").exists()
                is_room = (ROOT / Path(*name.split(".")[1:])).is_dir()
                found.append((name if is_module or is_room else node.module, top, node.lineno))
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for child in ast.iter_child_nodes(node):
            visit(child, top and not inside)

    visit(ast.parse(file.read_text()), True)
    return found


FILES = sorted(path for path in ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_rooms_import_only_what_they_may(file):
    """The table above holds for every module."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    room = parts[0]
    at_top, inside = ALLOWED[room]
    for module, top, line in imports(file):
        target = room_of(module)
        names = {target, ".".join(module.split(".")[1:3])}
        allowed = {"ours", "tuples"} | (at_top if top else at_top | inside)
        assert names & allowed, f"{file.name}:{line}: {room} may not import {module}{' at its top' if top else ''}"


IN_PROGRAMS = ("__init__", "bootstrap", "errors", "pytest_plugin", "control", "export", "runtime", "testing", "weave")


@pytest.mark.parametrize("room", IN_PROGRAMS)
def test_functions_that_run_in_programs_keep_their_builtins(room):
    """Said before the module's first function; see `ours`."""
    files = list((ROOT / room).rglob("*.py")) or [ROOT / f"{room}.py"]
    for file in files:
        lines = file.read_text("utf-8").splitlines()
        definitions = [number for number, line in enumerate(lines) if line.startswith(("def ", "async def ", "class "))]
        assert not definitions or "keep_builtins(globals())" in lines[: definitions[0]], file.name


ROOMS_OF_PLAN = {
    "analysis": {"plan.analysis"},
    "link": {"plan.analysis", "plan.catalogue", "plan.facts", "plan.link"},
}
"""What sees one file alone knows nothing of others, and what links them nothing of what is made of the facts."""


@pytest.mark.parametrize("room", ROOMS_OF_PLAN)
def test_the_planners_rooms_import_only_what_they_may(room):
    """The table above holds for every module in them."""
    files = sorted((ROOT / "plan" / room).glob("*.py"))
    assert len(files) > 5
    for file in files:
        for module, _, line in imports(file):
            target = ".".join(module.split(".")[1:3])
            assert target in ROOMS_OF_PLAN[room], f"{file.name}:{line}: {room} may not import {module}"


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


HEAVY = ("yaml", "rich", "argparse", "autoscope.cli", "autoscope.plan.load", "opentelemetry", "wrapt", "sqlite3", "grpc",
         "asyncio", "logging", "inspect", "dis", "http.client", "json")  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    ["import autoscope", "import autoscope.bootstrap", "import autoscope.runtime.drain, autoscope.runtime.capture"],
)
def test_a_running_program_loads_little(statement):
    """Neither the front door nor the runtime loads YAML, the command line, the planner or OpenTelemetry."""
    loaded = loaded_by(statement)
    assert "autoscope" in loaded
    heavy = {name for name in loaded if name.startswith(HEAVY)}
    assert set() == heavy


def test_the_test_above_can_fail():
    """What plan time loads is seen by `loaded_by`."""
    assert "yaml" in loaded_by("import autoscope.plan.load")


def test_every_notice_is_in_the_messages():
    """`docs/messages.md` has the slug of every notice the code gives, and no other."""
    # `sitecustomize` says one by itself: it is what remains when nothing of ours can be imported.
    given = set(re.findall(r"\(([a-z-]+)\)\\n", (ROOT.parents[1] / "sitecustomize.py").read_text()))
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "notice":
                assert isinstance(node.args[0], ast.Constant), f"{file}:{node.lineno}: the slug is not a literal"
                given.add(node.args[0].value)
    text = (ROOT.parents[1] / "docs/messages.md").read_text()
    documented = set(re.findall(r"^\| `([a-z-]+)`", text, re.MULTILINE))
    assert given == documented
