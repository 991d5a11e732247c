"""What every node of the tree has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lash.lashlang.errors import Span

NOWHERE: Final[Span] = (0, 0)


@dataclass(slots=True, eq=False)
class Node:
    """What every node has."""

    span: Span = field(default=NOWHERE, kw_only=True, repr=False)
