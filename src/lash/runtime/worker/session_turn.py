"""Processes that are one turn of a child session.

The child and its turn are named by the process, so a second run finds the first one's
work: the turn is settled once, its usage is counted once, in the child's ledger.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable

import msgspec

from lash.base.causes import ProcessCause
from lash.base.codec import DecodeError, from_json, to_json
from lash.base.errors import LashError
from lash.base.json import Json, JsonObject
from lash.base.messages import Message
from lash.effects.errors import EffectLeaseLost, LeaseLost
from lash.effects.lease import Lease
from lash.effects.ports import EffectController, EffectHost
from lash.effects.scope import ExecutionScope
from lash.machine.outcome import Stopped, outcome_name
from lash.plugins.directives import CreateSession
from lash.plugins.errors import PluginSessionError
from lash.processes.inputs import SessionTurnInput
from lash.processes.outputs import CancelledOutput, FailureOutput, ProcessAwaitOutput, SuccessOutput
from lash.processes.scopes import SessionOriginator
from lash.runtime.actor import SessionActor
from lash.runtime.ancestry import ancestors_of
from lash.runtime.asides import make_child
from lash.runtime.engine import Engine
from lash.runtime.input import QueuedInput, TurnInput
from lash.runtime.request import TurnRequest
from lash.runtime.result import TurnResult
from lash.runtime.worker.config import ProcessWorkerConfig
from lash.runtime.worker.run import ProcessRun
from lash.sessions.errors import StoreUnavailable
from lash.sessions.frames import SessionPolicy, ToolAccess
from lash.sessions.graph import ProtocolEvent
from lash.sessions.meta import ChildSession

logger = logging.getLogger("lash.worker")


class ChildRequest(msgspec.Struct, frozen=True):
    """The child that a `session_turn` process runs in (`create_request`).

    Without `session_id` the child is named after the process; without `parent_session_id` its parent
    is the session that started the process. What `policy` leaves open is the worker's.
    """

    session_id: str | None = None
    parent_session_id: str | None = None
    policy: SessionPolicy | None = None
    plugin_options: JsonObject = {}
    tool_access: ToolAccess = ToolAccess()
    usage_source: str = "child"
    messages: list[Message] = []
    records: list[ProtocolEvent] = []


async def run_session_turn(
    config: ProcessWorkerConfig, run: ProcessRun, work: SessionTurnInput, *, is_supplied: bool
) -> ProcessAwaitOutput:
    """Runs the turn `{process_id}` of the child. With a supplied controller all its effects go through that."""
    try:
        request = from_json(work.create_request, ChildRequest)
        queued = from_json(work.turn_input, QueuedInput)
        child_id = request.session_id or f"process-session:{run.process_id}"
        policy = await _create(config, run, request, child_id)
    except StoreUnavailable:
        raise
    except (DecodeError, LashError) as error:
        return FailureOutput("execution", "process_session_create_failed", str(error))
    actor = config.actor_of(child_id)
    if is_supplied or policy is not None:
        engine = _twin(config.engine, _Supplied(run.controller, config.host)) if is_supplied else config.engine
        actor = SessionActor(engine, child_id, policy or actor.memory.policy)
    turn = TurnRequest(TurnInput(list(queued.items)), run.process_id, queued.options, process_run=run)
    undo = run.cancel.on_cancel(lambda: turn.cancel.cancel("requested") if run.cancel.is_requested else None)
    try:
        result = await actor.run(turn)
    except (EffectLeaseLost, LeaseLost, StoreUnavailable):
        raise
    except Exception as error:
        if config.engine.is_closing:
            raise
        logger.warning("process %s: its turn failed", run.process_id, exc_info=True)
        return _failed(str(error))
    finally:
        undo()
    return _output(run, child_id, result)


def _output(run: ProcessRun, child_id: str, result: TurnResult) -> ProcessAwaitOutput:
    outcome = result.outcome
    if isinstance(outcome, Stopped):
        if outcome.reason == "cancelled":
            return CancelledOutput("background session turn was cancelled")
        if outcome.reason == "tool_error" and isinstance(outcome.value, dict):
            # A tool of the child gave the turn up, with a reason and perhaps a value.
            return _failed(str(outcome.value.get("message") or ""), outcome.value.get("raw"))
        return _failed("; ".join(issue.message for issue in result.errors if issue.message))
    turn: JsonObject = {
        "turn_id": result.turn_id,
        "outcome": outcome_name(outcome),
        "text": result.text,
        "value": result.value,
        "revision": result.revision,
        "usage": to_json(result.usage),
        "children_usage": to_json(result.children_usage),
    }
    return SuccessOutput({"process_id": run.process_id, "child_session_id": child_id, "turn": turn})


def _failed(message: str, raw: Json = None) -> FailureOutput:
    said = message or "background session turn failed"
    return FailureOutput("execution", "process_session_turn_failed", said, raw)


async def _create(
    config: ProcessWorkerConfig, run: ProcessRun, request: ChildRequest, child_id: str
) -> SessionPolicy | None:
    """Makes the child, or finds the one that an earlier run made; its policy if it has one of its own."""
    originator = run.registration.provenance.originator
    parent_id = request.parent_session_id
    if parent_id is None and isinstance(originator, SessionOriginator):
        parent_id = originator.scope.session_id
    await _check_depth(config, parent_id)
    relation = ChildSession(parent_id or f"process-session-turn:{run.process_id}", ProcessCause(run.process_id))
    base = config.actor_of(child_id).memory.policy
    policy = base if request.policy is None else _completed(request.policy, base)
    directive = CreateSession(
        child_id,
        request.messages,
        request.plugin_options,
        request.tool_access,
        request.usage_source,
        request.records,
    )
    await make_child(config.engine, f"process {run.process_id!r}", relation, policy, directive)
    return policy if request.policy is not None else None


def _completed(policy: SessionPolicy, base: SessionPolicy) -> SessionPolicy:
    """What a policy leaves open is the worker's: the provider, and the model when there is none."""
    return msgspec.structs.replace(
        policy, provider_id=policy.provider_id or base.provider_id, model=policy.model or base.model
    )


async def _check_depth(config: ProcessWorkerConfig, parent_id: str | None) -> None:
    """Raises `PluginSessionError` when the parent is as deep as a session may be."""
    if parent_id is None:
        return
    ancestors = await ancestors_of(config.sessions, await config.sessions.open_existing_store(parent_id))
    if len(ancestors) >= config.max_depth:
        raise PluginSessionError(
            f"session {parent_id!r} is {config.max_depth} children deep, and no child may be deeper"
        )


class _Supplied:
    """A host whose every owned scope is one supplied controller; the rest is the deployment's."""

    def __init__(self, controller: EffectController, host: EffectHost) -> None:
        self._controller = controller
        self._host = host

    async def owned(
        self, scope: ExecutionScope, lease: Lease, *, is_fresh: bool, on_lost: Callable[[], None]
    ) -> EffectController:
        del scope, lease, is_fresh, on_lost
        return self._controller

    def __getattr__(self, name: str) -> object:
        return getattr(self._host, name)


def _twin(engine: Engine, host: _Supplied) -> Engine:
    twin = copy.copy(engine)
    twin.host = host  # type: ignore[assignment]  # the rest of the port is delegated
    return twin
