"""The entry script: `python app.py` compiles `__main__` in C, without asking any import hook.

But before it does, the interpreter asks `sys.path_hooks` whether the script is a directory or an archive, and if a hook says
yes it calls `runpy._run_module_as_main` instead of compiling the file (CPython, `Modules/main.c`, `pymain_run_python`).
So for the one question about our script a hook says yes, and for the one import of `runpy` that follows, a
stand-in answers whose `_run_module_as_main` *is* the script: a function object made of its woven code. C calls it,
hence the script's frame is the outermost, as it would have been. Then everything is put as it was: nothing of ours
remains in `sys.path_hooks`, `sys.path_importer_cache`, `sys.path` or `sys.modules`.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, FunctionType, ModuleType

from autoscope.ours import keep_builtins
from autoscope.weave import cache, weaver
from autoscope.weave.weaver import Weaver, own

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_VARARGS = 0x4


def script() -> str | None:
    """The script this interpreter is about to run, None for `-m`, `-c`, standard input, and what needs care we do not take."""
    arguments = getattr(sys, "argv", [""])
    if not arguments or arguments[0] in ("", "-", "-c", "-m") or sys.flags.interactive or sys.flags.inspect:
        return None
    # As the interpreter makes it absolute: on POSIX, nothing in it is normalised.
    try:
        path: str = os.path.abspath(arguments[0]) if os.name == "nt" else os.path.join(os.getcwd(), arguments[0])
    except OSError:
        path = arguments[0]  # the working directory was removed
    options = sys.orig_argv[1 : max(len(sys.orig_argv) - len(arguments), 0) + 1]
    if "-x" in options or not os.path.isfile(path) or path.endswith(".pyc"):
        return None
    return path


def first_of_path() -> list[str]:
    """What the interpreter will put at the head of `sys.path` for the program."""
    if sys.flags.safe_path:
        return []
    word = getattr(sys, "argv", [""])[0]
    if word in ("", "-", "-c", "-m"):
        return [""]
    try:
        path = os.path.realpath(word)
    except OSError:
        return []
    # The directory of a script; a directory or an archive with a `__main__` itself.
    return [path, os.path.dirname(path)]


def take_over(weave: Weaver, path: str) -> bool:
    """Arrange for the script at `path` to run woven; False, and nothing is arranged, where it runs as it is."""
    if not selected(weave, path):
        return False
    try:
        with open(path, "rb") as file:
            source = file.read()
        if b"\0" in source:
            return False  # an archive or compiled code: the interpreter knows what to do
        code = compile(source, path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # the interpreter will say what is wrong, in its own words
    woven = cache.of_code(weave, "__main__", path, code, swallowing, lambda: source)
    if woven is code:
        return False
    weaver.seen["__main__"] = "main"
    _Stage(path, woven).open()
    return True


def swallowing(code: CodeType) -> CodeType | None:
    """A module's code as that of a function which swallows any arguments and forgets them; None where that is not known.

    A module's code has no parameters, but C calls the script with two. They come in the first place among the fast locals,
    which `locals()` would show, so right behind the prologue that place is emptied: to the interpreter, a name with
    no value yet.
    """
    from autoscope.weave.assemble import (
        NOWHERE,
        OP,
        decode,
        read_table,
        split_positions,
        write_positions,
        write_table,
    )

    start = next((after for _, op, arg, after in decode(code.co_code) if op == OP["RESUME"] and arg == 0), None)
    if start is None:
        weaver.seen["__main__"] = "its bytecode does not begin as a script's does"
        return None
    before, behind, _ = split_positions(code.co_linetable, start, code.co_firstlineno)
    cell = any(op == OP["MAKE_CELL"] and arg == 0 for _, op, arg, after in decode(code.co_code) if after < start)
    forget = bytes((OP["DELETE_DEREF" if cell else "DELETE_FAST"], 0))
    rows = [
        (a + 1, b + 1, target + 1, depth, lasti) for a, b, target, depth, lasti in read_table(code.co_exceptiontable)
    ]
    positions, _ = write_positions(((1, NOWHERE),), 0)
    return code.replace(
        co_code=code.co_code[: 2 * start] + forget + code.co_code[2 * start :],
        co_exceptiontable=write_table(rows),
        co_linetable=before + positions + behind,
        co_flags=code.co_flags | _VARARGS,
        co_varnames=code.co_varnames or ("@",),
        co_nlocals=code.co_nlocals or 1,
    )


class _Stage:
    """What stands in for the machinery between the question about the script and its first instruction."""

    def __init__(self, path: str, code: CodeType) -> None:
        self.path = path
        self.code = code

    def open(self) -> None:
        sys.path_hooks.insert(0, self.path_hook)

    def path_hook(self, entry: str) -> Any:
        if entry != self.path:
            raise ImportError
        sys.path_hooks.remove(self.path_hook)
        sys.meta_path.insert(0, self)
        return self

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "runpy":
            return None
        sys.meta_path.remove(self)
        return ModuleSpec("runpy", self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Runpy("runpy", self)

    def exec_module(self, module: ModuleType) -> None:
        pass

    def main(self) -> FunctionType:
        """The script as a function, and the interpreter's state as a plain run has it at this point."""
        sys.modules.pop("runpy", None)
        sys.path_importer_cache[self.path] = None  # what the question leaves behind for any plain file
        if sys.path and sys.path[0] == self.path:
            del sys.path[0]
            if not sys.flags.safe_path:
                sys.path.insert(0, os.path.dirname(os.path.realpath(self.path)))
        module = sys.modules["__main__"]
        namespace = module.__dict__
        namespace["__file__"] = self.path
        namespace["__cached__"] = None
        namespace["__loader__"] = SourceFileLoader("__main__", self.path)
        return FunctionType(self.code, namespace, "<module>")


def keep_interrupt() -> None:
    """Where Ctrl-C ended the program, have the process end as by SIGINT. To be called last of all, at exit.

    The interpreter remembers an interrupt that left a file or a string it executed, not one that left a function C called;
    and it forgets it at the next string anybody executes, a named tuple's in one of our imports for one.
    """
    if getattr(sys, "last_type", None) is not KeyboardInterrupt or sys.flags.interactive or sys.flags.inspect:
        return
    traceback = getattr(sys, "last_traceback", None)
    if traceback is not None and traceback.tb_frame.f_back is None:
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            pass


def weave_spawned(weave: Weaver, spawn: ModuleType) -> None:
    """Weave the script in the children multiprocessing spawns: `runpy` compiles it there without asking anybody.

    Its functions are the parent's, so they go by the name they have there.
    """
    runpy: Any = spawn.__dict__["runpy"]
    original = runpy._get_code_from_file
    if hasattr(original, "autoscope"):
        return

    def _get_code_from_file(*arguments: str) -> Any:
        # Up to CPython 3.12.0 it is given the run name too, and gives the file's name back too.
        found = original(*arguments)
        path = arguments[-1]
        if sys._getframe(2).f_globals is not spawn.__dict__:
            return found  # the program's own use of runpy
        code = found[0] if isinstance(found, tuple) else found
        wanted = selected(weave, path)
        weaver.seen["__mp_main__"] = "main"
        if not wanted:
            return found

        def source() -> bytes:
            with open(path, "rb") as file:
                return file.read()

        woven = cache.of_code(weave, "__main__", path, code, source=source)
        return (woven, *found[1:]) if isinstance(found, tuple) else woven

    _get_code_from_file.autoscope = True  # type: ignore[attr-defined]
    runpy._get_code_from_file = _get_code_from_file


def selected(weave: Weaver, path: str) -> bool:
    """Whether the plan wants the script; it may speak of it as `__main__` or, as its author does, by its file's name."""
    weave.name_main(path)
    stem = os.path.splitext(os.path.basename(path))[0]
    selected = weave.plan.selects("__main__") or weave.plan.selects(stem)
    if weave.plan.excludes("__main__") or weave.plan.excludes(stem):
        selected = False
    if selected is None and not own(path):
        weaver.seen["__main__"] = "not the application's own"
    elif selected is False:
        weaver.seen["__main__"] = "not included in the plan"
    else:
        return True
    return False


class _Runpy(ModuleType):
    """Stands in for `runpy` for the length of one attribute look-up."""

    def __init__(self, name: str, stage: _Stage) -> None:
        super().__init__(name)
        self.stage = stage

    @property
    def _run_module_as_main(self) -> FunctionType:
        return self.stage.main()
