"""Fresh names and secrets as ports.

Nothing that enters a hash or a replay key may be fresh; what is minted here
names rows, claims and tokens, which are chosen once and then stored.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Protocol


class IdSource(Protocol):
    """Where lash gets unique ids and unguessable tokens from."""

    def new_id(self) -> str:
        """A unique id that sorts by creation time (UUID version 7, RFC 9562)."""
        ...

    def new_token(self) -> str:
        """An unguessable token, 32 hex digits."""
        ...

    def new_secret(self) -> bytes:
        """32 random bytes."""
        ...


class SystemIds:
    """Ids and tokens from the operating system's randomness."""

    def new_id(self) -> str:
        return uuid7(time.time_ns() // 1_000_000, os.urandom(10))

    def new_token(self) -> str:
        return secrets.token_hex(16)

    def new_secret(self) -> bytes:
        return os.urandom(32)


def uuid7(epoch_ms: int, random: bytes) -> str:
    """A version 7 UUID (RFC 9562 §5.7) from a time and 10 random bytes."""
    moment, digits = f"{epoch_ms & 0xFFFFFFFFFFFF:012x}", random.hex()
    # The version stands in place of the first digit of randomness, the variant in place of two bits of the fifth.
    variant = "89ab"[random[2] >> 4 & 0b11]
    return f"{moment[:8]}-{moment[8:]}-7{digits[1:4]}-{variant}{digits[5:8]}-{digits[8:20]}"


def is_name(text: object) -> bool:
    """Whether a caller's id can be stored everywhere: some text, without NUL and lone surrogates."""
    return (
        isinstance(text, str)
        and bool(text.strip())
        and "\0" not in text
        and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))
    )
