"""Envelopes: an effect as a value that can be hashed, journaled and replayed.

`effects/` is generic. A command is a tagged JSON body plus its kind; its codec
lives with the owner of the type. What enters an envelope is deterministic: no
wall clock, no random id, no bytes, no live object (docs/spec/durability.md §2.3).
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

import msgspec

from lash.base.canonical import canonical_json, sha256_hex
from lash.base.codec import to_json
from lash.base.errors import NotCanonical
from lash.base.json import Json, JsonObject
from lash.base.once import once
from lash.effects.errors import EffectControllerError
from lash.effects.invocation import EffectSubject, Invocation
from lash.effects.waits import AwaitEventKey

EffectKind: TypeAlias = Literal[
    "llm_call",
    "direct",
    "tool_call",
    "tool_batch",
    "process",
    "exec_code",
    "checkpoint",
    "sync_execution_environment",
    "sleep",
    "await_event",
    "durable_step",
]

# What an unknown outcome means to the world outside (decisions 12, stores §7).
# reads:   running it again costs time or money, nothing else
# changes: it may have changed something; everything before it must be durable first
# never:   it must not run twice; its start is recorded before it runs
Impact: TypeAlias = Literal["reads", "changes", "never"]


class EffectCommand(msgspec.Struct, frozen=True, gc=False):
    """What is to be done: the kind, and a JSON body that the kind's owner understands."""

    kind: EffectKind
    body: JsonObject

    def to_json(self) -> JsonObject:
        """The wire form, tagged by `type`."""
        return {"type": self.kind, **self.body}


class EffectEnvelope(msgspec.Struct, frozen=True, dict=True):
    """One effect request. Construction validates; the hash covers everything."""

    invocation: Invocation
    command: EffectCommand
    group: JsonObject | None = None

    def __post_init__(self) -> None:
        subject = self.invocation.subject
        if not isinstance(subject, EffectSubject) or not subject.effect_id:
            raise EffectControllerError(
                "runtime_effect_invocation_subject", "an effect envelope needs an effect subject with an id"
            )
        if subject.kind != self.command.kind:
            raise EffectControllerError(
                "runtime_effect_invocation_kind",
                f"subject kind {subject.kind} does not match command kind {self.command.kind}",
            )
        if self.invocation.replay is None or not self.invocation.replay.key:
            raise EffectControllerError(
                "runtime_effect_replay_required", f"effect {subject.effect_id} has no replay key"
            )
        _validate_body(self.command)

    @property
    def effect_id(self) -> str:
        """The id of the effect within its scope."""
        subject = self.invocation.subject
        assert isinstance(subject, EffectSubject)
        return subject.effect_id

    @property
    def kind(self) -> EffectKind:
        """The kind of the command."""
        return self.command.kind

    @property
    def replay_key(self) -> str:
        """The key under which the outcome is recorded."""
        assert self.invocation.replay is not None
        return self.invocation.replay.key

    def to_json(self) -> JsonObject:
        """The wire form; `group` is absent unless set, so ungrouped hashes never change."""
        body: JsonObject = {"invocation": to_json(self.invocation), "command": self.command.to_json()}
        if self.group is not None:
            body["group"] = self.group
        return body

    @once
    def canonical(self) -> str:
        """The canonical text that is hashed and journaled: that of `to_json`, its parts written where they are made."""
        try:
            group = "" if self.group is None else f'"group":{canonical_json(self.group)},'
            command = canonical_json(self.command.to_json())
            return f'{{"command":{command},{group}"invocation":{self.invocation.canonical()}}}'
        except NotCanonical:
            return canonical_json(self.to_json())  # says where in the whole

    @once
    def stable_hash(self) -> str:
        """Lowercase hex SHA-256 of `canonical`."""
        return sha256_hex(self.canonical.encode())


class EffectOutcome(msgspec.Struct, frozen=True, gc=False):
    """What came of an effect. Provider and tool failures are data in here, not errors.

    `blobs` are content-addressed bytes that the body refers to; they are written in
    the same transaction and are no part of the body.
    """

    kind: EffectKind
    body: JsonObject
    blobs: dict[str, bytes] = {}

    def to_json(self) -> JsonObject:
        """The wire form, tagged by `type`."""
        return {"type": self.kind, **self.body}

    @staticmethod
    def of_json(json: JsonObject) -> EffectOutcome:
        """The inverse of `to_json`."""
        body = dict(json)
        return EffectOutcome(cast("EffectKind", body.pop("type")), body)

    def expect(self, kind: EffectKind) -> JsonObject:
        """The body; raises `runtime_effect_wrong_outcome` when it is of another kind."""
        if self.kind != kind:
            raise EffectControllerError("runtime_effect_wrong_outcome", f"expected {kind} outcome, got {self.kind}")
        return self.body


def sleep_command(*, duration_ms: int | None = None, until_ms: int | None = None) -> EffectCommand:
    """Sleep for a duration, or until an absolute epoch time; exactly one of the two."""
    if (duration_ms is None) == (until_ms is None):
        raise EffectControllerError("runtime_effect_sleep", "give either duration_ms or until_ms")
    return EffectCommand("sleep", {"until_ms": until_ms} if duration_ms is None else {"duration_ms": duration_ms})


def durable_step_command(step_id: str, step_input: Json = None) -> EffectCommand:
    """A host function recorded under `step_id`."""
    return EffectCommand("durable_step", {"step_id": step_id, "input": step_input})


def await_event_command(key: AwaitEventKey) -> EffectCommand:
    """Wait until the promise of `key` is resolved."""
    return EffectCommand("await_event", {"key": to_json(key)})


def _validate_body(command: EffectCommand) -> None:
    if command.kind == "durable_step" and not command.body.get("step_id"):
        raise EffectControllerError("runtime_effect_durable_step_id", "a durable step needs a non-empty step id")
    if command.kind != "tool_batch":
        return
    batch = command.body.get("batch")
    calls = batch.get("calls") if isinstance(batch, dict) else None
    if not isinstance(batch, dict) or not batch.get("batch_id"):
        raise EffectControllerError("runtime_effect_tool_batch_id", "a tool batch needs a non-empty batch id")
    if not isinstance(calls, list) or not calls:
        raise EffectControllerError("runtime_effect_tool_batch_empty", "a tool batch needs at least one call")
    for child in calls:
        call = child.get("call") if isinstance(child, dict) else None
        if not isinstance(call, dict) or not call.get("call_id"):
            raise EffectControllerError("runtime_effect_tool_batch_child_call_id", "a batch child needs a call id")
        if not isinstance(child, dict) or not child.get("replay_suffix"):
            raise EffectControllerError("runtime_effect_tool_batch_child_replay", "a batch child needs a suffix")
