"""The `batch` tool: several calls in one, for models that make one call at a time."""

from __future__ import annotations

from typing import Annotated

import msgspec

from lash.base.json import JsonObject
from lash.plugins.plugin import Plugin
from lash.runtime.batch_calls import BATCH_PLUGIN, MAX_CALLS
from lash.tools.decorator import tool
from lash.tools.result import ToolRetry
from lash.tools.toolset import ToolSet


class BatchCall(msgspec.Struct, frozen=True):
    """One call of a batch."""

    tool: str
    parameters: JsonObject = {}


# What runs is each call of it, like any other (runtime/batch_calls.py); this body is reached by what
# could not be taken apart and still fits the schema, which is nothing.
@tool
async def batch(tool_calls: Annotated[list[BatchCall], msgspec.Meta(min_length=1, max_length=MAX_CALLS)]) -> JsonObject:
    """Run several tool calls at once and get all their results. Use it for calls that do not depend on each other."""
    raise ToolRetry(f"the {len(tool_calls)} calls of the batch could not be read; send tool and parameters for each")


class BatchTool(Plugin):
    """Adds the tool `batch` to a standard core. Added in 0.1.

    Its calls run as if the model had made them side by side: serial tools one after another, each with
    its own approval, retries and record. At most 25 of them; one that fails fails alone.
    """

    id = BATCH_PLUGIN

    def __init__(self) -> None:
        super().__init__()
        self.tools(ToolSet([batch]))
