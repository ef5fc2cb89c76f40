"""`autoscope plan --update`: what was changed by hand stays, the rest is planned anew."""

from __future__ import annotations

import os
import re

import pytest
from facts_kit import COSTS, as_yaml, facts, plans, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from project_kit import shop  # noqa: F401

from autoscope.plan import planner, update
from autoscope.plan import write as writing
from autoscope.plan.model import SILENT
from autoscope.plan.planner import Settings
from autoscope.plan.resolve import resolve


def replan(path, code, asked):
    """What `--update` does, with facts from elsewhere; returns the plan made."""
    previous = update.read_previous(path)
    asked = update.settle(asked, previous, strategy=True, rate=True)
    made = planner.make(code, asked, COSTS)
    kept = update.kept_settings(previous, asked, os.path.dirname(path))
    document = planner.document(made, own=previous.own, kept=kept)
    update.keep_words(document, previous)
    with open(path, "w", encoding="utf-8") as file:
        file.write(writing.text(document))
    return made


def speaking(modules):
    """Entries but for those that say nothing."""
    return {
        name: rule
        for name, rule in modules.items()
        if rule.functions or (rule.level, rule.rate, rule.capture) != (None, None, SILENT)
    }


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), code=facts())
def test_whatever_was_written_by_hand_survives(tmp_path, data, code):
    """Of any plan, extending another or not: entries, comments and settings stay, the file comes to the choices, and a second update changes nothing."""
    mine, other = data.draw(plans(code)), data.draw(st.one_of(st.none(), plans(code)))
    asked = Settings(
        data.draw(st.sampled_from(["minimal", "balanced", "full_trace", "auto"])),
        budget=data.draw(st.one_of(st.none(), st.floats(1e-6, 1.0))),
    )
    by_hand = as_yaml(mine)
    if other is not None:
        write(tmp_path / "base.yaml", as_yaml(other))
        by_hand = f"extends: base.yaml\n{by_hand}"
    path = write(tmp_path / "plan.yaml", by_hand)

    made = replan(path, code, asked)
    first = (tmp_path / "plan.yaml").read_text()
    plan = resolve(plan_file=path, environ={})
    for function, choice in zip(code.functions, made.choices, strict=True):
        assert function.overload or writing.comes_to(plan.rule_for(function.module, function.qualname), choice)
    assert speaking(mine.modules) == speaking(update.read_previous(path).own)
    comments = [line.strip() for line in by_hand.split("\n") if line.strip()[:1] == "#"]
    assert [] == [line for line in comments if f"{line}\n" not in first]
    assert by_hand.count("  # mine") == first.count("  # mine")

    replan(path, code, asked)
    assert first == (tmp_path / "plan.yaml").read_text()


def test_an_empty_entry_for_everything_stays_where_it_is(shop):  # noqa: F811
    """The planner's own says more: the entry is its own from then on, and does not move when the plan is updated again."""
    shop.plan.write_text('version: 1\nmodules:\n  # about ?hop\n  "?hop": {}\n  # about *\n  "*": {}\n')
    assert shop.run("plan", shop.root / "shop", "--update", shop.plan, "--strategy", "minimal") == 0, shop.err
    first = shop.plan.read_text()
    assert "# about ?hop" in first and "# about *" in first
    assert first == shop.updated()


# By hand: the commands on a project.


def test_an_update_of_an_unchanged_plan_changes_nothing(shop):  # noqa: F811
    """Same bytes, and it says so."""
    for options in ((), ("--strategy", "full_trace"), ("--strategy", "auto", "--budget", "1%"), ("--rate", "0.25")):
        before = shop.planned(*options)

        assert before == shop.updated()
        assert "no difference\n" == shop.out


@pytest.mark.parametrize("strategy", ["minimal", "balanced", "full_trace", "auto"])
def test_another_strategy_is_as_if_it_had_been_asked_for_at_once(shop, strategy):  # noqa: F811
    """Nothing of what the first strategy meant stays behind, its rate of traces neither."""
    wanted = shop.planned("--strategy", strategy)
    shop.planned("--strategy", "minimal" if strategy != "minimal" else "full_trace")

    assert wanted == shop.updated("--strategy", strategy)


def test_the_strategy_stays_without_another(shop):  # noqa: F811
    """`auto` too, which the file's own `strategy` cannot say."""
    before = shop.planned("--strategy", "auto")
    assert before == shop.updated()

    shop.edit("plan.yaml", "strategy: balanced\n", "strategy: minimal\n")
    assert "strategy: minimal\n" in shop.updated()
    assert 'strategy: "minimal"' in shop.plan.read_text()
    assert "" == shop.entry("Cart.price")


def test_what_was_asked_for_stays(shop):  # noqa: F811
    """Includes, excludes, goals, the budget: an update without options plans for what the plan was written for."""
    before = shop.planned(
        "--include", "shop.cart,shop.web", "--exclude", "shop.web", "--goal", "errors:shop.cart", "--budget", "9%"
    )

    assert before == shop.updated()
    assert before != shop.updated("--include", "shop.*")
    assert "pay: {level: balanced}" == shop.entry("pay")


def test_a_changed_entry_stays(shop):  # noqa: F811
    """With what stands beside it, through several updates and another strategy."""
    shop.planned()
    shop.edit("plan.yaml", "load: {level: balanced}", "load: {level: minimal, rate: 0.3}")

    for options in ((), (), ("--strategy", "minimal"), ("--strategy", "full_trace"), ("--budget", "0.0001%")):
        shop.updated(*options)
        assert "load: {level: minimal, rate: 0.3}" == shop.entry("load")


def test_an_added_entry_stays_as_it_was_written(shop):  # noqa: F811
    """Entries, globs and whole modules, with their comments, in the user's own words."""
    shop.planned()
    added = (
        "      # Ann: what does it round?\n"
        "      rounded:\n"
        "        rate: 0.123456789   # not often\n"
        "        # and not closely\n"
        "        level: minimal\n"
    )
    shop.edit("plan.yaml", "      pay: ", f"{added}      pay: ")
    shop.edit(
        "plan.yaml",
        "\n# What this",
        '  "shop.w*":  # web\n    rate: 0.5\n    functions:\n      "h*": {level: "off"}\n\n# What this',
    )

    first = shop.updated()
    assert added in first
    assert '  "shop.w*":  # web\n    rate: 0.5\n    functions:\n      "h*": {level: "off"}\n' in first
    assert "- shop.web.health  balanced, rate 0.5\n" == shop.out
    assert first == shop.updated()
    plan = resolve(plan_file=str(shop.plan), environ={})
    assert ("minimal", 0.123456789) == plan.rule_for("shop.payments", "rounded")[:2]
    assert "off" == plan.rule_for("shop.web", "health").level
    assert ("balanced", 0.5) == plan.rule_for("shop.web", "checkout")[:2]


def test_a_rate_without_a_level_stays_the_users_and_the_level_the_planners(shop):  # noqa: F811
    """The planner's level is put into the entry, is said to be the planner's, and changes with the strategy."""
    shop.planned()
    shop.edit("plan.yaml", "load: {level: balanced}  # does I/O: database", "load: {rate: 0.5}  # mine")

    for strategy in ("balanced", "full_trace", "balanced"):
        text = shop.updated("--strategy", strategy)
        assert f"load: {{level: {strategy}, rate: 0.5}}  # mine\n" in text
        assert text == shop.updated()


def test_a_level_put_into_an_entry_in_block_style(shop):  # noqa: F811
    """Whatever the entry looks like."""
    shop.planned()
    shop.edit(
        "plan.yaml",
        "      load: {level: balanced}  # does I/O: database",
        "      load:\n        # mine\n        rate: 0.5",
    )

    assert "      load:\n        level: balanced\n        # mine\n        rate: 0.5\n" in shop.updated()
    text = shop.updated("--strategy", "full_trace")
    assert "level: full_trace\n" in text[text.index("      load:") :]
    assert text == shop.updated()


def test_what_was_taken_out_stays_out(shop):  # noqa: F811
    """A function and a whole module, for good, and until they are written in again."""
    shop.planned()
    line = next(line for line in shop.plan.read_text().split("\n") if line.strip().startswith("charge:"))
    shop.edit("plan.yaml", f"{line}\n", "")
    text = shop.plan.read_text()
    start, end = text.index("  shop.web:"), text.index("\n# What this")
    shop.plan.write_text(text[:start] + text[end:])

    first = shop.updated()
    assert "no difference\n" == shop.out
    assert first == shop.updated() == shop.updated()
    assert ("", "") == (shop.entry("charge"), shop.entry("checkout"))
    assert "" == (shop.updated("--strategy", "full_trace") and shop.entry("shop.web"))
    shop.updated("--strategy", "balanced")

    shop.edit("plan.yaml", "      pay: ", "      charge: {level: minimal}\n      pay: ")
    shop.updated()
    assert "charge: {level: minimal}" == shop.entry("charge")


def test_a_module_that_was_watched_whole_and_taken_out_stays_out(shop):  # noqa: F811
    """Its functions have no entries of their own to miss."""
    shop.planned("--strategy", "full_trace")
    line = next(line for line in shop.plan.read_text().split("\n") if line.startswith("  shop.web:"))
    shop.edit("plan.yaml", f"{line}\n", "")

    text = shop.updated()
    assert "shop.web" not in text.partition("provenance:")[0].replace("shop.web.", "")
    assert text == shop.updated()


def test_state_that_was_taken_out_is_not_captured_again(shop):  # noqa: F811
    """The entry said no more than that, so the function stays watched with the rest of its module."""
    shop.planned("--strategy", "full_trace")
    line = next(line for line in shop.plan.read_text().split("\n") if line.strip().startswith("Cart.price:"))
    assert "{capture: {state: diff}}" in line
    shop.edit("plan.yaml", f"{line}\n", "")

    text = shop.updated()
    assert "no difference\n" == shop.out
    assert "" == shop.entry("Cart.price")
    assert text == shop.updated()
    rule = resolve(plan_file=str(shop.plan), environ={}).rule_for("shop.cart", "Cart.price")
    assert ("full_trace", "none") == (rule.level, rule.capture.state)


def test_settings_by_hand_stay(shop):  # noqa: F811
    """Changed ones and added ones, word for word, comments too, more than once."""
    shop.planned("--budget", "5%")
    mine = (
        "# because of the audit\n"
        "redact:\n"
        "  - iban   # all of them\n"
        "  # and\n"
        "  - card\n"
        "capture: {exceptions: false}   # too long\n"
        "budget: 4%\n"
        "sampling: {rate: 0.5, keep: {errors: true}, fold_under: 50us}\n"
        "compare: {calls: {times: 3, more: 9}, time: {more: 5ms}, warn: []}\n"
    )
    shop.edit("plan.yaml", "budget: {overhead: 5%}\nsampling: {rate: 1}\n", mine)

    first = shop.updated()
    for part in (
        "# because of the audit\nredact:\n  - iban   # all of them\n  # and\n  - card\n",
        "budget: 4%\n",
        *mine.split("\n")[5:],
    ):
        assert part in first
    assert first == shop.updated() == shop.updated()
    plan = resolve(plan_file=str(shop.plan), environ={})
    assert (0.04, 0.5, True, 50_000) == (
        plan.budget_overhead,
        plan.sampling.rate,
        plan.sampling.keep_errors,
        plan.sampling.fold_under_ns,
    )
    assert (3.0, 9, 1.5, 5_000_000) == plan.compare[:4]
    assert plan.compare.warn == ()
    assert not plan.rule_for("shop.cart", "load").capture.exceptions


def test_options_win_over_settings_by_hand(shop):  # noqa: F811
    """What is asked for now takes the place of what was written, and of nothing beside it."""
    shop.planned()
    shop.edit(
        "plan.yaml",
        "sampling: {rate: 1}\n",
        "sampling: {rate: 0.5, keep: {errors: true}}\nbudget: {overhead: 4%, spans_per_second: 50}\nexclude: [shop.web]\n",
    )

    text = shop.updated("--rate", "0.25", "--budget", "3%", "--exclude", "shop.cart", "--strategy", "minimal")
    assert "sampling: {rate: 0.25, keep: {errors: true}}\n" in text
    assert "budget: {overhead: 3%, spans_per_second: 50}\n" in text
    assert "strategy: minimal\n" in text
    assert {"shop.web", "shop.cart"} == set(resolve(plan_file=str(shop.plan), environ={}).exclude)
    assert text == shop.updated()


def test_comments_stay_where_they_were(shop):  # noqa: F811
    """Above planner's entries, above modules, at the top, between settings, at the end; what loses its entry goes on to the next."""
    shop.planned()
    shop.edit("plan.yaml", "strategy: balanced\n", "# why balanced\nstrategy: balanced\n")
    shop.edit("plan.yaml", "  shop.cart:", "  # the slow one\n  shop.cart:")
    shop.edit("plan.yaml", "      load: ", "      # see #12\n      load: ")
    shop.edit("plan.yaml", "      pay: ", "      # rounded: {level: minimal}\n      pay: ")
    shop.edit("plan.yaml", "# Written by", "# Ann, Bob\n# Written by")
    shop.plan.write_text(shop.plan.read_text() + "# the end\n")

    first = shop.updated()
    for text in (
        "# why balanced\nstrategy:",
        "  # the slow one\n  shop.cart:",
        "      # see #12\n      load:",
        "      # rounded: {level: minimal}\n      pay:",
        "# Ann, Bob\nversion: 1\n",
    ):
        assert text in first
    assert first.endswith("\n# the end\n")
    assert first == shop.updated()
    without = shop.updated("--strategy", "minimal")
    assert "" == shop.entry("load")
    assert "# see #12\n" in without


def test_a_plan_written_by_hand_becomes_one_of_the_planners(shop):  # noqa: F811
    """All of it is the user's: it stands in the new plan, beside what the planner chose."""
    shop.plan.write_text(
        "# Our plan.\n# note      2024\n\nextends: autoscope:balanced\nredact: [iban]\n\nmodules:\n  shop.payments:\n"
        "    functions:\n      # never\n      charge: {level: off}\n      rounded: {capture: {args: [amount]}}\n  'shop.*':\n    rate: .5\n"
    )

    first = shop.updated("shop")
    assert "# Our plan.\n# note      2024\n" in first
    for part in ("extends: autoscope:balanced\n", "redact: [iban]\n", "      # never\n      charge: {level: off}\n"):
        assert part in first
    assert "rounded: {level: balanced, capture: {args: [amount]}}" == shop.entry("rounded")
    assert first == shop.updated()
    plan = resolve(plan_file=str(shop.plan), environ={})
    assert ("balanced", 0.5) == plan.rule_for("shop.web", "checkout")[:2]
    assert "off" == plan.rule_for("shop.payments", "charge").level


def test_a_reformatted_plan_is_still_the_planners(shop):  # noqa: F811
    """Other indentation and quotes, or all of it on one line as JSON: no word of it says anything else."""
    import json

    import yaml

    before = shop.planned("--budget", "5%")
    for reformatted in (
        yaml.safe_dump(yaml.safe_load(before), indent=6),
        json.dumps(yaml.safe_load(before)),
    ):
        shop.plan.write_text(reformatted)
        assert before == shop.updated()
        assert "no difference\n" == shop.out


def test_changes_in_flow_style_are_kept_by_value(shop):  # noqa: F811
    """On one line there are no lines of an entry's own: what it says stays."""
    import json

    import yaml

    plan = yaml.safe_load(shop.planned())
    plan["modules"]["shop.cart"]["functions"]["load"] = {"rate": 0.5, "level": "minimal"}
    plan["redact"] = ["iban", "on"]
    plan["capture"] = {"exceptions": False}
    plan["sampling"] = {"rate": 0.25, "keep": {"slower_than": "1.5s", "errors": True}, "fold_under": "0"}
    shop.plan.write_text(json.dumps(plan))

    first = shop.updated()
    assert "load: {level: minimal, rate: 0.5}" == shop.entry("load")
    assert 'redact: [iban, "on"]\n' in first
    assert "capture: {exceptions: false}\n" in first
    assert "sampling: {rate: 0.25, keep: {errors: true, slower_than: 1500ms}, fold_under: 0ns}\n" in first
    assert first == shop.updated()


def test_anchors_are_written_out_where_they_would_be_lost(shop):  # noqa: F811
    """An alias means nothing without its anchor, so what it stands for is written."""
    shop.planned()
    shop.edit("plan.yaml", "      pay: {level: balanced}", "      pay: &seldom {level: balanced, rate: 0.1}")
    shop.edit("plan.yaml", "      checkout: {level: balanced}", "      checkout: *seldom")
    shop.edit("plan.yaml", "sampling: {rate: 1}", "exclude: &none []\nredact: [iban]\nsampling: {rate: 1}")

    first = shop.updated()
    assert "checkout: {level: balanced, rate: 0.1}" == shop.entry("checkout")
    assert 0.1 == resolve(plan_file=str(shop.plan), environ={}).rule_for("shop.payments", "pay").rate
    assert first == shop.updated()


def test_line_ends_stay(shop):  # noqa: F811
    """A file from Windows stays one."""
    before = shop.planned()
    shop.plan.write_bytes(before.replace("\n", "\r\n").encode("utf-8-sig"))

    assert shop.updated()
    assert before.replace("\n", "\r\n").encode() == shop.plan.read_bytes()
    assert "no difference\n" == shop.out


def test_what_left_the_code_leaves_the_plan(shop):  # noqa: F811
    """The planner's own entries go, and it says so; the user's are errors, at their place."""
    shop.planned()
    shop.edit("shop/payments.py", "def charge(", "def debit(")
    shop.edit("shop/payments.py", "return charge(", "return debit(")

    shop.updated()
    assert "+ shop.payments.debit  balanced\n- shop.payments.charge  gone from the code\n" == shop.out
    assert "" == shop.entry("charge")

    shop.edit("plan.yaml", "debit: {level: balanced}", "debit: {level: minimal}")
    shop.edit("shop/payments.py", "def debit(", "def withdraw(")
    before = shop.plan.read_text()
    line = before[: before.index("debit: {level")].count("\n") + 1
    assert shop.run("plan", "--update", shop.plan) == 2
    assert f"autoscope: {shop.plan}:{line}:7: " in shop.err
    assert 1 == shop.err.count("\n")
    assert before == shop.plan.read_text()


def test_the_difference_says_what_is_watched_otherwise(shop):  # noqa: F811
    """New, no longer and otherwise watched functions, a line each."""
    shop.planned()
    shop.edit("shop/web.py", '@app.route("/health")\ndef health():\n    return "fine"', "def health():\n    return 1")
    shop.write({"shop/jobs.py": "import subprocess\n\ndef nightly():\n    subprocess.run(['true'])\n"})
    shop.edit("plan.yaml", "      load: {level: balanced}", "      load: {level: balanced, capture: {return: true}}")

    shop.updated()
    assert "+ shop.jobs.nightly  balanced\n- shop.web.health  balanced\n" == shop.out
    shop.updated("--strategy", "minimal")
    assert "~ shop.web.checkout  balanced -> minimal\n" in shop.out
    assert "- shop.jobs.nightly  balanced\n" in shop.out


def test_a_plan_that_extends_another(shop):  # noqa: F811
    """What the other says holds and is not repeated; written elsewhere, the new plan still finds it."""
    (shop.root / "team.yaml").write_text(
        "modules:\n  shop.payments:\n    functions:\n      charge: {level: off}\n  'shop.c*': {rate: 0.5}\n"
    )
    shop.planned()
    shop.edit("plan.yaml", "version: 1\n", "version: 1\nextends: team.yaml\n")

    first = shop.updated()
    assert "no difference\n" != shop.out
    plan = resolve(plan_file=str(shop.plan), environ={})
    assert "off" == plan.rule_for("shop.payments", "charge").level
    assert 0.5 == plan.rule_for("shop.cart", "load").rate
    assert ("", "") == (shop.entry("charge"), shop.entry("shop.c*"))
    assert first == shop.updated()

    (shop.root / "plans").mkdir()
    assert shop.run("plan", "shop", "--plan", shop.plan, "-o", shop.root / "plans" / "new.yaml") == 0
    assert "extends: [../team.yaml]\n" in (shop.root / "plans" / "new.yaml").read_text().replace('"', "")
    assert (
        "off"
        == resolve(plan_file=str(shop.root / "plans" / "new.yaml"), environ={})
        .rule_for("shop.payments", "charge")
        .level
    )


def test_an_entry_of_an_extended_plan_that_matches_nothing_is_shown_where_it_stands(shop):  # noqa: F811
    """Not where it is extended."""
    (shop.root / "team.yaml").write_text("modules:\n  shop.payments:\n    functions:\n      chrge: {level: off}\n")
    shop.plan.write_text("extends: team.yaml\n")

    assert shop.run("plan", "--update", shop.plan) == 2
    assert (
        f'autoscope: {shop.root}/team.yaml:4:7: modules["shop.payments"].functions["chrge"]: the code has no such function; did you mean `charge`? '
        in shop.err
    )


def test_a_dry_run_shows_the_difference_and_writes_nothing(shop):  # noqa: F811
    """Not the plan, and no file beside it."""
    before = shop.planned()
    files = sorted(os.listdir(shop.root))

    assert shop.updated("--dry-run", "--strategy", "minimal") == before
    assert "~ shop.web.checkout  balanced -> minimal\n" in shop.out
    assert files == sorted(os.listdir(shop.root))


def test_a_failed_write_leaves_the_plan_as_it_was(shop, monkeypatch):  # noqa: F811
    """A directory that takes no new file: one line, and nothing lost or left behind."""
    before = shop.planned()
    shop.edit("shop/payments.py", "def charge(", "def debit(")
    blocked = shop.root / f"plan.yaml.{os.getpid()}.new"
    blocked.mkdir()

    assert shop.run("plan", "--update", shop.plan) == 2
    assert f"autoscope: {shop.plan} cannot be written: " in shop.err
    assert 1 == shop.err.count("\n")
    assert before == shop.plan.read_text()


def test_links_and_modes_stay(shop):  # noqa: F811
    """The file behind a symbolic link is written, with the permissions it has."""
    shop.planned()
    real = shop.root / "real.yaml"
    shop.plan.rename(real)
    real.chmod(0o640)
    shop.plan.symlink_to(real)

    shop.updated("--strategy", "minimal")
    assert shop.plan.is_symlink()
    assert "strategy: minimal\n" in real.read_text()
    assert 0o640 == real.stat().st_mode & 0o777


def test_the_paths_are_those_of_the_plan(shop, monkeypatch):  # noqa: F811
    """Wherever it is updated from."""
    before = shop.planned()
    (shop.root / "elsewhere").mkdir()
    monkeypatch.chdir(shop.root / "elsewhere")

    assert before == shop.updated()


READ_AGAIN = "source strategy rate include goals critical settings entries functions tests paths".split()


@pytest.mark.parametrize("key", READ_AGAIN)
@pytest.mark.parametrize("value", ["5", "[[1], {a: 2}, null]", "'!!!'"])
def test_whatever_has_become_of_the_provenance(shop, key, value):  # noqa: F811
    """The plan is one of somebody's own then, or the files are not found: never a traceback."""
    text = shop.planned()
    start = text.index(f"\n  {key}: ") + 1
    end = re.search(r"\n(?=  \w|$)|\Z", text[start:]).start() + start
    shop.plan.write_text(f"{text[:start]}  {key}: {value}{text[end:]}")

    for command in (
        ("check", shop.plan),
        ("plan", "--update", shop.plan),
        ("explain", "shop.cart", "--plan", shop.plan),
    ):
        code = shop.run(*command)
        assert code in (0, 1, 2)
        assert (code == 2) == (shop.err.startswith("autoscope: ") and shop.err.count("\n") == 1), shop.err
