"""What a caller wants of a session: a turn, with the live things that are not stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lash.base.cancel import CancelToken
from lash.base.codec import to_json
from lash.base.errors import LashError
from lash.plugins.bindings import PluginInput
from lash.runtime.activity import Sink
from lash.runtime.input import QueuedInput, TurnInput, TurnOptions
from lash.runtime.worker.run import ProcessRun
from lash.sessions.queue import TurnInputPayload


class TurnInputWithdrawn(LashError):
    """The turn's queued input was cancelled before it ran."""

    code = "turn_input_withdrawn"


@dataclass(eq=False, slots=True)
class TurnRequest:
    """A turn as the caller wants it. Sinks and the cancel token are live and not stored."""

    turn_input: TurnInput
    turn_id: str | None = None
    options: TurnOptions = field(default_factory=TurnOptions)
    sinks: list[Sink] = field(default_factory=list)
    cancel: CancelToken = field(default_factory=CancelToken)
    retry: bool = False
    plugin_inputs: Sequence[PluginInput] = ()
    # The process whose work the turn is: it holds no slot of its worker while the turn waits.
    process_run: ProcessRun | None = None


def input_payload(queued: QueuedInput) -> TurnInputPayload:
    """An input as the queue stores it."""
    body = to_json(queued)
    assert isinstance(body, dict)
    return TurnInputPayload(body)
