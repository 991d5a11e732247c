"""Where in a program an effect stands, and the stable ids that follow from it.

A node id is a hash over (module ref, entry key, AST path, kind); see
docs/spec/lashlang.md §9.1. Ids are the same across runs, machines and
formatting. Paths are kept as links and spelled only when an id is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import children

Path: TypeAlias = "tuple[Path, int] | None"

_ID_HEX: Final = 24
# Nodes without children that are never observed: most of a tree.
_LEAVES: Final = frozenset((ast.Variable, ast.String, ast.Number, ast.Null, ast.Bool))


def digest(prefix: str, *parts: str) -> str:
    """`prefix:` and 24 hex digits over NUL-terminated parts."""
    data = b"".join(part.encode("utf-8", "surrogatepass") + b"\0" for part in parts)
    return f"{prefix}:{hashlib.sha256(data).hexdigest()[:_ID_HEX]}"


def path_text(path: Path) -> str:
    """`root` or `0.1.2`."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(str(step))
    return ".".join(reversed(steps)) or "root"


@dataclass(frozen=True, slots=True)
class Entry:
    """A body that can run: the main block or one process of a module."""

    module_ref: str
    kind: str
    name: str
    key: str
    """`main`, or `component:pos`."""

    def node_id(self, path: str, kind: str) -> str:
        """The id of a node."""
        return digest(kind, self.module_ref, self.key, path, kind)

    def edge_id(self, path: str, source: str, target: str, label: str) -> str:
        """The id of an edge."""
        return digest("edge", self.module_ref, self.key, path, source, target, label)

    def branch_edge_id(self, path: str, arm: str) -> str:
        """The id of the edge from a branch to its `then` or `else` arm."""
        return digest("edge", self.module_ref, self.key, path, "branch", arm)


@dataclass(frozen=True, slots=True)
class Site:
    """One place that is observed at run time."""

    entry: Entry
    path: Path
    kind: str
    label: str
    _ids: list[str] = field(default_factory=list, init=False, repr=False, compare=False)
    """The id, once it was asked for: every call from a place spells it."""

    @property
    def path_text(self) -> str:
        """The AST path."""
        return path_text(self.path)

    @property
    def node_id(self) -> str:
        """The stable id."""
        if not self._ids:
            self._ids.append(self.entry.node_id(self.path_text, self.kind))
        return self._ids[0]


def site_kind(node: ast.Expr) -> tuple[str, str] | None:
    """Kind and run-time label of a node that is observed."""
    named = _SITE_KINDS.get(type(node))
    return None if named is None else named(node)


# A table, because every node of every body is asked.
_SITE_KINDS: Final[dict[type[ast.Node], Callable[..., tuple[str, str]]]] = {
    ast.ReceiverCall: lambda node: ("resource_operation", node.operation),
    ast.StartProcess: lambda node: ("child_process", f"start {node.process}"),
    ast.SleepFor: lambda _: ("sleep", "sleep for"),
    ast.SleepUntil: lambda _: ("sleep", "sleep until"),
    ast.WaitSignal: lambda node: ("wait", "wait_signal" if node.name else "wait signal"),
    ast.SignalRun: lambda node: ("signal", "signal_run" if node.name else "signal run"),
    ast.Yield: lambda _: ("process_event", "yield"),
    ast.Wake: lambda _: ("process_event", "wake"),
    ast.Submit: lambda _: ("terminal", "result"),
    ast.Finish: lambda _: ("terminal", "result"),
    ast.Fail: lambda _: ("terminal", "failure"),
    ast.If: lambda _: ("branch", "if"),
    ast.LabelAnnotated: lambda node: ("step", node.label.title),
    # Awaits and cancels are silent, but their requests have keys too.
    ast.Await: lambda _: ("await", "await"),
    ast.Cancel: lambda _: ("cancel", "cancel"),
}


def labelled_effect(node: ast.Expr) -> ast.Expr | None:
    """The effect that a label on statement `node` attaches to, if there is one (§9.3)."""
    while True:
        if isinstance(node, ast.Assign):
            node = node.value
        elif isinstance(node, ast.Await | ast.ResultUnwrap):
            node = node.operand
        else:
            break
    if isinstance(node, ast.If) and not isinstance(node.then, ast.Block):
        return None
    if isinstance(node, ast.LabelAnnotated | ast.Cancel):
        return None
    return node if site_kind(node) is not None else None


class BodySites:
    """The sites of one body, numbered in pre-order."""

    def __init__(self, entry: Entry, body: ast.Expr) -> None:
        self.entry = entry
        self.sites: list[Site] = []
        self._numbers: dict[int, int] = {}
        work: list[tuple[ast.Expr, Path]] = [(body, None)]
        while work:
            node, path = work.pop()
            named = _SITE_KINDS.get(type(node))
            if named is not None:
                self._numbers[id(node)] = len(self.sites)
                self.sites.append(Site(entry, path, *named(node)))
            if type(node) is ast.LabelAnnotated:
                work.append((node.inner, path))
                continue
            inner = children(node)
            at = len(inner)
            while at:
                at -= 1
                child = inner[at]
                if type(child) not in _LEAVES:
                    work.append((child, (path, at)))

    def number(self, node: ast.Expr) -> int:
        """The number of a node's site."""
        return self._numbers[id(node)]

    def holds(self, node: ast.Expr) -> bool:
        """Whether `node` has a site. Functions have none: they reach nobody and may run twice."""
        return id(node) in self._numbers
