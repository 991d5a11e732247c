"""Nodes that reach the host, or end the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lash.lashlang.syntax.node import Node

if TYPE_CHECKING:
    from lash.lashlang.syntax.ast import Expr


@dataclass(slots=True, eq=False)
class Await(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class SleepFor(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class SleepUntil(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class WaitSignal(Node):
    """An empty name is the unnamed signal of the older spelling `wait signal`."""

    name: str


@dataclass(slots=True, eq=False)
class SignalRun(Node):
    name: str
    run: Expr
    payload: Expr


@dataclass(slots=True, eq=False)
class Cancel(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Print(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Yield(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Wake(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Fail(Node):
    operand: Expr


@dataclass(slots=True, eq=False)
class Submit(Node):
    operand: Expr | None = None


@dataclass(slots=True, eq=False)
class Finish(Node):
    operand: Expr | None = None
