"""Suite EH: what every effect host does with scopes, and what the recording host logs."""

from __future__ import annotations

from lash.base.errors import LashRuntimeError
from lash.effects.envelope import EffectCommand, EffectEnvelope, sleep_command
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.effects.ports import EffectHost
from lash.effects.scope import ExecutionScope
from lash.hosts.recording import RecordingEffectHost
from lash.testing.conformance.laws import Rows, Suite

EFFECT_HOST: Suite[EffectHost] = Suite("effect_host")
law = EFFECT_HOST.law

# I inline, R recording, S and P journaled over SQLite and PostgreSQL.
ALL = "IRSP"
BUTTON = ExecutionScope.runtime_operation("host-event:button-1")


@law("EH-01", "EH-02", stores=ALL)
async def a_queue_drain_scope_is_kept(host: EffectHost, row: Rows) -> None:
    scope = ExecutionScope.queue_drain("session-1", "drain-1")

    controller = host.scoped(scope)

    row("EH-01", controller.execution_scope() == scope, controller.execution_scope())
    row("EH-02", controller.scope_id() == "drain-1" and controller.turn_id() is None)


@law("EH-03", "EH-04", stores=ALL)
async def a_turn_scope_is_kept(host: EffectHost, row: Rows) -> None:
    scope = ExecutionScope.turn("session-1", "turn-1")

    controller = host.scoped(scope)

    row("EH-03", controller.execution_scope() == scope, controller.execution_scope())
    row("EH-04", controller.scope_id() == "turn-1" and controller.turn_id() == "turn-1")


@law("EH-05", "EH-06", "EH-07", "EH-08", "EH-09", "EH-10", stores=ALL)
async def blank_scope_ids_are_refused(host: EffectHost, row: Rows) -> None:
    blanks = {
        "EH-05": ExecutionScope.turn("", "turn"),
        "EH-06": ExecutionScope.turn("session", ""),
        "EH-07": ExecutionScope.process(""),
        "EH-08": ExecutionScope.queue_drain("session", ""),
        "EH-09": ExecutionScope.session_delete(""),
        "EH-10": ExecutionScope.runtime_operation(""),
    }

    for law_id, scope in blanks.items():
        try:
            host.scoped(scope)
        except LashRuntimeError as error:
            row(law_id, error.code == "missing_execution_scope_id", error.code)
        else:
            row(law_id, False, "no error")


@law("EH-11", "EH-12", stores=ALL)
async def a_static_scope_is_kept_or_declined(host: EffectHost, row: Rows) -> None:
    scope = ExecutionScope.runtime_operation("static-runtime-op")

    controller = host.scoped_static(scope)

    row("EH-11", True)
    is_kept = controller is None or (
        controller.execution_scope() == scope and controller.scope_id() == "static-runtime-op"
    )
    row("EH-12", is_kept)


@law("EH-13", "EH-14", "EH-15", "EH-16", "EH-17", "EH-18", stores="R")
async def a_recorded_sleep_is_logged_whole(host: EffectHost, row: Rows) -> None:
    assert isinstance(host, RecordingEffectHost)
    envelope = _envelope("sleep-effect", sleep_command(duration_ms=0))

    outcome = await host.scoped(BUTTON).execute(envelope, Local.unavailable())

    row("EH-13", outcome.kind == "sleep", outcome)
    row("EH-14", host.selected_scopes() == [BUTTON], host.selected_scopes())
    records = host.records()
    row("EH-15", len(records) == 1 and records[0].execution_scope == BUTTON, records)
    record = records[0]
    row("EH-16", record.runtime_scope == RuntimeScope("session-1"), record.runtime_scope)
    identity = (record.effect_id, record.kind, record.replay_key)
    row("EH-17", identity == ("sleep-effect", "sleep", "host-event:button-1:sleep-effect"), identity)
    row("EH-18", record.envelope_hash == envelope.stable_hash, record.envelope_hash)


@law("EH-19", stores="R")
async def a_recording_host_synthesises_nothing_else(host: EffectHost, row: Rows) -> None:
    assert isinstance(host, RecordingEffectHost)
    controller = host.scoped(BUTTON)
    for number, kind in enumerate(("exec_code", "llm_call", "process", "checkpoint"), start=1):
        command = EffectCommand(kind, {})  # type: ignore[arg-type]  # every kind in turn
        try:
            await controller.execute(_envelope(f"effect-{kind}", command), Local.unavailable())
        except LashRuntimeError as error:
            is_refused = error.code == "recording_effect_host_unsupported_command"
            text = f"recording effect host cannot synthesize {kind} outcomes"
            row("EH-19", is_refused and error.message == text and len(host.records()) == number, error)
        else:
            row("EH-19", False, kind)


@law("EH-20", stores="R")
async def a_static_scope_is_logged_too(host: EffectHost, row: Rows) -> None:
    assert isinstance(host, RecordingEffectHost)

    controller = host.scoped_static(BUTTON)

    row("EH-20", controller.execution_scope() == BUTTON and host.selected_scopes() == [BUTTON])


def _envelope(effect_id: str, command: EffectCommand) -> EffectEnvelope:
    invocation = Invocation.effect(
        RuntimeScope("session-1"), effect_id, command.kind, f"host-event:button-1:{effect_id}"
    )
    return EffectEnvelope(invocation, command)
