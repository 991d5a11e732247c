"""Recovery: turns that were accepted and never settled go on when a core opens."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lash.runtime.actor import SessionActor
from lash.runtime.engine import Engine, TurnRef
from lash.sessions.accept import turn_id_of
from lash.sessions.errors import StoreError
from lash.sessions.store import OpenTurn

logger = logging.getLogger("lash.runtime")


async def recover(engine: Engine, actor_of: Callable[[str], SessionActor]) -> None:
    """Starts resuming every open turn that this executor may claim; returns when they have started.

    A turn whose owner is alive is left to it. One whose owner is provably dead, or whose
    lease has run out, is driven in the background from its journal. One that waits for a
    person or an external system comes back to its wait that way, with its deadline.

    An owner that seems alive may have died a moment ago, and another may begin a turn later and die: as long
    as the core is open, one read looks whenever a lease has had the time to run out. So a turn that waits for
    a person is back at its wait in a living core when the answer comes, whoever uses its session.
    """
    told: set[str] = set()
    await _resume(engine, actor_of, told)
    engine.spawn(_stand_by(engine, actor_of, told), "recovery")


async def _stand_by(engine: Engine, actor_of: Callable[[str], SessionActor], told: set[str]) -> None:
    timings = engine.options.timings
    while True:
        await engine.clock.sleep(timings.ttl_ms + timings.renew_ms)
        await _look(engine, actor_of, told)


async def see_to_turns(engine: Engine, actor_of: Callable[[str], SessionActor], every_ms: int) -> None:
    """Resumes what nobody drives any more, as long as others are at work on turns. The first look is after `every_ms`.

    What wakes a session, or was queued in it, is seen through this way when the one who began it has died.
    """
    told: set[str] = set()
    are_others_at_work = True
    while are_others_at_work:
        await engine.clock.sleep(every_ms)
        are_others_at_work = await _look(engine, actor_of, told)


async def _look(engine: Engine, actor_of: Callable[[str], SessionActor], told: set[str]) -> bool:
    try:
        return await _resume(engine, actor_of, told)
    except StoreError as error:
        logger.warning("turns of others are looked at later: %s", error)
        return True


async def _resume(engine: Engine, actor_of: Callable[[str], SessionActor], told: set[str]) -> bool:
    """One look: resumes what nobody drives; whether others drive some. What cannot be resumed is told once."""
    are_others_at_work = False
    open_turns = await engine.store.sessions.open_turns()
    waiting = await _waiting(engine) if open_turns else set()
    in_doubt = engine.recovery.in_doubt
    for open_turn in open_turns:
        if open_turn.problem is not None:
            if open_turn.session_id not in told:
                logger.error("session %s is left alone: %s", open_turn.session_id, open_turn.problem)
            told.add(open_turn.session_id)
            continue
        if await _is_alive(engine, open_turn):
            are_others_at_work = are_others_at_work or open_turn.owner != engine.executor_id
            continue
        turn_id = _turn_id(open_turn)
        if turn_id is None:
            continue
        turn = TurnRef(open_turn.session_id, turn_id)
        if any((doubt.session_id, doubt.turn_id) == (turn.session_id, turn.turn_id) for doubt in in_doubt):
            continue  # whoever settles it drives it on
        found = engine.recovery.waiting if turn in waiting else engine.recovery.resumed
        if turn not in found:
            found.append(turn)
        actor_of(open_turn.session_id).poke()
    return are_others_at_work


async def _waiting(engine: Engine) -> set[TurnRef]:
    """Turns that stand at an approval, or at a call that somebody outside has not completed."""
    scopes = [wait.key.scope for wait in await engine.host.open_waits()]
    return {TurnRef(scope.session_id, scope.turn_id) for scope in scopes if scope.session_id and scope.turn_id}


async def _is_alive(engine: Engine, open_turn: OpenTurn) -> bool:
    if not open_turn.is_lease_live or open_turn.owner is None:
        return False
    if open_turn.owner == engine.executor_id:
        return True
    return not await engine.store.liveness.is_dead(open_turn.owner)


def _turn_id(open_turn: OpenTurn) -> str | None:
    if open_turn.turn is not None:
        return open_turn.turn.turn_id
    return None if open_turn.first_batch is None else turn_id_of(open_turn.first_batch)
