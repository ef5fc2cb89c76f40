"""What a tool is, apart from any database."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

CENTS_A_DAY = 50
MOST_CENTS = 2000


@dataclass
class Tool:
    id: int
    name: str
    due: datetime.date | None = None

    @classmethod
    def from_row(cls, row):
        return cls(row["id"], row["name"], row["due"])

    @property
    def is_free(self):
        return self.due is None

    @property
    def label(self):
        return self.name

    def __str__(self):
        return self.name


def fee(tool, today):
    """Cents owed for a tool that comes back today."""
    if tool.due is None or today <= tool.due:
        return 0
    cents = 0
    day = tool.due
    while day < today:
        day += datetime.timedelta(days=1)
        if day.weekday() < 5:
            cents += CENTS_A_DAY
        elif day.weekday() == 5:
            cents += CENTS_A_DAY // 2
    return min(cents, MOST_CENTS)
