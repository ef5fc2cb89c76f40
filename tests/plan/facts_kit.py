"""Code bases that nobody wrote: facts, plans of users and profiles for the planner's tests, by hand and by Hypothesis."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from autoscope.plan.cost import shipped
from autoscope.plan.facts import IO_KINDS, KINDS, ROLES, Facts, Function, Module
from autoscope.plan.model import CapturePatch, FunctionRule, ModuleRule, Plan
from autoscope.plan.planner import unmatched
from autoscope.plan.profile import Profile, Row, from_run
from autoscope.plan.write import capture_text, rule_text

COSTS = replace(
    shipped(),
    armed=50,
    root_no=300,
    thinned=150,
    recorded=600,
    exported=1600,
    detailed=5000,
    step=500,
    argument=1200,
    result=1300,
    state=6000,
)
"""Figures near the real ones, which stay as they are."""
MODULES = ("app", "app.core", "app.web", "lib", "tests.test_app")
NAMES = (
    "f",
    "fetch",
    "_hidden",
    "Cart.add",
    "Cart.get",
    "Cart.__init__",
    "Cart.__eq__",
    "make.<locals>.inner",
    "make.<locals>.<lambda>",
    "<lambda>",
)
MODULE_GLOBS = ("*", "?pp", "app.*", "app.c*", "*.web", "*.core", "[a-l]*", "[al]*", "t*.*")
FUNCTION_GLOBS = ("*", "?", "f*", "*f", "Cart.*", "Cart.a*", "*.add", "*.get", "_*", "*<locals>*", "[Cm]*")


def a_function(module="app", qualname="f", **known) -> Function:
    """A function of which only the given is remarkable."""
    known = {"line": 1, "end_line": 3, "kind": "function", "parameters": ("self", "sku"), "statements": 3} | known
    return Function(module, qualname, **known)


def code_base(functions, types=None) -> Facts:
    """Facts with these functions; `calls` of theirs are set by their `callees`."""
    names = sorted({function.module for function in functions})
    functions = sorted(functions, key=lambda function: names.index(function.module))
    modules = {
        name: Module(
            name,
            f"/code/{name.replace('.', '/')}.py",
            100,
            "0" * 32,
            (types or {}).get(name, "code"),
            tuple(index for index, function in enumerate(functions) if function.module == name),
        )
        for name in names
    }
    return Facts("/code", functions, modules, [], "f" * 32)


numbers = st.one_of(
    st.just(0.0),
    st.sampled_from([1.0, 100.0, 1e4, 1e9]),
    st.floats(1e-6, 1e9, allow_nan=False),
)
captures = st.builds(
    CapturePatch,
    args=st.sampled_from([None, None, False, True, ("sku",)]),
    returns=st.sampled_from([None, None, False, True]),
    exceptions=st.sampled_from([None, None, None, False, True]),
    state=st.sampled_from([None, None, "none", "diff"]),
)
silent = st.just(CapturePatch())
function_rules = st.builds(
    FunctionRule,
    level=st.sampled_from([None, None, "off", "minimal", "balanced", "full_trace"]),
    rate=st.one_of(st.none(), st.sampled_from([0.0, 0.123456789, 0.5, 1.0])),
    capture=st.one_of(silent, captures),
)
module_rules = st.builds(
    lambda rule, functions: ModuleRule(*rule, functions),
    function_rules,
    st.dictionaries(st.sampled_from(NAMES + FUNCTION_GLOBS), function_rules, max_size=4),
)


@st.composite
def functions(draw) -> Function:
    role = draw(st.sampled_from(("", "", "", *ROLES)))
    return Function(
        draw(st.sampled_from(MODULES)),
        draw(st.sampled_from(NAMES)),
        draw(st.integers(1, 400)),
        draw(st.integers(400, 500)),
        draw(st.sampled_from(KINDS)),
        ("self", "sku")[: draw(st.integers(0, 2))],
        statements=draw(st.integers(0, 30)),
        cyclomatic=draw(st.sampled_from([1, 2, 9])),
        cognitive=draw(st.sampled_from([0, 3, 12])),
        loop_depth=draw(st.integers(0, 3)),
        io=tuple(draw(st.sets(st.sampled_from(IO_KINDS), max_size=2))),
        catches=draw(st.sampled_from([(), ("KeyError",), ("Exception",), ("*",)])),
        changes=draw(st.sampled_from([(), ("self.total",)])),
        trivial=draw(st.sampled_from(["", "", "", "accessor"])),
        is_abstract=draw(st.booleans()),
        overload=draw(st.integers(0, 9)) == 0,
        mark=draw(st.sampled_from(["", "", "", "", "trace", "never", "off"])),
        work_ns=draw(numbers),
        role=role,
        roles=(role,) if role else (),
        role_detail=role and f"{role} it is",
        reachable=draw(st.booleans()),
        frequency=draw(numbers),
    )


@st.composite
def facts(draw) -> Facts:
    """A small code base, calls between its functions included."""
    found = code_base(
        draw(st.lists(functions(), min_size=1, max_size=12)),
        draw(st.dictionaries(st.sampled_from(MODULES), st.sampled_from(["entry", "test", "model"]), max_size=2)),
    )
    count = len(found.functions)
    calls = draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=30))
    for caller, callee in sorted(calls):
        found.functions[caller].callees[callee] = 1.0
        found.functions[callee].callers += (caller,)
    for module in found.modules.values():
        module.calls_out = sum(bool(found.functions[index].callees) for index in module.functions)
    return found


@st.composite
def plans(draw, code: Facts) -> Plan:
    """What a user says about a code base; every entry of it matches something."""
    modules = draw(st.dictionaries(st.sampled_from(tuple(code.modules) + MODULE_GLOBS), module_rules, max_size=4))
    lost = set(unmatched(code, Plan(modules=modules)))
    modules = {
        name: rule._replace(
            functions={inner: said for inner, said in rule.functions.items() if (name, inner) not in lost}
        )
        for name, rule in modules.items()
        if (name, "") not in lost
    }
    return Plan(modules=modules, capture=draw(st.one_of(silent, silent, captures)))


@st.composite
def profiles(draw, code: Facts) -> Profile | None:
    """A stored run of a code base, or none."""
    if draw(st.booleans()):
        return None
    rows = [
        Row(function.name, "", 0, function.kind, draw(numbers), draw(numbers), draw(numbers), steps=draw(numbers))
        for function in code.functions
        if draw(st.booleans())
    ]
    return from_run("run 1", rows, draw(st.floats(1.0, 1e12)))


def as_yaml(plan: Plan) -> str:
    """A plan as somebody may have written it by hand."""
    lines = ["# by hand", "version: 1"]
    if plan.capture != CapturePatch():
        lines.append(f"capture: {capture_text(plan.capture)}  # everywhere")
    lines.append("modules:" if plan.modules else "modules: {}")
    for name, rule in plan.modules.items():
        lines += [f"  # about {name}", f"  {json.dumps(name)}:"]
        said = rule_text(FunctionRule(rule.level, rule.rate, rule.capture))
        lines += [
            f"    {line}"
            for line in said[1:-1].replace(", rate", "\nrate").replace(", capture", "\ncapture").split("\n")
        ]
        lines.append("    functions:" if rule.functions else "    functions: {}")
        for qualname, inner in rule.functions.items():
            lines += [f"      # about {qualname}", f"      {json.dumps(qualname)}: {rule_text(inner)}  # mine"]
    return "\n".join(line for line in lines if line.strip()) + "\n"


def write(path: Path, text: str) -> str:
    """A file with this text; its path as the planner takes it."""
    path.write_bytes(text.encode())
    return str(path)
