"""Real test sessions: pytest in a process of its own over a small project, and what it left in the store."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from autoscope.read.runs import Run, Span, open_run

HAS_ENTRY_POINT = any(
    point.group == "pytest11" and point.name == "autoscope" for one in distributions() for point in one.entry_points
)
"""Whether the autoscope that is installed has the plugin; in a checkout that was installed before it had, it is named."""
PLUGIN = () if HAS_ENTRY_POINT else ("-p", "autoscope.pytest_plugin")
SRC = str(Path(__file__).resolve().parents[2] / "src")


@dataclass
class Session:
    """One run of pytest."""

    code: int
    out: str
    err: str
    place: Path

    @property
    def outcomes(self) -> str:
        """`2 failed, 1 passed`."""
        return re.search(r"=* ?(.*) in [\d.]+s", self.out.rstrip().splitlines()[-1]).group(1)

    def failures(self) -> str:
        """What is told of failed tests, without what differs from one run to the next."""
        told = re.search(r"^=+ FAILURES =+$(.*?)^=+ (?:slowest|short)", self.out, re.MULTILINE | re.DOTALL)
        return re.sub(r"0x[0-9a-f]+", "0x", told.group(1)) if told else ""

    def run(self) -> Run:
        return open_run(str(self.place / ".autoscope"))

    def spans(self) -> Spans:
        return Spans(self.run())


class Spans:
    """The spans of a run, as trees."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.all = sorted(run.spans(), key=lambda span: (span.start_ns, span.span_id))
        self.ids = {span.span_id: span for span in self.all}
        assert len(self.ids) == len(self.all)

    def tests(self) -> dict[str, Span]:
        """Node id -> span; of several attempts the last."""
        return {span.attributes["test.case.name"]: span for span in self.all if "test.case.name" in span.attributes}

    def above(self, span: Span) -> list[str]:
        """Names from the root down to the span itself."""
        names = [span.name]
        while (parent := self.ids.get(span.parent_id)) is not None:
            span = parent
            names.insert(0, span.name)
        return names

    def below(self, span: Span) -> list[Span]:
        return [one for one in self.all if one.parent_id == span.span_id]

    def tree(self, span: Span) -> list[object]:
        """`[name, [child, …], …]`; names alone where nothing is below."""
        below = [self.tree(one) for one in self.below(span)]
        return [span.name, *below] if below else span.name

    def ways(self) -> set[str]:
        """`root > … > name` of every span."""
        return {" > ".join(self.above(span)) for span in self.all}


def write(place: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


def session(
    place: Path, *arguments: str, command: tuple[str, ...] = (), autoload: bool = False, **environ: str
) -> Session:
    """Run pytest over the project in `place`. Other plugins are only those the project names, unless `autoload`."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AUTOSCOPE_", "OTEL_", "PYTEST_"))
    }
    environment |= {"AUTOSCOPE_STRICT": "1", "PYTHONPATH": SRC, "PYTHONDONTWRITEBYTECODE": "1"}
    plugins: tuple[str, ...] = PLUGIN
    if not autoload:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        plugins = ("-p", "autoscope") if HAS_ENTRY_POINT else PLUGIN
    environment |= environ
    start = command or (sys.executable,)
    done = subprocess.run(
        [*start, "-m", "pytest", *plugins, "-p", "no:cacheprovider", *arguments],
        cwd=place,
        env={name: value for name, value in environment.items() if value},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return Session(done.returncode, done.stdout, done.stderr, place)


SHOP = {
    "src/shop/__init__.py": "",
    "src/shop/db.py": """\
def query(sku):
    total = 0
    for letter in sku:
        total += len(letter)
    return total
""",
    "src/shop/cart.py": """\
from shop.db import query


class Cart:
    def __init__(self):
        self.items = {}

    def add(self, sku, quantity=1, password=None):
        if quantity < 0:
            return self.refuse(sku, quantity)
        self.items[sku] = query(sku) * quantity
        return self.items[sku]

    def refuse(self, sku, quantity):
        for _ in range(1):
            raise ValueError(f"not {quantity} of {sku}")


def prepared():
    return [query("module")]


prepared()
""",
    "pytest.ini": "[pytest]\npythonpath = src\nfilterwarnings = error\n",
}
"""An application, as every suite here tests it."""
