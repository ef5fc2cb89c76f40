"""Carts and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from shop.catalog import Catalog


@dataclass
class Cart:
    """SKUs and quantities on their way to an order."""

    catalog: Catalog
    items: dict[str, int] = field(default_factory=dict)

    def add(self, sku: str, quantity: int = 1) -> int:
        """Put something in; returns how many of it there are now."""
        self.catalog.find(sku)
        self.items[sku] = self.items.get(sku, 0) + quantity
        return self.items[sku]

    def total(self) -> int:
        """The price in cents, the discount taken off."""
        full = sum(self.catalog.find(sku).price * quantity for sku, quantity in self.items.items())
        return full - discount(full)

    def __len__(self) -> int:
        return sum(self.items.values())


def discount(total: int) -> int:
    """A tenth off from 20.00 on."""
    return total // 10 if total >= 2000 else 0
