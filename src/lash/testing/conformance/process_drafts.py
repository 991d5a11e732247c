"""Registrations and events that the process suites speak of."""

from __future__ import annotations

from lash.base.json import Json
from lash.effects.invocation import Replay
from lash.processes.authority import HostAuthority
from lash.processes.event_types import DedupeKey, EventSemanticsSpec, ProcessEventType, WakeSpec
from lash.processes.events import AppendRequest, ProcessEvent
from lash.processes.handles import ProcessHandleDescriptor
from lash.processes.inputs import ExternalInput, ToolCallInput
from lash.processes.outputs import ProcessAwaitOutput, SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ProcessRegistry
from lash.processes.scopes import ProcessProvenance, SessionScope, WakeTarget
from lash.processes.selectors import Selector, pointer, present
from lash.tools.calls import PreparedToolCall

LONG_MS = 60_000
DESCRIPTOR = ProcessHandleDescriptor("test", "external ref")


def external(
    process_id: str,
    *event_types: ProcessEventType,
    provenance: ProcessProvenance | None = None,
    wake_target: WakeTarget = None,
) -> ProcessRegistration:
    """External work of the host."""
    return ProcessRegistration(
        process_id,
        ExternalInput(),
        provenance or ProcessProvenance.host(),
        list(event_types),
        wake_target=wake_target,
    )


def job(process_id: str, *event_types: ProcessEventType) -> ProcessRegistration:
    """A tool call for a worker."""
    call = PreparedToolCall(f"call-{process_id}", "tool:echo", "echo", {"text": process_id})
    return ProcessRegistration(
        process_id, ToolCallInput(call), ProcessProvenance.host(), list(event_types), env_ref="process-env:test"
    )


def wake(name: str) -> ProcessEventType:
    """Any payload; wakes with `/wake_input` when there is one."""
    return waking(name, pointer("/wake_input"), when=present("/wake_input"))


def waking(
    name: str,
    text: Selector,
    *,
    when: Selector | None = None,
    dedupe_key: DedupeKey = "event_identity",
    schema: Json = True,
) -> ProcessEventType:
    """A wake of one's own."""
    return ProcessEventType(name, schema, EventSemanticsSpec(wake=WakeSpec(text, dedupe_key, when)))


def plain(name: str) -> ProcessEventType:
    """Any payload, no meaning."""
    return ProcessEventType(name)


def event(
    name: str, payload: Json = None, *, key: str | None = None, target: SessionScope | None = None
) -> AppendRequest:
    """An event to append."""
    return AppendRequest(name, payload, None if key is None else Replay(key), target)


def places(events: list[ProcessEvent]) -> list[tuple[int, str]]:
    """Sequences and types."""
    return [(found.sequence, found.event_type) for found in events]


async def complete(
    registry: ProcessRegistry, process_id: str, output: ProcessAwaitOutput | None = None
) -> ProcessAwaitOutput:
    """Ends a process as administration does."""
    ended = output or SuccessOutput(process_id)
    await registry.complete_process(process_id, ended, HostAuthority())
    return ended
