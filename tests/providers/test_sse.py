"""Server-sent events out of bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.providers.sse import MAX_EVENT_BYTES, EventTooLarge, SseDecoder

STREAM = (
    'data: {"a":1}\r\n\r\n: note\n\ndata: zwei\ndata:ö\n\nevent: x\rid: 3\rdata: 3\r\rretry: 1\n\ndata: open'.encode()
)
EVENTS = [b'{"a":1}', "zwei\nö".encode(), b"3", b"open"]


def _heard(pieces: list[bytes]) -> list[bytes]:
    decoder = SseDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + list(decoder.end())


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_it_does_not_matter_where_the_bytes_are_cut(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(STREAM)]

    assert _heard([STREAM[a:b] for a, b in pairwise(bounds)]) == EVENTS


def test_single_bytes_make_the_same_events() -> None:
    assert _heard([bytes([byte]) for byte in STREAM]) == EVENTS


def test_an_event_arrives_with_the_byte_that_completes_it() -> None:
    decoder = SseDecoder()

    assert list(decoder.feed(b"data: 1\n")) == []
    assert list(decoder.feed(b"\n")) == [b"1"]


def test_an_endless_event_is_refused() -> None:
    decoder = SseDecoder()
    piece = b"x" * (MAX_EVENT_BYTES // 4)
    for _ in range(4):
        list(decoder.feed(piece))

    with pytest.raises(EventTooLarge):
        list(decoder.feed(piece))


@given(st.binary(max_size=200))
def test_no_bytes_break_it(garbage: bytes) -> None:
    _heard([garbage])
