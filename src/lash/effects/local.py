"""Local executors: the live code that a controller may run for one effect.

A controller runs it at most once, or not at all when the outcome is recorded.
Sleeps and waits need no code: the controller knows how, the executor only says
what may cut them short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import TypeAlias, TypeVar

from lash.base.cancel import CancelToken
from lash.base.json import Json, JsonObject
from lash.effects.envelope import EffectEnvelope, EffectOutcome, Impact
from lash.effects.errors import EffectControllerError

T = TypeVar("T")
Run: TypeAlias = Callable[[EffectEnvelope], Awaitable[EffectOutcome]]


class Local:
    """What runs when nothing is recorded. Single use.

    `impact` says what an unknown outcome means to the outside (see `Impact`);
    `cancel` ends a sleep or a wait; `deadline_ms` is the epoch time at which a
    wait gives up; `subject` is what is stored of it for people to see; `on_open` is
    called when the wait is stored and nobody has resolved it yet.
    """

    __slots__ = ("_run", "cancel", "deadline_ms", "impact", "on_open", "subject")

    def __init__(
        self,
        run: Run | None,
        *,
        impact: Impact = "changes",
        cancel: CancelToken | None = None,
        deadline_ms: int | None = None,
        subject: JsonObject | None = None,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        self._run = run
        self.subject = subject
        self.on_open = on_open
        self.impact: Impact = impact
        self.cancel = cancel
        self.deadline_ms = deadline_ms

    @staticmethod
    def unavailable() -> Local:
        """Nothing can run here: only a recorded or synthesised outcome will do."""
        return Local(None)

    @staticmethod
    def sleep(cancel: CancelToken | None = None) -> Local:
        """A sleep that `cancel` may cut short."""
        return Local(None, impact="reads", cancel=cancel)

    @staticmethod
    def await_event(
        cancel: CancelToken | None = None,
        deadline_ms: int | None = None,
        *,
        subject: JsonObject | None = None,
        on_open: Callable[[], None] | None = None,
    ) -> Local:
        """A durable wait."""
        return Local(None, impact="changes", cancel=cancel, deadline_ms=deadline_ms, subject=subject, on_open=on_open)

    @staticmethod
    def durable_step(step: Callable[[], Awaitable[Json]], *, impact: Impact = "changes") -> Local:
        """A host function whose JSON value is recorded."""

        async def run(_envelope: EffectEnvelope) -> EffectOutcome:
            return EffectOutcome("durable_step", {"value": await step()})

        return Local(run, impact=impact)

    @property
    def has_code(self) -> bool:
        """Whether there is code to run: a sleep or a wait has none."""
        return self._run is not None

    def run(self, envelope: EffectEnvelope) -> Awaitable[EffectOutcome]:
        """Runs the code: `await local.run(envelope)`.

        Raises `runtime_effect_local_executor_unavailable` when there is none (left).
        """
        run, self._run = self._run, None
        if run is None:
            raise EffectControllerError(
                "runtime_effect_local_executor_unavailable", f"no local executor is available for {envelope.kind}"
            )
        return run(envelope)


class EffectRequest:
    """One effect that a branch of a group asks for."""

    __slots__ = ("envelope", "local")

    def __init__(self, envelope: EffectEnvelope, local: Local) -> None:
        self.envelope = envelope
        self.local = local


# A branch is a small synchronous program: it yields effects one after another and
# is sent their outcomes. Groups take branches instead of coroutines because an
# engine that replays by position must be the one that decides who goes on next.
Branch: TypeAlias = Generator[EffectRequest, EffectOutcome, T]


async def through(branch: Branch[T], execute: Callable[[EffectEnvelope, Local], Awaitable[EffectOutcome]]) -> T:
    """Runs one branch to its end: each effect that it asks for is executed, its outcome or failure sent back."""
    try:
        request = next(branch)
        while True:
            try:
                outcome = await execute(request.envelope, request.local)
            except Exception as error:
                request = branch.throw(error)
            else:
                request = branch.send(outcome)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        branch.close()


async def together(
    branches: Sequence[Branch[T]], execute: Callable[[EffectEnvelope, Local], Awaitable[EffectOutcome]]
) -> list[T]:
    """Runs branches concurrently as tasks; results in request order.

    Outcomes are found by key, so the order in which branches finish never matters.
    The first failure cancels the other branches and is raised alone.
    """
    if len(branches) == 1:
        return [await through(branches[0], execute)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(through(branch, execute)) for branch in branches]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
