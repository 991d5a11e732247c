"""Statements to Python statements."""

from __future__ import annotations

import ast as py
from collections.abc import Callable
from typing import Final

from lash.lashlang.codegen.assignments import AssignmentEmitter
from lash.lashlang.codegen.costs import turn_of
from lash.lashlang.codegen.kinds import BOOL, bind_loop, join, loop_entry
from lash.lashlang.codegen.pyast import Stmts
from lash.lashlang.syntax import ast
from lash.lashlang.tracking.sites import labelled_effect

# Loops and calls look around by themselves; this is for long straight lines of builtins.
_HEAVY_AT_ONCE: Final = 4


class StatementEmitter(AssignmentEmitter):
    """The part of the emitter that writes statements."""

    def block(self, node: ast.Expr) -> Stmts:
        """The statements of a block, or of a single statement."""
        items = node.items if type(node) is ast.Block else (node,)
        lines: Stmts = []
        heavy_before, since_turn = self.heavy, 0
        for item in items:
            self.heavy = False
            lines += self.stmt(item)
            heavy_before |= self.heavy
            since_turn += self.heavy
            if since_turn == _HEAVY_AT_ONCE:
                lines += self.look_around()
                since_turn = 0
        self.heavy = heavy_before
        return lines

    def look_around(self) -> Stmts:
        """Statements that give a turn if one is due."""
        raise NotImplementedError

    def stmt(self, node: ast.Expr) -> Stmts:
        """The Python statements of one statement."""
        outer = self.mark(node)
        if self.mode == "fast":
            # Calls are counted by the statement that makes them: one that makes none costs nothing.
            before, self.uncounted = self.uncounted, 0
            lines = self._stmt(node)
            if self.uncounted:
                lines = [*self.tick(self.uncounted), *lines]
            self.uncounted = before
        else:
            lines = self._stmt(node)
        self.build.line = outer
        return lines

    def _stmt(self, node: ast.Expr) -> Stmts:
        written = _WRITTEN.get(type(node))
        return [self.build.expr(self.expr(node))] if written is None else written(self, node)

    def _break(self, _node: ast.Break) -> Stmts:
        return [py.Break(**self.build.at())]

    def _continue(self, _node: ast.Continue) -> Stmts:
        return [py.Continue(**self.build.at())]

    def _return(self, node: ast.Return) -> Stmts:
        return [self.build.give(self.returned(node.operand))]

    def _if(self, node: ast.If) -> Stmts:
        build = self.build
        test = self.observed(node, self.truth(node.condition))
        before = dict(self.kinds)
        then = self.block(node.then)
        after_then = dict(self.kinds)
        self.kinds.clear()
        self.kinds.update(before)
        otherwise = self.block(node.otherwise)
        join(self.kinds, after_then, dict(self.kinds))
        return [build.when(test, then, otherwise)]

    def _for(self, node: ast.For) -> Stmts:
        build = self.build
        if node.binding in self.unit.readonly:
            return [build.expr(self._iterable(node.iterable)), self.refuse_readonly(node.binding)]
        iterable = self._iterable(node.iterable)
        head = loop_entry(node, self.kinds)
        self.kinds.clear()
        self.kinds.update(head)
        bind_loop(node, self.kinds)
        item = self.unit.fresh("f")
        outer = self.places.get(node.binding)
        self.places[node.binding] = item
        disowned = self.disown(node.binding)
        before, self.uncounted = self.uncounted, 0
        body = [*disowned, *self.block(node.body)]
        weight, allocated = turn_of(node.body)
        weight += self.uncounted
        self.uncounted = before
        if outer is None:
            self.places.pop(node.binding)
        else:
            self.places[node.binding] = outer
        self.kinds.clear()
        self.kinds.update(head)
        return [build.loop(item, iterable, [*self.tick(weight, allocated), *body])]

    def _while(self, node: ast.While) -> Stmts:
        head = loop_entry(node, self.kinds)
        self.kinds.clear()
        self.kinds.update(head)
        before, self.uncounted = self.uncounted, 0
        test = self.truth(node.condition)
        after_test = dict(self.kinds)
        body = self.block(node.body)
        weight, allocated = turn_of(node.body)
        weight += self.uncounted
        self.uncounted = before
        self.kinds.clear()
        self.kinds.update(after_test)
        if self.kind_now(node.condition) != BOOL and isinstance(test, py.Constant):
            test = self.build.call("truthy", test)
        return [self.build.repeat(test, [*self.tick(weight, allocated), *body])]

    def _labelled(self, node: ast.LabelAnnotated) -> Stmts:
        if not self._is_observed(node) or labelled_effect(node.inner) is not None:
            return self.stmt(node.inner)
        build = self.build
        site = build.const(self.unit.sites.number(node))
        begin = build.expr(build.call("step_started", build.name("m"), site))
        end = build.expr(build.call("step_completed", build.name("m"), site))
        inner = self.stmt(node.inner)
        return [begin, *inner, end] if _awaits(node.inner) else [begin, end, *inner]

    def _is_observed(self, node: ast.Expr) -> bool:
        return self.unit.traced and self.unit.sites.holds(node)

    def observed(self, node: ast.If, test: py.expr) -> py.expr:
        """The test of a branch, which tells its arm where observation is on."""
        if not self._is_observed(node) or id(node) in self.silent_branches:
            return test
        build = self.build
        return build.call("branch", build.name("m"), build.const(self.unit.sites.number(node)), test)

    silent_branches: frozenset[int] = frozenset()

    def returned(self, operand: ast.Expr) -> py.expr:
        """The value a function returns."""
        return self.expr(operand)


def _awaits(node: ast.Expr) -> bool:
    while isinstance(node, ast.Assign | ast.ResultUnwrap):
        node = node.value if isinstance(node, ast.Assign) else node.operand
    return isinstance(node, ast.Await)


_WRITTEN: Final[dict[type[ast.Node], Callable[..., Stmts]]] = {
    ast.Assign: AssignmentEmitter.assignment,
    ast.If: StatementEmitter._if,
    ast.For: StatementEmitter._for,
    ast.While: StatementEmitter._while,
    ast.Break: StatementEmitter._break,
    ast.Continue: StatementEmitter._continue,
    ast.Return: StatementEmitter._return,
    ast.Block: StatementEmitter.block,
    ast.LabelAnnotated: StatementEmitter._labelled,
}
