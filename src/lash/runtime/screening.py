"""The model's text behind a screen: programs are held back, and what follows one ends the call."""

from __future__ import annotations

from lash.base.cancel import CancelToken
from lash.base.usage import TokenUsage
from lash.machine.llm import LlmCallError, LlmResponse, TextPart
from lash.plugins.execution import Screened, TextScreen


class Screening:
    """The screen of one model call."""

    def __init__(self, screen: TextScreen, cancel: CancelToken) -> None:
        self._screen = screen
        self.plugin_id = screen.plugin_id
        self._cancel = cancel
        # Ends this one call, not the turn.
        self.stop = CancelToken()
        cancel.on_cancel(lambda: self.stop.cancel(cancel.reason or "requested"))
        self.usage = TokenUsage()
        self._text = ""
        self._is_over = False

    def feed(self, text: str) -> Screened:
        """What of a piece is told."""
        if self._is_over:
            return Screened()
        self._text += text
        screened = self._screen.feed(text)
        if screened.is_over:
            self._is_over = True
            self.stop.cancel("requested")
        return screened

    def rest(self) -> Screened:
        """What was held back and is told after all."""
        return Screened() if self._is_over else self._screen.rest()

    def reset(self) -> None:
        """The call is tried again from its start."""
        self._screen.reset()
        self._text = ""

    def result(self, result: LlmResponse | LlmCallError) -> LlmResponse | LlmCallError:
        """The answer. A call that was ended here is answered by its text so far, the program included."""
        if not self._is_over or self._cancel.is_cancelled:
            return result
        usage = result.usage if isinstance(result, LlmResponse) and result.usage else self.usage
        return LlmResponse([TextPart(self._text)], usage)
