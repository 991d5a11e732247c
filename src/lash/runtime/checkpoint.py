"""Checkpoints of a running turn: what arrived that it should take in.

An empty checkpoint writes no row. On replay a checkpoint without a row answers
*empty* while a later effect of the turn is recorded; only past the last recorded
effect may it claim work (decisions 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from lash.base.codec import from_json, to_json
from lash.base.json import JsonObject
from lash.base.messages import Message
from lash.effects.envelope import EffectCommand, EffectOutcome
from lash.machine.values import CheckpointDelivered, CheckpointKind
from lash.plugins.directives import (
    AbortTurn,
    CreateSession,
    EmitRuntimeEvents,
    EmitTrace,
    EnqueueMessages,
    only_conversation,
)
from lash.plugins.errors import PluginInvokeError
from lash.plugins.hooks import AtCheckpoint
from lash.plugins.host import PluginSession
from lash.plugins.services import Lend
from lash.runtime.activity import ActivityStream
from lash.runtime.asides import carry_out
from lash.runtime.input import input_message, queued_inputs
from lash.sessions.queue import QueuedWorkClaim


class Delivery(msgspec.Struct, frozen=True):
    """What one checkpoint delivers; recorded, so that a replay delivers the same."""

    messages: list[Message] = []
    injected: list[Message] = []
    batch_ids: list[str] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing arrived."""
        return not (self.messages or self.injected)

    def answer(self, effect_id: int) -> CheckpointDelivered:
        """The machine's answer. Injected user input is part of the conversation like any other."""
        return CheckpointDelivered(effect_id, messages=[*self.injected, *self.messages])

    def outcome(self) -> EffectOutcome:
        """The recorded form."""
        return EffectOutcome("checkpoint", {"result": {"ok": to_json(self)}})

    @staticmethod
    def of_outcome(outcome: EffectOutcome) -> Delivery:
        """The inverse of `outcome`."""
        result = outcome.expect("checkpoint")["result"]
        assert isinstance(result, dict)
        return from_json(result["ok"], Delivery)


def checkpoint_command(kind: CheckpointKind) -> EffectCommand:
    """The command of a checkpoint effect."""
    body: JsonObject = {"checkpoint": kind}
    return EffectCommand("checkpoint", body)


@dataclass(slots=True)
class CheckpointInbox:
    """Messages that hooks left for the next checkpoint."""

    messages: list[Message] = field(default_factory=list)

    def take(self) -> list[Message]:
        """Empties the inbox."""
        taken, self.messages = self.messages, []
        return taken


async def ask_plugins(
    plugins: PluginSession, context: AtCheckpoint, stream: ActivityStream, lend: Lend | None = None
) -> list[Message]:
    """Messages that plugins add at a checkpoint. An abort raises with the plugin's code."""
    messages: list[Message] = []
    for plugin_id, directive in await plugins.run("checkpoint", plugins.registrations.checkpoint, context, lend):
        match directive:
            case AbortTurn(code=code, message=message):
                raise PluginInvokeError(message, code=code)
            case EnqueueMessages(messages=queued):
                messages += only_conversation(plugin_id, queued)
            case EmitRuntimeEvents() | CreateSession() | EmitTrace():
                await carry_out(plugins, stream, plugin_id, directive)
            case _:
                raise PluginInvokeError(f"plugin {plugin_id!r} may not change tool calls at a checkpoint")
    return messages


def claimed_messages(claim: QueuedWorkClaim) -> list[Message]:
    """The messages of claimed work, one a batch: user messages of inputs, event messages of wakes."""
    messages: list[Message] = []
    for batch in claim.batches:
        inputs = queued_inputs(batch)
        usable = [queued for queued in inputs if queued.problem is None]
        if usable:
            messages.append(input_message("", usable))
    return messages
