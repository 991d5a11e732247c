"""A large JSON text read in windows means what it means read at once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.lashlang import Limits, RuntimeFailure, Value, to_json
from lash.lashlang.values import json_slices
from lash.lashlang.values.json_slices import read_in_windows
from lash.lashlang.values.json_text import parse_json_text
from lash.lashlang.values.meter import Meter

_documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=60,
)
_layouts = st.sampled_from(({}, {"indent": 3}, {"separators": (",", ":")}, {"ensure_ascii": False}))
_texts = st.builds(lambda data, layout: json.dumps(data, **layout), _documents, _layouts)


@st.composite
def _broken_texts(draw: st.DrawFn) -> str:
    """A document with a few characters taken out, doubled or put in."""
    text = draw(_texts)
    at = draw(st.integers(0, len(text)))
    put = draw(
        st.sampled_from(("", ",", "]", "}", "[", "{", '"', ":", "1", "-", ".", "e", "NaN", "\\", "\\u12", " ", "e400"))
    )
    return text[:at] + put + text[at + draw(st.integers(0, 3)) :]


def _in_windows(text: str) -> Value:
    slices = read_in_windows(Meter(Limits()), text)
    while True:
        try:
            next(slices)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


@pytest.fixture(autouse=True, scope="module")
def tiny_windows() -> Iterator[None]:
    """Windows of a few characters, so that every part meets an edge."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_slices, "WINDOW", 24)
        yield


@settings(max_examples=200, deadline=None)
@given(_texts)
def test_a_document_means_the_same_in_windows(text: str) -> None:
    assert repr(_in_windows(text)) == repr(parse_json_text(Meter(Limits()), text))


@settings(max_examples=300, deadline=None)
@given(_broken_texts())
def test_a_broken_document_fails_alike_in_windows(text: str) -> None:
    def told(read: object) -> str:
        try:
            return repr(to_json(read(text)))  # type: ignore[operator]
        except RuntimeFailure as error:
            return str(error)

    assert told(_in_windows) == told(lambda text: parse_json_text(Meter(Limits()), text))


@pytest.mark.parametrize("key", ["\\udc00", "ud800\\udc00"])
def test_half_a_character_in_a_key_is_refused_wherever_the_key_stands(key: str) -> None:
    with pytest.raises(RuntimeFailure, match="lone leading surrogate"):
        _in_windows(f'{{"{key}": null, "": null, "a": [1, 2, 3, 4, 5, 6, 7, 8]}}')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{", "EOF while parsing an object at line 1 column 1"),
        ("[", "EOF while parsing a list at line 1 column 1"),
        ("[1", "EOF while parsing a list at line 1 column 2"),
        ('{"a":1', "EOF while parsing an object at line 1 column 6"),
        ('{"a":', "EOF while parsing a value at line 1 column 5"),
        ('"ab', "EOF while parsing a string at line 1 column 3"),
        ("{bad", "key must be a string at line 1 column 2"),
        ('{"a" 1}', "expected `:` at line 1 column 6"),
        ("[1 2]", "expected `,` or `]` at line 1 column 4"),
        ('{"a": [1]\n "b"}', "expected `,` or `}` at line 2 column 2"),
        ("[1,]", "trailing comma at line 1 column 4"),
        ('{"a":1,}', "trailing comma at line 1 column 8"),
        ("[1] x", "trailing characters at line 1 column 5"),
        ('["é" x]', "expected `,` or `]` at line 1 column 7"),
        ("nul", "EOF while parsing a value at line 1 column 3"),
        ("[trup]", "expected ident at line 1 column 5"),
        ("[1.]", "invalid number at line 1 column 4"),
        ("01", "invalid number at line 1 column 2"),
        ("[1, NaN]", "expected value at line 1 column 5"),
        ('["\\x"]', "invalid escape at line 1 column 4"),
        ('["a\tb"]', "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 4"),
        ('[1,\n"a\nb"]', "control character (\\u0000-\\u001F) found while parsing a string at line 3 column 0"),
        ("[-\n1]", "invalid number at line 2 column 0"),
        ("[1,\n", "EOF while parsing a value at line 2 column 0"),
        ("'a'", "expected value at line 1 column 1"),
        ("[1, -1e999 ]", "number out of range at line 1 column 10"),
        ('{"1e400": [\n' + "1" * 400 + "]}", "number out of range at line 2 column 400"),
        ("9" * 250 + "e99", "number out of range at line 1 column 253"),
        ('["\\u00g0"]', "invalid escape at line 1 column 8"),
        ('"\\u12', "EOF while parsing a string at line 1 column 5"),
        ('["\\ud83d\\ude00", "\\ud800x"]', "unexpected end of hex escape at line 1 column 25"),
        ('"\\udc00"', "lone leading surrogate in hex escape at line 1 column 7"),
        ('"\\ud800\\u0041"', "lone leading surrogate in hex escape at line 1 column 13"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(text: str, told: str) -> None:
    for read in (_in_windows, lambda text: parse_json_text(Meter(Limits()), text)):
        with pytest.raises(RuntimeFailure) as caught:
            read(text)
        assert str(caught.value) == f"invalid json: {told}"


@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * 50 + "]",
        "[" + "1,,",
        '{"a": 1,}',
        '{"a" 1}',
        "[1] 2",
        '["\\ud800' + " " * 40 + '"]',
        '["\\ud800", ' + "1, " * 30 + '{"a" 1}]',
        "[" * 150 + "]" * 150,
        "",
        "   ",
        "[" + " " * 60 + "1" + " " * 60 + "]",
        "[" + "1" * 60 + "." + "5" * 60 + "e2" + "]",
        "[" + "1" * 400 + "e-200, 0e999]",
        '{"__resource__": true,' + " " * 40 + '"type": "T", "alias": "t"}',
    ],
    ids=range(14),
)
def test_edges_of_windows_are_no_edges_of_values(text: str) -> None:
    def told(read: object) -> str:
        try:
            return repr(read(text))  # type: ignore[operator]
        except RuntimeFailure as error:
            return str(error)

    assert told(_in_windows) == told(lambda text: parse_json_text(Meter(Limits()), text))
