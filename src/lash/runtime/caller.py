"""One caller of `run`, from the acceptance of its turn to its result.

Acceptance is durable before anything else happens; after that the stores arbitrate.
Whoever holds the session lease drives, everybody else waits for what it settles. A
caller who wants out while its turn has not begun takes the input back from the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from lash.base.waiting import ended
from lash.effects.errors import EffectInDoubt
from lash.machine.outcome import FrameSwitch, Stopped
from lash.runtime.drive import Applied, Driven, Lost, Parked
from lash.runtime.driving import SessionDrives
from lash.runtime.engine import CoreClosed
from lash.runtime.input import QueuedInput, prepare_input
from lash.runtime.open_call import refuse_own_turn
from lash.runtime.request import TurnInputWithdrawn, TurnRequest, input_payload
from lash.runtime.result import TurnResult
from lash.runtime.settle import TurnSummary, follow_up_turn_id, stored_summary, turn_result
from lash.runtime.waiting import until_change
from lash.sessions.accept import Acceptance, AcceptTurn, Idle, Owned, Settled, Waiting, turn_source_key
from lash.sessions.errors import StoreError, StoreUnavailable
from lash.sessions.queue import QueuedWorkDraft

A = TypeVar("A", bound=Acceptance | Idle)


class _Withdrawn(Exception):
    """The input was taken back: the turn will never begin."""


class Caller:
    """Gets one turn settled for one request. `poke` sees to what is left behind when the caller goes."""

    def __init__(self, drives: SessionDrives, request: TurnRequest, poke: Callable[[], None]) -> None:
        self._drives = drives
        self._engine = drives.engine
        self._store = drives.store
        self._session_id = drives.memory.session_id
        self._request = request
        self._poke = poke
        self._turn_id = request.turn_id or self._engine.ids.new_id()
        self._has_asked_to_leave = False
        # Of the task that accepts and drives: whether it has come to the second, and whether the caller is gone.
        self._is_driving = False
        self._is_leaving = False

    async def result(self) -> TurnResult:
        """Accepts the turn and returns it settled, whoever drives it."""
        refuse_own_turn(self._session_id)
        try:
            queued = await prepare_input(self._request.turn_input, self._request.options, self._engine.attachments)
            acceptance = await self._accept(queued)
            if self._request.retry:
                acceptance = await self._accept_again(queued, acceptance)
            return await self._until_settled(acceptance)
        except StoreError as error:
            if self._engine.is_closing:
                raise self._closed() from error
            if isinstance(error, StoreUnavailable):
                self._poke()  # what was accepted goes on when the store is back
            raise
        except asyncio.CancelledError:
            await self._leave()
            raise
        finally:
            self._drives.leave(self._request)

    async def _accept(self, queued: QueuedInput) -> Acceptance | Driven:
        """The answer of the store; what came of our turn when it was ours to drive at once."""
        draft = QueuedWorkDraft(self._session_id, [input_payload(queued)], source_key=turn_source_key(self._turn_id))
        request = AcceptTurn(self._turn_id, draft, self._engine.claimant())
        task = self._engine.spawn(self._accept_and_drive(request), f"turn {self._turn_id}")
        try:
            await ended(task)
        except asyncio.CancelledError:
            if not self._engine.is_closing:
                # Whichever it is doing: an acceptance must not keep the session, a drive must settle its turn.
                self._is_leaving = True
                if self._is_driving:
                    self._request.cancel.cancel("requested")
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    answer = await task
                    if isinstance(answer, Owned):
                        await self._let_go(answer)
            raise
        if task.cancelled():
            raise self._closed()
        return task.result()

    async def _accept_and_drive(self, request: AcceptTurn) -> Acceptance | Driven:
        """One task for both: each change of tasks costs every turn a round of the event loop or two."""
        acceptance = await self._store.accept_turn(request)
        self._drives.join(self._turn_id, self._request)
        if not isinstance(acceptance, Owned) or acceptance.turn.turn_id != self._turn_id or self._engine.is_closing:
            return acceptance
        self._is_driving = True
        if self._is_leaving:
            self._request.cancel.cancel("requested")
        return await self._drives.drive(acceptance)

    async def _accept_again(self, queued: QueuedInput, acceptance: Acceptance | Driven) -> Acceptance | Driven:
        """`retry=True`: a stopped turn is driven again as `{turn_id}#2`, `#3`, … (decisions 7)."""
        asked_id, number = self._turn_id, 1
        while isinstance(acceptance, Settled):
            if not isinstance(stored_summary(acceptance.turn).outcome, Stopped):
                break
            number += 1
            self._turn_id = f"{asked_id}#{number}"
            acceptance = await self._accept(queued)
        return acceptance

    async def _until_settled(self, acceptance: Acceptance | Idle | Driven) -> TurnResult:
        while True:
            result: TurnResult | None = None
            dead_token: str | None = None
            if self._engine.is_closing and isinstance(acceptance, Owned | Waiting | Idle):
                if isinstance(acceptance, Owned):  # too late to drive it here
                    await self._store.release_session_lease(acceptance.lease)
                raise self._closed()
            try:
                match acceptance:
                    case TurnResult() | Lost() | Parked():
                        result = self._result_of(acceptance)
                    case Settled(turn=turn):
                        result = await self._drives.stored_result(turn)
                    case Owned() if acceptance.turn.turn_id == self._turn_id:
                        result = await self._drive(acceptance)
                    case Owned():
                        await self._drive_another(acceptance)
                    case Waiting():
                        dead_token = await self._wait(acceptance)
                    case Idle():
                        raise TurnInputWithdrawn(
                            f"turn {self._turn_id!r} of session {self._session_id!r} was withdrawn from the queue "
                            "before it ran"
                        )
            except _Withdrawn:
                return self._cancelled()
            if result is not None:
                if not isinstance(result.outcome, FrameSwitch):
                    return result
                self._turn_id = follow_up_turn_id(self._turn_id)
                self._drives.join(self._turn_id, self._request)
            acceptance = await self._look(dead_token)

    async def _look(self, proven_dead_token: str | None = None) -> Acceptance | Idle:
        settled = await self._store.load_turn(self._session_id, self._turn_id)
        if settled is not None:
            return Settled(settled)
        claimant = self._engine.claimant(proven_dead_token=proven_dead_token)
        answer = await self._uncut(self._store.next_turn(self._session_id, claimant))
        if isinstance(answer, Idle):
            # It may have been settled between the two questions.
            settled = await self._store.load_turn(self._session_id, self._turn_id)
            return answer if settled is None else Settled(settled)
        return answer

    async def _drive(self, owned: Owned) -> TurnResult | None:
        """Our own turn. None when another owner took it over."""
        drive = self._drives.start(owned)
        try:
            await ended(drive)
        except asyncio.CancelledError:
            if not self._engine.is_closing:
                self._drives.cancel(self._turn_id)
                self._request.cancel.cancel("requested")
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await drive
            raise
        return self._outcome_of(drive)

    async def _drive_another(self, owned: Owned) -> None:
        """A turn that was accepted before ours. It goes on when we leave."""
        drive = self._drives.start(owned)
        leaving = asyncio.ensure_future(self._request.cancel.wait())
        try:
            await asyncio.wait([drive, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not drive.done():
                await self._withdraw()
                await asyncio.wait([drive])
        finally:
            leaving.cancel()
        self._outcome_of(drive)

    async def _wait(self, waiting: Waiting) -> str | None:
        """For somebody who drives the session; the token of that owner if it is provably dead."""
        if self._request.cancel.is_requested and not self._has_asked_to_leave:
            await self._withdraw()
        leaving = [self._engine.closing]
        if not self._has_asked_to_leave:
            leaving.append(self._request.cancel)
        if self._request.process_run is None:
            return await until_change(self._engine, waiting, self._drives.turned, leaving)
        async with self._request.process_run.waiting():
            return await until_change(self._engine, waiting, self._drives.turned, leaving)

    def _outcome_of(self, drive: asyncio.Task[Driven]) -> TurnResult | None:
        if drive.cancelled():
            raise self._closed()
        return self._result_of(drive.result())

    def _result_of(self, driven: Driven) -> TurnResult | None:
        match driven:
            case Parked(doubt=doubt):
                raise EffectInDoubt(doubt.replay_key)
            case Lost() if self._engine.is_closing:
                raise self._closed()
            case Lost() | Applied():
                return None
            case result:
                return result

    # leaving

    async def _uncut(self, asking: Coroutine[Any, Any, A]) -> A:
        """A question to the store that may give us the session: a caller who leaves meanwhile must not keep it."""
        task = self._engine.spawn(asking, f"ask {self._turn_id}")
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not self._engine.is_closing:
                with contextlib.suppress(Exception):
                    answer = await task
                    if isinstance(answer, Owned):
                        await self._let_go(answer)
            raise

    async def _let_go(self, owned: Owned) -> None:
        if owned.turn.turn_id == self._turn_id:
            self._request.cancel.cancel("requested")
            self._drives.join(self._turn_id, self._request)
            await self._drives.start(owned)
        else:
            self._drives.start(owned)

    async def _leave(self) -> None:
        """The caller's task was cancelled, or the core was closed."""
        task = asyncio.current_task()
        if self._engine.is_closing:
            if task is not None and not task.cancelling():
                raise self._closed()
            return
        if self._drives.is_heard_by_another(self._turn_id, self._request):
            return
        with contextlib.suppress(Exception):
            await asyncio.shield(self._engine.spawn(self._take_back(), f"take back {self._turn_id}"))

    async def _withdraw(self) -> None:
        """Raises `_Withdrawn` when the input could be taken back; a turn that has begun is asked to end."""
        self._has_asked_to_leave = True
        if await self._take_back():
            raise _Withdrawn
        if not self._drives.cancel(self._turn_id):
            await self._store.request_turn_cancel(self._session_id, self._turn_id)

    async def _take_back(self) -> bool:
        self._poke()  # whatever else this caller was driving or waiting for goes on without it
        source_key = turn_source_key(self._turn_id)
        for batch in await self._store.list_pending_queued_work(self._session_id):
            if batch.source_key == source_key:
                return await self._store.cancel_queued_work_batch(self._session_id, batch.batch_id) is not None
        return False

    def _cancelled(self) -> TurnResult:
        """The turn never began: nothing of it is stored."""
        memory = self._drives.memory
        return turn_result(
            turn_id=self._turn_id,
            revision=memory.head_revision,
            summary=TurnSummary(memory.turn_index, 0, Stopped("cancelled")),
            messages=[],
            tool_calls=[],
            replayed=False,
        )

    def _closed(self) -> CoreClosed:
        return self._engine.closed(f"turn {self._turn_id!r} of session {self._session_id!r} was not settled")
