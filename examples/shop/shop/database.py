"""SQLite, one connection for all threads and a lock round it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PRODUCTS = [
    ("apple", "Apple", 40, 500),
    ("pear", "Pear", 55, 500),
    ("juice", "Juice", 220, 300),
    ("tea", "Tea", 310, 300),
    ("coffee", "Coffee", 540, 25),
]

SCHEMA = """
create table products (sku text primary key, name text, price integer, stock integer);
create table orders (id integer primary key, customer text, day integer, total integer, state text);
create table lines (order_id integer, sku text, quantity integer, price integer);
"""


class Database:
    """The shop's data, in memory."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.connection.executescript(SCHEMA)
        self.connection.executemany("insert into products values (?, ?, ?, ?)", PRODUCTS)

    def one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        with self.lock:
            row: tuple[Any, ...] | None = self.connection.execute(query, values).fetchone()
            return row

    def all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.lock:
            return self.connection.execute(query, values).fetchall()

    def change(self, query: str, *values: Any) -> int:
        """Run a change; returns the new row's id or the number of rows changed."""
        with self.lock:
            cursor = self.connection.execute(query, values)
            return cursor.lastrowid if query.startswith("insert") and cursor.lastrowid else cursor.rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        with self.lock:
            self.connection.execute("begin")
            try:
                yield
            except BaseException:
                self.connection.execute("rollback")
                raise
            self.connection.execute("commit")
