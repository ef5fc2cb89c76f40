"""What is for sale, in categories that hold categories."""

from __future__ import annotations

from dataclasses import dataclass, field

from shop.database import Database


class UnknownProduct(LookupError):
    """There is no such product."""


@dataclass
class Category:
    """A category, with those inside it."""

    name: str
    products: list[str] = field(default_factory=list)
    inside: list[Category] = field(default_factory=list)

    def count(self) -> int:
        """Products here and in all categories inside."""
        return len(self.products) + sum(category.count() for category in self.inside)


@dataclass(frozen=True)
class Product:
    """Something for sale; the price is in cents."""

    sku: str
    name: str
    price: int

    @property
    def label(self) -> str:
        return f"{self.name} ({self.price / 100:.2f})"


class Catalog:
    """Products by SKU, and the tree they hang in."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tree = Category("all", [], [Category("fruit", ["apple", "pear"]), Category("drinks", ["juice"])])
        self.tree.inside[1].inside.append(Category("hot", ["tea", "coffee"]))

    def find(self, sku: str) -> Product:
        row = self.database.one("select sku, name, price from products where sku = ?", sku)
        if row is None:
            raise UnknownProduct(sku)
        return Product(*row)

    def list(self) -> list[Product]:
        return [Product(*row) for row in self.database.all("select sku, name, price from products order by sku")]

    def size(self) -> int:
        return self.tree.count()
