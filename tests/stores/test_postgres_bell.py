"""Notifications in bundles: few news travel with their commit, many are told together."""

from __future__ import annotations

import asyncio

import pytest

from lash.sessions.errors import StoreUnavailable
from lash.stores import postgres_bell
from lash.stores.postgres_bell import Bell


class Rings:
    """Counts notifications that a bell gives by itself."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.count = 0
        self.heard = asyncio.Event()
        self._trouble = trouble

    async def ring(self) -> None:
        """One of them."""
        self.count += 1
        self.heard.set()
        if self._trouble is not None:
            raise self._trouble


@pytest.fixture(autouse=True)
def _no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, the second commit of a test is soon after the first."""
    monkeypatch.setattr(postgres_bell, "REST_S", 600.0)


async def test_news_that_follow_closely_are_told_together() -> None:
    rings = Rings()
    bell = Bell(rings.ring)

    carried = bell.take()
    assert carried is not None
    bell.told(carried)
    for _ in range(5):
        assert bell.take() is None
        bell.owe()

    async with asyncio.timeout(20):
        await rings.heard.wait()
    await bell.close()
    assert rings.count == 1


async def test_a_later_commit_tells_what_earlier_ones_owe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_bell, "LATE_S", 600.0)
    rings = Rings()
    bell = Bell(rings.ring)
    assert bell.take() is not None
    bell.owe()

    monkeypatch.setattr(postgres_bell, "REST_S", 0.0)
    later = bell.take()
    assert later is not None
    bell.told(later)
    await bell.close()

    assert rings.count == 0


async def test_what_is_owed_while_a_commit_notifies_is_told_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_bell, "LATE_S", 600.0)
    rings = Rings()
    bell = Bell(rings.ring)

    carried = bell.take()
    bell.owe()  # this one ended after the other had begun: nobody may have seen it
    assert carried is not None
    bell.told(carried)
    await bell.close()

    assert rings.count == 1


async def test_a_commit_without_news_leaves_the_bell_to_the_next() -> None:
    bell = Bell(Rings().ring)

    assert bell.take() is not None
    bell.kept()

    assert bell.take() is not None
    await bell.close()


async def test_a_notification_that_fails_is_no_trouble_of_anybody() -> None:
    rings = Rings(StoreUnavailable("gone"))
    bell = Bell(rings.ring)
    bell.owe()

    async with asyncio.timeout(20):
        await rings.heard.wait()
    await bell.close()

    assert rings.count == 1
