"""One timer for the rows of all journals of a host."""

from __future__ import annotations

import asyncio

from lash.hosts.lingering import Lingering


class Box:
    """Notes when it is flushed."""

    def __init__(self, name: str, flushed: list[str]) -> None:
        self._name = name
        self._flushed = flushed
        self.is_flushed = asyncio.Event()

    def flush(self) -> None:
        """Its rows leave."""
        self._flushed.append(self._name)
        self.is_flushed.set()


async def test_what_lingers_is_flushed_once_and_in_order() -> None:
    """Also one that came while the time of another was running."""
    flushed: list[str] = []
    lingering, first, second = Lingering(), Box("first", flushed), Box("second", flushed)

    lingering.put(first)
    lingering.put(first)
    await asyncio.sleep(0)
    lingering.put(second)
    await second.is_flushed.wait()

    assert flushed == ["first", "second"]


async def test_what_was_taken_out_is_not_flushed() -> None:
    """The timer that was set for it serves the next one."""
    flushed: list[str] = []
    lingering, first, second = Lingering(), Box("first", flushed), Box("second", flushed)

    lingering.put(first)
    lingering.take_out(first)
    lingering.put(second)
    await second.is_flushed.wait()

    assert flushed == ["second"]


def test_a_host_may_be_used_in_one_loop_after_another() -> None:
    """A loop that ended took its timer along."""
    flushed: list[str] = []
    lingering = Lingering()

    async def put() -> None:
        lingering.put(Box("first", flushed))

    async def put_and_wait() -> None:
        box = Box("second", flushed)
        lingering.put(box)
        await box.is_flushed.wait()

    asyncio.run(put())
    asyncio.run(put_and_wait())

    assert flushed[-1] == "second"
