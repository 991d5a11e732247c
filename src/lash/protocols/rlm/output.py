"""What of a printed value is shown, and what is said of the rest (docs/spec/runtime.md §5.5)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from lash.base.json import Json
from lash.protocols.rlm.options import ObserveLimits


class Truncation(msgspec.Struct, frozen=True):
    """What the limits did to one printed value."""

    truncated: bool
    original_chars: int
    projected_chars: int
    original_lines: int
    projected_lines: int
    limit: int
    limit_mode: str
    max_lines: int


def observed(text: str, limits: ObserveLimits) -> tuple[str, Truncation]:
    """The head of a printed text within the limits, and what was done to it."""
    shown = _head(text, limits)
    is_cut = len(shown) < len(text)
    lines = text.count("\n") + 1
    shown_lines = shown.count("\n") + 1
    if is_cut:
        shown = f"{shown}\n… {len(text) - len(shown)} of {len(text)} characters left out; print a smaller part"
    measured = Truncation(
        is_cut, len(text), len(shown), lines, shown_lines, limits.max_bytes, "bytes", limits.max_lines
    )
    return shown, measured


def _head(text: str, limits: ObserveLimits) -> str:
    at = -1
    for _ in range(limits.max_lines):
        at = text.find("\n", at + 1)
        if at < 0:
            break
    kept = text if at < 0 else text[:at]
    if 4 * len(kept) <= limits.max_bytes:
        return kept
    data = kept[: limits.max_bytes].encode("utf-8", "surrogatepass")
    if len(data) <= limits.max_bytes:
        return kept[: limits.max_bytes]
    return data[: limits.max_bytes].decode("utf-8", "ignore")


def clipped(text: str, limit: int, address: str) -> str:
    """A text of at most about `limit` characters: its head, its tail, and where the whole is found."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head
    left_out = len(text) - limit
    return f"{text[:head]}\n… {left_out} characters left out, all of it is `{address}` …\n{text[-tail:]}"


def images_in(value: Json) -> Iterator[str]:
    """The ids of images inside a printed value."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += reversed(item)
        elif isinstance(item, dict):
            if item.get("type") == "image" and isinstance(item.get("id"), str):
                yield str(item["id"])
            else:
                stack += reversed(list(item.values()))
