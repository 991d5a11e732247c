"""Values that no program can hold."""

from __future__ import annotations

from typing import Final


class Marker:
    """A value told apart by identity."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


UNSET: Final = Marker("UNSET")
"""What an unset variable holds."""
UNFINISHED: Final = Marker("UNFINISHED")
"""What a quick operation gives when its operands are too large to be quick about."""
