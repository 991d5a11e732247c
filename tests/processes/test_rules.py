"""The pure rules: registration, appends, outputs, authority, handles, wakes."""

from __future__ import annotations

import msgspec
import pytest

from lash.base.canonical import canonical_json, tagged_hash
from lash.base.causes import SessionNodeCause
from lash.base.codec import from_json, struct_to_json, to_json
from lash.processes.appending import plan_append
from lash.processes.authority import (
    AbandonRequest,
    CompletionAuthority,
    ExternalOwnerAuthority,
    HostAuthority,
    LeaseAuthority,
    ReconciledAbandonAuthority,
    Recovery,
    WorkflowKeyAuthority,
    check_authority,
)
from lash.processes.definitions import ProcessRef
from lash.processes.errors import (
    CompletionNotAllowed,
    InvalidEventPayload,
    InvalidProcessHandle,
    InvalidRegistration,
    InvalidSignalName,
    ProcessAlreadyTerminal,
    UndeclaredEventType,
)
from lash.processes.event_types import (
    COMPLETED,
    DeclaredTypes,
    EventSemanticsSpec,
    ProcessEventType,
    TerminalSpec,
    signal_event_type,
)
from lash.processes.events import resumed, terminal, waiting
from lash.processes.handles import handle_value, process_id_of
from lash.processes.inputs import EngineInput, ExternalInput, LashlangProcessInput, SessionTurnInput, identity_of
from lash.processes.outputs import SuccessOutput, output_of_tool, tool_output_of
from lash.processes.record import ProcessRecord
from lash.processes.registration import ProcessRegistration, prepare_registration
from lash.processes.scopes import ProcessProvenance, SessionScope
from lash.processes.selectors import const, pointer, present
from lash.processes.status import ProcessStatus, SignalWait, WaitState
from lash.processes.waking import wake_draft, wake_text
from lash.testing.conformance.process_drafts import event, external, job, plain, wake, waking
from lash.tools.result import FinishTurn, RetrySafe, ToolCallOutput

HOST = ProcessProvenance.host()
LASHLANG = LashlangProcessInput("m", ProcessRef("c", 0), "r", "main")


@pytest.mark.parametrize(
    "draft",
    [
        job("p"),
        external("p", plain("line")),
        ProcessRegistration("p", LASHLANG, HOST, [], "env", SessionScope("s")),
        ProcessRegistration("p", ExternalInput({"label": "p", "share": 0.5}), HOST),
    ],
)
def test_a_registration_is_hashed_as_a_whole(draft: ProcessRegistration) -> None:
    prepared = prepare_registration(draft)

    whole = struct_to_json(prepared.registration)
    assert prepared.registration_hash == tagged_hash("lash.process.registration/v1", whole)
    assert prepared.declared == DeclaredTypes.of(prepared.registration.event_types)
    assert prepared.declared.text == canonical_json(to_json(prepared.registration.event_types))
    stored = {name: value for name, value in whole.items() if name not in ("id", "event_types", "recovery")}
    assert prepared.stored_json == canonical_json(stored)


@pytest.mark.parametrize(
    ("draft", "text"),
    [
        (external(" "), "process id must be a non-empty string"),
        (msgspec.structs.replace(job("p"), env_ref=None), "process `p` requires a captured execution env"),
        (msgspec.structs.replace(external("p"), env_ref="e"), "must not capture an execution env for this input kind"),
        (external("p", plain("")), "process `p` declares an empty event type name"),
        (external("p", plain("a"), plain("a")), "process `p` declares duplicate event type `a`"),
        (external("p", plain(COMPLETED)), "process `p` redeclares core event type `process.completed`"),
        (
            external("p", ProcessEventType("end", True, EventSemanticsSpec(TerminalSpec("failed")))),
            "without an await_output selector",
        ),
        (external("p", ProcessEventType("a", {"type": 7})), "the schema does not compile"),
        (external("p", plain("signal.no spaces")), "process signal name must be"),
        (msgspec.structs.replace(external("p"), recovery="rerunnable"), "is external and cannot be rerunnable"),
    ],
)
def test_a_registration_that_breaks_a_rule_is_refused(draft: ProcessRegistration, text: str) -> None:
    with pytest.raises(InvalidRegistration) as caught:
        prepare_registration(draft)

    assert text in caught.value.message


def test_a_registrations_hash_covers_everything_and_nothing_derived() -> None:
    first = prepare_registration(job("p"))
    spelled_out = prepare_registration(first.registration)

    assert first.registration_hash == spelled_out.registration_hash
    for other in (job("q"), job("p", plain("a")), msgspec.structs.replace(job("p"), wake_target="detached")):
        assert prepare_registration(other).registration_hash != first.registration_hash


def test_lashlang_processes_may_yield_and_wake() -> None:
    record = ProcessRecord.from_registration(ProcessRegistration("p", LASHLANG, HOST, env_ref="e"), 1)

    assert record.event_type("process.yield") is not None
    assert record.event_type("process.wake") is not None
    assert ProcessRecord.from_registration(external("p"), 1).event_type("process.yield") is None


def test_an_identity_follows_from_the_input() -> None:
    assert identity_of(LASHLANG).label == "main"
    assert identity_of(ExternalInput({"name": "n", "title": "t"})).label == "n"
    assert identity_of(SessionTurnInput({"session_id": "s", "usage_source": "u"}, {})).label == "u"
    assert identity_of(EngineInput("cron")).kind == "cron"


def test_a_false_condition_does_not_evaluate_its_input() -> None:
    record = ProcessRecord.from_registration(
        external("p", waking("note", pointer("/missing"), when=present("/missing")), wake_target=SessionScope("s")), 1
    )

    plan = plan_append(record, event("note", {}), 2)

    assert plan.wake is None


def test_a_detached_process_stores_its_wakes() -> None:
    record = ProcessRecord.from_registration(external("p", waking("note", const("hello")), wake_target="detached"), 1)

    plan = plan_append(record, event("note"), 2)

    assert plan.wake is None
    assert plan.event.semantics.wake is not None


def test_a_long_wake_is_read_by_its_beginning() -> None:
    record = ProcessRecord.from_registration(external("p", wake("note"), wake_target=SessionScope("s")), 1)

    delivery = plan_append(record, event("note", {"wake_input": "\u00e9" * 9_000}), 2).wake

    assert delivery is not None
    assert wake_text(delivery).endswith("\u00e9\n… [1616 bytes left out; event #1 of the process has all]")
    assert wake_text(delivery).count("\u00e9") == 8_192


def test_a_wake_becomes_work_of_its_session() -> None:
    cause = SessionNodeCause("s", "n")
    provenance = ProcessProvenance.host(caused_by=cause)
    draft = external("p", wake("note"), provenance=provenance, wake_target=SessionScope("s"))
    record = ProcessRecord.from_registration(draft, 1)

    delivery = plan_append(record, event("note", {"wake_input": "done"}), 2).wake

    assert delivery is not None
    assert wake_text(delivery) == "Background process wake\nProcess: p\nEvent: note #1\nWake input:\ndone"
    work = wake_draft(delivery)
    assert (work.source_key, work.coalesce_key) == ("process:p:event:1:wake", delivery.wake_id)
    assert (work.delivery_policy, work.slot_policy, work.merge_key) == ("earliest_safe_boundary", "exclusive", "never")
    assert delivery.process_caused_by == cause


def test_an_ended_process_takes_no_more_events() -> None:
    record = msgspec.structs.replace(
        ProcessRecord.from_registration(external("p", plain("line")), 1),
        status=ProcessStatus("completed", SuccessOutput(1)),
    )

    with pytest.raises(ProcessAlreadyTerminal, match="process `p` is already terminal"):
        plan_append(record, event("line"), 2)


def test_events_that_nobody_declared_are_refused() -> None:
    record = ProcessRecord.from_registration(external("p"), 1)

    with pytest.raises(UndeclaredEventType, match="process `p` emitted undeclared event type `line`"):
        plan_append(record, event("line"), 2)
    with pytest.raises(InvalidEventPayload, match=r"invalid `process\.completed` payload"):
        plan_append(record, event(COMPLETED, {}, key="k"), 2)


def test_a_terminal_event_of_ones_own_ends_with_its_payload() -> None:
    own = ProcessEventType("shipped", True, EventSemanticsSpec(TerminalSpec("completed")))
    record = ProcessRecord.from_registration(external("p", own), 1)

    plan = plan_append(record, event("shipped", {"to": "Oslo"}, key="k"), 2)

    assert plan.status == ProcessStatus("completed", SuccessOutput({"to": "Oslo"}))
    assert plan.wait is None


def test_waiting_and_resuming_change_the_wait() -> None:
    record = ProcessRecord.from_registration(external("p"), 1)
    wait = WaitState(SignalWait.of("p", "go", "signal.go", 1), 5)

    begun = plan_append(record, waiting("p", wait), 5)
    over = plan_append(record, resumed("p", wait.kind), 6)

    assert begun.wait == wait
    assert over.wait is None
    assert wait.kind.key == "process:p:signal.go:1"


@pytest.mark.parametrize("name", ["", "no spaces", "ümlaut", "a.b"])
def test_a_signals_name_is_part_of_an_event_type(name: str) -> None:
    with pytest.raises(InvalidSignalName, match="must be non-empty and contain only ASCII letters"):
        signal_event_type(name)


@pytest.mark.parametrize(
    ("authority", "recovery", "allowed"),
    [
        (LeaseAuthority("w", 1), "rerunnable", True),
        (LeaseAuthority("w", 1), "owner_bound", True),
        (LeaseAuthority("w", 1), "externally_owned", False),
        (WorkflowKeyAuthority("k"), "rerunnable", True),
        (WorkflowKeyAuthority("k"), "externally_owned", False),
        (ExternalOwnerAuthority(), "externally_owned", True),
        (ExternalOwnerAuthority(), "rerunnable", False),
        (ReconciledAbandonAuthority(), "externally_owned", False),
        (HostAuthority(), "rerunnable", True),
    ],
)
def test_only_some_may_end_a_process(authority: CompletionAuthority, recovery: Recovery, allowed: bool) -> None:
    def check() -> None:
        check_authority("p", authority, recovery, has_live_lease=False, abandon=None)

    if allowed:
        check()
    else:
        with pytest.raises(CompletionNotAllowed, match="process `p` cannot be completed with authority `"):
            check()


def test_a_live_lease_keeps_the_host_out_and_an_abandon_request_lets_it_in() -> None:
    with pytest.raises(CompletionNotAllowed, match="authority `host`"):
        check_authority("p", HostAuthority(), "rerunnable", has_live_lease=True, abandon=None)
    check_authority(
        "p",
        ReconciledAbandonAuthority(),
        "externally_owned",
        has_live_lease=False,
        abandon=AbandonRequest("ops", 1),
    )


@pytest.mark.parametrize(
    "result",
    [
        ToolCallOutput.ok({"a": [1, None]}),
        ToolCallOutput.err("broke"),
        ToolCallOutput.failure("timeout", "c", "m", source="runtime", retry=RetrySafe(5), raw={"x": 1}),
        ToolCallOutput.cancelled("stop", source="policy", raw=[1]),
        ToolCallOutput.ok(1).with_control(FinishTurn({"done": True})),
    ],
)
def test_a_tools_result_is_the_output_of_its_process_and_back(result: ToolCallOutput) -> None:
    output = output_of_tool(result)

    assert tool_output_of(output) == result
    assert from_json(to_json(output), type(output)) == output
    assert terminal("p", output).replay is not None


def test_a_handle_is_read_back() -> None:
    assert process_id_of(handle_value("p1")) == "p1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "Invalid process handle: missing `__handle__`"),
        ({"id": "p"}, "Invalid process handle: missing `__handle__`"),
        ({"__handle__": "file", "id": "p"}, "Invalid process handle kind: file"),
        ({"__handle__": "process"}, "Invalid process handle: missing `id`"),
    ],
)
def test_what_is_no_handle_is_refused_in_words(value: object, text: str) -> None:
    with pytest.raises(InvalidProcessHandle) as caught:
        process_id_of(value)  # type: ignore[arg-type]  # some of it is no JSON on purpose

    assert caught.value.message == text
