"""`autoscope show` and `autoscope doctor`."""

from __future__ import annotations

import ast
import json
import socket

import pytest
from cli_kit import hooked, python, write

SHOP = """
import os

class Cart:
    def add(self, sku, quantity=1):
        \"\"\"Put in.\"\"\"
        self.items = [os.fspath(sku)] * quantity
        return self

    def _small(self):
        return 1

def total(cart):
    def one(item):
        return len(item)
    return sum(one(item) for item in cart.items)

async def fetch(n):
    return await other(n)

def steps():
    yield from range(3)
"""


def show(*arguments, cwd, **more):
    done = python("-m", "autoscope", "show", *arguments, cwd=cwd, **more)
    return done.stdout.decode(), done.stderr.decode(), done.code


@pytest.mark.parametrize("target", ["shop.py", "shop"])
def test_a_module(target, tmp_path):
    write(tmp_path, {"shop.py": SHOP})
    text, said, code = show(target, cwd=tmp_path)
    assert (said, code) == ("", 0)
    ast.parse(text)
    assert "SITE" in text
    assert "@SITE@" not in text
    assert "# left alone: Cart._small: trivial (balanced)" in text


def test_importing_is_not_needed(tmp_path):
    write(tmp_path, {"shop.py": SHOP + "raise SystemExit('imported')\n"})
    assert show("shop.total", cwd=tmp_path)[2] == 0


@pytest.mark.parametrize("target, has, has_not", [
    ("shop.Cart.add", "def add", "def total"), ("shop.Cart", "class Cart", "def total"), ("shop.total", "def one", "class Cart"),
    ("shop.total.one", "def one", "def total"), ("shop.fetch", "async def fetch", "steps"), ("shop.steps", "def steps", "fetch"),
])  # fmt: skip
def test_one_function(target, has, has_not, tmp_path):
    write(tmp_path, {"shop.py": SHOP})
    text, _, code = show(target, "--strategy", "full_trace", cwd=tmp_path)
    assert code == 0
    assert has in text
    assert has_not not in text
    ast.parse(text)


def test_in_a_package(tmp_path):
    write(tmp_path, {"pkg/__init__.py": "", "pkg/shop.py": SHOP})
    assert "def add" in show("pkg.shop.Cart.add", cwd=tmp_path)[0]


def test_the_plan_decides(tmp_path):
    write(
        tmp_path,
        {"shop.py": SHOP, "p.yaml": "version: 1\nmodules:\n  shop:\n    functions:\n      total: {level: off}\n"},
    )
    text = show("shop", "--plan", "p.yaml", cwd=tmp_path)[0]
    assert "# left alone: total: off in the plan" in text


@pytest.mark.parametrize("arguments", [
    ["nope"], ["shop.nope"], ["shop.Cart.nope"], ["bad.py"], ["bad"], ["math"], ["nope.py"], [], ["shop", "--strategy", "x"],
    ["shop", "--exclude", "shop"], ["shop", "--plan", "nope.yaml"], [""], ["."], ["..shop"], ["undecodable.py"], ["sys"],
])  # fmt: skip
def test_what_cannot_be_shown_is_said_in_one_line(arguments, tmp_path):
    write(tmp_path, {"shop.py": SHOP, "bad.py": "def f(:\n", "undecodable.py": b"x = '\xff'\n"})
    text, said, code = show(*arguments, cwd=tmp_path)
    assert (text, code, said.count("\n")) == ("", 2, 1)
    assert said.startswith("autoscope: ")


def doctor(cwd, **more):
    done = python("-m", "autoscope", "doctor", "--format", "json", cwd=cwd, **more)
    return json.loads(done.stdout), done.stderr.decode(), done.code


def test_a_healthy_environment(tmp_path):
    found, said, code = doctor(tmp_path)
    assert (said, code) == ("", 0), found
    assert any("the import hook is active and first" in finding["what"] for finding in found)
    assert any("does not turn autoscope on" in finding["what"] for finding in found)
    assert list(tmp_path.iterdir()) == []
    text = python("-m", "autoscope", "doctor", cwd=tmp_path)
    assert text.code == 0
    assert len(text.stdout.splitlines()) == len(found)


def bad(found):
    return [finding for finding in found if finding["state"] == "bad"]


def test_turned_on(tmp_path):
    found, said, code = doctor(tmp_path, env=hooked(STRATEGY="balanced"))
    assert (said, code, bad(found)) == ("", 0, [])
    assert any("AUTOSCOPE_STRATEGY" in finding["what"] for finding in found)


def test_not_on_the_path(tmp_path):
    found, _, code = doctor(tmp_path, env={"AUTOSCOPE_STRATEGY": "balanced"})
    assert code == 1
    assert "not on PYTHONPATH" in bad(found)[0]["what"]
    assert all(finding["do"] for finding in bad(found))


def test_a_plan_that_cannot_be_used(tmp_path):
    found, said, code = doctor(tmp_path, env=hooked(PLAN="nope.yaml"))
    assert (said.count("\n"), code) == (1, 1)  # this process is one that cannot be traced, too
    assert any("nope.yaml" in finding["what"] for finding in bad(found))


def test_disabled(tmp_path):
    found, _, code = doctor(tmp_path, env=hooked(STRATEGY="balanced", DISABLED="1"))
    assert code == 0
    assert any("AUTOSCOPE_DISABLED" in finding["what"] for finding in found)


def test_a_hook_in_front_of_ours(tmp_path):
    write(
        tmp_path,
        {
            "theirs/sitecustomize.py": "import sys\nclass Hook:\n    def find_spec(*a): return None\nsys.meta_path.insert(0, Hook())\n"
        },
    )
    env = hooked(STRATEGY="balanced")
    env["PYTHONPATH"] += ":" + str(tmp_path / "theirs")
    found, said, code = doctor(tmp_path, env=env)
    assert said == ""
    assert any("Hook" in finding["what"] for finding in found)


def test_a_dead_endpoint_and_a_living_one(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
        found, _, code = doctor(tmp_path, env=env)
        assert code == 1
        assert str(port) in bad(found)[0]["what"]
        listener.listen()
        found, _, code = doctor(tmp_path, env=env)
        assert (code, bad(found)) == (0, [])


@pytest.mark.parametrize("url", ["http://127.0.0.1:x", "nonsense", "http://", "http://[::1"])
def test_an_endpoint_that_is_no_url_is_a_finding(url, tmp_path):
    found, said, code = doctor(tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert "Traceback" not in said
    assert code in (0, 1)
    assert found


def test_a_store_that_cannot_be_made(tmp_path):
    write(tmp_path, {"file": ""})
    found, _, code = doctor(tmp_path, env={"AUTOSCOPE_STORE": str(tmp_path / "file" / "s")})
    assert code == 1
    assert "not a directory" in bad(found)[0]["what"]


def test_the_sdk_disabled(tmp_path):
    found, _, code = doctor(tmp_path, env={**hooked(STRATEGY="balanced"), "OTEL_SDK_DISABLED": "true"})
    assert any("OTEL_SDK_DISABLED" in finding["what"] for finding in found)
