"""The write side of an owned journal: a buffer of finished rows and its flushes.

Rows of one event-loop tick travel in one statement. A row of an effect that may
have changed the world is sent when its tick ends; one that only read lingers up to
20 ms for the next barrier or the commit (docs/design/stores.md §6).

`barrier` waits for a snapshot, what had been delivered before the call. If it
looped until nothing is pending, a group member that waits at its start would also
wait for a sibling that has just finished, and the group would run one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from lash.effects.errors import LeaseLost
from lash.effects.journal import JournalRow
from lash.hosts.lingering import Lingering

Send = Callable[[Sequence[JournalRow], Mapping[str, bytes]], Awaitable[None]]


class Outbox:
    """Buffers rows and sends them in order of delivery."""

    def __init__(self, send: Send, lingering: Lingering) -> None:
        self._send = send
        self._lingering = lingering
        self._rows: list[JournalRow] = []
        self._blobs: dict[str, bytes] = {}
        # Everything put and not known to be durable: a second drive may ask for it.
        self._unsent: dict[str, bytes] = {}
        self._flights: set[asyncio.Task[None]] = set()
        self._is_tick_scheduled = False
        self.failure: BaseException | None = None

    def put(self, row: JournalRow, blobs: Mapping[str, bytes], *, is_urgent: bool) -> None:
        """Adds a finished row; urgent ones leave when this tick ends."""
        self._rows.append(row)
        if blobs:
            self._blobs.update(blobs)
            self._unsent.update(blobs)
        if not is_urgent:
            self._lingering.put(self)
        elif not self._is_tick_scheduled:
            self._is_tick_scheduled = True
            asyncio.get_running_loop().call_soon(self._end_of_tick)

    def blob(self, ref: str) -> bytes | None:
        """Bytes that travel with a row and may not have arrived yet."""
        return self._unsent.get(ref)

    def flush(self) -> None:
        """Sends what is buffered, without waiting."""
        self._lingering.take_out(self)
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        blobs, self._blobs = self._blobs, {}
        flight = asyncio.get_running_loop().create_task(self._fly(rows, blobs))
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)

    async def barrier(self) -> None:
        """Returns when every row delivered before this call is durable; raises what prevented it, once.

        Rows of a flight that failed are sent again by the next barrier: writing twice is harmless.
        """
        self._raise_failure()
        self.flush()
        await self._landed()
        self._raise_failure()

    async def retract(self) -> list[JournalRow]:
        """Takes back the rows that were not sent and waits for those that were.

        For the commit: it is the record of the rows that linger, and of those that failed to
        arrive. A lost lease is raised, other trouble is the commit's own to meet.
        """
        self._lingering.take_out(self)
        rows, self._rows = self._rows, []
        await self._landed()
        returned, self._rows = self._rows, []
        failure, self.failure = self.failure, None
        if isinstance(failure, LeaseLost):
            raise failure
        return [*returned, *rows]

    def restore(self, rows: Sequence[JournalRow]) -> None:
        """Puts retracted rows back after a commit that failed."""
        self._rows = [*rows, *self._rows]

    async def _landed(self) -> None:
        if self._flights:
            await asyncio.wait(list(self._flights))

    def _raise_failure(self) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    async def _fly(self, rows: list[JournalRow], blobs: dict[str, bytes]) -> None:
        try:
            await self._send(rows, blobs)
            for ref in blobs:
                self._unsent.pop(ref, None)
        except BaseException as error:
            # Nobody awaits a flight: what failed is told at the next barrier, and the
            # rows stay in memory so that this drive may still answer from them.
            self.failure = error
            self._rows = [*rows, *self._rows]
            self._blobs = {**blobs, **self._blobs}

    def _end_of_tick(self) -> None:
        self._is_tick_scheduled = False
        self.flush()
