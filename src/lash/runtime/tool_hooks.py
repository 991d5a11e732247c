"""What plugins may say about a tool call: before it runs, after it, and how the model sees it."""

from __future__ import annotations

from lash.base.messages import Message
from lash.plugins.directives import (
    AbortTurn,
    EmitRuntimeEvents,
    EnqueueMessages,
    ReplaceToolArgs,
    ShortCircuitTool,
    only_conversation,
)
from lash.plugins.errors import PluginInvokeError
from lash.plugins.hooks import AfterToolCall, BeforeToolCall
from lash.plugins.host import PluginSession
from lash.runtime import activity
from lash.runtime.activity import ActivityStream
from lash.tools.calls import ToolCall
from lash.tools.catalog import ToolCatalog
from lash.tools.model_view import model_text
from lash.tools.result import ToolCallOutput, ToolCallRecord


class ToolHooks:
    """The hooks of one turn, asked about its calls."""

    def __init__(
        self, plugins: PluginSession, catalog: ToolCatalog, stream: ActivityStream, session_id: str, turn_id: str
    ) -> None:
        self._plugins = plugins
        self._catalog = catalog
        self._stream = stream
        self._session_id = session_id
        self._turn_id = turn_id

    async def before(self, call: ToolCall) -> ToolCall | ToolCallOutput:
        """The plugins' word before a call."""
        hooks = self._plugins.registrations.before_tool_call
        entry = self._catalog.resolve(call.tool_name)
        if not hooks.items or entry is None:
            return call
        context = BeforeToolCall(self._session_id, self._turn_id, call.call_id, entry.manifest, call.args)
        answer: ToolCallOutput | None = None
        for plugin_id, directive in await self._plugins.run("before_tool_call", hooks, context):
            match directive:
                case AbortTurn(code=code, message=message):
                    return ToolCallOutput.failure("permission_denied", code, message, source="plugin")
                case ReplaceToolArgs(args=args):
                    call = ToolCall(call.call_id, call.tool_name, args, call.replay)
                case ShortCircuitTool(output=output):
                    answer = output if answer is None or answer.is_success else answer
                case EmitRuntimeEvents(events=events):
                    for event in events:
                        self._stream.tell(plugin_id, activity.PluginRuntime(plugin_id, event))
                case EnqueueMessages():
                    raise PluginInvokeError(f"plugin {plugin_id!r} may not enqueue messages before a tool call")
        return call if answer is None else answer

    async def after(self, record: ToolCallRecord, messages: list[Message]) -> ToolCallOutput:
        """The plugins' word after a call; messages are kept for the next checkpoint."""
        hooks = self._plugins.registrations.after_tool_call
        context = self._after_context(record) if hooks.items else None
        if context is None:
            return record.output
        output = record.output
        for plugin_id, directive in await self._plugins.run("after_tool_call", hooks, context):
            match directive:
                case AbortTurn(code=code, message=message):
                    output = ToolCallOutput.failure("permission_denied", code, message, source="plugin")
                case ShortCircuitTool(output=replacement):
                    output = replacement
                case EmitRuntimeEvents(events=events):
                    for event in events:
                        self._stream.tell(plugin_id, activity.PluginRuntime(plugin_id, event))
                case EnqueueMessages(messages=queued):
                    messages += only_conversation(plugin_id, queued)
                case ReplaceToolArgs():
                    raise PluginInvokeError(f"plugin {plugin_id!r} may not replace arguments after a tool call")
        return output

    def model_text(self, record: ToolCallRecord) -> str:
        """What the model sees of a result."""
        text = model_text(record.output)
        projector = self._plugins.registrations.tool_result_projector.item
        context = None if projector is None else self._after_context(record)
        return text if projector is None or context is None else projector.value(context, text)

    def _after_context(self, record: ToolCallRecord) -> AfterToolCall | None:
        entry = self._catalog.resolve(record.tool)
        if entry is None:
            return None
        return AfterToolCall(
            self._session_id, self._turn_id, record.call_id or "", entry.manifest, record.args, record.output
        )
