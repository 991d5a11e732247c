"""Messages that the machine itself writes."""

from __future__ import annotations

import msgspec

from lash.base.messages import Message, Part, PluginOrigin
from lash.machine.values import CompletedCall, PendingCall, TurnCause


def tool_results_message(number: str, results: list[CompletedCall]) -> Message:
    """One user message with a result part per call, images after the result they belong to."""
    parts: list[Part] = []
    for result in results:
        parts.append(
            Part(
                f"p{len(parts)}",
                "tool_result",
                result.content,
                tool_call_id=result.call_id,
                tool_name=result.tool_name,
            )
        )
        parts.extend(
            Part(f"p{len(parts) + index}", "image", attachment=attachment)
            for index, attachment in enumerate(result.attachments)
        )
    return Message(number, "user", parts)


def cancelled_call(call: PendingCall) -> CompletedCall:
    """The result of a call that was cut off."""
    return CompletedCall(call.call_id, call.tool_name, "[tool call cancelled]", "cancelled")


def cause_message(number: str, cause: TurnCause) -> Message:
    """A turn cause as it is kept in the conversation."""
    return Message(number, "event", [Part("p0", "text", cause.text)], cause.origin)


def transient(message: Message) -> Message:
    origin = message.origin
    plugin_id = origin.plugin_id if isinstance(origin, PluginOrigin) else "runtime"
    return msgspec.structs.replace(message, origin=PluginOrigin(plugin_id, transient=True))
