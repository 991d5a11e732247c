"""A tool call on its way: as the model made it, as it was prepared, as it runs.

The prepared form is what gets recorded: with it alone a call can be carried out by
another process, after a crash, in a newer build of the application
(docs/spec/runtime.md §6.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lash.base.json import Json, JsonObject
from lash.tools.context import ToolContext


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A call as the model made it, its arguments parsed (`validation.parse_arguments`)."""

    call_id: str
    tool_name: str
    args: JsonObject
    replay: Json = None


class PreparedToolCall(msgspec.Struct, frozen=True, gc=False):
    """A call that was resolved, checked and prepared. `prepared_payload` is the provider's own note to itself."""

    call_id: str
    tool_id: str
    tool_name: str
    args: JsonObject
    replay: Json = None
    prepared_payload: Json = None


@dataclass(frozen=True, slots=True)
class ToolExecution:
    """One attempt, as a provider receives it."""

    call: PreparedToolCall
    context: ToolContext

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.call.tool_name

    @property
    def args(self) -> JsonObject:
        """The checked arguments."""
        return self.call.args
