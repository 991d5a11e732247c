"""`@once` computes a property of an immutable value one time."""

from __future__ import annotations

import msgspec

from lash.base.once import once

asked: list[int] = []


class Number(msgspec.Struct, frozen=True, dict=True):
    """A value."""

    n: int

    @once
    def double(self) -> int:
        """Twice the number."""
        asked.append(self.n)
        return 2 * self.n


def test_it_is_computed_when_it_is_first_asked_for_and_never_again() -> None:
    asked.clear()
    three = Number(3)
    assert asked == []

    assert (three.double, three.double, Number(4).double) == (6, 6, 8)

    assert asked == [3, 4]
    assert three == Number(3)
    assert Number.double.__doc__ == "Twice the number."
