"""`@autoscope.trace` and `@autoscope.never` in a running program: what the author of a function wrote on it.

The mark stays on the function as `__autoscope__`, for whoever weaves it later. What a plan says of the function by name wins.
"""

from __future__ import annotations

from types import FunctionType

from autoscope.ours import keep_builtins
from autoscope.runtime import sites
from autoscope.weave import weaver
from autoscope.weave.weaver import Weaver

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from types import CodeType


def apply(weave: Weaver, function: FunctionType, twins: dict[int, tuple[CodeType, CodeType]]) -> None:
    """Have a function that was marked just now woven, or given its author's code back."""
    module = function.__globals__.get("__name__")
    if type(module) is not str:
        return
    code = function.__code__
    site = sites.site_of(code)
    if function.__dict__.get(weaver.MARK) == "trace":
        if site is None:
            weave.function(function, module, twins)
        return
    if site is None or weave.plan.rule_for(module, site.qualname).named:
        return
    sites.disarm(site)
    if site in sites.sites:
        sites.sites.remove(site)
        weaver.left_alone.append((module, site.qualname, weaver.MARKED_NEVER))
    if site.path == "bytecode":
        from autoscope.weave.restore import author_code

        function.__code__ = author_code(code)
