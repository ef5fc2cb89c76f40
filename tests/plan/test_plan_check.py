"""`autoscope check`: does a plan still fit the code? Real edits of a small project, from harmless to fatal."""

from __future__ import annotations

import json

import pytest
from project_kit import shop  # noqa: F401


def checked(shop, *arguments):  # noqa: F811
    """What `check --format json` says; its exit code is 0 for ALIGNED alone."""
    code = shop.run("check", shop.plan, *arguments, "--format", "json")
    found = json.loads(shop.out)
    assert ["ALIGNED", "DRIFTED", "CRITICAL_MISS"].index(found["verdict"]) == 0 or code == 1
    assert found["verdict"] != "ALIGNED" or code == 0
    assert 0 <= found["distance"] <= 1
    return found


def kinds(found, severity=None):
    """(kind, target) of what was found."""
    return [
        (item["kind"], item["target"]) for item in found["findings"] if severity is None or item["severity"] == severity
    ]


def rename(shop, file, *names):  # noqa: F811
    for old, new in zip(names[::2], names[1::2], strict=True):
        text = (shop.root / file).read_text()
        assert old in text
        (shop.root / file).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--strategy", "minimal"),
        ("--strategy", "full_trace"),
        ("--strategy", "auto", "--budget", "60%"),
        ("--goal", "slow:shop.payments.rounded", "--rate", "0.5"),
        ("--include", "shop.cart", "--exclude", "shop.web"),
    ],
)
def test_a_new_plan_is_aligned(shop, options):  # noqa: F811
    """Whatever it was asked to be: nothing is found, and it is what would be planned today; lambdas, which no entry can tell apart, aside."""
    shop.edit("shop/payments.py", "return round(amount, 2)", "return (lambda value: round(value, 2))(amount)")
    shop.planned(*options)

    found = checked(shop)
    assert ("ALIGNED", 0.0, []) == (found["verdict"], found["distance"], found["findings"])
    assert found["watched"] == found["wanted"] > 0


def test_edits_the_plan_does_not_speak_of_leave_it_aligned(shop):  # noqa: F811
    """A helper nobody watches is renamed, another added: noted, and no more."""
    shop.planned()
    rename(shop, "shop/payments.py", "rounded", "to_cents")
    shop.write({"shop/more.py": "def helper():\n    return 1\n"})

    found = checked(shop)
    assert ("ALIGNED", 0.0, [("source", "source")]) == (found["verdict"], found["distance"], kinds(found))
    assert ["note"] == [item["severity"] for item in found["findings"]]


def test_a_renamed_helper_is_drift(shop):  # noqa: F811
    """The old name is gone, the new one is not watched: two of eight differ."""
    shop.planned()
    rename(shop, "shop/payments.py", "charge(", "debit(")

    found = checked(shop)
    assert "DRIFTED" == found["verdict"]
    assert [("new", "shop.payments.debit"), ("vanished", "shop.payments.charge")] == kinds(found, "drift")
    assert round(2 / (found["watched"] + 2), 4) == found["distance"]


def test_a_renamed_entry_point_is_a_critical_miss(shop):  # noqa: F811
    """What mattered most is not seen any more."""
    shop.planned()
    rename(shop, "shop/web.py", "def checkout(", "def buy(")

    found = checked(shop)
    assert "CRITICAL_MISS" == found["verdict"]
    assert [("new", "shop.web.buy"), ("vanished", "shop.web.checkout")] == kinds(found, "critical")


def test_a_new_endpoint_is_a_critical_miss(shop):  # noqa: F811
    """Nothing vanished, but what is new should be watched."""
    shop.planned()
    with open(shop.root / "shop" / "web.py", "a") as file:
        file.write('\n@app.route("/refund", methods=["POST"])\ndef refund():\n    return payments.pay(None, None)\n')

    found = checked(shop)
    assert "CRITICAL_MISS" == found["verdict"]
    assert [("new", "shop.web.refund")] == kinds(found, "critical")
    (new,) = [item for item in found["findings"] if item["kind"] == "new"]
    assert new["detail"].startswith("new, not watched: web entry point: ")


def test_a_parameter_that_a_capture_names_and_is_gone_is_drift(shop):  # noqa: F811
    """Its argument would silently be missing; a glob's list may name what only some functions have."""
    shop.planned()
    shop.edit("plan.yaml", "charge: {level: balanced}", "charge: {level: balanced, capture: {args: [card, amount]}}")
    shop.edit(
        "plan.yaml", "  shop.web:", "  'shop.p*':\n    functions:\n      '*': {capture: {args: [card]}}\n  shop.web:"
    )
    assert "ALIGNED" == checked(shop)["verdict"]
    rename(shop, "shop/payments.py", "charge(card, amount)", "charge(number, amount)", '"card": card', '"card": number')

    found = checked(shop)
    assert [("parameter", "shop.payments.charge")] == kinds(found, "drift")
    assert "captures card; its parameters are: number, amount" == found["findings"][0]["detail"]
    assert 0.0 == found["distance"]


def test_a_deleted_module_is_found(shop):  # noqa: F811
    """Once, not function by function, and as bad as what was in it."""
    shop.planned()
    (shop.root / "shop" / "cart.py").unlink()
    found = checked(shop)
    assert [("vanished", "shop.cart")] == kinds(found, "drift")

    (shop.root / "shop" / "web.py").unlink()
    found = checked(shop)
    assert [("vanished", "shop.web")] == kinds(found, "critical")


def test_globs_that_match_nothing_any_more_are_drift(shop):  # noqa: F811
    """The user's entries, includes and excludes; no error, for the rest is to be compared as well."""
    shop.planned("--exclude", "shop.cart")
    shop.edit("plan.yaml", "  shop.web:", "  'shop.c*': {rate: 0.5}\n  shop.web:")
    shop.edit("plan.yaml", 'include: ["shop.*"]', 'include: ["shop.*", "other.*"]')
    (shop.root / "shop" / "cart.py").unlink()

    found = checked(shop)
    assert [("unmatched", "exclude: shop.cart"), ("unmatched", "include: other.*"), ("unmatched", "shop.c*")] == kinds(
        found, "drift"
    )


def test_a_goal_whose_target_is_gone_is_critical(shop):  # noqa: F811
    """The plan was written for it."""
    shop.planned("--goal", "slow:shop.payments.rounded")
    rename(shop, "shop/payments.py", "rounded", "to_cents")

    found = checked(shop)
    assert "CRITICAL_MISS" == found["verdict"]
    assert ("goal", "slow:shop.payments.rounded") in kinds(found, "critical")


def test_a_budget_no_longer_met_is_drift(shop):  # noqa: F811
    """Whether the code or the budget is another; one that never could be met is noted."""
    shop.planned("--budget", "5%")
    assert "ALIGNED" == checked(shop)["verdict"]
    shop.edit("plan.yaml", "budget: {overhead: 5%}", "budget: 0.5%")

    found = checked(shop)
    assert [("budget", "budget")] == kinds(found, "drift")
    assert found["estimate"] > 0.005

    shop.planned("--budget", "0.00001%")
    found = checked(shop)
    assert ("ALIGNED", [("budget", "budget")]) == (found["verdict"], kinds(found, "note"))


def test_what_was_taken_out_by_hand_is_not_missed(shop):  # noqa: F811
    """Nor what was changed or added."""
    shop.planned()
    line = next(line for line in shop.plan.read_text().split("\n") if line.strip().startswith("charge:"))
    shop.edit("plan.yaml", f"{line}\n", "")
    shop.edit("plan.yaml", "pay: {level: balanced}", "pay: {level: minimal, rate: 0.5}")
    assert ("ALIGNED", 0.0) == (checked(shop)["verdict"], checked(shop)["distance"])

    shop.edit("plan.yaml", "      load: ", "      Cart.size: {rate: 0.25}\n      load: ")
    shop.updated()
    assert ("ALIGNED", 0.0) == (checked(shop)["verdict"], checked(shop)["distance"])


def test_a_plan_written_by_hand_is_checked_for_what_it_names(shop):  # noqa: F811
    """Nobody knows what was new when it was written, so new functions are no drift."""
    shop.plan.write_text(
        "include: ['shop.*']\nmodules:\n  shop.payments:\n    functions:\n      pay: {level: full_trace}\n"
    )
    found = checked(shop, "shop")
    assert ("ALIGNED", 0.0) == (found["verdict"], found["distance"])

    shop.write({"shop/jobs.py": "import subprocess\n\ndef nightly():\n    subprocess.run(['true'])\n"})
    assert "ALIGNED" == checked(shop, "shop")["verdict"]
    rename(shop, "shop/payments.py", "def pay(", "def settle(")
    found = checked(shop, "shop")
    assert ("CRITICAL_MISS", [("vanished", "shop.payments.pay")]) == (found["verdict"], kinds(found))
    assert found["distance"] > 0


def test_modules_a_plan_leaves_out_do_not_count(shop):  # noqa: F811
    """Its includes say what it is about."""
    shop.plan.write_text("include: [shop.cart]\n")

    everything, few = checked(shop, "shop"), 4
    assert few == everything["watched"]


def test_distances_can_be_compared(shop):  # noqa: F811
    """The more differs, the farther; one check says as much as the other."""
    shop.planned()
    distances = [checked(shop)["distance"]]
    for file, old, new in (
        ("shop/payments.py", "charge(", "debit("),
        ("shop/cart.py", "def load(", "def fetch("),
        ("shop/web.py", "def checkout(", "def buy("),
        ("shop/web.py", "def health(", "def alive("),
        ("shop/payments.py", "def pay(", "def settle("),
        ("shop/cart.py", "def price(", "def sum("),
    ):
        rename(shop, file, old, new)
        distances.append(checked(shop)["distance"])

    assert sorted(set(distances)) == distances
    assert (0.0, 1.0) == (distances[0], distances[-1])


def test_the_text_has_a_line_for_each_finding(shop):  # noqa: F811
    """The worst first, under the verdict."""
    shop.planned()
    rename(shop, "shop/payments.py", "charge(", "debit(")
    rename(shop, "shop/web.py", "def checkout(", "def buy(")

    assert shop.run("check", shop.plan) == 1
    first, *lines = shop.out.splitlines()
    assert first.startswith("CRITICAL_MISS  distance 0.5")
    assert ["critical", "critical", "drift", "drift", "note"] == [line.split()[0] for line in lines]
    assert shop.run("plan", "--update", shop.plan) == 0
    assert shop.run("check", shop.plan) == 0
    assert shop.out.startswith("ALIGNED  distance 0  (6 watched, 6 would be today; ")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("nosuch.yaml",), "nosuch.yaml: no such file; "),
        (("plan.yaml", "nosuch"), "nosuch: there is no such file or directory; "),
        ((), "the following arguments are required: PLAN; see `"),
        (("shop/web.py",), "shop/web.py:"),
    ],
)
def test_wrong_use_is_an_error_in_one_line(shop, arguments, message):  # noqa: F811
    """With exit code 2, which is none of the verdicts'."""
    shop.planned()

    assert shop.run("check", *arguments) == 2
    assert shop.err.startswith(f"autoscope: {message}")
    assert 1 == shop.err.count("\n")
