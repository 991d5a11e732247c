"""What plugins may say about a tool call: before it runs, after it, and how the model sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from lash.base.messages import Message
from lash.plugins.directives import (
    AbortTurn,
    CreateSession,
    EmitRuntimeEvents,
    EmitTrace,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
    only_conversation,
)
from lash.plugins.errors import PluginInvokeError
from lash.plugins.hooks import AfterToolCall, BeforeToolCall
from lash.plugins.host import PluginSession
from lash.plugins.services import Lend
from lash.runtime.activity import ActivityStream
from lash.runtime.asides import carry_out
from lash.tools.calls import ToolCall
from lash.tools.catalog import ToolCatalog
from lash.tools.model_view import model_text
from lash.tools.result import ToolCallOutput, ToolCallRecord

# Services for the hooks at a place that is named.
LendAt: TypeAlias = Callable[[str], Lend | None]


class ToolHooks:
    """The hooks of one turn, asked about its calls."""

    def __init__(
        self,
        plugins: PluginSession,
        catalog: ToolCatalog,
        stream: ActivityStream,
        session_id: str,
        turn_id: str,
        *,
        is_shown: bool = True,
        lend: LendAt | None = None,
    ) -> None:
        """`is_shown`: the model reads results as they are; else there is no text of them."""
        self._lend = lend
        self._is_shown = is_shown
        self._plugins = plugins
        self._catalog = catalog
        self._stream = stream
        self._session_id = session_id
        self._turn_id = turn_id

    @property
    def asks_before(self) -> bool:
        """Whether any plugin has a word before calls."""
        return bool(self._plugins.registrations.before_tool_call.items)

    @property
    def asks_after(self) -> bool:
        """Whether any plugin has a word after calls."""
        return bool(self._plugins.registrations.after_tool_call.items)

    async def before(self, call: ToolCall) -> ToolCall | ToolCallOutput:
        """The plugins' word before a call."""
        hooks = self._plugins.registrations.before_tool_call
        entry = self._catalog.resolve(call.tool_name)
        if not hooks.items or entry is None:
            return call
        lend = self._lend(f"{call.call_id}:before") if self._lend is not None else None
        abort: ToolCallOutput | None = None
        answer: ToolCallOutput | None = None
        # Each hook sees the arguments as the ones before it left them. Every hook is asked, and the
        # strictest word wins: an abort beats a refusal, a refusal an answer, an answer the call itself.
        for hook in hooks.items:
            context = BeforeToolCall(self._session_id, self._turn_id, call.call_id, entry.manifest, call.args)
            for directive in await self._plugins.ask("before_tool_call", hook, context, lend):
                match directive:
                    case AbortTurn(code=code, message=message):
                        abort = abort or ToolCallOutput.failure("permission_denied", code, message, source="plugin")
                    case ReplaceToolArgs(args=args):
                        call = ToolCall(call.call_id, call.tool_name, args, call.replay)
                    case ShortCircuitTool(output=output):
                        answer = output if answer is None or answer.is_success else answer
                    case EmitRuntimeEvents() | CreateSession() | EmitTrace():
                        await carry_out(self._plugins, self._stream, hook.plugin_id, directive)
                    case EnqueueMessages():
                        raise PluginInvokeError(
                            f"plugin {hook.plugin_id!r} may not enqueue messages before a tool call"
                        )
        return abort or answer or call

    async def after(self, record: ToolCallRecord, messages: list[Message]) -> ToolCallOutput:
        """The plugins' word after a call; messages are kept for the next checkpoint."""
        hooks = self._plugins.registrations.after_tool_call
        if not hooks.items:
            return record.output
        lend = self._lend(f"{record.call_id}:after") if self._lend is not None else None
        abort: ToolCallOutput | None = None
        output = record.output
        # Each hook sees the result as the ones before it left it; an abort stays, whatever comes after.
        for hook in hooks.items:
            context = self._after_context(
                ToolCallRecord(record.call_id, record.tool, record.args, abort or output, record.duration_ms)
            )
            if context is None:
                return record.output
            for directive in await self._plugins.ask("after_tool_call", hook, context, lend):
                match directive:
                    case AbortTurn(code=code, message=message):
                        abort = abort or ToolCallOutput.failure("permission_denied", code, message, source="plugin")
                    case ShortCircuitTool(output=replacement):
                        output = replacement
                    case EmitRuntimeEvents() | CreateSession() | EmitTrace():
                        await carry_out(self._plugins, self._stream, hook.plugin_id, directive)
                    case EnqueueMessages(messages=queued):
                        messages += only_conversation(hook.plugin_id, queued)
                    case ReplaceToolArgs():
                        raise PluginInvokeError(
                            f"plugin {hook.plugin_id!r} may not replace arguments after a tool call"
                        )
        return abort or output

    def shown(self, record: ToolCallRecord) -> tuple[str, bool]:
        """What the model sees of a result, and whether a plugin made something else of it."""
        if not self._is_shown:
            return "", False
        text = model_text(record.output)
        projector = self._plugins.registrations.tool_result_projector.item
        context = None if projector is None else self._after_context(record)
        if projector is None or context is None:
            return text, False
        projected = projector.value(context, text)
        return projected, projected != text

    def _after_context(self, record: ToolCallRecord) -> AfterToolCall | None:
        entry = self._catalog.resolve(record.tool)
        if entry is None:
            return None
        return AfterToolCall(
            self._session_id, self._turn_id, record.call_id or "", entry.manifest, record.args, record.output
        )
