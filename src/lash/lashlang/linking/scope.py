"""The names a body has bound so far, with the types it gave them.

One forward pass binds names in flow order. Where branches join, a name bound
before keeps its outer type and a new name keeps the then-arm's type, else the
else-arm's (specification §5.4).
"""

from __future__ import annotations

from lash.lashlang.syntax.types import ANY, NULL, TypeExpr


class Scope:
    """Flow-sensitive bindings of one body. `kind` is `cell`, `process` or `fn`."""

    __slots__ = ("gradual", "kind", "names")

    def __init__(self, kind: str, names: dict[str, TypeExpr], *, gradual: bool) -> None:
        self.kind = kind
        self.names = names
        self.gradual = gradual

    def bind(self, name: str, type_: TypeExpr) -> None:
        """Records the latest type of a name."""
        self.names[name] = type_

    def fork(self) -> Scope:
        """A scope for one arm."""
        return Scope(self.kind, dict(self.names), gradual=self.gradual)

    def merge(self, *arms: Scope) -> None:
        """What is known after the arms join; earlier arms win for new names."""
        names = self.names
        for arm in arms:
            for name, type_ in arm.names.items():
                if name not in names:
                    names[name] = type_
        if not self.gradual:
            return
        for arm in arms:
            for name, type_ in arm.names.items():
                known = names[name]
                # `x = null` before a branch that sets it is a placeholder, not a type.
                if known is not type_ and known == NULL and type_ != NULL:
                    names[name] = ANY
