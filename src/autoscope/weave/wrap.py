"""Callables without Python code (C functions, extension types' methods): a wrapper on the attribute, by `wrapt`.

Only those a plan names exactly. `wrapt` is an optional dependency, imported when the first one is wrapped.
"""

from __future__ import annotations

from types import FunctionType, ModuleType

from autoscope.errors import notice
from autoscope.ours import keep_builtins
from autoscope.runtime import calls, sites
from autoscope.weave import weaver
from autoscope.weave.weaver import Weaver

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

_GLOB = frozenset("*?[")
wrapped: list[tuple[Any, str, Any]] = []
"""(owner, attribute, original) of everything wrapped, for giving back."""


def wrap_named(weave: Weaver, module: ModuleType) -> int:
    """Wrap the C callables of `module` that the plan names exactly; returns how many."""
    entry = weave.plan.modules.get(module.__name__)
    if entry is None:
        return 0
    count = 0
    for qualname in entry.functions:
        if _GLOB.isdisjoint(qualname):
            count += _wrap(weave, module, qualname)
    return count


def _wrap(weave: Weaver, module: ModuleType, qualname: str) -> bool:
    *path, last = qualname.split(".")
    owner: Any = module
    for part in path:
        owner = getattr(owner, part, None)
    original = getattr(owner, last, None)
    name = f"{module.__name__}.{qualname}"
    if original is None or not callable(original) or isinstance(original, (FunctionType, type)):
        return False
    if getattr(original, "__wrapped__", None) is not None or hasattr(original, "__code__"):
        return False
    rule = weave.plan.rule_for(module.__name__, qualname)
    if rule.level == "off":
        return False
    try:
        import wrapt
    except ImportError:
        notice("wrapt-missing", f"{name} has no Python code and is not traced: pip install 'autoscope[wrapt]'")
        weaver.left_alone.append((module.__name__, qualname, "no Python code, and wrapt is not installed"))
        return False
    site = sites.new_site(
        module=module.__name__,
        qualname=qualname,
        file=getattr(module, "__file__", None) or "",
        line=0,
        kind="builtin",
        path="wrapt",
        parameters=(),
    )
    weaver.describe(site, rule)
    try:
        setattr(owner, last, wrapt.FunctionWrapper(original, _around(site)))
    except (AttributeError, TypeError) as error:
        sites.sites.pop()
        weaver.left_alone.append((module.__name__, qualname, f"cannot be replaced: {error}"))
        return False
    wrapped.append((owner, last, original))
    sites.arm(site)
    return True


def _around(site: sites.Site) -> Any:
    def call(original: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not site.armed:
            return original(*args, **kwargs)
        record = calls.begin(site, ())
        if record is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            calls.fail_call(record, error)
            raise
        calls.leave(record, result)
        return result

    return call


def give_back() -> None:
    """Put every original callable back."""
    while wrapped:
        owner, name, original = wrapped.pop()
        setattr(owner, name, original)
