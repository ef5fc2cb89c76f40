"""All files together: what each saw alone becomes `Facts`.

Expressions are resolved through imports, re-exports, variables, attributes, return values and base classes; then follow the call graph,
roles, reachability and frequencies. Every distinct expression is resolved once.

The linker is made of layers, each built on the one before: `symbols` (what there is), `hierarchy` (classes), `resolution` (what an expression is),
`decorators`, `call_graph`, `callbacks`, `roles`, `coupling` (between modules), `reachability`; `frequency` asks none of them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence

from autoscope.plan.analysis import DEEP
from autoscope.plan.facts import Facts
from autoscope.plan.link.reachability import Reachability


class Linker(Reachability):
    """One code base: `modules` maps module names to (path, content digest, what was seen)."""

    def link(
        self, reconnect: Callable[[], Sequence[int]] | None = None, keep: Callable[[int], None] | None = None
    ) -> Facts:
        """The facts.

        `reconnect` gives functions what is known of them and returns the indices of the rest (None: all are connected); `keep` is told how
        many that were, as soon as that is done.
        """
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(max(usual, DEEP))  # for names that lead to names, a thousand times over
        try:
            self.define()
            self.inherit()
            self.decorate()
            left = self.everything() if reconnect is None else reconnect()
            self.connect(left)
            if keep is not None:
                keep(len(left))
            self.hand_over()
            self.give_roles()
            modules = self.describe()
            self.reach(modules)
        finally:
            sys.setrecursionlimit(usual)
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(self.modules):
            digest.update(f"{name} {self.modules[name][1]}\n".encode())
        return Facts(self.root, self.functions, modules, [], digest.hexdigest())
