"""What `autoscope explain` says would change a verdict does change it."""

from __future__ import annotations

import json
import re

import pytest
from project_kit import shop  # noqa: F401

ODD = """
    import autoscope
    from shop import cart, payments, web

    @autoscope.never
    def rounded(number):
        return number + 1

    @autoscope.never
    def read(name):
        return open(name).read()

    @autoscope.trace
    def small(number):
        return number + 1

    key = lambda line: open(line).read()

    def long(lines):
        total = 0
        total += len(lines)
        total -= len(lines)
        total *= len(lines)
        return total

    def together(number):
        basket = cart.load(number)
        payments.pay(basket, 1)
        payments.charge(1, basket.price([1]))
        return web.checkout(number)
    """
EDITS = {
    "I/O of its own": "open('x').read()",
    "a handler for every `Exception`": "try: print()\n    except Exception: pass",
    "cognitive complexity of 8": " or ".join(f"(a{n} and b{n})" for n in range(9)),
}


def explained(shop, name, *options):  # noqa: F811
    assert shop.run("explain", name, "shop", "--format", "json", *options) == 0, shop.err
    return json.loads(shop.out)


@pytest.mark.parametrize(
    "options", [(), ("--strategy", "minimal"), ("--strategy", "auto"), ("--strategy", "full_trace")]
)
@pytest.mark.parametrize(
    "name",
    ["web.health", "cart.load", "payments.pay", "payments.rounded"]
    + [f"odd.{name}" for name in ("rounded", "read", "small", "<lambda>", "long", "together")],
)
def test_what_would_change_the_verdict_does(shop, name, options):  # noqa: F811
    """Entries, marks, strategies, and what the code might do: each is tried."""
    shop.write({"shop/odd.py": ODD})
    before = (shop.root / "shop" / "odd.py").read_text()
    name = f"shop.{name}"
    found = explained(shop, name, *options)
    was = found["level"] != "off"
    tried = 0
    for line in found["would_change"]:
        entry = re.match(r"to (?:watch it|leave it out): (modules: \{.*?\}\}\}\})", line)
        if entry:
            (shop.root / "mine.yaml").write_text(entry[1])
            changed = explained(shop, name, *options, "--plan", "mine.yaml")
            assert was != (changed["level"] != "off"), line
            tried += 1
        strategy = re.match(r"--strategy (\w+)", line)
        if strategy:
            assert was != (explained(shop, name, "--strategy", strategy[1])["level"] != "off"), line
        for what, statement in EDITS.items():
            if what in line and name == "shop.odd.long":
                (shop.root / "shop" / "odd.py").write_text(
                    before.replace("    total += ", f"    {statement}\n    total += ", 1)
                )
                assert explained(shop, name, *options)["level"] != "off", what
                (shop.root / "shop" / "odd.py").write_text(before)
                tried += 1
        if "take the mark off" in line:
            (shop.root / "shop" / "odd.py").write_text(re.sub(rf"@autoscope\.\w+\n(?=def {name[9:]}\()", "", before))
            assert was != (explained(shop, name, *options)["level"] != "off"), line
            (shop.root / "shop" / "odd.py").write_text(before)
        if "# autoscope: off" in line and name.startswith("shop.odd."):
            (shop.root / "shop" / "odd.py").write_text(
                re.sub(rf"(?m)^(def {name[9:]}\(.*)$", r"\1  # autoscope: off", before)
            )
            assert explained(shop, name, *options)["level"] == "off", line
            (shop.root / "shop" / "odd.py").write_text(before)
    assert tried


def test_a_lambda_has_no_line_to_write_a_mark_on(shop):  # noqa: F811
    """Only its entry can be told."""
    shop.write({"shop/odd.py": ODD})
    for options in ((), ("--strategy", "full_trace")):
        found = str(explained(shop, "shop.odd.<lambda>", *options)["would_change"])
        assert 'functions: {"<lambda>": {level: ' in found
        assert "definition" not in found and "line" not in found


def test_where_a_budget_decides_it_says_so(shop):  # noqa: F811
    """A strategy alone would not help; more of a budget would."""
    found = explained(shop, "shop.payments.rounded", "--strategy", "full_trace", "--budget", "0.001%")["would_change"]

    assert "a larger budget than 0.001 %" in found
    assert not [line for line in found if line.startswith("--strategy") and "budget" not in line]
