"""Naming what differs between a recorded and a reconstructed envelope."""

from __future__ import annotations

from lash.base.canonical import parse_json, sha256_hex
from lash.base.json import Json
from lash.effects.envelope import EffectEnvelope
from lash.effects.errors import EffectControllerError, EffectHashConflict, MismatchSummary
from lash.effects.journal import JournalRow

SHOWN_PATHS = 8


def hash_conflict(row: JournalRow, envelope: EffectEnvelope, producer: str) -> EffectControllerError:
    """The error for a row whose hash is not the envelope's, with the divergent paths."""
    recorded_text = row.envelope_json
    if recorded_text is not None and sha256_hex(recorded_text.encode()) != row.envelope_hash:
        return EffectControllerError(
            "runtime_effect_envelope_canonical_hash_invariant",
            f"journal row {row.replay_key}: its hash was not derived from its text; the row is damaged",
        )
    paths = [] if recorded_text is None else divergent_paths(parse_json(recorded_text), envelope.to_json())
    shown = paths[:SHOWN_PATHS]
    more = len(paths) - len(shown)
    listed = ", ".join(shown) + (f", <{more} more paths elided>" if more else "")
    message = (
        f"recorded runtime effect hash {row.envelope_hash} did not match reconstructed envelope hash "
        f"{envelope.stable_hash}; divergent_path_count={len(paths)}; divergent_paths=[{listed}]"
    )
    if row.producer != producer:
        message += f"; recorded by build {row.producer!r}, reconstructed by {producer!r}"
    return EffectHashConflict(message, MismatchSummary(len(paths), shown))


def divergent_paths(recorded: Json, rebuilt: Json, path: str = "") -> list[str]:
    """Paths such as `command.request.messages[3].content` where the documents differ."""
    if isinstance(recorded, dict) and isinstance(rebuilt, dict):
        found: list[str] = []
        for key in sorted({*recorded, *rebuilt}):
            below = f"{path}.{key}" if path else key
            if key not in recorded or key not in rebuilt:
                found.append(below)
            else:
                found += divergent_paths(recorded[key], rebuilt[key], below)
        return found
    if isinstance(recorded, list) and isinstance(rebuilt, list):
        found = []
        for index in range(max(len(recorded), len(rebuilt))):
            below = f"{path}[{index}]"
            if index >= len(recorded) or index >= len(rebuilt):
                found.append(below)
            else:
                found += divergent_paths(recorded[index], rebuilt[index], below)
        return found
    is_same = type(recorded) is type(rebuilt) and recorded == rebuilt
    return [] if is_same else [path or "$"]
