"""Programs from PyPI, which nobody here wrote, plain and traced: is what they do the same, and what does it cost?

    python scripts/real_programs.py                         every program, under the interpreter that runs this
    python scripts/real_programs.py --python python3.12 black mypy
    python scripts/real_programs.py --venv DIR              keep the environment there, and use it again

Each program runs in a directory made anew with the same name, plain and with every function of its packages recorded;
standard output, what servers answer, standard error without our own lines, exit code and the files left behind are
compared. Prints a Markdown table, differences on standard error; exits 1 if anything differed.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PURE = ("black", "mypy")
"""Published compiled and as a wheel of Python files; only the latter can be woven."""
PACKAGES = (
    *("sqlglot", "django", "flask", "gunicorn", "fastapi", "uvicorn", "docutils", "pyyaml", "rich", "pytest"),
    "setuptools",
)
REQUESTS = ("/", "/hello/world", "/sum?a=2&b=40", "/stream", "/missing", "/error", "/work")
TIMEOUT = 600


@dataclass
class Program:
    """One row of the table."""

    name: str
    package: str
    """Whose version is shown."""
    include: str
    command: tuple[str, ...]
    """What comes behind `python`; `{port}` is filled in."""
    files: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path, Path], None] | None = None
    """Called with the venv's python and the directory."""
    stdin: Callable[[], bytes] | None = None
    stop: int = 0
    """A server: the signal that ends it."""
    by_environment: bool = False
    """Traced by the environment alone, not by `autoscope run`."""
    unordered: bool = False
    """Several processes write to standard error at once."""


@dataclass
class Outcome:
    """What one run of a program did."""

    seconds: float
    code: int
    out: str
    err: str
    ours: str
    answers: str
    files: dict[str, bytes]


FLASK = """
import os, time
from flask import Flask, request, Response, stream_with_context

app = Flask(__name__)

@app.route("/")
def index():
    return "hello"

@app.route("/hello/<name>")
def hello(name):
    return {"hello": name}

@app.route("/sum")
def add():
    return {"sum": int(request.args["a"]) + int(request.args["b"])}

@app.route("/stream")
def stream():
    def lines():
        for number in range(50):
            yield f"{number} {request.path}\\n"
    return Response(stream_with_context(lines()), mimetype="text/plain")

@app.route("/error")
def error():
    return 1 / 0

@app.route("/work")
def work():
    return {"work": sum(square(number) for number in range(2000))}

def square(number):
    return number * number
"""

FASTAPI = """
from contextlib import asynccontextmanager
import asyncio
from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

@asynccontextmanager
async def lifespan(app):
    print("up", flush=True)
    yield
    print("down", flush=True)

app = FastAPI(lifespan=lifespan)

async def session():
    yield "session"

@app.get("/", response_class=PlainTextResponse)
async def index():
    return "hello"

@app.get("/hello/{name}")
def hello(name: str, used: str = Depends(session)):
    return {"hello": name, "used": used}

@app.get("/sum")
async def add(a: int, b: int):
    await asyncio.sleep(0.001)
    return {"sum": a + b}

@app.get("/stream")
async def stream():
    async def lines():
        for number in range(50):
            await asyncio.sleep(0)
            yield f"{number}\\n"
    return StreamingResponse(lines(), media_type="text/plain")

@app.get("/error")
async def error():
    return 1 / 0

@app.get("/work")
def work():
    return {"work": sum(square(number) for number in range(2000))}

def square(number):
    return number * number
"""

QUERIES = r"""
import sqlglot
from sqlglot import exp, optimizer, parse_one

QUERIES = [
    "SELECT a, b, COUNT(*) AS n FROM t WHERE a > 1 AND b IN (1, 2, 3) GROUP BY a, b HAVING COUNT(*) > 2 ORDER BY n DESC",
    "WITH x AS (SELECT a FROM y), z AS (SELECT * FROM x) SELECT EPOCH_MS(1618088028295) AS t, z.a FROM z LIMIT 10",
    "SELECT CASE WHEN a IS NULL THEN 'none' ELSE CAST(a AS TEXT) END FROM t LEFT JOIN u ON t.id = u.id AND u.x <> 3",
    "INSERT INTO a (b, c) SELECT b, SUM(c) OVER (PARTITION BY b ORDER BY d ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM e",
    "CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR(20) NOT NULL DEFAULT 'x', at TIMESTAMP)",
    "UPDATE t SET a = a + 1, b = CONCAT(b, '!') WHERE c LIKE '%x%' AND EXISTS (SELECT 1 FROM u WHERE u.id = t.id)",
]
for query in QUERIES * 3:
    for write in ("duckdb", "mysql", "postgres", "snowflake", "spark", "bigquery"):
        for text in sqlglot.transpile(query, write=write, pretty=True):
            print(text)
tree = optimizer.optimize(parse_one(QUERIES[0]), schema={"t": {"a": "INT", "b": "INT"}})
print(tree.sql(pretty=True))
print(repr(tree.transform(lambda node: exp.column("q") if isinstance(node, exp.Column) else node)))
try:
    sqlglot.parse_one("SELECT foo( FROM bar")
except sqlglot.errors.ParseError as error:
    print(error.errors)
"""

YAML = """
import io, yaml

document = {f"key{n}": {"list": list(range(20)), "text": "a: b\\n" * 3, "deep": {"x": [None, True, 1.5]}} for n in range(40)}
text = yaml.dump(document, sort_keys=False)
print(text)
print(yaml.safe_load(text) == document, len(list(yaml.scan(text))))
try:
    yaml.safe_load("a: [1, 2\\nb: }")
except yaml.YAMLError as error:
    print(error)
"""

RICH = """
from rich.console import Console
from rich.markdown import Markdown
from rich.syntax import Syntax
from rich.table import Table
from rich.traceback import Traceback

console = Console(width=80, force_terminal=True, color_system="truecolor")
table = Table(title="squares")
table.add_column("n"); table.add_column("square", justify="right")
for n in range(30):
    table.add_row(str(n), f"[bold]{n * n}[/bold]")
console.print(table)
console.print(Markdown("# Title\\n\\n* one\\n* two\\n\\n> quoted `code`\\n\\n1. a\\n2. b\\n"))
console.print(Syntax("def f(x):\\n    return [y for y in x if y]\\n", "python", line_numbers=True))
console.print({"a": [1, 2, {"b": None}], "c": "x" * 100})
def fails(number):
    return number / 0
try:
    fails(3)
except ZeroDivisionError:
    console.print(Traceback(show_locals=True))
"""

TYPED = """
from __future__ import annotations
import asyncio, collections, dataclasses, enum, functools, pathlib, re
from typing import Generic, Iterator, Protocol, TypeVar, overload

T = TypeVar("T")

class Shape(Protocol):
    def area(self) -> float: ...

@dataclasses.dataclass(frozen=True)
class Square:
    side: float
    def area(self) -> float:
        return self.side ** 2

class Colour(enum.Enum):
    RED = 1

class Box(Generic[T]):
    def __init__(self, *items: T) -> None:
        self.items = collections.deque(items)
    def __iter__(self) -> Iterator[T]:
        yield from self.items

@functools.lru_cache(maxsize=None)
def total(*shapes: Shape) -> float:
    return sum(shape.area() for shape in shapes)

@overload
def pick(value: int) -> str: ...
@overload
def pick(value: str) -> int: ...
def pick(value: int | str) -> int | str:
    return value

async def main() -> int:
    await asyncio.sleep(0)
    reveal_type(pick(3))
    return total(Square(2.0))

wrong: int = Colour.RED
total(3)
Square(side="x").side = 4
re.compile(pathlib.Path("x"))
"""

PAGE = """
=====
Title
=====

:Author: nobody
:Version: 1

.. contents::

First
=====

Some *emphasis*, **strong**, ``literal``, a `link <https://example.org>`_ and a footnote [1]_.

.. [1] The footnote.

.. code:: python

   def f(x):
       return x

+-----+-----+
| a   | b   |
+=====+=====+
| 1   | 2   |
+-----+-----+

Second
======

.. math:: x^2 + y^2 = z^2

.. note:: a note with |sub|.

.. |sub| replace:: a substitution

Unknown :foo:`role` and an undefined reference_.

- a

  - b

Term
  Definition
"""

TESTS = """
import asyncio, warnings
import pytest
from shop import Cart, prices

@pytest.fixture
def cart():
    with Cart() as cart:
        yield cart

@pytest.mark.parametrize("count", range(20))
def test_total(cart, count):
    for _ in range(count):
        cart.add("tea", 3)
    assert cart.total() == 3 * count

def test_raises(cart):
    with pytest.raises(KeyError, match="milk"):
        cart.remove("milk")

def test_fails(cart):
    cart.add("tea", 3)
    assert cart.total() == 4, "on purpose"

def test_fails_below(cart):
    cart.remove("milk")

def test_warns(recwarn):
    from shop import old
    old()
    assert recwarn[0].filename == __file__

def test_warns_for_all():
    from shop import old
    old()

@pytest.mark.skip(reason="no")
def test_skipped(): ...

@pytest.mark.xfail(strict=True)
def test_expected():
    assert list(prices()) == [1]

def test_async(capsys):
    from shop import fetch
    print(asyncio.run(fetch(3)))
    assert capsys.readouterr().out == "9\\n"
"""

SHOP = """
import asyncio, warnings

class Cart:
    def __init__(self):
        self.items = {}
    def __enter__(self):
        return self
    def __exit__(self, *error):
        self.items.clear()
    def add(self, name, price):
        self.items.setdefault(name, []).append(price)
    def remove(self, name):
        del self.items[name]
    def total(self):
        assert isinstance(self.items, dict)
        return sum(sum(prices) for prices in self.items.values())

def prices():
    yield 1
    yield 2

def old():
    warnings.warn("old is old", DeprecationWarning, stacklevel=2)

async def fetch(number):
    await asyncio.sleep(0)
    return number * number
"""


def standard_file(name: str) -> Callable[[], bytes]:
    """A file of the standard library, with its spacing disturbed so that there is something to format."""

    def text() -> bytes:
        source = Path(os.__file__).with_name(name).read_bytes()
        return source.replace(b" = ", b"=").replace(b", ", b",").replace(b"'", b"'")

    return text


def new_django_project(python: Path, directory: Path) -> None:
    subprocess.run([python, "-m", "django", "startproject", "project", "."], cwd=directory, check=True)
    settings = directory / "project" / "settings.py"
    text = re.sub(r"SECRET_KEY = .*", "SECRET_KEY = 'short'", settings.read_text())
    settings.write_text(text)


def build_wheel(python: Path, directory: Path) -> None:
    """A wheel by hand: pip needs no build tool for it."""
    info = "sample-1.0.dist-info"
    with zipfile.ZipFile(directory / "sample-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in (
            ("sample.py", "answer = 42\n"),
            (f"{info}/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\nRequires-Dist: nothing-there\n"),
            (f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            (f"{info}/RECORD", f"sample.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"),
        ):
            wheel.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), text)


GUNICORN = ("-m", "gunicorn", "app:app", "--workers", "2", "--bind", "127.0.0.1:{port}", "--access-logfile", "-")
UVICORN = ("-m", "uvicorn", "app:app", "--port", "{port}")
DEFINITELY_FLASK = "app,flask,flask.*,werkzeug,werkzeug.*,gunicorn,gunicorn.*,jinja2,jinja2.*"
FASTAPI_TOO = "app,fastapi,fastapi.*,starlette,starlette.*,uvicorn,uvicorn.*"
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--durations=0", "--durations-min=60")

PROGRAMS = (
    Program("black, a file", "black", "black,black.*,blib2to3,blib2to3.*", ("-m", "black", "-"),
            stdin=standard_file("textwrap.py")),
    Program("black --check --diff", "black", "black,black.*,blib2to3,blib2to3.*",
            ("-m", "black", "--check", "--diff", "bad.py", "broken.py"),
            files={"bad.py": SHOP.replace(" = ", "="), "broken.py": "def f(:\n"}),
    Program("sqlglot", "sqlglot", "__main__,sqlglot,sqlglot.*", ("queries.py",), files={"queries.py": QUERIES}),
    Program("mypy", "mypy", "mypy,mypy.*", ("-m", "mypy", "--strict", "--cache-dir", "cache", "typed.py"),
            files={"typed.py": TYPED}),
    Program("django check", "django", "django,django.*,project,project.*,__main__", ("manage.py", "check", "--deploy"),
            prepare=new_django_project),
    Program("django migrate", "django", "django,django.*,project,project.*,__main__", ("manage.py", "migrate"),
            prepare=new_django_project),
    Program("pip install --dry-run", "pip", "pip,pip.*",
            ("-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", "--disable-pip-version-check",
             "sample-1.0-py3-none-any.whl"), prepare=build_wheel),
    Program("docutils", "docutils", "docutils,docutils.*", ("-m", "docutils", "page.rst", "page.html"),
            files={"page.rst": PAGE}),
    Program("pyyaml", "pyyaml", "__main__,yaml,yaml.*", ("script.py",), files={"script.py": YAML}),
    Program("rich", "rich", "__main__,rich,rich.*,markdown_it,markdown_it.*,pygments,pygments.*", ("script.py",),
            files={"script.py": RICH}),
    Program("flask, gunicorn -w 2", "gunicorn", DEFINITELY_FLASK, GUNICORN, files={"app.py": FLASK},
            stop=signal.SIGTERM, unordered=True),
    Program("fastapi, uvicorn, SIGINT", "uvicorn", FASTAPI_TOO, UVICORN, files={"app.py": FASTAPI}, stop=signal.SIGINT),
    Program("fastapi, uvicorn, SIGTERM", "uvicorn", FASTAPI_TOO, UVICORN, files={"app.py": FASTAPI},
            stop=signal.SIGTERM),
    Program("flask, gunicorn (environment)", "gunicorn", DEFINITELY_FLASK, GUNICORN, files={"app.py": FLASK},
            stop=signal.SIGTERM, unordered=True, by_environment=True),
    Program("fastapi, uvicorn --workers 2 (environment)", "uvicorn", FASTAPI_TOO, (*UVICORN, "--workers", "2"),
            files={"app.py": FASTAPI}, stop=signal.SIGTERM, unordered=True, by_environment=True),
    Program("pytest", "pytest", "shop,test_shop,_pytest,_pytest.*,pluggy,pluggy.*", PYTEST,
            files={"test_shop.py": TESTS, "shop.py": SHOP}),
    Program("pytest (environment)", "pytest", "shop,test_shop", PYTEST,
            files={"test_shop.py": TESTS, "shop.py": SHOP}, by_environment=True),
)  # fmt: skip


# The environment.


def make_environment(python: str, venv: Path) -> Path:
    """A virtual environment with autoscope from this checkout and the programs; its python."""
    inside = venv / "bin" / "python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", venv], check=True)
        wheels = venv / "pure"
        pip = [inside, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        any_platform = ("--platform", "any", "--implementation", "py", "--abi", "none", "--only-binary", ":all:")
        subprocess.run([*pip, "download", "--no-deps", *any_platform, "-d", wheels, *PURE], check=True)
        subprocess.run([*pip, "install", *sorted(wheels.glob("*.whl")), *PACKAGES, CHECKOUT], check=True)
    return inside


def versions(python: Path) -> dict[str, str]:
    listed = subprocess.run([python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"],
                            capture_output=True, check=True)  # fmt: skip
    return {entry["name"].lower(): entry["version"] for entry in json.loads(listed.stdout)}


# One run.


def plain_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AUTOSCOPE_", "OTEL_"))}
    return {**kept, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TERM": "dumb", "COLUMNS": "100"}


def run(program: Program, python: Path, directory: Path, port: int, store: Path | None) -> Outcome:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, text in program.files.items():
        (directory / name).write_text(text)
    if program.prepare is not None:
        program.prepare(python, directory)
    for path in directory.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    words = [word.format(port=port) for word in program.command]
    environment = plain_environment()
    if store is not None and program.by_environment:
        environment |= {"PYTHONPATH": str(CHECKOUT), "AUTOSCOPE_INCLUDE": program.include, "AUTOSCOPE_RATE": "1",
                        "AUTOSCOPE_STRATEGY": "full_trace", "AUTOSCOPE_STORE": str(store)}  # fmt: skip
    elif store is not None:
        words = ["-m", "autoscope", "run", "--quiet", "--store", str(store), "--include", program.include,
                 "--strategy", "full_trace", "--rate", "1", "--", *words]  # fmt: skip
    started = time.perf_counter()
    process = subprocess.Popen([python, *words], cwd=directory, env=environment, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    answers = ""
    try:
        if program.stop:
            answers = visit(port, process)
            process.send_signal(program.stop)
        out, err = process.communicate(program.stdin() if program.stdin else b"", timeout=TIMEOUT)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    seconds = time.perf_counter() - started
    lines = err.decode("utf-8", "replace").splitlines()
    ours = [line for line in lines if line.startswith("autoscope: ")]
    return Outcome(
        seconds, process.returncode, tidy(out.decode("utf-8", "replace"), program.unordered),
        tidy("\n".join(line for line in lines if line not in ours), program.unordered),
        "\n".join(ours), answers, left_behind(directory),
    )  # fmt: skip


def visit(port: int, process: subprocess.Popen[bytes]) -> str:
    """What the server answers; it is waited for first."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.02)
    # No proxy, whatever the environment says: this is the loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answers = []
    for path in REQUESTS * 10:
        try:
            with opener.open(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                answers.append((path, answer.status, headers(answer.headers), answer.read()))
        except urllib.error.HTTPError as error:
            answers.append((path, error.code, headers(error.headers), error.read()))
        except OSError as error:
            answers.append((path, 0, [], repr(error).encode()))
    return "\n".join(map(str, answers))


def headers(message: object) -> list[tuple[str, str]]:
    return [(name, value) for name, value in message.items() if name.lower() != "date"]  # type: ignore[attr-defined]


_CHANGING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[ ,.][-+\d]*", "<time>"),
    (r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [-+]\d{4}\]", "<time>"),
    (r"\d+\.\d+ ?s\b( \(\d+:\d+:\d+\))?", "<seconds>"),
    (r"\[\d+\]", "[<pid>]"),
    (r"(pid: |\()\d+\)?", r"\1<pid>"),
    (r"(127\.0\.0\.1):\d+", r"\1:<port>"),
    (r"0x[0-9a-f]{6,}", "<address>"),
    (r"^=+ (.*?) =+$", r"= \1 ="),
)
"""What differs between two plain runs as well."""


def tidy(text: str, unordered: bool) -> str:
    for pattern, instead in _CHANGING:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return "\n".join(sorted(text.splitlines())) if unordered else text


def left_behind(directory: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_file():
            # Databases and what carries times of its own: that they are there, and how large.
            opaque = path.suffix in (".db", ".sqlite3")
            found[name] = b"" if opaque else path.read_bytes()
    return found


# Comparing.


def differences(plain: Outcome, traced: Outcome) -> list[str]:
    found = []
    if plain.code != traced.code:
        found.append(f"exit code {plain.code}, traced {traced.code}")
    for what, before, after in (
        ("stdout", plain.out, traced.out),
        ("stderr", plain.err, traced.err),
        ("answers", plain.answers, traced.answers),
    ):
        if before != after:
            lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "plain", "traced", "", "", 1, "")
            found.append(what + ":\n" + "\n".join(line[:300] for line in list(lines)[:40]))
    names = sorted(plain.files.keys() | traced.files.keys())
    changed = [name for name in names if plain.files.get(name) != traced.files.get(name)]
    if changed:
        found.append(f"{len(changed)} files: {', '.join(changed[:8])}")
    return found


def report(python: Path, store: Path) -> dict[str, object]:
    words = [python, "-m", "autoscope", "report", "--store", store, "--format", "json"]
    done = subprocess.run(words, capture_output=True, env=plain_environment())
    if done.returncode not in (0, 1) or not done.stdout:
        print(done.stderr.decode(), file=sys.stderr)
        return {"spans": 0}
    found: dict[str, object] = json.loads(done.stdout)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def row(program: Program, python: Path, work: Path, rounds: int, version: str) -> bool:
    directory, store, port = work / "program", work / "store", free_port()
    run(program, python, directory, port, None)  # so that every .pyc is there
    before = run(program, python, directory, port, None)
    stable = not differences(before, run(program, python, directory, port, None))
    plain, traced = [], []
    found: list[str] = []
    ours: list[str] = []
    for _ in range(rounds):
        plain.append(run(program, python, directory, port, None))
        shutil.rmtree(store, ignore_errors=True)
        traced.append(run(program, python, directory, port, store))
        found += [text for text in differences(plain[-1], traced[-1]) if text not in found]
        ours += [line for line in traced[-1].ours.splitlines() if line not in ours]
    seen = report(python, store)
    slow, fast = (statistics.median(outcome.seconds for outcome in side) for side in (traced, plain))
    same = "yes" if not found else "**no**" if stable else "no, nor are two plain runs"
    codes = f"{plain[-1].code}, {traced[-1].code}"
    spans = f"{seen['spans']:,}" + (f" (+{seen['dropped']:,} dropped)" if seen.get("dropped") else "")
    processes = sum(seen.get("processes", {}).values())  # type: ignore[attr-defined]
    cells = [program.name, f"{program.package} {version}", same, codes, spans, str(processes), f"{fast:.2f}",
             f"{slow:.2f}", f"{slow / fast:.2f}"]  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)
    for text in found:
        print(f"-- {program.name}: {text}", file=sys.stderr, flush=True)
    for line in ours:
        print(f"-- {program.name} said: {line}", file=sys.stderr, flush=True)
    if not seen["spans"]:
        print(f"-- {program.name}: no spans", file=sys.stderr, flush=True)
    return bool(seen["spans"]) and (not found or not stable)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to make the environment with")
    parser.add_argument("--venv", type=Path, help="where the environment is made, or is already")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind; the median is shown")
    parser.add_argument("words", nargs="*", help="only programs whose name contains one of these")
    arguments = parser.parse_args()
    chosen = [
        program for program in PROGRAMS if not arguments.words or any(word in program.name for word in arguments.words)
    ]
    if not chosen:
        parser.error("no such program: " + ", ".join(program.name for program in PROGRAMS))
    with tempfile.TemporaryDirectory(prefix="real-programs-") as scratch:
        work = Path(scratch).resolve()
        venv = arguments.venv.absolute() if arguments.venv else work / "venv"
        python = make_environment(arguments.python, venv)
        installed = versions(python)
        asked = subprocess.run([python, "-V"], capture_output=True, text=True, check=True)
        print(f"{asked.stdout.strip()}, every function of these packages recorded, median of {arguments.rounds}\n")
        print("| program | version | same output? | exit codes | spans | processes | plain s | traced s | ratio |")
        print("|---|---|---|---|---:|---:|---:|---:|---:|", flush=True)
        fine = [row(program, python, work, arguments.rounds, installed.get(program.package, "")) for program in chosen]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
