"""The journal's rule: what to do about an effect, given what is recorded of it.

`decide` is pure and every host uses it. A scope is *owned* when its driver holds
the lease that covers it (turn: session lease, process: process lease): then
nobody else writes, an effect is written once, at its end, and an absent row
simply means *run it*. Without a lease the row itself is the claim.

```
row absent      owned    -> Execute            unowned -> Claim
hash differs             -> Diverged
completed                -> Answer(outcome, due)
failed                   -> AnswerError(error)
in_progress     never, foreign token -> InDoubt
in_progress     live     -> Busy(until)        expired -> Claim (due time kept)
```
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

RowStatus: TypeAlias = Literal["in_progress", "completed", "failed"]
Ownership: TypeAlias = Literal["owned", "unowned"]


class JournalRow(msgspec.Struct, frozen=True, gc=False):
    """One recorded effect, as stored."""

    replay_key: str
    kind: str
    envelope_hash: str
    status: str
    envelope_json: str | None = None
    outcome_json: str | None = None
    error_json: str | None = None
    lease_token: str | None = None
    lease_expires_at_ms: int = 0
    due_at_ms: int | None = None
    attempts: int = 1
    never: bool = False
    producer: str = ""
    started_at_ms: int = 0
    finished_at_ms: int | None = None


class Execute(msgspec.Struct, frozen=True, gc=False):
    """Nothing is recorded and the scope is ours: run it, write the outcome once."""


class Claim(msgspec.Struct, frozen=True):
    """Write an `in_progress` row first, then run. `due_at_ms` of a taken-over row is kept."""

    due_at_ms: int | None
    attempts: int
    takes_over: bool


class Answer(msgspec.Struct, frozen=True):
    """The recorded outcome; a sleep still waits until it is due."""

    outcome_json: str
    due_at_ms: int | None


class AnswerError(msgspec.Struct, frozen=True):
    """The recorded failure."""

    error_json: str


class Busy(msgspec.Struct, frozen=True):
    """Another controller is running it; look again at `retry_at_ms`."""

    retry_at_ms: int


class Diverged(msgspec.Struct, frozen=True):
    """The runtime rebuilt another envelope than the recorded one."""

    row: JournalRow


class InDoubt(msgspec.Struct, frozen=True):
    """A `never` effect was started by somebody who is gone."""


class Missing(msgspec.Struct, frozen=True):
    """Strict replay found no row."""


class Corrupt(msgspec.Struct, frozen=True):
    """The row contradicts itself."""

    what: str


Decision: TypeAlias = Execute | Claim | Answer | AnswerError | Busy | Diverged | InDoubt | Missing | Corrupt


def decide(
    row: JournalRow | None,
    *,
    envelope_hash: str,
    ownership: Ownership,
    is_never: bool,
    token: str,
    due_at_ms: int | None,
    now_ms: int,
    is_strict_replay: bool = False,
) -> Decision:
    """What to do about an effect (module docstring; docs/spec/durability.md §2.7)."""
    if row is None:
        if is_strict_replay:
            return Missing()
        if ownership == "owned" and not is_never:
            return Execute()
        return Claim(due_at_ms, attempts=1, takes_over=False)
    if row.envelope_hash != envelope_hash:
        return Diverged(row)
    if row.status == "completed":
        if row.outcome_json is None:
            return Corrupt("completed without an outcome")
        return Answer(row.outcome_json, row.due_at_ms)
    if row.status == "failed":
        if row.error_json is None:
            return Corrupt("failed without an error")
        return AnswerError(row.error_json)
    if row.status != "in_progress":
        return Corrupt(f"unknown status {row.status!r}")
    if row.lease_token == token:
        return Claim(row.due_at_ms, attempts=row.attempts, takes_over=False)
    if (row.never or is_never) and (ownership == "owned" or row.lease_expires_at_ms <= now_ms):
        return InDoubt()
    if row.lease_expires_at_ms > now_ms:
        return Busy(row.lease_expires_at_ms)
    return Claim(row.due_at_ms, attempts=row.attempts + 1, takes_over=True)
