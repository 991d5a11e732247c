"""Which ternaries the reference folds away, for `COMPAT` observations (§9.4).

The reference evaluates constants when it compiles; a ternary whose condition
and chosen arm are constants then has no branch to observe. Nothing else about
folding is visible, so this is the only place that knows of it.
"""

from __future__ import annotations

from typing import Final

from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import children, descendants

_FOLDED_BUILTINS: Final = frozenset(("len", "range", "ceil_div", "floor_div", "push"))
_LITERALS = (ast.Null, ast.Bool, ast.Number, ast.String)
_OVER = (ast.Unary, ast.Binary, ast.If, ast.Field, ast.Index, ast.List, ast.Record)


def folded_ternaries(body: ast.Block) -> frozenset[int]:
    """The identities of ternaries that leave no branch."""
    known: set[str] = set()
    silent: set[int] = set()
    for statement in body.items:
        for node in descendants(statement):
            ternary = isinstance(node, ast.If) and not isinstance(node.then, ast.Block)
            if ternary and all(_constant(child, known) for child in children(node)):
                silent.add(id(node))
        if isinstance(statement, ast.Assign):
            if not statement.steps and _constant(statement.value, known):
                known.add(statement.root)
            else:
                known.discard(statement.root)
        elif isinstance(statement, ast.If | ast.For | ast.While):
            known -= {item.root for item in descendants(statement) if isinstance(item, ast.Assign)}
    return frozenset(silent)


def _constant(node: ast.Expr, known: set[str]) -> bool:
    if isinstance(node, ast.Variable):
        return node.name in known
    if isinstance(node, ast.BuiltinCall):
        return node.name in _FOLDED_BUILTINS and all(_constant(arg, known) for arg in node.args)
    return isinstance(node, _LITERALS) or (
        isinstance(node, _OVER) and all(_constant(child, known) for child in children(node))
    )
