"""What the walk gathers for one code block: a function's body, a class's or a module's top level."""

from __future__ import annotations

from typing import Any


class CodeBlock:
    """What is being gathered for one code block: a function's, a class's or a module's top level."""

    __slots__ = (
        "branches",
        "breaks",
        "calls",
        "catches",
        "caught",
        "changes",
        "cognitive",
        "depth",
        "globals",
        "index",
        "is_generator",
        "loads",
        "most_depth",
        "nest",
        "nodes",
        "nonlocals",
        "owner",
        "parameters",
        "raises",
        "returns",
        "scope",
        "self_name",
        "serves",
        "statements",
        "swallows",
        "weight",
        "yields",
    )

    def __init__(
        self,
        index: int,
        scope: dict[str, Any],
        owner: str = "",
        self_name: str = "",
        parameters: dict[str, str] | None = None,
    ) -> None:
        self.index = index
        self.scope = scope
        self.owner = owner
        self.self_name = self_name
        self.parameters = parameters or {}
        """Parameters nothing is known of, those of functions around it too -> as `calls` has them."""
        self.weight = 1.0
        self.nest = 0
        self.depth = 0
        self.most_depth = 0
        self.nodes = 0.0
        self.statements = 0
        self.branches = 1
        self.cognitive = 0
        self.calls: dict[str, float] = {}
        self.loads: dict[str, float] = {}
        self.raises: list[str] = []
        self.catches: list[str] = []
        self.swallows: list[str] = []
        self.caught: list[str] = []
        """Names that handlers being walked give to what they caught."""
        self.changes: dict[str, None] = {}
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.returns = ""
        self.yields = ""
        self.is_generator = False
        self.serves = False
        self.breaks = False
        """Whether the loop being walked has a `break`."""
