"""The one switch between the reference's behaviour and the better one.

Every place where this implementation improves on the reference asks the
`Dialect` by the name of the improvement, never for a version. `IMPROVED` is the
default everywhere; `COMPAT` reproduces the reference case by case. Module
identity never depends on the dialect: both give the same references.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which improvements over the reference are on. Use `IMPROVED` or `COMPAT`."""

    name: str
    unwrap_backtracking: bool
    """`x?` at a line's end is an unwrap when the ternary reading does not parse."""
    gradual_types: bool
    """`any` is consistent with every type, `1` is an int, builtins have precise types."""
    declared_types_in_literals: bool
    """`Type { items: list[Item] }` sees declared and host types, then variables."""
    leading_union_of_objects: bool
    """`type C = { a: int } | null` parses."""
    plain_data_awaits_to_itself: bool
    """`await` sends only handles to the host."""
    exact_integers: bool
    """Every integral number prints exactly; the reference saturates at 64 bits."""
    insertion_order: bool
    """Records keep their order through JSON; the reference sorts them."""
    self_append_of_any_kind: bool
    """`s = s + [1]` appends the text of the list; the reference drops it."""
    checked_arguments: bool
    """Process arguments are validated against the parameter types at start."""
    bound_input: bool
    """`input` and `inputs` are bound in process bodies."""
    constant_branches_observed: bool
    """A ternary that folds to a constant still emits its branch."""
    expression_spans: bool
    """Run-time and link errors point at the expression."""


IMPROVED: Final = Dialect("improved", *(True,) * 12)
COMPAT: Final = Dialect("compat", *(False,) * 12)
