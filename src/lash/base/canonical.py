"""Canonical JSON: the one byte form that every hash and every journal row rests on.

The rules (docs/spec/durability.md §0):

1. UTF-8, no insignificant white space, object keys sorted by code point.
2. Strings escaped minimally; lone surrogates rejected; no normalisation.
3. Integers in plain decimal; finite floats in Python's shortest `repr`, with
   `-0.0` written `0.0`. `1` and `1.0` are different values.
4. Only JSON: tuples, bytes, sets, dates, decimals and non-string keys are
   refused with the path of the offending value.

General encoders break at least one of these (NaN as null, other float
spellings, silently stringified keys). `msgspec` is byte-equal wherever no
float and no huge integer occurs, which `_is_plain` checks first; everything
else takes the reference writer. Changing a rule is a format break.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Final, NoReturn, cast

import msgspec

from lash.base.errors import NotCanonical
from lash.base.json import Json

_INT64: Final = 2**63
_accelerated: Final = msgspec.json.Encoder(order="sorted").encode


def canonical_json_bytes(value: Json) -> bytes:
    """The canonical UTF-8 bytes of `value`.

    Raises `NotCanonical`, which names the path (`$.a[2]`) and the reason.
    """
    try:
        if _is_plain(value):
            return _accelerated(value)
        parts: list[str] = []
        _write(value, parts.append)
        return "".join(parts).encode()
    except (_Refused, UnicodeEncodeError, RecursionError) as error:
        raise _explain(value, error) from None


def canonical_json(value: Json) -> str:
    """`canonical_json_bytes` as text, for TEXT columns."""
    return canonical_json_bytes(value).decode()


def verbatim(text: str) -> Json:
    """A value whose canonical text is at hand, to stand within another value that is to be written or hashed."""
    return cast("Json", msgspec.Raw(text.encode()))


def stable_hash(value: Json) -> str:
    """Lowercase hex SHA-256 of the canonical bytes."""
    return hashlib.sha256(canonical_json_bytes(value)).hexdigest()


def tagged_hash(domain: str, *parts: Json) -> str:
    """`stable_hash` of `[domain, *parts]`, so that hashes of two kinds never meet."""
    return stable_hash([domain, *parts])


def tagged_hash_of_canonical(domain: str, text: str) -> str:
    """`tagged_hash(domain, value)` of a value whose canonical text is at hand: a list is its items, joined."""
    return sha256_hex(f"[{canonical_json(domain)},{text}]".encode())


def sha256_hex(data: bytes) -> str:
    """Lowercase hex SHA-256 of raw bytes."""
    return hashlib.sha256(data).hexdigest()


def parse_json(text: str | bytes) -> Json:
    """Strict JSON: what comes out can be written canonically again.

    Raises `ValueError` for anything else: NaN, numbers beyond a float's range,
    lone surrogates, bytes that are not UTF-8, nesting beyond the interpreter's
    reach. Integers keep every digit.
    """
    if isinstance(text, bytes):
        text = text.decode()
    try:
        parsed: Json = _decoder.decode(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if _SURROGATE_ESCAPE.search(text) or not _is_encodable(text):  # the two ways to a lone surrogate
        try:
            canonical_json_bytes(parsed)
        except NotCanonical as error:
            raise ValueError(f"{error.path}: {error.reason}") from None
    return parsed


class _Refused(Exception):
    """Why a value is not canonical. Its path is looked for only afterwards."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits[:40]} is beyond the range of a float")
    return value


_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")

# Made once: `json.loads` with options builds a decoder for every call.
_decoder: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite_float)


# Not `int`, which has a range, and not `float`: the accelerator spells some of both differently.
# `Raw` is text that is canonical already.
_ATOMS: Final = frozenset((str, bool, type(None), msgspec.Raw))


def _is_plain(value: object) -> bool:
    """Whether the accelerator is byte-equal on `value`.

    Exact types on purpose: a `bool` is an `int`, and an `IntEnum` prints its name.
    Every hash and every row passes here, so leaves are told by one look into a set.
    """
    if type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                return False
            kind = type(item)
            if kind not in _ATOMS and not (kind is int and -_INT64 <= item < _INT64) and not _is_plain(item):
                return False
        return True
    if type(value) is list:
        for item in value:
            kind = type(item)
            if kind not in _ATOMS and not (kind is int and -_INT64 <= item < _INT64) and not _is_plain(item):
                return False
        return True
    if type(value) is int:
        return -_INT64 <= value < _INT64
    return type(value) in _ATOMS


def _write(value: object, put: Callable[[str], None]) -> None:
    """The reference writer: slower, complete, and the definition of the format."""
    if type(value) is str:
        put(encode_basestring(value))
    elif type(value) is dict:
        lead = "{"
        for key in _sorted_keys(value):
            put(f"{lead}{encode_basestring(key)}:")
            _write(value[key], put)
            lead = ","
        put("}" if value else "{}")
    elif type(value) is list:
        lead = "["
        for item in value:
            put(lead)
            _write(item, put)
            lead = ","
        put("]" if value else "[]")
    elif value is None:
        put("null")
    elif type(value) is msgspec.Raw:
        put(bytes(value).decode())
    elif type(value) is bool:
        put("true" if value else "false")
    elif type(value) is int:
        put(_decimal(value))
    elif type(value) is float:
        if not math.isfinite(value):
            raise _Refused("NaN and infinities are not JSON")
        put(repr(value) if value else "0.0")
    else:
        raise _Refused(f"{type(value).__name__} is not JSON")


def _decimal(value: int) -> str:
    try:
        return repr(value)
    except ValueError:  # the interpreter's limit on digits (CVE-2020-10735)
        raise _Refused("an integer of more than 4,300 digits is not carried") from None


def _sorted_keys(value: dict[object, object]) -> list[str]:
    keys = [key for key in value if type(key) is str]
    if len(keys) != len(value):
        raise _Refused("object keys must be strings")
    return sorted(keys)


def _explain(value: object, error: Exception) -> NotCanonical:
    if not isinstance(error, RecursionError):
        try:
            return _find(value, "$") or NotCanonical("$", str(error))
        except RecursionError:
            pass
    return NotCanonical("$", "the value is nested too deeply or contains itself")


def _find(value: object, path: str) -> NotCanonical | None:
    """The first offending value, depth first in document order."""
    if type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                return NotCanonical(path, f"object keys must be strings, got {key!r}")
            if not _is_encodable(key):
                return NotCanonical(path, f"key {key!r} holds a lone surrogate")
            if found := _find(item, f"{path}.{key}"):
                return found
        return None
    if type(value) is list:
        for index, item in enumerate(value):
            if found := _find(item, f"{path}[{index}]"):
                return found
        return None
    if type(value) is str:
        return None if _is_encodable(value) else NotCanonical(path, "the text holds a lone surrogate")
    try:
        _write(value, lambda _text: None)
    except _Refused as refused:
        return NotCanonical(path, str(refused))
    return None


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
