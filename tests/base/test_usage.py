"""The ledger: merged in first-seen order, only growing, added up along each key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.errors import InvalidArgument
from lash.base.usage import LedgerEntry, TokenUsage, diff_ledger, merge_ledger, report

counts = st.integers(0, 1_000)
usages = st.builds(TokenUsage, counts, counts, counts, counts)
entries = st.builds(LedgerEntry, st.sampled_from(["turn", "subagent", "x"]), st.sampled_from(["m1", "m2"]), usages)
ledgers = st.lists(entries, max_size=12)


def _total(ledger: list[LedgerEntry]) -> TokenUsage:
    return sum((entry.usage for entry in ledger), TokenUsage())


def test_the_total_counts_input_output_and_reasoning() -> None:
    assert TokenUsage(5, 3, 4, 2).total_tokens == 10


def test_usage_is_true_when_any_count_is_not_zero() -> None:
    assert not TokenUsage()
    assert all([TokenUsage(1), TokenUsage(0, 1), TokenUsage(0, 0, 1), TokenUsage(0, 0, 0, 1)])


def test_merging_keeps_first_seen_order_and_skips_zero_entries() -> None:
    ledger = [
        LedgerEntry("turn", "b", TokenUsage(1)),
        LedgerEntry("turn", "zero", TokenUsage()),
        LedgerEntry("turn", "a", TokenUsage(2)),
        LedgerEntry("turn", "b", TokenUsage(0, 4)),
    ]

    assert merge_ledger(ledger) == [
        LedgerEntry("turn", "b", TokenUsage(1, 4)),
        LedgerEntry("turn", "a", TokenUsage(2)),
    ]


@given(ledgers)
def test_merging_loses_nothing_and_settles(ledger: list[LedgerEntry]) -> None:
    merged = merge_ledger(ledger)

    assert _total(merged) == _total(ledger)
    assert merge_ledger(merged) == merged
    assert len({(entry.source, entry.model) for entry in merged}) == len(merged)


@given(ledgers, ledgers)
def test_the_difference_of_two_ledgers_is_what_was_added(before: list[LedgerEntry], added: list[LedgerEntry]) -> None:
    change = diff_ledger(before, before + added)

    assert {(e.source, e.model): e.usage for e in change} == {(e.source, e.model): e.usage for e in merge_ledger(added)}


@pytest.mark.parametrize(
    "after",
    [
        [],
        [LedgerEntry("turn", "m", TokenUsage(9, 9, 9, 8))],
        [LedgerEntry("turn", "m", TokenUsage(8, 90, 90, 90))],
        [LedgerEntry("turn", "other", TokenUsage(9, 9, 9, 9))],
    ],
)
def test_a_count_that_went_down_is_refused(after: list[LedgerEntry]) -> None:
    before = [LedgerEntry("turn", "m", TokenUsage(9, 9, 9, 9))]

    with pytest.raises(InvalidArgument, match="older ledger first"):
        diff_ledger(before, after)


@given(ledgers)
def test_every_view_of_a_report_adds_up_to_the_whole(ledger: list[LedgerEntry]) -> None:
    summary = report(ledger)

    assert summary.entry_count == len(merge_ledger(ledger)) == len(summary.by_source_model)
    assert summary.usage == _total(ledger)
    for rows in (summary.by_source, summary.by_model):
        assert sum((row.usage for row in rows), TokenUsage()) == summary.usage
        assert len({row.key for row in rows}) == len(rows)
