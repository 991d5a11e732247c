"""Durable waits: one-shot promises that anybody holding a signed key may resolve.

The key is a bearer capability: its signature is an HMAC over the scope and the
wait's identity, with a secret that is made once per store. The first resolution
wins, also when nobody waits yet (docs/spec/durability.md §2.8).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final, TypeAlias

import msgspec

from lash.base.canonical import canonical_json_bytes, stable_hash
from lash.base.codec import DecodeError, decode, encode, to_json
from lash.base.errors import InvalidArgument, LashError
from lash.base.json import Json, JsonObject
from lash.effects.errors import EffectControllerError
from lash.effects.scope import ExecutionScope


class ToolCompletionWait(msgspec.Struct, frozen=True, tag="tool_completion", tag_field="type"):
    """The completion of a detached tool call."""

    tool_call_id: str


class ProcessSignalWait(msgspec.Struct, frozen=True, tag="process_signal", tag_field="type"):
    """The n-th signal of a name, counted from 1."""

    process_id: str
    signal_name: str
    ordinal: int


class CustomWait(msgspec.Struct, frozen=True, tag="custom", tag_field="type"):
    """A wait the host names itself."""

    key: str


WaitIdentity: TypeAlias = ToolCompletionWait | ProcessSignalWait | CustomWait


# A key as text says what it is, so that it is not mistaken for an id.
TOKEN_PREFIX: Final = "lash_wait_"


class MalformedWaitKey(InvalidArgument):
    """A text that should be a completion key is none: cut short, altered, or something else."""

    code = "malformed_wait_key"


class AwaitEventKey(msgspec.Struct, frozen=True):
    """A signed key to one wait. Hand it out; never log its signature or its token."""

    scope: ExecutionScope
    wait: WaitIdentity
    key_id: str
    signature: str

    def __repr__(self) -> str:
        return f"AwaitEventKey({self.key_id[:12]}…, {self.wait!r})"

    @property
    def promise_key(self) -> str:
        """The name of the promise in an engine."""
        return f"lash-await-event:{self.key_id}"

    @property
    def token(self) -> str:
        """The key as one word that is safe in URLs and headers: what an external system gives back."""
        return TOKEN_PREFIX + base64.urlsafe_b64encode(encode(self).encode()).decode().rstrip("=")

    @staticmethod
    def of_token(token: str) -> AwaitEventKey:
        """The inverse of `token`. Raises `MalformedWaitKey`; whether the key is genuine, the store says."""
        text = token.removeprefix(TOKEN_PREFIX)
        try:
            if text == token:
                raise ValueError("it has another beginning")
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return decode(raw, AwaitEventKey)
        except (ValueError, binascii.Error, DecodeError, LashError) as error:
            raise MalformedWaitKey(
                f"the completion key of {len(token)} characters cannot be read; pass key.token as it was handed out"
            ) from error


class ResolvedOk(msgspec.Struct, frozen=True, tag="ok", tag_field="status"):
    """The awaited value."""

    payload: Json = None


class WaitError(msgspec.Struct, frozen=True):
    """Why a wait failed."""

    code: str
    message: str
    raw: Json = None


class ResolvedErr(msgspec.Struct, frozen=True, tag="err", tag_field="status"):
    """The awaited thing failed."""

    payload: WaitError


class TimedOut(msgspec.Struct, frozen=True, tag="timeout", tag_field="status"):
    """The deadline passed first."""


class WaitCancelled(msgspec.Struct, frozen=True, tag="cancelled", tag_field="status"):
    """Somebody cancelled the wait."""


Resolution: TypeAlias = ResolvedOk | ResolvedErr | TimedOut | WaitCancelled


class Accepted(msgspec.Struct, frozen=True, tag="accepted", tag_field="status"):
    """The resolution was stored and is final."""


class AlreadyResolved(msgspec.Struct, frozen=True, tag="already_resolved", tag_field="status"):
    """An earlier resolution stands."""

    terminal: Resolution


class UnknownOrRevoked(msgspec.Struct, frozen=True, tag="unknown_or_revoked", tag_field="status"):
    """The key is forged, or its session is gone."""


ResolveOutcome: TypeAlias = Accepted | AlreadyResolved | UnknownOrRevoked


class OpenWait(msgspec.Struct, frozen=True):
    """A wait that somebody described and nobody has resolved. `subject` is what its owner wrote of it."""

    key: AwaitEventKey
    subject: JsonObject
    created_at_ms: int
    deadline_ms: int | None


def make_key(scope: ExecutionScope, wait: WaitIdentity, secret: bytes) -> AwaitEventKey:
    """The signed key of a wait; raises `invalid_await_event_wait_identity` for blank parts."""
    scope.validate()
    _validate(wait)
    scope_json, wait_json = to_json(scope), to_json(wait)
    key_id = stable_hash([scope_json, wait_json])
    signature = hmac.new(secret, canonical_json_bytes([scope_json, wait_json, key_id]), hashlib.sha256).hexdigest()
    return AwaitEventKey(scope, wait, key_id, signature)


def is_genuine(key: AwaitEventKey, secret: bytes) -> bool:
    """Whether the key was made with `secret` for exactly this scope and wait."""
    try:
        expected = make_key(key.scope, key.wait, secret)
    except LashError:  # an unusable identity is simply not genuine
        return False
    return hmac.compare_digest(expected.signature, key.signature) and expected.key_id == key.key_id


def _validate(wait: WaitIdentity) -> None:
    match wait:
        case ToolCompletionWait(tool_call_id=part) | CustomWait(key=part):
            is_valid = bool(part.strip())
        case ProcessSignalWait(process_id=process_id, signal_name=name, ordinal=ordinal):
            is_valid = bool(process_id.strip() and name.strip()) and ordinal >= 1
    if not is_valid:
        raise EffectControllerError(
            "invalid_await_event_wait_identity", f"a wait needs non-empty parts and an ordinal from 1, got {wait!r}"
        )
