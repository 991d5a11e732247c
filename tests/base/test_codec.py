"""Structs to JSON and back by the wire rules of durability §0."""

from __future__ import annotations

import enum

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.codec import DecodeError, decode, encode, from_json, to_json
from lash.base.errors import NotCanonical
from lash.base.json import Json


class Colour(enum.Enum):
    RED = "red"


class Inner(msgspec.Struct, frozen=True, tag="inner", tag_field="type"):
    n: int
    ratio: float = 0.5


class Other(msgspec.Struct, frozen=True, tag="other", tag_field="type"):
    text: str


class Outer(msgspec.Struct, frozen=True):
    name: str
    body: Inner | Other
    must_say: str | None = msgspec.field(name="mustSay")
    data: Json = None
    note: str | None = None
    tags: list[str] = []
    colour: Colour = Colour.RED


def test_absent_optionals_are_left_out_and_everything_else_is_written() -> None:
    value = Outer("a", Inner(1), must_say=None)

    assert to_json(value) == {
        "name": "a",
        "body": {"type": "inner", "n": 1, "ratio": 0.5},
        "mustSay": None,
        "tags": [],
        "colour": "red",
    }


def test_nulls_of_the_user_stay_inside_their_field() -> None:
    value = Outer("a", Other("t"), data={"x": None, "y": [None]}, must_say="s")

    assert '"data":{"x":null,"y":[null]}' in encode(value)
    assert decode(encode(value), Outer) == value


def test_lists_tuples_and_dicts_of_structs_become_plain_json() -> None:
    assert to_json({"a": [Inner(1)], "b": (Other("x"),)}) == {
        "a": [{"type": "inner", "n": 1, "ratio": 0.5}],
        "b": [{"type": "other", "text": "x"}],
    }


@given(
    st.builds(
        Outer,
        name=st.text(),
        body=st.builds(Inner, n=st.integers(), ratio=st.floats(allow_nan=False, allow_infinity=False))
        | st.builds(Other, text=st.text()),
        note=st.none() | st.text(),
        must_say=st.none() | st.text(),
        tags=st.lists(st.text(), max_size=3),
    )
)
def test_a_struct_comes_back_equal(value: Outer) -> None:
    assert decode(encode(value), Outer) == value
    assert encode(decode(encode(value), Outer)) == encode(value)


@pytest.mark.parametrize(
    ("stored", "where"),
    [
        ('{"name": 1, "body": {"type": "other", "text": "t"}, "mustSay": null}', "$.name"),
        ('{"name": "a", "body": {"type": "nobody"}, "mustSay": null}', "$.body.type"),
        ('{"name": "a", "body": {"type": "other", "text": "t"}}', "mustSay"),
        ('{"name": "a", "body": {"type": "inner", "n": 1.5}, "mustSay": null}', "$.body.n"),
        ("[]", "Outer"),
        ('{"name": ', "Outer"),
        (b"\xff\xfe", "Outer"),
        ("[" * 100_000, "Outer"),
    ],
)
def test_a_row_of_another_shape_is_a_typed_error_that_names_the_place(stored: str | bytes, where: str) -> None:
    with pytest.raises(DecodeError, match=r"Outer") as caught:
        decode(stored, Outer)

    assert where in str(caught.value)
    assert caught.value.code == "decode_error"


def test_what_is_not_json_is_refused_when_it_is_encoded() -> None:
    with pytest.raises(NotCanonical, match=r"\$\.data\.when"):
        encode(Outer("a", Inner(1), data={"when": {1, 2}}, must_say=None))  # type: ignore[dict-item]


def test_large_integers_and_floats_keep_their_kind() -> None:
    assert from_json({"n": 2**70, "ratio": 1.0, "type": "inner"}, Inner) == Inner(2**70, 1.0)
    assert encode(Inner(1, 1.0)) == '{"n":1,"ratio":1.0,"type":"inner"}'
