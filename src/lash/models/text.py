"""Text that comes from outside, made fit to be stored and shown. Pure.

Error texts of providers and tools may hold lone surrogates, which canonical JSON
refuses, and may be a whole document. Neither may keep a failure from being recorded.
"""

from __future__ import annotations

# Enough for an error and its context; a dumped page is not a message.
MESSAGE_CHARS = 4_000


def readable(text: str, limit: int = MESSAGE_CHARS) -> str:
    """The text with lone surrogates replaced, cut to `limit` characters and saying so."""
    clean = text.encode("utf-8", "replace").decode()
    return clean if len(clean) <= limit else f"{clean[:limit]}… ({len(clean)} characters)"
