"""typeguard and beartype by their import hooks, before us and behind us, and by decorator: they check as they did."""

from __future__ import annotations

import pytest
from interplay_kit import same

CHECKED = """
from typing import Iterator
def double(n: int) -> int:
    local: int = n
    return local * 2
def lies(n: int) -> str:
    return n + len("x")
def steps(n: int) -> Iterator[int]:
    for i in range(n):
        yield i if n < 5 else str(i)
async def later(n: int) -> int:
    return double(n)
class Cart:
    def add(self, sku: str, quantity: int = 1) -> "Cart":
        self.last = sku, quantity
        return self
    @classmethod
    def make(cls, *skus: str) -> "Cart":
        return cls().add(*skus[:1])
    @property
    def size(self) -> int:
        return str(len(self.last))
"""
CALLS = """
def look(call):
    try: return call()
    except Exception as error: return type(error).__name__, str(error).partition("parameter")[0][:60], len(traceback.extract_tb(error.__traceback__)) > 1
for call in (lambda: double(2), lambda: double("x"), lambda: lies(1), lambda: list(steps(2)), lambda: list(steps(6)), lambda: later(2).send(None),
             lambda: Cart().add("x").last, lambda: Cart().add(1), lambda: Cart.make("x").last, lambda: Cart.make(1), lambda: Cart().add("x").size):
    try: print(look(call))
    except StopIteration as stop: print(stop.value)
import inspect
print([(n, str(inspect.signature(f)), f.__annotations__) for n, f in sorted(vars(checked).items()) if inspect.isfunction(f)])
"""


WOVEN = """
import inspect, sys, time
for _ in range(200):
    if "autoscope" not in sys.modules or "@armed" in inspect.unwrap(checked.lies).__code__.co_names: break
    time.sleep(0.1)
"""


@pytest.mark.parametrize("library", ["typeguard", "beartype"])
def test_by_import_hook(library, tmp_path):
    """Installed by the program, once we are at work; and before us, where the program turns us on itself."""
    pytest.importorskip(library)
    hook = {
        "typeguard": "import typeguard\ntypeguard.install_import_hook(['checked'])\n",
        "beartype": "import beartype.claw\nbeartype.claw.beartype_packages(('checked',))\n",
    }[library]
    files = {
        "checked.py": CHECKED,
        "app.py": f"import traceback\nimport contextlib\n{hook}import checked\nfrom checked import *\n{CALLS}",
    }
    recorded = ("checked.lies", "checked.steps", "checked.Cart.add", "checked.Cart.make")
    env = {"PYTHONDONTWRITEBYTECODE": "1"}
    # Their hook may be in front of ours for the first module: it is woven in place within a second, and told of.
    files["app.py"] = (
        files["app.py"]
        .replace("import contextlib\n", "def work(): return len('x')\nwork()\n")
        .replace(CALLS, WOVEN + CALLS)
    )
    same(
        tmp_path,
        files,
        recorded=recorded,
        env=env,
        traced={"AUTOSCOPE_SILENCE": "late-module"},
        strategies=("full_trace",),
    )
    files["app.py"] = f"""
import os, traceback
{hook}
if os.environ.get("STORE"):
    import autoscope
    autoscope.install(include=["checked"], strategy="full_trace", store=os.environ["STORE"])
import checked
from checked import *
{CALLS}"""
    store = str(tmp_path / "behind" / "full_trace" / "store")
    traced = {"STORE": store, "AUTOSCOPE_STRATEGY": "", "AUTOSCOPE_STORE": ""}
    same(tmp_path / "behind", files, recorded=recorded, env=env, traced=traced, strategies=("full_trace",))


def test_by_decorator(tmp_path):
    """beartype calls the author's function, which is traced; typeguard makes one of its own out of the source, which is not."""
    pytest.importorskip("typeguard")
    pytest.importorskip("beartype")
    source = CHECKED
    for name in ("def double", "def lies", "def steps", "async def later", "class Cart"):
        source = source.replace("\n" + name, "\n@check\n" + name)
    for check in ("from beartype import beartype as check", "from typeguard import typechecked as check"):
        folder = tmp_path / check.split()[1]
        files = {
            "checked.py": check + "\n" + source,
            "app.py": f"import traceback\nimport checked\nfrom checked import *\n{CALLS}",
        }
        recorded = ("checked.lies", "checked.Cart.add", "checked.steps") if "beartype" in check else "look"
        ran = same(folder, files, recorded=recorded, strategies=("full_trace",))
        assert "Error" in ran.out or "Violation" in ran.out
