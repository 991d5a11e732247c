"""Statements: assignments, branches, loops, jumps and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lash.lashlang.errors import Span
from lash.lashlang.syntax.node import NOWHERE, Node

if TYPE_CHECKING:
    from lash.lashlang.syntax.ast import Expr


@dataclass(slots=True, eq=False)
class Return(Node):
    """Ends a `fn` body with a value."""

    operand: Expr


@dataclass(slots=True, eq=False)
class Break(Node):
    pass


@dataclass(slots=True, eq=False)
class Continue(Node):
    pass


@dataclass(slots=True, eq=False)
class Block(Node):
    items: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class FieldStep:
    name: str
    span: Span = NOWHERE


@dataclass(slots=True, eq=False)
class IndexStep:
    index: Expr
    span: Span = NOWHERE


@dataclass(slots=True, eq=False)
class Assign(Node):
    root: str
    steps: tuple[FieldStep | IndexStep, ...]
    value: Expr


@dataclass(slots=True, eq=False)
class If(Node):
    """The statement (arms are Blocks) and the ternary (arms are expressions)."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(slots=True, eq=False)
class For(Node):
    binding: str
    iterable: Expr
    body: Expr


@dataclass(slots=True, eq=False)
class While(Node):
    condition: Expr
    body: Expr


@dataclass(frozen=True, slots=True)
class Label:
    title: str
    description: str | None = None


@dataclass(slots=True, eq=False)
class LabelAnnotated(Node):
    """Transparent for tracking paths."""

    label: Label
    inner: Expr
