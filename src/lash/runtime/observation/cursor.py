"""Cursors: where an observer stands, as a text that it keeps and does not read.

`lash1_` and base64url of a checksum and a small array. The version is in the prefix;
the checksum turns a truncated or edited cursor into an error instead of a wrong place.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Final

import msgspec

from lash.base.errors import InvalidArgument

PREFIX: Final = "lash1_"
_MAX_LENGTH: Final = 4_096


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """A place in the log of one session. `epoch` names the log, `position` the last event that was seen."""

    session_id: str
    epoch: str
    position: int
    revision: int


class MalformedCursor(InvalidArgument):
    """The text is no cursor of this release."""

    code = "malformed_cursor"


class CursorOfAnotherSession(InvalidArgument):
    """The cursor is sound and belongs to another session."""

    code = "wrong_session_cursor"

    def __init__(self, session_id: str, cursor: Cursor) -> None:
        super().__init__(
            f"the cursor belongs to session {cursor.session_id!r}, not to {session_id!r}; observe that one, "
            "or observe without a cursor"
        )


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Cursor)


def encode_cursor(cursor: Cursor) -> str:
    """The text of a cursor: letters, digits, `-` and `_`."""
    body = _ENCODER.encode(cursor)
    packed = zlib.crc32(body).to_bytes(4, "big") + body
    return PREFIX + base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")


def decode_cursor(text: str, session_id: str) -> Cursor:
    """The cursor of a text. Raises `MalformedCursor` and `CursorOfAnotherSession`."""
    cursor = _decoded(text)
    if cursor.session_id != session_id:
        raise CursorOfAnotherSession(session_id, cursor)
    return cursor


def _decoded(text: object) -> Cursor:
    if not isinstance(text, str) or len(text) > _MAX_LENGTH or not text.startswith(PREFIX):
        raise _malformed(text)
    encoded = text.removeprefix(PREFIX)
    try:
        packed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        checksum, body = packed[:4], packed[4:]
        if zlib.crc32(body).to_bytes(4, "big") != checksum:
            raise _malformed(text)
        cursor = _DECODER.decode(body)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise _malformed(text) from error
    if cursor.position < 0 or cursor.revision < 0:
        raise _malformed(text)
    return cursor


def _malformed(text: object) -> MalformedCursor:
    shown = repr(text)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
    return MalformedCursor(f"cursor {shown} is none of this release; leave it out to start from a snapshot")
