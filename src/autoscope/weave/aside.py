"""For those who read a function's instructions, or follow every line: they see the author's.

numba compiles a function from its instructions, `torch.compile` traces them, Pony turns a lambda's into SQL, Hypothesis looks
for its source by them, cloudpickle and dill send them elsewhere. What we put there they would not understand, or show, or
send along. Each of them has one place where it begins; there it is handed what there would be without us.
"""

from __future__ import annotations

import functools
import os
import sys
from types import CodeType, FunctionType, MethodType, ModuleType

from autoscope.errors import OURS, from_a_signal
from autoscope.ours import keep_builtins
from autoscope.weave import weaver
from autoscope.weave.restore import author_code

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def give_back(thing: Any, reader: str) -> Any:
    """Unweave a function for good, whoever `reader` is needs it so; who else shares its code, as closures do, stays woven."""
    function = thing.__func__ if type(thing) is MethodType else thing
    if type(function) is FunctionType:
        code = author_code(function.__code__)
        if code is not function.__code__:
            function.__code__ = code
            left = (function.__module__, function.__qualname__, f"its instructions are read by {reader}")
            if left not in weaver.left_alone:
                weaver.left_alone.append(left)
    return thing


def as_written(thing: Any) -> Any:
    """A function to be looked at, not called: a copy with the author's code where it is woven, else itself."""
    if type(thing) is MethodType:
        function = as_written(thing.__func__)
        return thing if function is thing.__func__ else MethodType(function, thing.__self__)
    if type(thing) is not FunctionType:
        return thing
    code = author_code(thing.__code__)
    if code is thing.__code__:
        return thing
    copy = FunctionType(code, thing.__globals__, None, thing.__defaults__, thing.__closure__)
    copy.__kwdefaults__ = thing.__kwdefaults__
    copy.__module__ = thing.__module__
    copy.__dict__.update(thing.__dict__)
    # Where they are the code's they are its very objects, as in a function just made: a pickle tells.
    for name in _SAID_BY_CODE:
        value = getattr(thing, name)
        if getattr(copy, name) != value:
            setattr(copy, name, value)
    annotations = thing.__annotations__
    if annotations:
        copy.__annotations__ = annotations
    parameters = getattr(thing, "__type_params__", ())
    if parameters:
        copy.__type_params__ = parameters  # type: ignore[attr-defined]
    return copy


_SAID_BY_CODE = ("__name__", "__qualname__", "__doc__")


def _handed(original: Any, place: int, change: Callable[[Any], Any]) -> Any:
    """`original` with one positional argument changed on its way."""

    @functools.wraps(original)
    def changed(*args: Any, **options: Any) -> Any:
        if len(args) > place:
            try:
                args = (*args[:place], change(args[place]), *args[place + 1 :])
            except Exception as error:
                if from_a_signal(error) or "AUTOSCOPE_STRICT" in os.environ:
                    raise
        return original(*args, **options)

    return changed


def _everywhere(module: ModuleType, name: str, change: Callable[[Any], Any]) -> None:
    """Change what a function of a module is handed first, in whichever module of its package it is already."""
    original = module.__dict__[name]
    changed = _handed(original, 0, change)
    package = module.__name__.partition(".")[0]
    for other in list(sys.modules.values()):
        namespace = other.__dict__ if type(other) is ModuleType else {}
        if namespace.get(name) is original and other.__name__.partition(".")[0] == package:
            namespace[name] = changed


def _numba(thing: Any) -> Any:
    return give_back(thing, "numba")


def _numba_bytecode(module: ModuleType) -> None:
    """Every compilation of numba's begins with `FunctionIdentity.from_function(function)`."""
    identity = module.__dict__["FunctionIdentity"]
    identity.from_function = classmethod(_handed(identity.__dict__["from_function"].__func__, 1, _numba))


def _numba_dispatcher(module: ModuleType) -> None:
    """A `jit` keeps the function's code, and looks for it in its cache, long before it compiles."""
    dispatcher = module.__dict__["Dispatcher"]
    dispatcher.__init__ = _handed(dispatcher.__dict__["__init__"], 1, _numba)


def _pony(module: ModuleType) -> None:
    _everywhere(module, "decompile", lambda thing: give_back(thing, "Pony"))


def _hypothesis_sources(module: ModuleType) -> None:
    """What a lambda is called in a failing example; one that Hypothesis wrapped is said in an attribute."""

    def described(thing: Any) -> Any:
        return as_written(getattr(thing, "__wrapped_target", thing))

    _everywhere(module, "lambda_description", described)


def _hypothesis_reflection(module: ModuleType) -> None:
    """Mapping by an identity function is no mapping."""
    _everywhere(module, "is_identity_function", as_written)


def _hypothesis_lines(module: ModuleType) -> None:
    """Which lines are run by failing examples only."""
    original = module.__dict__["should_trace_file"]

    @functools.wraps(original)
    def should_trace_file(fname: str) -> bool:
        return not fname.startswith(OURS) and original(fname)

    module.__dict__["should_trace_file"] = should_trace_file


def _dynamo_frames(module: ModuleType) -> None:
    """`torch.compile` translates the frames it meets; woven code has the locals of the author's, in the same places."""
    module.__dict__["_compile"] = _handed(module.__dict__["_compile"], 0, author_code)


def _dynamo_functions(module: ModuleType) -> None:
    """The functions called in them."""
    for thing in list(module.__dict__.values()):
        original = thing.__dict__.get("get_code") if issubclass(type(thing), type) else None
        if type(original) is FunctionType:
            thing.get_code = _as_author_wrote(original)


def _as_author_wrote(original: Any) -> Any:
    @functools.wraps(original)
    def get_code(*args: Any, **options: Any) -> Any:
        code = original(*args, **options)
        return author_code(code) if type(code) is CodeType else code

    return get_code


def _dynamo_rules(module: ModuleType) -> None:
    """What runs as it is."""
    module.__dict__["SKIP_DIRS"].append(OURS.replace(os.sep, "/"))
    module.__dict__["_recompile_re"]()


def _dill(module: ModuleType) -> None:
    dispatch = module.__dict__["Pickler"].dispatch
    dispatch[CodeType] = _handed(dispatch[CodeType], 1, author_code)


def cloudpickle(module: ModuleType) -> None:
    """Copies of cloudpickle are in many packages: joblib, PySpark, Ray, numba."""
    for thing in list(module.__dict__.values()):
        table: Any = thing.__dict__.get("_dispatch_table") if type(thing) is type else None
        reduce = table.get(CodeType) if type(table) is dict else None
        if reduce is not None and not hasattr(reduce, "__wrapped__"):
            table[CodeType] = _handed(reduce, 0, author_code)


READERS: dict[str, Callable[[ModuleType], None]] = {
    "dill._dill": _dill,
    "hypothesis.internal.lambda_sources": _hypothesis_sources,
    "hypothesis.internal.reflection": _hypothesis_reflection,
    "hypothesis.internal.scrutineer": _hypothesis_lines,
    "numba.core.bytecode": _numba_bytecode,
    "numba.core.dispatcher": _numba_dispatcher,
    "pony.orm.decompiling": _pony,
    "torch._dynamo.convert_frame": _dynamo_frames,
    "torch._dynamo.trace_rules": _dynamo_rules,
    "torch._dynamo.variables.functions": _dynamo_functions,
}
"""Module -> what to do once it is loaded."""
