"""Suite process_model (PM): inputs, provenance, filters, status and handles in their wire form.

Pure, all of it; the store that `make` gives is there for the rows of the environment store.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lash.base.causes import SessionNodeCause
from lash.base.codec import DecodeError, from_json, struct_to_json, to_json
from lash.base.json import Json
from lash.effects.invocation import Invocation, RuntimeScope
from lash.processes.definitions import ProcessDefinition, ProcessRef
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.errors import InvalidProcessDefinition, InvalidProcessFilter, ProcessError
from lash.processes.event_types import CORE_EVENT_TYPES
from lash.processes.handles import (
    ProcessCancelSummary,
    ProcessDefinitionSummary,
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessHandleSummary,
    ProcessStartGrant,
    SessionDeleteReport,
)
from lash.processes.inputs import (
    ExternalInput,
    LashlangProcessInput,
    ProcessInput,
    SessionTurnInput,
    ToolCallInput,
)
from lash.processes.leases import ProcessLease
from lash.processes.listing import DEFAULT_LIST_MODE, ProcessListFilter, matches_input
from lash.processes.outputs import CancelledOutput, FailureOutput, SuccessOutput
from lash.processes.record import ProcessExternalRef, ProcessRecord
from lash.processes.registration import ProcessRegistration
from lash.processes.scopes import HostOriginator, ProcessProvenance, SessionOriginator, SessionScope
from lash.processes.starting import (
    ProcessExecutionContext,
    ProcessOpScope,
    ProcessStartOptions,
    ProcessStartRequest,
)
from lash.processes.status import RUNNING, ProcessStatus, SignalWait, TerminalSemantics, WaitState
from lash.testing.conformance.laws import Rows, Suite
from lash.testing.conformance.process_drafts import external, plain
from lash.tools.calls import PreparedToolCall

PROCESS_MODEL: Suite[object] = Suite("process_model")
law = PROCESS_MODEL.law

TARGET = ProcessDefinition("module", "surface", ProcessRef("target", 0), "target")
OTHER = ProcessDefinition("module", "surface", ProcessRef("other", 1), "other")
COMPLETED = ProcessStatus("completed", SuccessOutput(True))
DESCRIPTOR = ProcessHandleDescriptor("lashlang", "target")
CALL = PreparedToolCall("c1", "tool:echo", "echo", {"text": "hi"})


def entry(
    definition: ProcessDefinition, status: ProcessStatus = RUNNING, wait: WaitState | None = None
) -> tuple[ProcessHandleGrant, ProcessRecord]:
    """A granted lashlang process."""
    work = LashlangProcessInput(
        definition.module_ref, definition.process_ref, definition.host_requirements_ref, definition.process_name
    )
    draft = ProcessRegistration("p1", work, ProcessProvenance.host(), env_ref="process-env:test")
    record = msgspec.structs.replace(ProcessRecord.from_registration(draft, 7), status=status, wait=wait)
    return ProcessHandleGrant("session", "p1", DESCRIPTOR), record


def refused(row: Rows, law_id: str, attempt: Callable[[], object], text: str, error: type[ProcessError]) -> None:
    """States that `attempt` is refused with these words."""
    try:
        row(law_id, False, attempt())
    except error as found:
        row(law_id, text in found.message, found.message)


@law("PM-01", "PM-02", "PM-03", "PM-16", "PM-17", stores="M")
async def a_filter_selects_by_definition_and_status(_store: object, row: Rows) -> None:
    wanted = ProcessListFilter.decode({"definition": TARGET.to_value(), "status": "completed"})

    row("PM-01", wanted.list_mode() == "all", wanted)
    row("PM-02", wanted.matches_entry(entry(TARGET, COMPLETED)))
    row("PM-03", not wanted.matches_entry(entry(OTHER, COMPLETED)))
    others: list[ProcessInput] = [ToolCallInput(CALL), SessionTurnInput({}, {}), ExternalInput()]
    row("PM-16", not any(matches_input(TARGET, work) for work in others))
    for changed in (
        msgspec.structs.replace(TARGET, module_ref="m"),
        msgspec.structs.replace(TARGET, host_requirements_ref="m"),
        msgspec.structs.replace(TARGET, process_ref=ProcessRef("target", 1)),
        msgspec.structs.replace(TARGET, process_name="m"),
    ):
        row("PM-17", not matches_input(changed, entry(TARGET)[1].input), changed)
    row("PM-17", matches_input(TARGET, entry(TARGET)[1].input))


@law("PM-04", "PM-05", "PM-06", "PM-07", stores="M")
async def a_filter_selects_by_waiting(_store: object, row: Rows) -> None:
    waiting, idle = ProcessListFilter.decode({"waiting": True}), ProcessListFilter.decode({"waiting": False})
    wait = WaitState(SignalWait("ready", "signal.ready", "process:waiting:signal.ready:1", 1), 42)

    row("PM-04", waiting.list_mode() == "live", waiting)
    parked, running = entry(TARGET, wait=wait), entry(TARGET)
    row("PM-05", waiting.matches_entry(parked) and not idle.matches_entry(parked))
    row("PM-06", idle.matches_entry(running) and not waiting.matches_entry(running))
    refused(
        row, "PM-07", lambda: ProcessListFilter.decode({"waiting": "yes"}), "must be a boolean", InvalidProcessFilter
    )


@law(*(f"PM-{number:02}" for number in range(8, 16)), "PM-45", stores="M")
async def a_filter_that_means_nothing_is_refused_in_words(_store: object, row: Rows) -> None:
    def decoding(value: Json) -> Callable[[], object]:
        return lambda: ProcessListFilter.decode(value)

    record_text = "processes.list expects a record of process filters"
    refused(row, "PM-08", decoding([]), record_text, InvalidProcessFilter)
    refused(row, "PM-09", decoding({"k": 1}), "processes.list unknown filter `k`", InvalidProcessFilter)
    default = ProcessListFilter.decode({})
    row("PM-10", (default.status, default.list_mode()) == ("running", "live"), default)
    statuses = {
        "completed": COMPLETED,
        "failed": ProcessStatus("failed", FailureOutput("internal", "c", "m")),
        "cancelled": ProcessStatus("cancelled", CancelledOutput("m")),
    }
    for name, status in statuses.items():
        wanted = ProcessListFilter.decode({"status": name})
        matched = [other for other in statuses if wanted.matches_entry(entry(TARGET, statuses[other]))]
        row("PM-11", wanted.list_mode() == "all" and matched == [name], matched)
        row("PM-11", ProcessListFilter.decode({"status": "any"}).matches_entry(entry(TARGET, status)))
    row("PM-11", ProcessListFilter.decode({"status": "any"}).list_mode() == "all")
    status_text = "processes.list status must be `running`, `completed`, `failed`, `cancelled`, or `any`, got `x`"
    refused(row, "PM-12", decoding({"status": "x"}), status_text, InvalidProcessFilter)
    value = TARGET.to_value()
    unmarked = {key: part for key, part in value.items() if key != "$lash_process"}
    refused(
        row,
        "PM-13",
        decoding({"definition": unmarked}),
        "definition must be a process definition value",
        InvalidProcessDefinition,
    )
    for field in ("module_ref", "host_requirements_ref", "process_ref"):
        missing = {key: part for key, part in value.items() if key != field}
        text = f"definition is missing {field}"
        refused(row, "PM-14", decoding({"definition": missing}), text, InvalidProcessDefinition)
        text = f"definition has invalid {field}: "
        refused(row, "PM-14", decoding({"definition": {**value, field: 7}}), text, InvalidProcessDefinition)
    nameless = {key: part for key, part in value.items() if key != "process_name"}
    text = "definition is missing its process name"
    refused(row, "PM-15", decoding({"definition": nameless}), text, InvalidProcessDefinition)
    row("PM-45", DEFAULT_LIST_MODE == "live" and {default.list_mode(), "all"} == {"live", "all"})


@law("PM-18", "PM-19", "PM-20", "PM-21", "PM-22", "PM-23", stores="M")
async def provenance_and_inputs_have_their_wire_form(_store: object, row: Rows) -> None:
    plain_scope, framed, empty = SessionScope("s"), SessionScope("s", "f"), SessionScope("s", "")
    row("PM-18", [plain_scope.id, framed.id, empty.id] == ["session:s", "session:s/frame:f", "session:s"])
    row("PM-18", to_json(plain_scope) == {"session_id": "s"}, to_json(plain_scope))
    originators = (HostOriginator(), SessionOriginator(framed))
    row("PM-19", [found.scope_id for found in originators] == ["host", framed.id])
    expected: list[Json] = [
        {"type": "host"},
        {"type": "session", "scope": {"session_id": "s", "agent_frame_id": "f"}},
    ]
    row("PM-20", [to_json(found) for found in originators] == expected)
    host = ProcessProvenance.host()
    caused = ProcessProvenance.host(caused_by=SessionNodeCause("s", "n"))
    row("PM-21", "caused_by" not in struct_to_json(host), struct_to_json(host))
    row("PM-21", from_json(to_json(caused), ProcessProvenance) == caused)
    lashlang = entry(TARGET)[1].input
    works = [ToolCallInput(CALL), lashlang, SessionTurnInput({"session_id": "c"}, {}), ExternalInput()]
    tags = ["tool_call", "lashlang_process", "session_turn", "external"]
    wires = [to_json(work) for work in works]
    row("PM-22", [wire.get("type") if isinstance(wire, dict) else None for wire in wires] == tags, wires)
    row("PM-22", isinstance(wires[1], dict) and wires[1]["args"] == {}, wires[1])
    row("PM-22", isinstance(wires[3], dict) and wires[3].get("metadata", 1) is None, wires[3])
    for work, wire in zip(works, wires, strict=True):
        row("PM-22", from_json(wire, type(work)) == work, wire)
    spec = ProcessExecutionEnvSpec({"plugin": {"k": 1}})
    same = from_json(to_json(spec), ProcessExecutionEnvSpec)
    row("PM-23", spec.env_ref.startswith("process-env:sha256:") and spec.env_ref == same.env_ref, spec.env_ref)
    row("PM-23", from_json({}, ProcessExecutionEnvSpec) == ProcessExecutionEnvSpec())
    row("PM-23", _is_refused({"unknown": 1}, ProcessExecutionEnvSpec))


@law(*(f"PM-{number}" for number in range(27, 32)), "PM-46", stores="M")
async def a_start_becomes_a_registration(_store: object, row: Rows) -> None:
    empty = ProcessExecutionContext()
    row("PM-27", empty.is_empty and to_json(empty) == {})
    parent = Invocation.effect(RuntimeScope("s"), "1", "process", "key")
    context = ProcessStartOptions().execution_context(ProcessOpScope(parent))
    row("PM-28", context.causal_invocation == parent, context)
    request = ProcessStartRequest.external("p1", HostOriginator(), {"label": "x"})
    wire = to_json(request)
    assert isinstance(wire, dict)
    row("PM-29", request.event_types == list(CORE_EVENT_TYPES) and isinstance(request.input, ExternalInput))
    row("PM-29", not {"env_spec", "wake_target", "grant"} & set(wire), wire)
    row("PM-29", request.with_event_types([plain("a")]).event_types == [plain("a")])
    extra = request.with_extra_event_types([plain("a")])
    row("PM-29", extra.event_types == [*CORE_EVENT_TYPES, plain("a")])
    grant = ProcessStartGrant(SessionScope("s"), DESCRIPTOR)
    row("PM-46", to_json(grant) == {"session_scope": {"session_id": "s"}, "descriptor": to_json(DESCRIPTOR)})
    full = msgspec.structs.replace(extra, grant=grant, wake_target=SessionScope("s"))
    made = full.into_registration("process-env:x")
    carried = (made.id, made.input, made.provenance.originator, made.event_types, made.env_ref, made.wake_target)
    expected = ("p1", full.input, full.originator, full.event_types, "process-env:x", SessionScope("s"))
    made_wire = to_json(made)
    assert isinstance(made_wire, dict)
    row("PM-30", carried == expected and "grant" not in made_wire, made)
    bare = to_json(external("p1"))
    row("PM-31", isinstance(bare, dict) and not {"env_ref", "wake_target"} & set(bare), bare)
    row("PM-31", from_json(made_wire, ProcessRegistration) == made)


@law("PM-32", "PM-33", "PM-34", "PM-35", "PM-36", "PM-40", stores="M")
async def a_status_is_what_its_terminal_event_said(_store: object, row: Rows) -> None:
    row("PM-32", to_json(RUNNING) == {"state": "running"} and from_json({}, ProcessStatus) == RUNNING)
    wire = to_json(COMPLETED)
    row("PM-32", wire == {"state": "completed", "await_output": {"type": "success", "value": True}}, wire)
    terminals = [
        TerminalSemantics("completed", SuccessOutput(1)),
        TerminalSemantics("failed", FailureOutput("timeout", "c", "m")),
        TerminalSemantics("cancelled", CancelledOutput("m")),
        TerminalSemantics("abandoned", FailureOutput("external", "c", "m")),
    ]
    for terminal in terminals:
        status = ProcessStatus.from_terminal(terminal)
        agrees = (status.label, status.terminal_state(), status.await_output, status.terminal_semantics())
        row("PM-33", agrees == (terminal.state, terminal.state, terminal.await_output, terminal), status)
        row("PM-40", status.is_terminal and status.state == terminal.state and to_json(status.state) == terminal.state)
    agrees_running = (RUNNING.label, RUNNING.is_terminal, RUNNING.terminal_state(), RUNNING.await_output)
    row("PM-33", agrees_running == ("running", False, None, None))
    record = ProcessRecord.from_registration(external("p1", plain("own")), 42)
    names = [event_type.name for event_type in record.event_types]
    row("PM-34", names == ["own", *(core.name for core in CORE_EVENT_TYPES)], names)
    row("PM-34", (record.created_at_ms, record.updated_at_ms, record.external_ref, record.wait) == (42, 42, None, None))
    row("PM-34", record.status == RUNNING and len(record.registration_hash) == 64, record)
    stored = to_json(record)
    assert isinstance(stored, dict)
    old = {key: part for key, part in stored.items() if key not in ("created_at_ms", "updated_at_ms", "status")}
    read = from_json(old, ProcessRecord)
    row("PM-35", (read.created_at_ms, read.updated_at_ms, read.status) == (0, 0, RUNNING), read)
    wait = WaitState(SignalWait.of("p1", "ready", "signal.ready", 2), 42)
    expected: Json = {
        "kind": {
            "kind": "signal",
            "name": "ready",
            "event_type": "signal.ready",
            "key": "process:p1:signal.ready:2",
            "ordinal": 2,
        },
        "since_ms": 42,
    }
    row("PM-36", to_json(wait) == expected and from_json(expected, WaitState) == wait, to_json(wait))


@law("PM-37", "PM-38", "PM-39", "PM-41", "PM-42", "PM-43", "PM-44", "PM-47", stores="M")
async def leases_and_handles_have_their_wire_form(_store: object, row: Rows) -> None:
    lease = ProcessLease("p1", "owner", "token", 3, 100, 200)
    wire = to_json(lease)
    expected: Json = {
        "schema_version": 1,
        "process_id": "p1",
        "owner_id": "owner",
        "lease_token": "token",
        "fencing_token": 3,
        "claimed_at_epoch_ms": 100,
        "expires_at_epoch_ms": 200,
    }
    row("PM-37", wire == expected and from_json(wire, ProcessLease) == lease, wire)
    row("PM-37", to_json(lease.completion()) == {"process_id": "p1", "lease_token": "token"})
    row("PM-37", _is_refused({**struct_to_json(lease), "schema_version": 2}, ProcessLease))
    row("PM-38", to_json(ProcessExternalRef("b", "i")) == {"backend": "b", "id": "i"})
    row("PM-38", to_json(ProcessHandleDescriptor()) == {})
    grant, record = entry(TARGET, COMPLETED)
    row("PM-39", to_json(grant) == {"session_id": "session", "process_id": "p1", "descriptor": to_json(DESCRIPTOR)})
    summary = to_json(ProcessHandleSummary.of(grant, record))
    expected_summary: Json = {
        "__handle__": "process",
        "id": "p1",
        "process_id": "p1",
        "descriptor": to_json(DESCRIPTOR),
        "definition": {"name": "target"},
        "status": "completed",
    }
    row("PM-41", summary == expected_summary, summary)
    outside = ProcessRecord.from_registration(external("p2"), 1)
    bare = to_json(ProcessHandleSummary.of(ProcessHandleGrant("s", "p2", DESCRIPTOR), outside))
    row("PM-41", isinstance(bare, dict) and "definition" not in bare, bare)
    made = ProcessHandleSummary.of(grant, record)
    shown = (made.descriptor, made.status, made.definition)
    row("PM-42", shown == (grant.descriptor, "completed", ProcessDefinitionSummary("target")), made)
    row("PM-43", to_json(ProcessCancelSummary.of(record)) == {"process_id": "p1", "status": "completed"})
    others: list[ProcessInput] = [ToolCallInput(CALL), SessionTurnInput({}, {}), ExternalInput()]
    row("PM-44", ProcessDefinitionSummary.of_input(record.input) == ProcessDefinitionSummary("target"))
    row("PM-44", all(ProcessDefinitionSummary.of_input(work) is None for work in others))
    report: Json = {
        "session_id": "",
        "revoked_handle_count": 0,
        "deleted_wake_count": 0,
        "orphaned_process_ids": [],
        "preserved_process_ids": [],
    }
    row("PM-47", to_json(SessionDeleteReport()) == report, report)
    row("PM-47", from_json({}, SessionDeleteReport) == SessionDeleteReport())


def _is_refused(value: Json, shape: type[object]) -> bool:
    try:
        from_json(value, shape)
    except DecodeError:
        return True
    return False
