"""Customers: a bounded number of requests over real sockets, the same ones every time."""

from __future__ import annotations

import json
import random
from collections import Counter
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode


class Customer:
    """Somebody with a browser."""

    def __init__(self, host: str, port: int) -> None:
        self.connection = HTTPConnection(host, port, timeout=10)
        self.seen: Counter[int] = Counter()

    def ask(self, method: str, path: str, body: str | None = None, kind: str = "") -> Any:
        headers = {"Content-Type": kind} if kind else {}
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        self.seen[response.status] += 1
        return response.read()

    def buy(self, items: dict[str, int], card: str, day: int) -> None:
        order = {"customer": "ada", "items": items, "card": card, "day": day}
        self.ask("POST", "/orders", json.dumps(order), "application/json")


def run(host: str, port: int, rounds: int = 60) -> str:
    """Visit the shop `rounds` times; one line of what came back."""
    choices = random.Random(42)
    customer = Customer(host, port)
    skus = ["apple", "pear", "juice", "tea", "coffee"]
    for visit in range(rounds):
        customer.ask("GET", "/products")
        customer.ask("GET", f"/products/{choices.choice([*skus, 'unicorn'])}")
        password = choices.choice(["lovelace", "guess"])
        customer.ask(
            "POST", "/login", urlencode({"user": "ada", "password": password}), "application/x-www-form-urlencoded"
        )
        items = {sku: choices.randint(1, 4) for sku in choices.sample(skus, choices.randint(1, 3))}
        customer.buy(items, card="4000 0013" if visit % 20 == 19 else "4000 0042", day=visit // 10)
        if visit % 10 == 9:
            customer.ask("GET", "/report")
            customer.ask("GET", "/size")
    return f"{sum(customer.seen.values())} requests: " + ", ".join(
        f"{count} x {status}" for status, count in sorted(customer.seen.items())
    )
