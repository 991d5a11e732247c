"""Types that users see, checked by both type checkers; nothing here runs."""

from __future__ import annotations

from typing import assert_type

from lash.base.canonical import canonical_json_bytes, parse_json
from lash.base.codec import decode
from lash.base.json import Json
from lash.base.messages import Message, user_message
from lash.base.usage import LedgerEntry, TokenUsage, diff_ledger


def values_keep_their_types(usage: TokenUsage, ledger: list[LedgerEntry]) -> None:
    assert_type(usage + usage, TokenUsage)
    assert_type(usage.total_tokens, int)
    assert_type(diff_ledger(ledger, ledger), list[LedgerEntry])
    assert_type(user_message("m", "text").text, str)
    assert_type(decode("{}", Message), Message)
    assert_type(parse_json("{}"), Json)


def only_json_is_canonical() -> None:
    canonical_json_bytes({"a": [1, None, {"b": 0.5}]})
    canonical_json_bytes({1: 2})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    canonical_json_bytes(b"bytes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
