"""The system's own clock and ids keep their ports' promises."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.clock import Clock, SystemClock
from lash.base.ids import IdSource, SystemIds, uuid7


def test_the_system_clock_tells_epoch_milliseconds() -> None:
    clock: Clock = SystemClock()

    before = int(time.time() * 1000)
    told = clock.now_ms()

    assert before - 1 <= told <= time.time() * 1000 + 1


async def test_a_sleep_lasts_at_least_as_long_as_asked() -> None:
    clock: Clock = SystemClock()
    started = clock.monotonic()

    await clock.sleep(20)

    assert clock.monotonic() - started >= 0.019


@pytest.mark.parametrize("ms", [0, -5])
async def test_a_sleep_of_nothing_lets_other_tasks_run(ms: int) -> None:
    other_ran = asyncio.Event()
    asyncio.get_running_loop().call_soon(other_ran.set)

    await SystemClock().sleep(ms)

    assert other_ran.is_set()


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_uuid7_is_well_formed_and_carries_its_time(epoch_ms: int, random: bytes) -> None:
    made = uuid7(epoch_ms, random)
    parsed = uuid.UUID(made)

    assert str(parsed) == made
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == epoch_ms


def test_the_example_of_the_standard_comes_out() -> None:
    # RFC 9562, appendix A.6: rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
    random = bytes.fromhex("0cc3") + bytes.fromhex("18c4dc0c0c07398f")

    assert uuid7(0x017F22E279B0, random) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(st.integers(0, 2**48 - 2), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_later_ids_sort_after_earlier_ones(epoch_ms: int, first: bytes, second: bytes) -> None:
    assert uuid7(epoch_ms, first) < uuid7(epoch_ms + 1, second)


def test_fresh_ids_tokens_and_secrets_are_unique_and_shaped() -> None:
    ids: IdSource = SystemIds()

    assert len({ids.new_id() for _ in range(1_000)}) == 1_000
    tokens = {ids.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 32 and int(token, 16) >= 0 for token in tokens)
    assert len(ids.new_secret()) == 32
    assert ids.new_secret() != ids.new_secret()
