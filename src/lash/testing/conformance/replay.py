"""Suite ER: concurrent effects are recorded by key and replayed by key, in any order.

A case gets a host and a way to come back to what it recorded; the second pass runs
on the reopened host. It holds with a scope lease and without one.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from lash.base.json import JsonObject
from lash.effects.envelope import EffectCommand, EffectEnvelope, EffectOutcome
from lash.effects.errors import EffectControllerError
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.effects.ports import EffectController, EffectHost
from lash.effects.scope import ExecutionScope
from lash.testing.conformance.laws import Rows, Suite

SCOPE = ExecutionScope.turn("effect-conformance-session", "effect-conformance-turn")
RUNTIME_SCOPE = RuntimeScope("effect-conformance-session", "effect-conformance-turn", 7, 0)
LIMIT_S = 2.0


class ReplayBackend(NamedTuple):
    """A host, and a second one over what the first has recorded.

    `controller` makes the controller to test from a host: the unowned one by default.
    """

    host: EffectHost
    reopen: Callable[[], Awaitable[EffectHost] | EffectHost]
    controller: Callable[[EffectHost], Awaitable[EffectController]] | None = None


EFFECT_REPLAY: Suite[ReplayBackend] = Suite("effect_replay")


@EFFECT_REPLAY.law("ER-01", "ER-02", "ER-03", "ER-04", "ER-05", "ER-06", "ER-07", stores="SP")
async def concurrent_effects_replay_by_key(backend: ReplayBackend, row: Rows) -> None:
    controller = await _controller(backend, backend.host)
    both_inside = asyncio.Barrier(2)
    release = asyncio.Event()
    finished: list[str] = []

    async def first_pass(effect_id: str) -> EffectOutcome:
        async def run(envelope: EffectEnvelope) -> EffectOutcome:
            row("ER-02", envelope.effect_id == effect_id, envelope.effect_id)
            await both_inside.wait()
            if effect_id == "effect-slow":
                await release.wait()
            return _outcome(effect_id)

        outcome = await controller.execute(_envelope(effect_id), Local(run))
        finished.append(effect_id)
        release.set()
        return outcome

    async with asyncio.timeout(LIMIT_S):
        slow, fast = await asyncio.gather(first_pass("effect-slow"), first_pass("effect-fast"))
    row("ER-01", True)
    row("ER-03", finished == ["effect-fast", "effect-slow"], finished)
    row("ER-04", (_finish(slow), _finish(fast)) == ("effect-slow", "effect-fast"), (slow, fast))
    await controller.barrier()

    called: list[str] = []

    async def refuse(envelope: EffectEnvelope) -> EffectOutcome:
        called.append(envelope.effect_id)
        raise EffectControllerError(
            "conformance_replay_local_executor_called", "recorded replay must not invoke local effect execution"
        )

    reopened = backend.reopen()
    again = await _controller(backend, await reopened if inspect.isawaitable(reopened) else reopened)
    async with asyncio.timeout(LIMIT_S):
        fast, slow = await asyncio.gather(
            again.execute(_envelope("effect-fast"), Local(refuse)),
            again.execute(_envelope("effect-slow"), Local(refuse)),
        )
    row("ER-05", True)
    row("ER-06", (_finish(fast), _finish(slow)) == ("effect-fast", "effect-slow"), (fast, slow))
    row("ER-07", called == [], called)


async def _controller(backend: ReplayBackend, host: EffectHost) -> EffectController:
    return host.scoped(SCOPE) if backend.controller is None else await backend.controller(host)


def _envelope(effect_id: str) -> EffectEnvelope:
    key = f"effect-conformance:effect-conformance-turn:{effect_id}"
    command = EffectCommand("exec_code", {"language": "lashlang", "code": f"emit {effect_id}"})
    return EffectEnvelope(Invocation.effect(RUNTIME_SCOPE, effect_id, "exec_code", key), command)


def _outcome(effect_id: str) -> EffectOutcome:
    response: JsonObject = {
        "observations": [],
        "observation_truncation": [],
        "tool_calls": [],
        "images": [],
        "printed_images": [],
        "error": None,
        "duration_ms": 0,
        "terminal_finish": effect_id,
    }
    return EffectOutcome("exec_code", {"result": {"ok": response}})


def _finish(outcome: EffectOutcome) -> object:
    result = outcome.expect("exec_code")["result"]
    assert isinstance(result, dict)
    response = result["ok"]
    assert isinstance(response, dict)
    return response["terminal_finish"]
