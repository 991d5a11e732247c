"""Plugins that open and close with their core."""

from __future__ import annotations

import pytest

import lash
from lash.plugins import CoreServices, Plugin
from lash.testing import ScriptedModel, says


class Bound(Plugin):
    """Notes when it is opened and closed."""

    def __init__(self, plugin_id: str, seen: list[str], *, fails: str = "") -> None:
        super().__init__(plugin_id)
        self._seen = seen
        self._fails = fails

    async def core_opened(self, services: CoreServices) -> None:
        if self._fails == "opened":
            raise RuntimeError("cannot open")
        assert services.attachments is not None
        self._seen.append(f"{self.id} opened")

    async def core_closed(self) -> None:
        self._seen.append(f"{self.id} closed")
        if self._fails == "closed":
            raise RuntimeError("cannot close")


async def test_they_open_before_turns_and_close_after_them_the_last_first() -> None:
    seen: list[str] = []

    def answer(_request: object) -> object:
        seen.append("turn")
        return says("hello")

    core = lash.StandardCore(model=ScriptedModel(answer), plugins=[Bound("a", seen), Bound("b", seen)])  # type: ignore[arg-type]
    async with core, core.session("s") as session:
        await session.run("hi")
    await core.close()

    assert seen == ["a opened", "b opened", "turn", "b closed", "a closed"]


async def test_one_that_cannot_open_keeps_the_core_closed() -> None:
    seen: list[str] = []
    core = lash.StandardCore(model=ScriptedModel([]), plugins=[Bound("a", seen), Bound("b", seen, fails="opened")])

    with pytest.raises(RuntimeError, match="cannot open"):
        await core.open()

    assert seen == ["a opened", "a closed"]


async def test_one_that_cannot_close_keeps_none_of_the_others_from_it(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    async with lash.StandardCore(model=ScriptedModel([]), plugins=[Bound("a", seen), Bound("b", seen, fails="closed")]):
        pass

    assert seen == ["a opened", "b opened", "b closed", "a closed"]
    assert "failed to close" in caplog.text
