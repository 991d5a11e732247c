"""The model's text on its way out: stream and response hooks around one model call.

They run inside the call's effect. What was told is recorded beside the answer, so that a
replay tells the same text and no hook runs twice.
"""

from __future__ import annotations

import inspect

import msgspec

from lash.base.cancel import CancelToken
from lash.base.usage import TokenUsage
from lash.machine.llm import LlmCallError, LlmPart, LlmResponse, TextPart
from lash.plugins.directives import EmitRuntimeEvents, RuntimeEvent
from lash.plugins.errors import PluginError, PluginInvokeError
from lash.plugins.host import PluginSession, call_hook
from lash.plugins.transforms import ResponseContext, StreamAnswer, StreamChunk
from lash.runtime import activity
from lash.runtime.activity import ActivityStream


class OutputShaping:
    """The output hooks of one model call."""

    def __init__(
        self,
        plugins: PluginSession,
        stream: ActivityStream,
        *,
        session_id: str,
        turn_id: str,
        iteration: int,
        correlation_id: str,
        cancel: CancelToken,
    ) -> None:
        self._hooks = plugins.registrations.stream.items
        self._plugins = plugins
        self._stream = stream
        self._session_id = session_id
        self._turn_id = turn_id
        self._iteration = iteration
        self._correlation_id = correlation_id
        self._cancel = cancel
        # Ends this one call, not the turn.
        self.stop = CancelToken()
        cancel.on_cancel(lambda: self.stop.cancel(cancel.reason or "requested"))
        self.told = ""
        self.usage = TokenUsage()
        self._error: PluginError | None = None
        self._is_aborted = False

    @property
    def hears_stream(self) -> bool:
        """Whether pieces of text are asked about."""
        return bool(self._hooks)

    def reset(self) -> None:
        """What was told is void: the call is tried again."""
        self.told = ""

    def tell(self, text: str) -> None:
        """Tells what the hooks make of a piece of text."""
        if self._is_aborted:
            return
        for hook in self._hooks:
            try:
                said = hook.value(StreamChunk(self._session_id, self._turn_id, text, self.told))
                answer = _stream_answer(hook.plugin_id, said, text)
            except Exception as error:
                self._fail(hook.plugin_id, error)
                return
            text = answer.text
            self._tell_events(hook.plugin_id, list(answer.events))
            if answer.reasoning:
                self._stream.tell(self._correlation_id, activity.ReasoningDelta(answer.reasoning))
            if answer.abort_stream:
                self._is_aborted = True
        if text:
            self.told += text
            self._stream.tell(self._correlation_id, activity.AssistantProseDelta(text))
        if self._is_aborted:
            self.stop.cancel("requested")

    async def result(self, result: LlmResponse | LlmCallError) -> LlmResponse | LlmCallError:
        """The answer after the response hooks. Raises `PluginInvokeError` for a hook that failed."""
        if self._error is not None:
            raise self._error
        if self._is_aborted and not self._cancel.is_cancelled:
            usage = result.usage if isinstance(result, LlmResponse) else self.usage
            result = LlmResponse([TextPart(self.told)] if self.told else [], usage)
        if not isinstance(result, LlmResponse):
            return result
        for hook in self._plugins.registrations.response.items:
            context = ResponseContext(self._session_id, self._turn_id, self._iteration, result)
            said = await call_hook("response", hook, context)
            for item in said if isinstance(said, list | tuple) else [said]:
                match item:
                    case None:
                        pass
                    case str(text):
                        result = _with_text(result, text)
                    case LlmResponse():
                        result = item
                    case EmitRuntimeEvents(events=events):
                        self._tell_events(hook.plugin_id, events)
                    case _:
                        raise PluginInvokeError(
                            f"plugin {hook.plugin_id!r}: hook response returned {type(item).__name__}; "
                            "return text, LlmResponse, EmitRuntimeEvents or None"
                        )
        return result

    def raise_failure(self) -> None:
        """Raises what a stream hook raised after the answer had come."""
        if self._error is not None:
            raise self._error

    def _tell_events(self, plugin_id: str, events: list[RuntimeEvent]) -> None:
        for event in events:
            self._stream.tell(plugin_id, activity.PluginRuntime(plugin_id, event))

    def _fail(self, plugin_id: str, error: Exception) -> None:
        if not isinstance(error, PluginError):
            error = PluginInvokeError(f"plugin {plugin_id!r}: hook stream raised {error!r}")
        self._error = error
        self._is_aborted = True
        self.stop.cancel("requested")


def _stream_answer(plugin_id: str, said: object, text: str) -> StreamAnswer:
    match said:
        case None:
            return StreamAnswer(text)
        case str(other):
            return StreamAnswer(other)
        case StreamAnswer():
            return said
        case _:
            if inspect.iscoroutine(said):
                said.close()
            raise PluginInvokeError(
                f"plugin {plugin_id!r}: hook stream returned {type(said).__name__}; "
                "it is not async, return text, StreamAnswer or None"
            )


def _with_text(response: LlmResponse, text: str) -> LlmResponse:
    """The response saying something else; calls and reasoning stay."""
    parts = list(response.parts)
    places = [place for place, part in enumerate(parts) if isinstance(part, TextPart)]
    kept: list[LlmPart] = [part for part in parts if not isinstance(part, TextPart)]
    if text:
        kept.insert(min(places[0] if places else len(kept), len(kept)), TextPart(text))
    return msgspec.structs.replace(response, parts=kept)
