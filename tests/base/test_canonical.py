"""Canonical JSON: pinned digests, the refusals, and the accelerator against the reference (X-09)."""

from __future__ import annotations

import datetime
import decimal
import enum
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lash.base import canonical
from lash.base.canonical import (
    canonical_json,
    canonical_json_bytes,
    parse_json,
    stable_hash,
    tagged_hash,
    verbatim,
)
from lash.base.errors import NotCanonical
from lash.base.json import Json


class Vector(msgspec.Struct, frozen=True):
    """One pinned value; `canonical` was written by hand, not by the code under test."""

    name: str
    json: str
    canonical: str
    sha256: str


VECTORS = msgspec.json.decode((Path(__file__).parent / "vectors.json").read_bytes(), type=list[Vector])

text = st.text(st.characters(codec="utf-8"))
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
trees: st.SearchStrategy[Json] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5), max_leaves=25
)


def reference(value: Json) -> bytes:
    """The definition of the format, without the accelerator."""
    parts: list[str] = []
    canonical._write(value, parts.append)
    return "".join(parts).encode()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_x_09_a_pinned_vector_keeps_its_text_and_digest(vector: Vector) -> None:
    value = parse_json(vector.json)

    assert canonical_json(value) == vector.canonical
    assert stable_hash(value) == vector.sha256
    assert hashlib.sha256(reference(value)).hexdigest() == vector.sha256


@given(trees)
@example({"\U0001f600": 1, "\uffee": 2})
@example({"a": 1, "a\x00": 2, "": 3})
@example([2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
@example('\x00\x1f\x7f\x80\u2028\u2029"\\/\b\f\n\r\t')
def test_the_accelerated_bytes_equal_the_reference(value: Json) -> None:
    assert canonical_json_bytes(value) == reference(value)


@given(trees)
def test_canonical_text_reads_back_as_the_same_value_and_text(value: Json) -> None:
    written = canonical_json(value)

    again = parse_json(written)

    assert canonical_json(again) == written
    assert again == value
    assert json.loads(written) == value


@given(st.dictionaries(text, leaves, min_size=2, max_size=8), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, Json], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)

    assert canonical_json_bytes(dict(items)) == canonical_json_bytes(value)


@given(st.integers())
def test_an_integer_never_hashes_like_its_float(value: int) -> None:
    if abs(value) < 2**53:
        assert stable_hash(value) != stable_hash(float(value))


class _Text(str):
    __slots__ = ()


class _Number(enum.IntEnum):
    ONE = 1


REFUSED: list[tuple[object, str]] = [
    (math.nan, "$"),
    ([1, math.inf], "$[1]"),
    ({"a": {"b": [0.5, -math.inf]}}, "$.a.b[1]"),
    ({"a": (1, 2)}, "$.a"),
    ([b"bytes"], "$[0]"),
    ({"a": {1, 2}}, "$.a"),
    ({"when": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)}, "$.when"),  # noqa: UP017
    ([decimal.Decimal("1.5")], "$[0]"),
    ({1: "a"}, "$"),
    ([{"a": {None: 1}}], "$[0].a"),
    ({True: 1, "a": 2}, "$"),
    (["\ud800"], "$[0]"),
    ({"\udfff": 1}, "$"),
    ({"a": "\ud83d"}, "$.a"),
    ([0.5, "\ud800"], "$[1]"),
    ([_Text("x")], "$[0]"),
    ([_Number.ONE], "$[0]"),
    ([10**5000], "$[0]"),
    ([object()], "$[0]"),
]


@pytest.mark.parametrize(
    ("value", "path"), REFUSED, ids=[f"{type(part[0]).__name__}-{index}" for index, part in enumerate(REFUSED)]
)
def test_what_is_not_json_is_refused_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(NotCanonical) as caught:
        canonical_json_bytes(value)

    assert caught.value.path == path
    assert caught.value.code == "not_canonical"
    assert path in str(caught.value)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep_float: list[Any] = [0.5]
    for _ in range(5_000):
        deep_float = [deep_float]

    for value in (loop, deep_float):
        with pytest.raises(NotCanonical, match="nested too deeply"):
            canonical_json_bytes(value)


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "nul",
        "[1,]",
        "{'a': 1}",
        "NaN",
        "[-Infinity]",
        "1e400",
        "[1, -1e999]",
        '"\\ud800"',
        '{"a": ["\\udc00\\ud800"]}',
        '"\ud800"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        b'"\xff"',
        '{"a":1}'.encode("utf-16"),
        "[" * 100_000,
        "1" * 5_000,
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_text_that_is_not_strict_json_is_a_value_error(malformed: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is the decoder's own
        parse_json(malformed)


@given(st.text(st.characters(codec=None), max_size=30).map(json.dumps) | st.text(max_size=30))
def test_whatever_parses_can_be_written_again(text: str) -> None:
    try:
        value = parse_json(text)
    except ValueError:
        return

    assert parse_json(canonical_json_bytes(value)) == value


def test_paired_surrogate_escapes_are_one_character() -> None:
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"


def test_hashes_of_two_domains_never_meet() -> None:
    assert tagged_hash("a/v1", 1) == stable_hash(["a/v1", 1])
    assert tagged_hash("a/v1", 1) != tagged_hash("b/v1", 1)


@given(trees, trees)
def test_text_that_stands_verbatim_within_a_value_is_as_if_it_were_written(inner: Json, other: Json) -> None:
    stands = {"a": verbatim(canonical_json(inner)), "b": [other]}

    assert canonical_json(stands) == canonical_json({"a": inner, "b": [other]})
