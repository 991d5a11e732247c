"""A cancel token switches once, tells everybody, and keeps the first reason."""

from __future__ import annotations

import asyncio

import pytest

from lash.base.cancel import CancelReason, CancelToken


def test_a_fresh_token_is_not_cancelled() -> None:
    token = CancelToken()

    assert not token.is_cancelled
    assert not token.is_requested
    assert token.reason is None


@pytest.mark.parametrize(
    ("reason", "is_will"), [("requested", True), ("timeout", True), ("lease_lost", False), ("shutdown", False)]
)
def test_only_somebodys_will_counts_as_requested(reason: CancelReason, is_will: bool) -> None:
    token = CancelToken()

    token.cancel(reason)

    assert token.is_cancelled
    assert token.is_requested is is_will


def test_the_first_reason_stays() -> None:
    token = CancelToken()

    token.cancel("lease_lost")
    token.cancel("requested")

    assert token.reason == "lease_lost"


async def test_every_waiter_wakes_with_the_reason() -> None:
    token = CancelToken()
    async with asyncio.TaskGroup() as group:
        waiters = [group.create_task(token.wait()) for _ in range(3)]
        await asyncio.sleep(0)

        token.cancel("timeout")

    assert [waiter.result() for waiter in waiters] == ["timeout"] * 3
    assert await token.wait() == "timeout"


def test_callbacks_run_once_in_order_and_late_ones_at_once() -> None:
    token, called = CancelToken(), list[str]()
    token.on_cancel(lambda: called.append("first"))
    token.on_cancel(lambda: called.append("second"))

    token.cancel()
    token.cancel()
    token.on_cancel(lambda: called.append("late"))

    assert called == ["first", "second", "late"]


def test_an_undone_callback_is_not_called_and_undoing_twice_harms_nobody() -> None:
    token, called = CancelToken(), list[str]()

    def callback() -> None:
        called.append("called")

    undo = token.on_cancel(callback)
    token.on_cancel(callback)

    undo()
    undo()
    token.cancel()
    undo()

    assert called == ["called"]


def test_a_callback_may_undo_one_that_comes_after_it() -> None:
    token, called = CancelToken(), list[str]()

    def undo_the_other() -> None:
        undo()

    token.on_cancel(undo_the_other)
    undo = token.on_cancel(lambda: called.append("undone"))

    token.cancel()

    assert called == []
