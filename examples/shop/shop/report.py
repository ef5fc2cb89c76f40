"""What was sold, line by line: generators over the database."""

from __future__ import annotations

from collections.abc import Iterator

from shop.database import Database


def sales(database: Database) -> Iterator[tuple[int, int]]:
    """(day, cents) of every order."""
    yield from database.all("select day, total from orders order by day, id")


def by_day(database: Database) -> Iterator[tuple[int, int, int]]:
    """(day, orders, cents), a row a day."""
    day, count, total = None, 0, 0
    for here, cents in sales(database):
        if day is not None and here != day:
            yield day, count, total
            count = total = 0
        day, count, total = here, count + 1, total + cents
    if day is not None:
        yield day, count, total


def text(database: Database) -> Iterator[str]:
    """The report as lines."""
    yield "day orders total"
    for day, count, total in by_day(database):
        yield f"{day:3} {count:6} {total / 100:.2f}"
