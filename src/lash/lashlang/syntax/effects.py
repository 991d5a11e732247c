"""Nodes that reach the host, or end the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash.lashlang.syntax.node import Node

if TYPE_CHECKING:
    from lash.lashlang.syntax.ast import Expr


class Await(Node, eq=False):
    operand: Expr


class SleepFor(Node, eq=False):
    operand: Expr


class SleepUntil(Node, eq=False):
    operand: Expr


class WaitSignal(Node, eq=False):
    """An empty name is the unnamed signal of the older spelling `wait signal`."""

    name: str


class SignalRun(Node, eq=False):
    name: str
    run: Expr
    payload: Expr


class Cancel(Node, eq=False):
    operand: Expr


class Print(Node, eq=False):
    operand: Expr


class Yield(Node, eq=False):
    operand: Expr


class Wake(Node, eq=False):
    operand: Expr


class Fail(Node, eq=False):
    operand: Expr


class Submit(Node, eq=False):
    operand: Expr | None = None


class Finish(Node, eq=False):
    operand: Expr | None = None
