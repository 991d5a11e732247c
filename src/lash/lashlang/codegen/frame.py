"""What the emitters know while they write one Python function.

Python names are made, never taken: `v_NAME` for variables, `f<n>` for loop
variables (so that leaving a loop restores what it shadowed), `t<n>` for
temporaries, `own_…` for ownership flags. No program can spell another one.
"""

from __future__ import annotations

import ast as py
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from lash.lashlang.codegen.kinds import ANY, UNSET, Kinds
from lash.lashlang.codegen.ownership import DEEP, changed_in_place
from lash.lashlang.codegen.pyast import Builder, Stmts
from lash.lashlang.dialect import Dialect
from lash.lashlang.errors import Span
from lash.lashlang.syntax import ast
from lash.lashlang.tracking.sites import BodySites


class NotSure(Exception):
    """A function being written as a sure one does something that may take long."""


@dataclass(slots=True)
class Unit:
    """What all functions of one compiled body share."""

    program: ast.Program
    dialect: Dialect
    sites: BodySites
    process_values: dict[str, dict[str, object]]
    traced: bool
    readonly: frozenset[str]
    lazy: frozenset[str] = frozenset()
    keeps_lazy: bool = False
    """Whether the cell's variables may hold lazy values."""
    keeps_refs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Operations `(module, operation)` that get references to lazy values, and the field in which they do."""
    functions: list[py.stmt] = field(default_factory=list)
    constants: dict[str, object] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    statements: list[Span] = field(default_factory=list)
    named_types: dict[str, object] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    """Functions that some call tries fast and runs slowly if need be."""
    called_fast: set[str] = field(default_factory=set)
    """Functions that some fast call enters."""
    called_raw: set[str] = field(default_factory=set)
    """Functions that some fast call enters with arguments proved to fit."""
    whole_functions: frozenset[str] = frozenset()
    sure: dict[str, tuple[int, bool] | None] = field(default_factory=dict)
    """What a call of a function costs at most and whether it may make large texts; None where nothing bounds it."""
    written_sure: set[str] = field(default_factory=set)
    counter: int = 0

    def fresh(self, prefix: str) -> str:
        """A Python name nobody else has."""
        self.counter += 1
        return f"{prefix}{self.counter}"

    def constant(self, value: object) -> str:
        """The name under which generated code finds `value`."""
        name = self.fresh("K")
        self.constants[name] = value
        return name


class Frame:
    """One Python function being written.

    `mode` is `body` (a generator driven by the execution), `fast` (a plain
    function that counts its steps), `slow` (a generator that a body delegates to)
    or `sure` (a plain function whose steps are bounded by its text, counted by its caller).
    """

    def __init__(self, unit: Unit, mode: str, body: ast.Expr, kinds: Kinds) -> None:
        self.unit = unit
        self.mode = mode
        self.build = Builder()
        self.kinds = kinds
        self.places: dict[str, str] = {}
        self.depths = changed_in_place(body)
        self.owned: set[str] = set()
        self.unset_reads: set[str] = set()
        self.used: set[str] = set()
        self.is_cell = False
        # Functions are pure and get their arguments read; bodies of cells may meet lazy values.
        self.meets_lazy = False
        self.counts_itself = mode == "body"
        self.heavy = False
        self.uses_limits = False
        # Steps of calls written since the last place that counts them.
        self.uncounted = 0
        self.additions = 0
        # Variables that hold finite integers throughout.
        self.whole: frozenset[str] = frozenset()
        self.statement: Span = (0, 0)

    def mark(self, node: ast.Node) -> int:
        """Marks what is built from now on with the span of `node`; gives the line to go back to with `build.line`."""
        unit, build = self.unit, self.build
        outer = build.line
        unit.spans.append(node.span)
        unit.statements.append(self.statement)
        build.line = len(unit.spans)
        return outer

    @contextmanager
    def at(self, node: ast.Node) -> Iterator[None]:
        """Marks everything built inside with the span of `node`."""
        outer = self.mark(node)
        yield
        self.build.line = outer

    def place(self, name: str) -> str:
        """The Python local that holds a variable."""
        found = self.places.get(name)
        if found is None:
            found = f"v_{name}"
            self.used.add(name)
        return found

    def kind(self, name: str) -> int:
        """What a variable may hold now."""
        return self.kinds.get(name, ANY | UNSET)

    def own_flag(self, name: str) -> str | None:
        """The ownership flag of a variable that is changed in place, or None."""
        if name not in self.depths:
            return None
        flag = f"own_{self.place(name)}"
        self.owned.add(flag)
        return flag

    def is_deep(self, name: str) -> bool:
        """Whether containers inside the variable are changed in place too."""
        return self.depths.get(name) == DEEP

    def refuse_sure(self) -> None:
        """Gives up on writing a sure function: what comes now may take long."""
        if self.mode == "sure":
            raise NotSure

    def temp(self) -> str:
        """A fresh temporary."""
        return self.unit.fresh("t")

    def disown(self, name: str) -> Stmts:
        """Statements that end a variable's ownership."""
        flag = self.own_flag(name)
        return [] if flag is None else [self.build.assign(flag, self.build.const(None))]
