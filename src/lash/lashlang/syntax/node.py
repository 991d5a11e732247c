"""What every node of the tree has.

Nodes are made by the hundred for each new cell, and a `Struct` is made several
times faster than a class of Python. They stay known to the garbage collector:
only what is known to it may be freed without a step of the C stack per level,
and a chain of operators is a deep tree.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from lash.lashlang.errors import Span

NOWHERE: Final[Span] = (0, 0)


class Node(Struct, kw_only=True, eq=False):
    """What every node has."""

    span: Span = NOWHERE
