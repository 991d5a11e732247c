"""Direct completions: one question to a model, without a session (docs/spec/runtime.md §2.7).

```python
from lash.direct import DirectClient, DirectRequest

async with DirectClient("openai:gpt-5.4-mini") as client:
    answer = await client.complete(DirectRequest.text("Name a colour."))
```

Inside a tool the same request goes through the effect boundary, so that it is asked once
whatever crashes, and is charged to the session: `await ctx.direct_completions.complete(request)`.
"""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lash.base.cancel import CancelToken
from lash.base.clock import Clock, SystemClock
from lash.machine.llm import Generation, LlmMessage, LoadAttachment, OutputSpec, TextBlock
from lash.models.direct import DirectCompletion, DirectCompletionFailed, DirectRequest, complete_once
from lash.models.provider import Provider
from lash.models.resolver import WIRES, ModelChoice, resolve_model

if TYPE_CHECKING:
    from lash.providers.named import AnyWire


class DirectClient:
    """Asks one model. What it made itself it closes: use `async with`, or `await client.close()`. Added in 0.1."""

    def __init__(
        self, model: ModelChoice, *, clock: Clock | None = None, load_attachment: LoadAttachment | None = None
    ) -> None:
        """`model` is what a core takes. Raises `InvalidArgument` and `UnknownProvider`."""
        self._wires: list[AnyWire] = []
        self._spec = resolve_model(model, {kind: partial(self._wire, kind) for kind in WIRES})
        self._clock: Clock = clock or SystemClock()
        self._load_attachment = load_attachment

    async def complete(self, request: DirectRequest, *, cancel: CancelToken | None = None) -> DirectCompletion:
        """The model's answer; nothing is recorded. Raises `DirectCompletionFailed`."""
        return await complete_once(
            request,
            request.model or self._spec,
            cancel=cancel or CancelToken(),
            clock=self._clock,
            load_attachment=self._load_attachment,
        )

    async def close(self) -> None:
        """Closes the connection that the client made."""
        wires, self._wires = self._wires, []
        for wire in wires:
            await wire.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _wire(self, kind: str) -> Provider:
        from lash.providers.named import wire_named

        self._wires.append(wire_named(kind))
        return self._wires[-1]


__all__ = [
    "DirectClient",
    "DirectCompletion",
    "DirectCompletionFailed",
    "DirectRequest",
    "Generation",
    "LlmMessage",
    "OutputSpec",
    "TextBlock",
]
