"""The wires that have names: `model="openai:…"`. Each is configured by its environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from lash.providers.wire import Wire

    AnyWire: TypeAlias = Wire[Any]


def wire_named(kind: str) -> AnyWire:
    """A wire of a kind. Raises `MissingExtra`, `MissingApiKey` and `MissingBaseUrl`."""
    match kind:
        case "openai":
            from lash.providers.openai_responses import OpenAIResponses

            return OpenAIResponses()
        case "openai-compatible":
            from lash.providers.openai_chat import OpenAIChat

            return OpenAIChat()
        case "anthropic":
            from lash.providers.anthropic import AnthropicMessages

            return AnthropicMessages()
        case "google":
            from lash.providers.google import GoogleGemini

            return GoogleGemini()
        case _:
            raise AssertionError(f"no wire is named {kind!r}")
