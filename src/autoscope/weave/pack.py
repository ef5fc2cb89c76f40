"""Woven code as bytes, and back: what the code cache keeps of a module.

`marshal` cannot write a site, and a code object cannot be given one later but by making it anew. So code objects that have a
site, or contain one that has, are written as what they are made of and made once; all others as they are.
"""

from __future__ import annotations

from marshal import dumps, loads
from types import CodeType

from autoscope.ours import keep_builtins
from autoscope.runtime.sites import Site, arm, new_site, switches
from autoscope.weave.weaver import describe, file_of

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

    from autoscope.plan.model import Plan


PARTS = 18
"""Arguments of `CodeType`, in the one list; behind them what is ours."""
FIELDS = 24
CONSTANTS, FILENAME, LINE = 7, 10, 13


def pack(code: CodeType, left: list[tuple[str, str]], compiled: bool = False) -> bytes | None:
    """A woven module; `left` are (qualname, reason) of what was left alone. None where it cannot be read back.

    `compiled`: Python compiles it each time; then the file's name in it is the very object Python has, see `unpack`.
    """
    records: list[Any] = []
    try:
        whole = _place(code, records, compiled)
    except LookupError:
        return None
    return dumps((code if whole is None else None, records, left))


def _place(code: CodeType, records: list[Any], every: bool) -> int | None:
    """Append what makes this code object; its number, or None where nothing in it is woven, unless `every` one is wanted.

    All in one list, and nothing in a container of its own that is there for every function: containers are what the garbage
    collector counts, and its rounds would take longer than the reading.
    """
    inside = []
    own = -1
    for index, constant in enumerate(code.co_consts):
        if type(constant) is CodeType:
            place = _place(constant, records, every)
            if place is not None:
                inside += [index, place]
        elif type(constant) is Site:
            own = index
    if own < 0 and not inside and not every:
        return None
    constants = list(code.co_consts)
    for index in inside[::2]:
        constants[index] = None
    qualname = kind = parameters = positions = None
    if own >= 0:
        site: Site = constants[own]
        if site.path != "bytecode" or site.traced is not code:
            raise LookupError  # the author's code would have to be kept as well
        constants[own] = constants[own + 1] = None
        kind, parameters, positions = site.kind, site.parameters, site.positions
        qualname = site.qualname
    records += [
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_nlocals,
        code.co_stacksize,
        code.co_flags,
        code.co_code,
        constants,
        code.co_names,
        code.co_varnames,
        code.co_filename,
        code.co_name,
        code.co_qualname,
        code.co_firstlineno,
        code.co_linetable,
        code.co_exceptiontable,
        code.co_freevars,
        code.co_cellvars,
        inside or None,
        own,
        qualname,
        kind,
        parameters,
        positions,
    ]
    return len(records) // FIELDS - 1


def unpack(
    packed: bytes | memoryview, plan: Plan, module: str, path: str | None = None
) -> tuple[CodeType, list[tuple[str, str]]]:
    """The woven module, its sites made and armed, and what was left alone. Raises whatever damaged bytes lead to.

    `path`: what Python has compiled it from, which is the module's `__file__` too.
    """
    whole, records, left = loads(packed)
    rule_for = plan.lookup().rules(module)
    files: dict[str, str] = {}
    made: list[CodeType] = []
    code = whole
    for at in range(0, len(records), FIELDS):
        parts = records[at : at + PARTS]
        inside, own, qualname, kind, parameters, positions = records[at + PARTS : at + FIELDS]
        constants, filename = parts[CONSTANTS], parts[FILENAME]
        if filename == path:
            parts[FILENAME] = path  # the same object, as a pickle shows
        if inside is not None:
            for place in range(0, len(inside), 2):
                constants[inside[place]] = made[inside[place + 1]]
        if own >= 0:
            file = files.get(filename)
            if file is None:
                file = files[filename] = file_of(filename)
            site = new_site(module, qualname, file, parts[LINE], kind, "bytecode", parameters)
            describe(site, rule_for(qualname))
            constants[own] = site
            constants[own + 1] = switches
        parts[CONSTANTS] = tuple(constants)
        code = CodeType(*parts)
        if own >= 0:
            site.traced = code
            site.positions = positions
            arm(site)
        made.append(code)
    if type(code) is not CodeType:
        raise ValueError("no code")
    return code, left
