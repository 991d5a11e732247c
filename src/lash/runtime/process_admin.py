"""Background processes of a core: `core.processes`.

Starting is intent: a row that any worker on the same store may run, also after the
program that asked for it is gone (docs/spec/durability.md §4, docs/design/api.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

import msgspec

from lash.base.clock import Clock
from lash.base.errors import InvalidArgument
from lash.base.ids import IdSource, is_name
from lash.base.json import Json
from lash.processes.authority import (
    AbandonRequest,
    ExternalOwnerAuthority,
    ReconciledAbandonAuthority,
    Recovery,
)
from lash.processes.definitions import ProcessDefinition
from lash.processes.errors import ProcessAlreadyTerminal, ProcessError, RegistrationConflict, ReplayKeyConflict
from lash.processes.event_types import ENDED
from lash.processes.events import AppendRequest
from lash.processes.handles import ProcessHandleDescriptor, ProcessStartGrant
from lash.processes.listing import matches_input
from lash.processes.outputs import CancelledOutput, FailureOutput, ProcessAwaitOutput, SuccessOutput, TerminalState
from lash.processes.record import ProcessRecord
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ProcessChanges, ProcessQuery, ProcessRegistry, PruneFilter, PruneReport
from lash.processes.scopes import HostOriginator, ProcessOriginator, ProcessProvenance, SessionScope, WakeTarget
from lash.processes.starting import StartsProcesses
from lash.processes.status import ProcessLifecycleStatus
from lash.runtime.process_handle import ProcessHandle
from lash.runtime.work import Work, WorkPlanner, return_json
from lash.tools.decorator import Tool

HOST: Final = HostOriginator()

PAGE: Final = 500

StatusFilter: TypeAlias = ProcessLifecycleStatus | Literal["any"]
_STATUSES: Final = ("running", "completed", "failed", "cancelled", "abandoned", "any")


class HasSessionId(Protocol):
    """A session, or whatever names one."""

    @property
    def session_id(self) -> str: ...


# Whom the end of a process wakes: a session, or its id.
WakeChoice: TypeAlias = HasSessionId | str


class ProcessStartConflict(RegistrationConflict):
    """The id is taken by a process that was started otherwise; nothing was stored."""

    code = "process_start_conflict"

    def __init__(self, process_id: str) -> None:
        ProcessError.__init__(
            self,
            f"process `{process_id}` was started before with other work or options; "
            "start it with the same ones, or give another id=",
        )
        self.process_id = process_id


@dataclass(frozen=True, slots=True)
class ProcessPorts:
    """What processes are seen, started and steered through. `poke` tells the workers of this core of news."""

    registry: ProcessRegistry
    start: StartsProcesses
    ids: IdSource
    clock: Clock
    poke: Callable[[], None] = lambda: None


class ProcessAdmin:
    """`core.processes`. Added in 0.1."""

    def __init__(self, ports: ProcessPorts, planner: WorkPlanner, originator: ProcessOriginator = HOST) -> None:
        self._ports = ports
        self._registry = ports.registry
        self._planner = planner
        self._provenance = ProcessProvenance(originator)

    async def start(
        self,
        what: Work,
        *,
        args: Mapping[str, Json] | None = None,
        id: str | None = None,  # noqa: A002 - the public name (api.md)
        wake: WakeChoice | None = None,
        recovery: Recovery | None = None,
    ) -> ProcessHandle:
        """Starts a process: a tool of the core, `lash.LangProcess(…)`, `lash.SessionTurn(…)`, `lash.External(…)`.

        Returns once it is durable. With an `id` starting again is starting once. `wake`, a session or
        its id, is told when the process has ended, and may see it. `recovery="owner_bound"` fails a
        process whose worker is lost instead of running it again. Raises `UnknownTool`, `InvalidWork`,
        `ProcessStartConflict`, `InvalidRegistration`.
        """
        target = scope_of(wake)
        return await self.start_for(target, what, args=args, id=id, wake=target is not None, recovery=recovery)

    async def start_for(
        self,
        seen_by: SessionScope | None,
        what: Work,
        *,
        args: Mapping[str, Json] | None,
        id: str | None,  # noqa: A002 - as `start`
        wake: bool,
        recovery: Recovery | None,
    ) -> ProcessHandle:
        """Starts a process that a scope sees, and whose end wakes it with `wake`."""
        if id is not None and not is_name(id):
            raise InvalidArgument(f"id={id!r} is empty or no plain text; leave it out or give the process's own id")
        plan = await self._planner.plan(what, args)
        target = seen_by if wake else None
        if target is not None:
            plan = plan.waking()
        registration = ProcessRegistration(
            id or self._ports.ids.new_id(),
            plan.input,
            self._provenance,
            plan.event_types,
            plan.env_ref,
            _wake_target(target),
            plan.identity,
            recovery,
        )
        grant = None
        if seen_by is not None:
            grant = ProcessStartGrant(seen_by, ProcessHandleDescriptor(plan.identity.kind, plan.identity.label))
        try:
            record = await self._ports.start(registration, grant)
        except RegistrationConflict as error:
            known = await self._registry.get_process(registration.id)
            if known is None or not _is_same_work(known, registration):
                raise ProcessStartConflict(registration.id) from error
            record = known
            self._ports.poke()
        return ProcessHandle(record.id, self._ports)

    async def get(self, process_id: str) -> ProcessHandle:
        """A process by its id. Raises `UnknownProcess`, and `ProcessNoLongerRetained` for one that was pruned."""
        handle = ProcessHandle(process_id, self._ports)
        await handle.record()
        return handle

    async def changes(self, after: int = 0, limit: int = PAGE) -> ProcessChanges:
        """Which processes changed behind a cursor, 0 being the beginning; go on from `next_cursor`."""
        _check_limit(limit)
        return await self._registry.processes_changed_since(after, limit)

    async def complete(self, process_id: str, value: Json = None) -> None:
        """External work has succeeded; saying it twice is saying it once.

        Raises `CompletionNotAllowed` for a process that workers run, and `ProcessAlreadyTerminal` for one
        that has ended otherwise.
        """
        await self._end(process_id, SuccessOutput(return_json(value, "value")))

    async def fail(self, process_id: str, message: str, *, code: str = "external_failure", raw: Json = None) -> None:
        """External work has failed. Raises as `complete` does."""
        await self._end(process_id, FailureOutput("external", code, message, return_json(raw, "raw")))

    async def cancelled(self, process_id: str, message: str = "cancelled by its owner") -> None:
        """External work was stopped, as was asked for with `handle.cancel`. Raises as `complete` does."""
        await self._end(process_id, CancelledOutput(message))

    async def event(self, process_id: str, name: str, payload: Json = None) -> int:
        """Notes an event of a declared type; returns its sequence. Raises `UndeclaredEventType`."""
        result = await self._registry.append_event(process_id, AppendRequest(name, return_json(payload, "payload")))
        self._ports.poke()
        return result.event.sequence

    async def abandon(self, process_id: str, reason: str | None = None, *, by: str = "host") -> None:
        """Gives up on external work whose owner is gone; the process ends `abandoned`.

        Raises `CompletionNotAllowed` for a process that workers run: cancel that.
        """
        request = AbandonRequest(by, self._ports.clock.now_ms(), reason)
        record = await ProcessHandle(process_id, self._ports).record()
        if record.recovery == "externally_owned":
            await self._registry.request_process_abandon(process_id, request)
        output = FailureOutput("external", "process_abandoned", reason or "its owner was given up on")
        await self._registry.complete_process(process_id, output, ReconciledAbandonAuthority())
        self._ports.poke()

    async def prune(
        self,
        older_than: timedelta,
        *,
        status: ProcessLifecycleStatus | None = None,
        kind: str | None = None,
        watermark: int | None = None,
        limit: int = PAGE,
    ) -> PruneReport:
        """Forgets processes that ended so long ago; their ids stay taken.

        Kept are those that a session sees, that still have somebody to wake, and those that
        changed behind `watermark`, the cursor of whoever projects `changes`.
        """
        _check_limit(limit)
        if status is not None and status not in get_args(TerminalState):
            raise InvalidArgument(f"status={status!r}: give one of {', '.join(get_args(TerminalState))}")
        cutoff_ms = self._ports.clock.now_ms() - older_than // timedelta(milliseconds=1)
        query = PruneFilter(None, kind, status, limit)
        return await self._registry.prune_terminal_processes(cutoff_ms, query, watermark=watermark)

    # Last: within the class its name hides the type.
    async def list(
        self,
        *,
        status: StatusFilter = "running",
        waiting: bool | None = None,
        definition: ProcessDefinition | Tool[..., Any] | str | None = None,
        after: str = "",
        limit: int = 1_000,
    ) -> list[ProcessRecord]:
        """How processes stand, by id; a page of `limit` behind the id `after`.

        `waiting`: those that wait for a signal, or that do not. `definition`: a tool, a label, or a
        process of a program.
        """
        if status not in _STATUSES:
            raise InvalidArgument(f"status={status!r}: give one of {', '.join(_STATUSES)}")
        _check_limit(limit)
        kind: str | None = None
        label: str | None = None
        match definition:
            case Tool():
                kind, label = "tool", definition.name
            case ProcessDefinition():
                kind, label = "lashlang", definition.process_name
            case _:
                label = definition
        query = ProcessQuery(
            status=None if status == "any" else status,
            waiting=waiting,
            identity_kind=kind,
            identity_label=label,
            after=after,
            limit=limit,
        )
        found = await self._registry.list_processes(query)
        if not isinstance(definition, ProcessDefinition):
            return found
        # Programs of one name may be several: what is asked for is told from the others here, page by page.
        fitting = [record for record in found if matches_input(definition, record.input)]
        while len(found) == limit and len(fitting) < limit:
            found = await self._registry.list_processes(msgspec.structs.replace(query, after=found[-1].id))
            fitting += [record for record in found if matches_input(definition, record.input)]
        return fitting[:limit]

    async def _end(self, process_id: str, output: ProcessAwaitOutput) -> None:
        try:
            await self._registry.complete_process(process_id, output, ExternalOwnerAuthority())
        except ReplayKeyConflict:  # it has ended in this way, with other words
            raise ProcessAlreadyTerminal(process_id) from None
        # The wake is committed with the end. A worker delivers it, because a worker runs what it wakes.
        self._ports.poke()


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise InvalidArgument(f"limit={limit}: ask for one at least")


def scope_of(wake: WakeChoice | SessionScope | None) -> SessionScope | None:
    """The scope that `wake=` names. Raises `InvalidArgument`."""
    if wake is None or isinstance(wake, SessionScope):
        return wake
    session_id = wake if isinstance(wake, str) else getattr(wake, "session_id", None)
    if not isinstance(session_id, str) or not is_name(session_id):
        raise InvalidArgument(f"wake={wake!r} is no session; give a session or its id")
    return SessionScope(session_id)


def _is_same_work(known: ProcessRecord, asked: ProcessRegistration) -> bool:
    """Whether a start asks for what is there, from a program whose model or plugins have changed since."""
    is_rerun = known.recovery == (asked.recovery or known.recovery)
    # One that was to wake a session which is gone is detached by now.
    was_detached = known.wake_target == "detached" and known.event_type(ENDED) is not None
    is_told = known.wake_target == asked.wake_target or was_detached
    return is_rerun and is_told and (known.input, known.provenance) == (asked.input, asked.provenance)


def _wake_target(target: SessionScope | None) -> WakeTarget:
    """Nobody to wake was asked for: wakes are stored and reach nobody (docs/design/decisions.md 31)."""
    return "detached" if target is None else target
