"""Outcomes as journal text: errors, and values too large for a row.

A value above 64 KiB travels as a content-addressed blob that is written in the
same transaction as its row (decisions 4).
"""

from __future__ import annotations

from typing import Protocol

from lash.base.canonical import canonical_json, parse_json, sha256_hex
from lash.base.errors import NotCanonical
from lash.base.json import JsonObject
from lash.effects.envelope import EffectOutcome
from lash.effects.errors import EffectControllerError, EffectCorrupt, MismatchSummary

# 64 KiB: a row that size still fits the page cache's idea of small; larger ones
# would be copied through every scan of the scope.
INLINE_LIMIT_BYTES = 64 * 1024
_BLOB = "$lash_blob"


def pack_outcome(outcome: EffectOutcome) -> tuple[str, dict[str, bytes]]:
    """The row text of an outcome, and the blobs it refers to.

    Raises `effect_replay_encode` when the outcome is not JSON.
    """
    try:
        text = canonical_json(outcome.to_json())
    except NotCanonical as error:
        raise EffectControllerError("effect_replay_encode", f"the outcome cannot be recorded: {error}") from error
    data = text.encode()
    if len(data) <= INLINE_LIMIT_BYTES:
        return text, outcome.blobs
    ref = sha256_hex(data)
    return canonical_json({_BLOB: ref}), {ref: data, **outcome.blobs}


class Blobs(Protocol):
    """Where the blobs of outcomes are."""

    async def get_blob(self, ref: str) -> bytes | None: ...


async def unpack_outcome(blobs: Blobs, replay_key: str, text: str) -> EffectOutcome:
    """The inverse of `pack_outcome`; raises `EffectCorrupt`."""
    json = _object(replay_key, text)
    ref = json.get(_BLOB)
    if isinstance(ref, str):
        data = await blobs.get_blob(ref)
        if data is None:
            raise EffectCorrupt(replay_key, f"its outcome blob {ref} is gone")
        json = _object(replay_key, data.decode())
    if "type" not in json:
        raise EffectCorrupt(replay_key, "its outcome has no type")
    return EffectOutcome.of_json(json)


def pack_error(error: EffectControllerError) -> str:
    """The row text of a recorded failure."""
    return canonical_json(error.to_json())


def unpack_error(replay_key: str, text: str) -> EffectControllerError:
    """The recorded failure."""
    json = _object(replay_key, text)
    code, message, summary = json.get("code"), json.get("message"), json.get("summary")
    if not isinstance(code, str) or not isinstance(message, str):
        raise EffectCorrupt(replay_key, "its error has no code or message")
    if not isinstance(summary, dict):
        return EffectControllerError(code, message)
    count, paths = summary.get("divergent_path_count"), summary.get("first_divergent_paths")
    if not isinstance(count, int) or not isinstance(paths, list):
        raise EffectCorrupt(replay_key, "its error summary is damaged")
    return EffectControllerError(code, message, MismatchSummary(count, [str(path) for path in paths]))


def _object(replay_key: str, text: str) -> JsonObject:
    try:
        json = parse_json(text)
    except ValueError as error:
        raise EffectCorrupt(replay_key, f"it is not JSON: {error}") from error
    if not isinstance(json, dict):
        raise EffectCorrupt(replay_key, "it is not an object")
    return json
