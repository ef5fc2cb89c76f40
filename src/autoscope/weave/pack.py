"""Woven code as bytes, and back: what the code cache keeps of a module.

`marshal` cannot write a site, and a code object cannot be given one later but by making it anew. So code objects that have a
site, or contain one that has, are written as what they are made of and made once; all others as they are.
"""

from __future__ import annotations

import os
from marshal import dumps, loads
from types import CodeType

from autoscope.runtime import calls, sampling
from autoscope.runtime.sites import Site, arm, new_site

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

    from autoscope.plan.model import Plan


FIELDS = 24
"""Values a code object is made of, in the one list."""


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
        constants[own] = None
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
    make, code = CodeType, whole
    for (
        arguments,
        positional,
        keyword,
        count,
        stack,
        flags,
        raw,
        constants,
        names,
        variables,
        filename,
        name,
        qualname,
        line,
        lines,
        exceptions,
        free,
        cells,
        inside,
        own,
        called,
        kind,
        parameters,
        positions,
    ) in zip(*[iter(records)] * FIELDS, strict=True):
        if filename == path:
            filename = path  # the same object, as a pickle shows
        if inside is not None:
            for at in range(0, len(inside), 2):
                constants[inside[at]] = made[inside[at + 1]]
        if own >= 0:
            file = files.get(filename)
            if file is None:
                file = files[filename] = os.path.abspath(filename) if filename[:1] != "<" else filename
            rule = rule_for(called)
            constants[own] = site = new_site(module, called, file, line, kind, "bytecode", parameters)
            site.level, site.rate, site.capture = rule.level, rule.rate, rule.capture
            if rule.rate < 1.0:
                site.get = sampling.thinned(rule.rate)
            if parameters or rule.capture.returns or kind != "function":
                site.undo = calls.undo_full
        code = make(
            arguments,
            positional,
            keyword,
            count,
            stack,
            flags,
            raw,
            tuple(constants),
            names,
            variables,
            filename,
            name,
            qualname,
            line,
            lines,
            exceptions,
            free,
            cells,
        )
        if own >= 0:
            site.traced = code
            site.positions = positions
            arm(site)
        made.append(code)
    if type(code) is not CodeType:
        raise ValueError("no code")
    return code, left
