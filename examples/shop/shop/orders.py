"""From a cart to an order: stock, payment, and what follows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from shop.cart import Cart
from shop.database import Database
from shop.fulfilment import Fulfilment

Result = TypeVar("Result")


class OutOfStock(Exception):
    """Not enough of something."""


class PaymentRefused(Exception):
    """The bank says no."""


def retry(times: int) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Try again when a payment is refused, up to `times` times."""

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(function)
        def attempt(*args: object, **kwargs: object) -> Result:
            for _ in range(times - 1):
                try:
                    return function(*args, **kwargs)
                except PaymentRefused:
                    pass
            return function(*args, **kwargs)

        return attempt

    return decorate


class Orders:
    """Everything between "buy" and "sent"."""

    def __init__(self, database: Database, pool: ThreadPoolExecutor, fulfilment: Fulfilment) -> None:
        self.database = database
        self.pool = pool
        self.fulfilment = fulfilment
        self.attempts = 0

    def place(self, cart: Cart, customer: str, card: str, day: int) -> int:
        """Make an order of a cart; its number. Raises `OutOfStock` or `PaymentRefused`, and nothing has happened."""
        checks = [self.pool.submit(self.in_stock, sku, quantity) for sku, quantity in sorted(cart.items.items())]
        for check in checks:
            check.result()
        total = cart.total()
        with self.database.transaction():
            number = self.database.change(
                "insert into orders (customer, day, total, state) values (?, ?, ?, 'new')", customer, day, total
            )
            for sku, quantity in sorted(cart.items.items()):
                self.take(number, sku, quantity)
            self.pay(card=card, amount=total)
        self.fulfilment.hand_over(number)
        return number

    def in_stock(self, sku: str, quantity: int) -> bool:
        row = self.database.one("select stock from products where sku = ?", sku)
        if row is None or row[0] < quantity:
            raise OutOfStock(f"{sku}: {quantity} wanted")
        return True

    def take(self, number: int, sku: str, quantity: int) -> None:
        self.database.change("update products set stock = stock - ? where sku = ?", quantity, sku)
        self.database.change(
            "insert into lines select ?, sku, ?, price from products where sku = ?", number, quantity, sku
        )

    @retry(times=2)
    def pay(self, card: str, amount: int) -> str:
        """Charge a card; the bank's receipt."""
        self.attempts += 1
        if card.endswith("13"):
            raise PaymentRefused(f"{amount / 100:.2f} refused")
        return f"receipt-{amount}"
