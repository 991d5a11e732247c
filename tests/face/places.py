"""Where the tests of the face keep their data, and cores that can be crashed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import lash
from lash.effects.scope import ExecutionScope
from lash.hosts.choice import HostChoice
from lash.machine.llm import LlmRequest
from lash.plugins import PluginFactory
from lash.sessions.errors import StoreUnavailable
from lash.stores.program import Program
from lash.stores.store import Store
from lash.testing import ScriptedModel
from lash.testing.script import Answer, Step
from lash.tools.decorator import Tool

T = TypeVar("T")


class PowerCut(StoreUnavailable):
    """The process behind this store is dead."""


@dataclass
class Place:
    """One database that several cores may open, one after another or side by side."""

    name: str
    make_store: Callable[[], Awaitable[Store]]
    cores: list[lash.StandardCore] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)

    @property
    def is_durable(self) -> bool:
        """Whether anything survives a crash."""
        return self.name != "memory"

    async def open_store(self) -> Store:
        """A store over this place, closed at the end of the test."""
        store = await self.make_store()
        if store not in self.stores:
            self.stores.append(store)
        return store

    async def core(
        self,
        model: ScriptedModel,
        *,
        tools: Sequence[Tool[..., Any] | lash.ToolProvider] = (),
        plugins: Sequence[PluginFactory] = (),
        instructions: str | None = None,
        max_turns: int | None = None,
        effect_host: HostChoice | None = None,
        lease_timings: lash.LeaseTimings | None = None,
        recover: bool = True,
    ) -> lash.StandardCore:
        """An open core over this place, closed at the end of the test."""
        store = await self.open_store()
        core = lash.StandardCore(
            model=model,
            store=store,
            tools=tools,
            plugins=plugins,
            instructions=instructions,
            max_turns=max_turns,
            effect_host=effect_host,
            lease_timings=lease_timings,
            recover=recover,
        )
        self.cores.append(core)
        return await core.open()

    async def crash(self, core: lash.StandardCore) -> None:
        """Ends a core as SIGKILL would: nothing more reaches the database, its executor lock is free."""
        store = core.store

        async def dead(program: Program[T]) -> T:
            raise PowerCut("the process was killed")

        run, store._driver.run = store._driver.run, dead  # type: ignore[method-assign]
        await core.close()
        store._driver.run = run  # type: ignore[method-assign]
        await store.close()
        self.cores.remove(core)
        self.stores.remove(store)

    async def end(self, core: lash.StandardCore) -> None:
        """Ends a core in order."""
        await core.close()
        store = core._plan.store
        assert isinstance(store, Store)
        await store.close()
        self.cores.remove(core)
        self.stores.remove(store)

    async def close(self) -> None:
        """Closes whatever is open."""
        for core in self.cores:
            await core.close()
        for store in self.stores:
            await store.close()


class Gate:
    """A place in the code where a test can hold a turn: it says who arrived, and lets them go on."""

    def __init__(self) -> None:
        self._arrived = asyncio.Event()
        self._open = asyncio.Event()
        self.visits = 0

    async def wait(self) -> None:
        """Called by what is held."""
        self.visits += 1
        self._arrived.set()
        await self._open.wait()

    async def arrival(self) -> None:
        """Returns when somebody waits."""
        async with asyncio.timeout(20):
            await self._arrived.wait()

    def open(self) -> None:
        """Lets everybody through, for good."""
        self._open.set()

    def step(self, answer: Answer) -> Step:
        """A model step that waits here before it answers."""

        async def wait_and_answer(_request: LlmRequest) -> Answer:
            await self.wait()
            return answer

        return wait_and_answer


def texts(messages: Sequence[lash.Message]) -> list[str]:
    """What was said, as `role: text`; calls and results by their tool."""
    return [
        f"{message.role}: "
        + " + ".join(
            f"<{part.kind} {part.tool_name}>" if part.kind in ("tool_call", "tool_result") else part.content
            for part in message.parts
        )
        for message in messages
    ]


def asked(model: ScriptedModel, number: int = -1) -> list[str]:
    """What a request to the model said, without the system prompt."""
    return [f"{message.role}: {message.text}" for message in model.requests[number].messages if message.text][1:]


async def eventually(holds: Callable[[], bool], what: str) -> None:
    """Lets the loop run until something holds; `what` names it when it never does."""

    async def ask() -> bool:
        return holds()

    await until(ask, what)


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Asks until something holds; `what` names it when it never does."""
    try:
        async with asyncio.timeout(20):
            while not await holds():  # noqa: ASYNC110 - the store is what is watched
                await asyncio.sleep(0)
    except TimeoutError:
        raise TimeoutError(f"never happened: {what}") from None


async def settled(session: lash.Session, number: int) -> None:
    """Waits until so many turns of the session are settled, and takes them over."""

    async def holds() -> bool:
        return len(await session.turns()) >= number

    await until(holds, f"{number} settled turns")
    await session.refresh()


async def drained(session: lash.Session) -> None:
    """Waits until nothing is queued, and takes over what came of it."""

    async def holds() -> bool:
        return not await session.queued_work()

    await until(holds, "an empty queue")
    await session.refresh()


async def recorded(core: lash.StandardCore, key_part: str) -> None:
    """Waits until an effect of turn `t` of session `s` has reached the database."""

    async def holds() -> bool:
        rows = await core.store.journal.load(ExecutionScope.turn("s", "t"))
        return any(key_part in row.replay_key for row in rows)

    await until(holds, f"an effect {key_part}")
