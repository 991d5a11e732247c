"""The steps of a scripted model: what it says, calls, thinks, and how it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lash.base.canonical import canonical_json
from lash.base.json import Json
from lash.machine.llm import LlmRequest, LlmResponse
from lash.models.failure import RETRYABLE_STATUS, FailureKind, ProviderFailure


class Item:
    """One thing that a model does in a step."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Says(Item):
    """Visible text."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinks(Item):
    """Exposed reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class Calls(Item):
    """A tool call; `input_json` is its argument text as the wire would carry it."""

    tool: str
    input_json: str


@dataclass(frozen=True, slots=True)
class Fails(Item):
    """A failure as a provider would raise it, after `after_text` was streamed."""

    kind: FailureKind
    message: str
    status: int | None
    retryable: bool
    after_text: str
    code: str | None
    retry_after_ms: int | None

    def failure(self) -> ProviderFailure:
        """A fresh exception."""
        return ProviderFailure(
            self.kind,
            self.message,
            retryable=self.retryable,
            status=self.status,
            code=self.code,
            retry_after_ms=self.retry_after_ms,
        )


Answer: TypeAlias = Item | Sequence[Item] | LlmResponse

# A callable sees the request and may be a coroutine function.
Answering: TypeAlias = Callable[[LlmRequest], Answer | Awaitable[Answer]]
Step: TypeAlias = Answer | Answering


def says(text: str) -> Says:
    """Visible text. Added in 0.1."""
    return Says(text)


def thinks(text: str) -> Thinks:
    """Exposed reasoning. Added in 0.1."""
    return Thinks(text)


def cell(source: str, *, prose: str = "", extra: str = "") -> Says:
    """A program in a fence, as a model in RLM mode writes it, between `prose` and `extra`. Added in 0.1."""
    lead = f"{prose}\n" if prose else ""
    return Says(f"{lead}```lashlang\n{source.strip()}\n```{extra}")


def calls(tool: str, input_json: str | None = None, /, **args: Json) -> Calls:
    """A call of `tool` with `args`, or with argument text as it is (also text that is not JSON). Added in 0.1."""
    return Calls(tool, canonical_json(args) if input_json is None else input_json)


def fails(
    kind: FailureKind = "http",
    message: str = "the scripted provider failed",
    *,
    status: int | None = None,
    retryable: bool | None = None,
    after_text: str = "",
    code: str | None = None,
    retry_after_ms: int | None = None,
) -> Fails:
    """A provider failure. Unless said otherwise it is retryable when a real one would be. Added in 0.1."""
    if retryable is None:
        retryable = status in RETRYABLE_STATUS or (status is None and kind in ("transport", "timeout", "stream"))
    return Fails(kind, message, status, retryable, after_text, code, retry_after_ms)
