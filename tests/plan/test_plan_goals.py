"""Goals: what a user wants to know, as functions watched more closely."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from facts_kit import a_function, code_base
from project_kit import shop  # noqa: F401

from autoscope.errors import AutoscopeError
from autoscope.plan import goals


def linked(**calls):
    """Functions of `app` by name, with what each calls."""
    names = list(calls)
    code = code_base([a_function(qualname=name, line=10 * number) for number, name in enumerate(names)])
    for name, called in calls.items():
        for other in called:
            code.functions[names.index(name)].callees[names.index(other)] = 1.0
            code.functions[names.index(other)].callers += (names.index(name),)
    return code


def wanted(code, *asked):
    """Name -> aim."""
    return {code.functions[index].qualname: aim for index, aim in goals.aims(code, asked).items()}


def test_slow_follows_calls_to_a_depth():
    """The function with its arguments, what it calls three deep, and its I/O twice as deep."""
    code = linked(a="b", b="c", c="d", d="e", e="f", f="g", g="h", h="")
    for name, io in (("e", ()), ("f", ("database",)), ("h", ("http",))):
        code.functions["abcdefgh".index(name)].io = io
    code.functions[2].trivial = "accessor"

    found = wanted(code, "slow:app.a")
    assert ["a", "b", "d", "f"] == sorted(found)
    assert (True, False, "goal slow:app.a: the function itself") == (
        found["a"].args,
        found["a"].result,
        found["a"].reason,
    )
    assert "goal slow:app.a: 5 calls below, does I/O: database" == found["f"].reason


def test_slow_takes_functions_classes_modules_and_globs():
    """Named as spans are."""
    code = code_base([a_function(qualname="Cart.add"), a_function(qualname="Cart.get"), a_function("lib", "f")])

    assert ["Cart.add"] == sorted(wanted(code, "slow:app.Cart.add"))
    assert ["Cart.add", "Cart.get"] == sorted(wanted(code, "slow:app.Cart")) == sorted(wanted(code, "slow:app"))
    assert ["Cart.add"] == sorted(wanted(code, "slow:*add"))


def test_errors_follows_what_raises_and_catches():
    """In the target and below it, with arguments."""
    code = linked(a="b", b="c", c="")
    code.functions[1].raises = ("ValueError",)
    code.functions[2].catches = ("KeyError", "OSError")

    found = wanted(code, "errors:app.a")
    assert {
        "a": "goal errors:app.a: in the target",
        "b": "goal errors:app.a: 1 call below; raises ValueError",
        "c": "goal errors:app.a: 2 calls below; catches KeyError, OSError",
    } == {name: aim.reason for name, aim in found.items()}
    assert all(aim.args for aim in found.values())


@pytest.mark.parametrize(
    "detail, target",
    [
        ("Flask route /cart/<int:number>", "/cart/{id}"),
        ("FastAPI GET /cart/{number}", "cart/<id>"),
        ("Flask GET /cart/<number>", "GET /cart/{id}"),
        ("Django path cart/<int:pk>/", "/cart/:id/"),
        (r"Django path ^cart/(?P<pk>\d+)/$", "/cart/{pk}"),
    ],
)
def test_request_finds_a_route_however_it_is_written(detail, target):
    """Each framework has its own way of writing a parameter."""
    code = linked(a="b", b="")
    code.functions[0].role, code.functions[0].role_detail = "web", detail

    found = wanted(code, f"request:{target}")
    assert ["a", "b"] == sorted(found)
    assert (True, True) == (found["a"].args, found["a"].result)


@pytest.mark.parametrize(
    "goal, message",
    [
        (
            "slow",
            "--goal `slow`: write KIND:TARGET; kinds: slow, errors, request, diff, such as slow:shop.checkout or ",
        ),
        ("slow: ", "--goal `slow: `: write KIND:TARGET; "),
        ("slwo:app", "--goal `slwo:app`: did you mean `slow`? write KIND:TARGET; "),
        ("slow:app.lod", "--goal slow:app.lod: the code has no `app.lod`; did you mean `app.load`? name a function, "),
        ("errors:?", "--goal errors:?: the code has no `?`; "),
        ("request:/nowhere", "--goal request:/nowhere: no route `/nowhere`; routes found: none whose path can be read"),
        ("diff:main..HEAD", "--goal diff:main..HEAD: /nowhere is in no git repository; "),
        (
            "diff:--output=x",
            "--goal diff:--output=x: `--output=x` is no range of commits; write one such as diff:main..HEAD",
        ),
    ],
)
def test_a_goal_that_means_nothing_is_an_error(goal, message):
    """In one line, with the way out."""
    code = linked(load="")
    code.root = "/nowhere"

    with pytest.raises(AutoscopeError) as error:
        goals.aims(code, [goal])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_name_that_is_nearly_a_classs_is_told(shop):  # noqa: F811
    """As one that is nearly a function's or a module's."""
    assert shop.run("plan", "shop", "--goal", "slow:shop.cart.Crat") == 2
    assert "did you mean `shop.cart.Cart`? " in shop.err


def test_several_goals_add_up():
    """Of what two want of the same function, it gets both."""
    code = linked(a="b", b="")
    code.functions[1].role, code.functions[1].role_detail = "web", "route /b"

    found = wanted(code, "slow:app.a", "request:/b")
    assert (True, True) == (found["b"].args, found["b"].result)
    assert "goal slow:app.a: 1 call below; goal request:/b: handles it" == found["b"].reason


def test_goals_combine_with_strategies_and_the_budget(shop):  # noqa: F811
    """At least as close as the goal wants, closer where the strategy is, and in the plan until another is given."""
    text = shop.planned("--strategy", "minimal", "--goal", "slow:shop.payments.rounded", "--goal", "request:/cart/{id}")
    assert "rounded: {level: balanced, capture: {args: true}}" == shop.entry("rounded")
    assert "checkout: {level: balanced, capture: {args: true, return: true}}" == shop.entry("checkout")
    assert "# goal slow:shop.payments.rounded: the function itself" in text
    assert text == shop.updated()

    shop.updated("--goal", "errors:shop.payments")
    assert "" == shop.entry("rounded")
    assert "pay: {level: balanced, capture: {args: true}}" == shop.entry("pay")

    shop.planned("--strategy", "full_trace", "--goal", "slow:shop.payments.rounded")
    assert "full_trace" in shop.plan.read_text().partition("shop.payments:")[2].split("\n")[1]
    shop.planned("--budget", "0.001%", "--goal", "slow:shop.payments.rounded")
    assert "" == shop.entry("rounded")


# Ranges of commits, in real repositories.


class Repository:
    def __init__(self, project):
        self.project = project
        self.git("init", "-q", "-b", "main")
        self.commit("first")

    def git(self, *arguments):
        identity = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org"}
        identity |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in identity.items()}
        subprocess.run(
            ["git", "-c", "commit.gpgsign=false", *arguments],
            cwd=self.project.root,
            check=True,
            capture_output=True,
            env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull},
        )

    def commit(self, message):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def aims(self, target):
        """Function -> what `diff:` wants of it."""
        assert self.project.run("plan", "shop", "--format", "json", "--goal", f"diff:{target}") == 0, self.project.err
        return {
            function["name"].removeprefix("shop."): function["reasons"][0].partition(": ")[2]
            for function in json.loads(self.project.out)["functions"]
            if function["decided_by"] == "goal"
        }


@pytest.fixture
def repository(shop):  # noqa: F811
    return Repository(shop)


def test_diff_finds_what_changed_with_callers_and_callees(repository, shop):  # noqa: F811
    """In the functions a range of commits has lines of, and nowhere else."""
    shop.edit("shop/payments.py", 'json={"card": card,', 'json={"number": card,')
    repository.commit("second")

    expected = {"payments.charge": "changed", "payments.pay": "calls shop.payments.charge, which changed"}
    assert expected == repository.aims("main~1..main")

    shop.edit("shop/web.py", "basket = cart.load(number)", "basket = cart.load(int(number))")
    repository.commit("third")
    found = repository.aims("main~1..main")
    assert "changed" == found.pop("web.checkout")
    assert {"called by shop.web.checkout, which changed"} == set(found.values())
    assert {"cart.load", "payments.pay"} == set(found)


CHANGES = {
    "changed": ("if rate > 1 and line:", "if line:"),
    "added": ("        return self.total\n", "        print(1)\n        return self.total\n"),
    "taken out": ("                elif rate < 0:\n                    raise ValueError(rate)\n", ""),
}


@pytest.mark.parametrize("what", CHANGES)
def test_diff_sees_every_kind_of_change(repository, shop, what):  # noqa: F811
    """What is only taken out, too, which leaves no line behind."""
    shop.edit("shop/cart.py", *CHANGES[what])
    repository.commit("second")

    assert ["cart.Cart.price"] == [name for name, why in repository.aims("HEAD~1").items() if why == "changed"]


def test_diff_takes_a_decorator_for_its_function(repository, shop):  # noqa: F811
    """It is where the function begins."""
    shop.edit("shop/web.py", '@app.route("/health")', '@app.route("/healthy")')
    repository.commit("second")

    assert {"web.health": "changed"} == repository.aims("HEAD~1..HEAD")


def test_diff_sees_that_a_decorator_was_taken_out(repository, shop):  # noqa: F811
    """Which leaves no line of the function behind; the one above, and one that is gone as a whole, leave the others as they were."""
    shop.edit("shop/web.py", '@app.route("/health")\n', "")
    repository.commit("second")
    assert {"web.health": "changed"} == repository.aims("HEAD~1..HEAD")

    shop.edit(
        "shop/web.py",
        '@app.route("/cart/<int:number>", methods=["POST"])\ndef checkout',
        "def early(): pass\n\n@app\ndef checkout",
    )
    repository.commit("third")
    shop.edit("shop/web.py", "def early(): pass\n\n@app\n", "")
    repository.commit("fourth")
    assert not shop.run("plan", "shop", "--dry-run", "--goal", "diff:HEAD~2..HEAD~1")


@pytest.mark.parametrize(
    "name", ["my jobs/late.py", 'we"ird/late.py', "tab\there/late.py", "bell\x01/late.py", "größe/late.py"]
)
def test_diff_finds_files_whatever_the_directory_is_called(repository, shop, name):  # noqa: F811
    """Git writes some names in quotes, and a tab behind others."""
    shop.write({f"shop/{name}": "def late():\n    return open('x').read()\n"})
    repository.commit("second")
    shop.edit(f"shop/{name}", "'x'", "'y'")

    assert {"changed"} == {why for function, why in repository.aims("HEAD").items() if function.endswith("late")}


def test_diff_means_the_lines_as_they_were_at_the_end_of_the_range(repository, shop):  # noqa: F811
    """What was changed after it, and moved them, changes nothing of that."""
    shop.edit("shop/web.py", 'return "fine"', 'return "ok"')
    repository.commit("second")
    for later in range(2):
        shop.edit("shop/web.py", "app = Flask", f"def early_{later}():\n    return 1\n\n\napp = Flask")
        assert {"web.health": "changed"} == repository.aims("main~1..main" if not later else "main~2...main~1")
        repository.commit("later")


def test_diff_takes_lines_that_look_like_its_own_for_what_they_are(repository, shop):  # noqa: F811
    """As in a docstring with a patch in it."""
    shop.edit("shop/web.py", 'return "fine"', 'return """\n++ b/shop/cart.py\n@@ -1 +1,99 @@\n"""')

    assert {"web.health": "changed"} == repository.aims("HEAD")


def test_diff_in_a_shallow_clone_says_what_is_missing(repository, shop, tmp_path):  # noqa: F811
    """As CI makes them."""
    shop.edit("shop/web.py", 'return "fine"', 'return "ok"')
    repository.commit("second")
    repository.git("clone", "-q", "--depth", "1", f"file://{shop.root}", str(tmp_path / "shallow"))

    assert shop.run("plan", str(tmp_path / "shallow"), "--goal", "diff:HEAD~1..HEAD") == 2
    assert "HEAD~1..HEAD" in shop.err
    assert shop.err.endswith("; give a range git knows: this clone is shallow, `git fetch --unshallow` gets the rest\n")


def test_diff_sees_what_is_not_committed(repository, shop):  # noqa: F811
    """One commit alone is compared with the files as they are."""
    shop.edit("shop/web.py", 'return "fine"', 'return "ok"')

    assert {"web.health": "changed"} == repository.aims("HEAD")


def test_diff_does_not_depend_on_the_users_git(repository, shop, tmp_path, monkeypatch):  # noqa: F811
    """Whatever his configuration makes of a difference: prefixes, colours, other programs; and names that are not ASCII."""
    (shop.root / "shop" / "größe.py").write_text("def maß():\n    return open('x').read()\n")
    repository.commit("second")
    (shop.root / "shop" / "größe.py").write_text("def maß():\n    return open('y').read()\n")
    config = tmp_path / "gitconfig"
    config.write_text(
        "[diff]\n\tnoprefix = true\n\tmnemonicPrefix = true\n\texternal = false\n\trelative = false\n\tcontext = 10\n"
        "[color]\n\tui = always\n[core]\n\tquotePath = true\n\tpager = false\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))

    assert {"größe.maß": "changed"} == repository.aims("HEAD")


def test_diff_is_not_taken_from_the_cache(repository, shop):  # noqa: F811
    """The same files, the same words, and the branch is elsewhere by now: another plan."""
    shop.edit("shop/web.py", 'return "fine"', 'return "ok"')
    repository.commit("second")
    shop.edit("shop/cart.py", "if rate > 1 and line:", "if line:")
    repository.commit("third")
    repository.git("branch", "other", "main~1")

    assert "{args: true}" not in (shop.planned("--goal", "diff:other..main") and shop.entry("health"))
    repository.git("branch", "-f", "other", "main~2")
    assert "{args: true}" in (shop.planned("--goal", "diff:other..main") and shop.entry("health"))


@pytest.mark.parametrize(
    "target, message",
    [
        ("nosuch..HEAD", "git refused: "),
        ("HEAD..HEAD", "no function was changed in that range; "),
        ("HEAD -- x", "git refused: "),
    ],
)
def test_a_bad_range_is_an_error_in_one_line(repository, shop, target, message):  # noqa: F811
    """With what git says."""
    assert shop.run("plan", "shop", "--goal", f"diff:{target}") == 2
    assert f"autoscope: --goal diff:{target}: {message}" in shop.err
    assert 1 == shop.err.count("\n")


def test_without_git_it_says_so(shop, monkeypatch):  # noqa: F811
    """A machine may have none."""
    monkeypatch.setenv("PATH", "")

    assert shop.run("plan", "shop", "--goal", "diff:main") == 2
    assert "git cannot be run: " in shop.err
    assert 1 == shop.err.count("\n")
