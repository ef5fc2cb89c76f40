"""A small shop on disk, and the commands that plan it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from autoscope.cli import main

SHOP = {
    "shop/__init__.py": "",
    "shop/web.py": """
        from flask import Flask, request
        from shop import cart, payments

        app = Flask(__name__)

        @app.route("/cart/<int:number>", methods=["POST"])
        def checkout(number):
            basket = cart.load(number)
            return payments.pay(basket, request.form["card"])

        @app.route("/health")
        def health():
            return "fine"
        """,
    "shop/cart.py": """
        import sqlite3

        class Cart:
            def __init__(self, lines):
                self.lines = lines
                self.total = 0

            def price(self, rates):
                for line in self.lines:
                    for rate in rates:
                        if rate > 1 and line:
                            self.total += line * rate
                        elif rate < 0:
                            raise ValueError(rate)
                return self.total

            @property
            def size(self):
                return len(self.lines)

        def load(number):
            db = sqlite3.connect("shop.db")
            return Cart(db.execute("select line from lines where cart = ?", (number,)).fetchall())
        """,
    "shop/payments.py": """
        import requests

        def pay(basket, card):
            try:
                return charge(card, basket.price([1, 2]))
            except Exception:
                return "declined"

        def charge(card, amount):
            return requests.post("https://bank.example", json={"card": card, "amount": rounded(amount)}).text

        def rounded(amount):
            return round(amount, 2)
        """,
}


class Project:
    """Files in a directory, and the planner's commands run on them."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.capsys = capsys
        self.plan = root / "plan.yaml"
        self.out = self.err = ""
        self.write(SHOP)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace what must be there once."""
        text = (self.root / name).read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}:\n{text}"
        (self.root / name).write_text(text.replace(old, new))

    def run(self, *arguments: str) -> int:
        """One command, in this process; its output is in `out` and `err`."""
        self.capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        self.out, self.err = self.capsys.readouterr()
        return code

    def planned(self, *options: str) -> str:
        """The plan file, written anew."""
        assert self.run("plan", self.root / "shop", "-o", self.plan, *options) == 0, self.err
        return self.plan.read_text()

    def updated(self, *options: str) -> str:
        """The plan file after `--update`; `out` is the difference."""
        assert self.run("plan", "--update", self.plan, *options) == 0, self.err
        return self.plan.read_text()

    def entry(self, name: str) -> str:
        """The line of an entry in the plan file, without the planner's reason; empty for none."""
        lines = [line.strip() for line in self.plan.read_text().split("\n")]
        found = [line for line in lines if line.partition(":")[0].strip("\"'") == name]
        return found[0].split("  #")[0] if found else ""


@pytest.fixture
def shop(tmp_path, capsys, monkeypatch):
    """The shop, in an empty directory that is the working directory, with a cache of its own."""
    monkeypatch.setenv("AUTOSCOPE_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    return Project(root, capsys)
