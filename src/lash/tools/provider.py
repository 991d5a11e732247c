"""The port through which tools reach the runtime.

Decorated functions come through it too (`ToolSet`); implement it directly for tools
that are not functions: a remote catalog, a bridge to another protocol, a table of
generated operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from lash.tools.calls import PreparedToolCall, ToolCall, ToolExecution
from lash.tools.definition import ToolContract, ToolManifest


@runtime_checkable
class ToolProvider(Protocol):
    """A source of tools. Added in 0.1.

    Manifests and contracts are asked for when a turn prepares its catalog, never per
    call; they must be cheap and must not change with the clock.
    """

    def tool_manifests(self) -> Sequence[ToolManifest]:
        """The tools it offers, in the order the model shall see them."""
        ...

    def resolve_contract(self, name: str) -> ToolContract | None:
        """The contract of one of them; None when it has none (any more)."""
        ...

    async def prepare_tool_call(self, call: ToolCall, manifest: ToolManifest) -> PreparedToolCall:
        """The call in the form that is recorded before it runs. Subclasses inherit the plain form."""
        return prepared(call, manifest)

    async def execute(self, call: ToolExecution) -> object:
        """Runs one attempt: a `ToolCallOutput`, or a plain value, which means success.

        Exceptions become failures of class `execution`; cancellation passes through.
        """
        ...


@runtime_checkable
class JudgesCalls(Protocol):
    """What a provider adds when some of its manifests say `approve="predicate"`. Added in 0.1."""

    async def needs_approval(self, call: ToolExecution) -> bool:
        """Whether a person must approve this call. Asked once per call; the answer is recorded."""
        ...


@runtime_checkable
class CancelsCalls(Protocol):
    """What a provider adds whose pending calls say `on_cancel="cancel_external_work"`. Added in 0.1."""

    async def cancel_call(self, call: ToolExecution) -> None:
        """Tells the outside that nobody waits for this call any more. May run twice; `effect_key` says of what.

        What it raises is logged and changes nothing.
        """
        ...


def prepared(call: ToolCall, manifest: ToolManifest) -> PreparedToolCall:
    """The prepared form of a call that needs no preparation."""
    return PreparedToolCall(call.call_id, manifest.id, manifest.name, call.args, call.replay)
