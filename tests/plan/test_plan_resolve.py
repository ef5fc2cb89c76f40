"""From options, environment, files and presets to one plan: who wins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscope.errors import PlanError
from autoscope.plan import presets
from autoscope.plan.load import load
from autoscope.plan.model import REDACT, Capture, CapturePatch, FunctionRule, ModuleRule, Plan, Sampling, Thresholds
from autoscope.plan.presets import PRESETS, RATES, preset_path
from autoscope.plan.resolve import resolve, resolve_mapping, resolve_plan
from autoscope.plan.schema import Layer


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def plan_of(yaml: str, environ=None, **options) -> Plan:
    """The plan a file with this in it resolves to."""
    Path("plan.yaml").write_text(yaml)
    return resolve(plan_file="plan.yaml", environ=environ or {}, **options)


DESIGN = """
version: 1
extends: autoscope:balanced
strategy: balanced
include: ["shop.*"]
exclude: ["shop.vendored.*"]
budget: {overhead: 3%}
sampling: {rate: 0.2, keep: {errors: true, slower_than: 250ms}, fold_under: 50us}
capture: {args: false, return: false, exceptions: true, state: none}
redact: [password, token, secret, authorization]
modules:
  shop.cart:
    level: full_trace
    functions:
      Cart.add: {rate: 1.0, capture: {args: [sku, quantity], return: true, state: diff}}
      "Cart._*": {level: off}
"""


def test_the_plan_in_the_design():
    """Every key, as it is understood."""
    cart = ModuleRule(
        "full_trace",
        functions={
            "Cart.add": FunctionRule(None, 1.0, CapturePatch(("sku", "quantity"), True, None, "diff")),
            "Cart._*": FunctionRule("off"),
        },
    )
    assert plan_of(DESIGN) == Plan(
        strategy="balanced",
        include=("shop.*",),
        exclude=("shop.vendored.*",),
        budget_overhead=0.03,
        sampling=Sampling(0.2, True, True, 250_000_000, 50_000),
        capture=CapturePatch(False, False, True, "none"),
        redact=REDACT,
        modules={"shop.cart": cart},
        source="plan.yaml",
    )


def test_without_anything_it_is_the_balanced_preset():
    """Which says what the defaults say."""
    assert resolve(environ={}) == Plan()


@pytest.mark.parametrize(("name", "rate", "capture"), [
    ("minimal", 0.1, Capture()),
    ("balanced", 1.0, Capture()),
    ("full_trace", 1.0, Capture(True, True)),
])  # fmt: skip
def test_presets(name, rate, capture):
    """A strategy brings its preset, however it is named."""
    for plan in (
        resolve(environ={}, strategy=name),
        resolve(environ={"AUTOSCOPE_STRATEGY": name}),
        plan_of(f"strategy: {name}\n"),
        plan_of(f"extends: autoscope:{name}\n"),
        resolve_mapping({"extends": [f"autoscope:{name}"]}, environ={}),
    ):
        assert plan.strategy == name
        assert plan.sampling == Sampling(rate=rate)
        assert plan.rule_for("shop", "f").capture == capture


def test_the_example_is_a_plan():
    """It shows every key there is."""
    example = Path(preset_path("balanced")).with_name("example.yaml")
    layer = load(str(example))
    silent = Layer()
    for field in Layer.__slots__:
        if field not in ("extends", "extended", "rate_given"):
            assert getattr(layer, field) != getattr(silent, field), field


REFERENCE = (Path(__file__).parents[2] / "docs/plan.md").read_text()


@pytest.mark.parametrize("yaml", re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL))
def test_the_examples_in_the_reference_are_plans(yaml):
    """`docs/plan.md` can be copied from."""
    assert plan_of(yaml).modules


def test_presets_are_found_where_they_are_installed(tmp_path, monkeypatch):
    """In the package, before a checkout's."""
    (tmp_path / "lib/autoscope/plan").mkdir(parents=True)
    monkeypatch.setattr(presets, "__file__", str(tmp_path / "lib/autoscope/plan/presets.py"))
    with pytest.raises(PlanError, match="autoscope:minimal: .*autoscope has no presets; install autoscope again"):
        preset_path("minimal")
    (tmp_path / "lib/autoscope/presets").mkdir()
    (tmp_path / "lib/autoscope/presets/minimal.yaml").touch()
    assert preset_path("minimal") == str(tmp_path / "lib/autoscope/presets/minimal.yaml")


def test_thresholds_of_comparisons_are_merged_key_by_key(tmp_path):
    """A number alone is the ratio; an empty list takes the kinds away; what is not said is the default."""
    (tmp_path / "base.yaml").write_text("compare: {calls: 3, time: {times: 2, more: 5ms}, warn: [time, gone]}\n")
    (tmp_path / "plan.yaml").write_text("extends: base.yaml\ncompare: {calls: {more: 9}, time: 4, fail: []}\n")

    assert resolve(plan_file=str(tmp_path / "plan.yaml"), environ={}).compare == Thresholds(
        3.0, 9, 4.0, 5_000_000, (), ("time", "gone")
    )
    assert resolve(environ={}).compare == Thresholds()


def test_options_win_over_the_environment_and_that_over_the_file():
    """For each setting by itself."""
    yaml = "strategy: minimal\ninclude: [file.*]\nsampling: {rate: 0.3}\nbudget: 3%\n"
    environ = {"AUTOSCOPE_STRATEGY": "balanced", "AUTOSCOPE_INCLUDE": "env.*, env2", "AUTOSCOPE_RATE": "20%"}
    plan = plan_of(yaml, environ)
    assert (plan.strategy, plan.include, plan.sampling.rate, plan.budget_overhead) == (
        "balanced",
        ("env.*", "env2"),
        0.2,
        0.03,
    )
    plan = plan_of(yaml, environ, strategy="full_trace", include=["option"], rate=0.1, budget="1%")
    assert (plan.strategy, plan.include, plan.sampling.rate, plan.budget_overhead) == (
        "full_trace",
        ("option",),
        0.1,
        0.01,
    )


def test_exclude_and_redact_add_up():
    """Nobody who asked for less is overruled."""
    Path("base.yaml").write_text("exclude: [base]\nredact: [iban, token]\n")
    yaml = "extends: base.yaml\nexclude: [file]\nredact: [Card]\n"
    plan = plan_of(yaml, {"AUTOSCOPE_EXCLUDE": "env"}, exclude="option")
    assert plan.exclude == ("base", "file", "env", "option")
    assert plan.redact == (*REDACT, "iban", "Card")


def test_the_file_named_wins_over_the_one_in_the_environment():
    """`AUTOSCOPE_PLAN` counts where no file is named."""
    Path("env.yaml").write_text("strategy: minimal\n")
    environ = {"AUTOSCOPE_PLAN": "env.yaml"}
    assert resolve(environ=environ).source == "env.yaml"
    assert plan_of("strategy: full_trace\n", environ).strategy == "full_trace"


def test_variables_that_are_empty_say_nothing():
    """As in most programs."""
    names = ("PLAN", "STRATEGY", "INCLUDE", "EXCLUDE", "RATE", "BUDGET")
    environ = {f"AUTOSCOPE_{name}": value for name, value in zip(names, ["", " ", " , ", "", "", ""], strict=True)}
    assert resolve(environ=environ) == Plan()


def test_a_strategy_named_outside_takes_the_place_of_the_preset_a_file_extends():
    """But not of what the file itself says."""
    assert plan_of("extends: autoscope:balanced\n", strategy="minimal").sampling.rate == 0.1
    assert plan_of("extends: autoscope:balanced\nsampling: {rate: 0.7}\n", strategy="minimal").sampling.rate == 0.7


def test_extended_plans_are_merged_key_by_key():
    """The nearer file wins; of several in a list, the later."""
    Path("sub").mkdir()
    Path("sub/a.yaml").write_text(
        "extends: b.yaml\ninclude: [a]\nmodules: {m: {level: minimal, functions: {f: {rate: 0.1}}}}\n"
    )
    Path("sub/b.yaml").write_text("sampling: {rate: 0.5}\ncapture: {args: true}\nprovenance: {by: b}\n")
    Path("c.yaml").write_text("include: [c]\nmodules: {m: {rate: 0.9}, n: {level: off}}\nbudget: {overhead: 2%}\n")
    plan = plan_of(
        "extends: [sub/a.yaml, c.yaml]\ncapture: {return: true}\n"
        "modules: {m: {functions: {f: {level: off}, g: {capture: {state: after}}}}}\n"
    )
    assert plan.include == ("c",)
    assert plan.sampling == Sampling(0.5, True)
    assert plan.capture == CapturePatch(args=True, returns=True)
    assert plan.budget_overhead == 0.02
    assert plan.provenance == {"by": "b"}
    assert plan.modules == {
        "m": ModuleRule(
            "minimal",
            0.9,
            functions={"f": FunctionRule("off", 0.1), "g": FunctionRule(capture=CapturePatch(state="after"))},
        ),
        "n": ModuleRule("off"),
    }


words = st.none() | st.sampled_from("ab")
layers = st.builds(
    Layer,
    strategy=words,
    include=st.none() | st.just(("a",)) | st.just(("b",)),
    exclude=st.lists(st.sampled_from("abc"), max_size=2, unique=True).map(tuple),
    rate=st.none() | st.floats(0, 1),
    keep_errors=st.none() | st.booleans(),
    capture=st.builds(CapturePatch, args=st.none() | st.booleans(), state=words),
    compare=st.none() | st.dictionaries(st.sampled_from(Thresholds._fields), st.integers(1, 3), min_size=1),
    modules=st.dictionaries(
        st.sampled_from("mn"),
        st.builds(ModuleRule, words, functions=st.dictionaries(st.sampled_from("fg"), st.builds(FunctionRule, words))),
    ),
)


@settings(max_examples=100, deadline=None)
@given(layers, layers, layers)
def test_layers_merge_in_any_grouping(near, middle, far):
    """Merging is associative, silence changes nothing, and the nearest value always shows through."""
    assert near.over(middle).over(far) == near.over(middle.over(far))
    assert near.over(Layer(modules={})) == near == Layer(modules={}).over(near)
    merged = near.over(middle).over(far)
    for field in ("strategy", "include", "rate", "keep_errors"):
        given = [getattr(layer, field) for layer in (near, middle, far) if getattr(layer, field) is not None]
        assert getattr(merged, field) == (given[0] if given else None)


TRAPS = [
    ("modules: {m: {level: off}}", lambda plan: plan.modules["m"].level, "off"),
    ("modules: {m: {level: OFF}}", lambda plan: plan.modules["m"].level, "off"),
    ("modules: {m: {level: false}}", lambda plan: plan.modules["m"].level, "off"),
    ("modules: {m: {level: 'off'}}", lambda plan: plan.modules["m"].level, "off"),
    ("modules: {m: {functions: {on: {}, off: {}, 012: }}}", lambda plan: [*plan.modules["m"].functions], ["on", "off", "012"]),
    ("modules: {m: }", lambda plan: plan.modules, {"m": ModuleRule()}),
    ("modules:\n  m:\n    functions:\n  # f: {level: off}\n", lambda plan: plan.modules, {"m": ModuleRule()}),
    ("modules:\n# all of it is commented out\n", lambda plan: plan.modules, {}),
    ("capture: {state: none}", lambda plan: plan.capture.state, "none"),
    ("capture: {state: null}", lambda plan: plan.capture.state, "none"),
    ("capture: {state: ~}", lambda plan: plan.capture.state, "none"),
    ("capture: {args: yes, return: on, exceptions: no}", lambda plan: plan.capture, CapturePatch(True, True, False)),
    ("capture: {args: []}", lambda plan: plan.capture.args, False),
    ("include: shop.*", lambda plan: plan.include, ("shop.*",)),
    ("include: [no, 2024-01-01]", lambda plan: plan.include, ("no", "2024-01-01")),
    ("include: [a, b, a]", lambda plan: plan.include, ("a", "b")),
    ("redact: iban", lambda plan: plan.redact[-1], "iban"),
    ("budget: 3%", lambda plan: plan.budget_overhead, 0.03),
    ("budget: {overhead: 0.03}", lambda plan: plan.budget_overhead, 0.03),
    ("budget: {overhead: 3%, spans_per_second: 500}", lambda plan: (plan.budget_overhead, plan.budget_spans), (0.03, 500)),
    ("sampling: {rate: '20%'}", lambda plan: plan.sampling.rate, 0.2),
    ("sampling: {rate: 1e-3}", lambda plan: plan.sampling.rate, 0.001),
    ("sampling: {fold_under: 0}", lambda plan: plan.sampling.fold_under_ns, None),
    ("version: 1", lambda plan: plan.version, 1),
    ("{}", lambda plan: plan.version, 1),
    ("---\nversion: '1'\n...\n", lambda plan: plan.version, 1),
    ("modules:\n  a: &a {level: off, rate: 0.5}\n  b: *a\n  c: {<<: *a, level: minimal}\n",
     lambda plan: plan.modules["c"], ModuleRule("minimal", 0.5)),
    ("provenance: {n: 1, f: 0.5, t: true, z: null, s: '1', d: 2024-01-01, v: 1.2.3, l: [x, {y: -2}]}",
     lambda plan: plan.provenance,
     {"n": 1, "f": 0.5, "t": True, "z": None, "s": "1", "d": "2024-01-01", "v": "1.2.3", "l": ["x", {"y": -2}]}),
]  # fmt: skip


@pytest.mark.parametrize(("yaml", "look", "expected"), TRAPS, ids=[case[0][:40] for case in TRAPS])
def test_words_mean_what_they_look_like(yaml, look, expected):
    """Not what YAML 1.1 makes of them."""
    assert look(plan_of(yaml)) == expected


def test_a_mapping_is_read_as_the_file_is():
    """Whether its values come from Python or from a YAML reader that knew `off` as False."""
    yaml = pytest.importorskip("yaml")
    assert resolve_mapping(yaml.safe_load(DESIGN), environ={}) == plan_of(DESIGN)._replace(source="<mapping>")


def test_options_and_environment_win_over_a_mapping():
    """The mapping stands where the file would."""
    mapping = {"strategy": "minimal", "sampling": {"rate": 0.5}}
    plan = resolve_mapping(mapping, environ={"AUTOSCOPE_RATE": "0.4", "AUTOSCOPE_PLAN": "none"}, strategy="balanced")
    assert (plan.strategy, plan.sampling.rate) == ("balanced", 0.4)


def test_a_resolved_plan_is_read_back_and_may_be_overridden():
    """A file a run left behind serves as a plan."""
    plan = plan_of(DESIGN)
    Path("plan.json").write_text(plan.to_json())
    assert resolve(plan_file="plan.json", environ={}) == plan
    assert resolve_plan(plan, environ={}) == plan
    environ = {"AUTOSCOPE_RATE": "0.5", "AUTOSCOPE_EXCLUDE": "x"}
    for changed in (
        resolve(plan_file="plan.json", environ=environ, include=["y"]),
        resolve_plan(plan, environ=environ, include=["y"]),
    ):
        expected = plan._replace(include=("y",), exclude=(*plan.exclude, "x"))
        assert changed == expected._replace(sampling=plan.sampling._replace(rate=0.5))


def test_a_plan_may_come_through_a_pipe():
    """`--plan <(generate-plan)`: it can be read once only."""
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_text("strategy: minimal\n"))
    writer.start()
    assert resolve(plan_file="pipe", environ={}).strategy == "minimal"
    writer.join()


def test_globs_given_as_one_word_are_one_glob():
    """Not one for each letter."""
    assert resolve(environ={}, include="shop.*", exclude="os").include == ("shop.*",)


SAMPLERS = [
    ({}, 1.0, ""),
    ({"OTEL_TRACES_SAMPLER": "always_on"}, 1.0, ""),
    ({"OTEL_TRACES_SAMPLER": "always_off"}, 0.0, ""),
    ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, 0.0, ""),
    ({"OTEL_TRACES_SAMPLER": "traceidratio"}, 1.0, ""),
    ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, 0.25, ""),
    ({"OTEL_TRACES_SAMPLER": "ParentBased_TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, 0.25, ""),
    ({"OTEL_TRACES_SAMPLER_ARG": "0.25"}, 1.0, ""),
    (
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "many"},
        1.0,
        "OTEL_TRACES_SAMPLER_ARG=many: not a number from 0 to 1, every trace is recorded; give one such as 0.2",
    ),
    (
        {"OTEL_TRACES_SAMPLER": "xray"},
        1.0,
        "OTEL_TRACES_SAMPLER=xray: not known here and not used; "
        "known: always_on, always_off and traceidratio, each also with parentbased_",
    ),
]


@pytest.mark.parametrize(("environ", "rate", "warning"), SAMPLERS, ids=[str(case[0])[:60] for case in SAMPLERS])
def test_opentelemetrys_sampler_gives_the_rate_where_nobody_nearer_does(environ, rate, warning):
    """A preset's rate is nobody's; what is wrong with the variable is told, and is no error."""
    plan = resolve(environ=environ)
    assert plan.sampling.rate == rate
    assert plan.warnings == ((warning,) if warning else ())
    if rate != 1.0:
        assert plan_of("extends: autoscope:minimal\n", environ).sampling == Sampling(rate, True)
    for nearer in (
        plan_of("sampling: {rate: 0.7}\n", environ),
        resolve(environ={**environ, "AUTOSCOPE_RATE": "0.7"}),
        resolve(environ=environ, rate=0.7),
    ):
        assert nearer.sampling == Sampling(0.7, True)
        assert nearer.warnings == ()


def test_every_preset_is_there():
    """One for each strategy, named as the strategy is, which says no more than what is known without reading it."""
    assert RATES.keys() == set(PRESETS)
    for name in PRESETS:
        assert load(preset_path(name)) == Layer(strategy=name, rate=RATES[name])


def test_no_yaml_is_loaded_where_no_plan_is_named():
    """It takes ten milliseconds of every start."""
    code = "import sys; from autoscope.plan.resolve import resolve; resolve(environ={'AUTOSCOPE_STRATEGY': 'minimal'}); print('yaml' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_a_link_that_is_replaced_meanwhile(tmp_path):
    """It is there, or it is not: never anything but a plan or a refusal."""
    (tmp_path / "real.yaml").write_text("version: 1\n")
    link = tmp_path / "plan.yaml"
    over = threading.Event()

    def replace():
        while not over.is_set():
            link.symlink_to("real.yaml")
            link.unlink()

    thread = threading.Thread(target=replace)
    thread.start()
    refused = read = 0
    try:
        for _ in range(4000):
            try:
                load(str(link))
                read += 1
            except PlanError:
                refused += 1
    finally:
        over.set()
        thread.join()
    assert refused and read
