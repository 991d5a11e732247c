"""Token counts, and the ledger they are added up in.

A ledger is a list of entries keyed by (source, model) in first-seen order.
Sources are open strings; `turn` is a session's own model calls.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lash.base.errors import InvalidArgument


class TokenUsage(msgspec.Struct, frozen=True, omit_defaults=False):
    """Tokens of one or many model calls. `cached_input_tokens` is part of the input."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input, output and reasoning together."""
        return self.input_tokens + self.output_tokens + self.reasoning_tokens

    def __bool__(self) -> bool:
        return bool(self.input_tokens or self.output_tokens or self.cached_input_tokens or self.reasoning_tokens)

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )

    def __sub__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
            self.cached_input_tokens - other.cached_input_tokens,
            self.reasoning_tokens - other.reasoning_tokens,
        )


class LedgerEntry(msgspec.Struct, frozen=True):
    """What one source spent on one model."""

    source: str
    model: str
    usage: TokenUsage


class PromptUsage(msgspec.Struct, frozen=True):
    """How full the context was at the last model call."""

    prompt_context_tokens: int
    input_tokens: int
    cached_input_tokens: int
    context_budget_tokens: int | None = None


class UsageRow(msgspec.Struct, frozen=True):
    """One line of a usage report."""

    key: str
    usage: TokenUsage


class UsageReport(msgspec.Struct, frozen=True):
    """A session's ledger, added up along each key."""

    entry_count: int
    usage: TokenUsage
    by_source: list[UsageRow]
    by_model: list[UsageRow]
    by_source_model: list[LedgerEntry]


def merge_ledger(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """One entry per (source, model) in first-seen order, zero entries skipped."""
    totals: dict[tuple[str, str], TokenUsage] = {}
    for entry in entries:
        if entry.usage:
            key = (entry.source, entry.model)
            totals[key] = totals.get(key, TokenUsage()) + entry.usage
    return [LedgerEntry(source, model, usage) for (source, model), usage in totals.items()]


def diff_ledger(before: Iterable[LedgerEntry], after: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """What `after` has spent beyond `before`.

    Raises `InvalidArgument` when any count went down: a ledger only grows.
    """
    earlier = {(entry.source, entry.model): entry.usage for entry in merge_ledger(before)}
    changes: list[LedgerEntry] = []
    later = merge_ledger(after)
    for entry in later:
        change = entry.usage - earlier.pop((entry.source, entry.model), TokenUsage())
        if min(change.input_tokens, change.output_tokens, change.cached_input_tokens, change.reasoning_tokens) < 0:
            raise InvalidArgument(f"usage of ({entry.source}, {entry.model}) went down; pass the older ledger first")
        if change:
            changes.append(LedgerEntry(entry.source, entry.model, change))
    if earlier:
        source, model = next(iter(earlier))
        raise InvalidArgument(f"usage of ({source}, {model}) disappeared; pass the older ledger first")
    return changes


def report(entries: Iterable[LedgerEntry]) -> UsageReport:
    """The ledger added up by source, by model and by both."""
    merged = merge_ledger(entries)
    by_source: dict[str, TokenUsage] = {}
    by_model: dict[str, TokenUsage] = {}
    total = TokenUsage()
    for entry in merged:
        total += entry.usage
        by_source[entry.source] = by_source.get(entry.source, TokenUsage()) + entry.usage
        by_model[entry.model] = by_model.get(entry.model, TokenUsage()) + entry.usage
    return UsageReport(
        entry_count=len(merged),
        usage=total,
        by_source=[UsageRow(key, usage) for key, usage in by_source.items()],
        by_model=[UsageRow(key, usage) for key, usage in by_model.items()],
        by_source_model=merged,
    )
