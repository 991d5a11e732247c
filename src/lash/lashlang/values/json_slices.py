"""Large JSON texts, read a window at a time.

Parts that end inside the window are read by the standard library's scanner; a
container that does not is entered, and its parts are read the same way. So the
longest piece of work is one window, or one string, whatever the text holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from json import JSONDecodeError
from json.decoder import JSONDecoder
from typing import Final

from lash.base.json import Json
from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.json_errors import OUT_OF_RANGE, explain
from lash.lashlang.values.json_form import from_json, record_from_json
from lash.lashlang.values.json_text import as_float, as_integer, charge, may_overflow, refuse, refuse_surrogates
from lash.lashlang.values.kinds import DEPTH_LIMIT, TOO_DEEP, Value
from lash.lashlang.values.meter import Meter

Slices = Generator[int, object, Value]

# Read between two looks around: about 5 ms of the densest text.
WINDOW: Final = 16 * 1024
# What a cut number may look like: `12`, `1.`, `1e+`.
_CUT: Final = 4
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_skip = _SPACE.match


@dataclass(slots=True)
class _Frame:
    """A container that is being read."""

    items: list[Value] | None
    record: dict[str, Value] = field(default_factory=dict)
    key: str = ""
    is_empty: bool = True


class _Reader:
    """`text`, and where its reading has come to."""

    def __init__(self, meter: Meter, text: str) -> None:
        self.meter = meter
        self.text = text
        self.base = 0
        self.window = ""
        self.at = 0
        self.is_last = False
        self.scan_plainly = _scanner(JSONDecoder(parse_constant=refuse))
        self.scan_carefully = _scanner(JSONDecoder(parse_constant=refuse, parse_int=as_integer, parse_float=as_float))
        self.scan = self.scan_carefully
        self.escapes = "\\u" in text
        self.half_character: RuntimeFailure | None = None

    def move(self) -> None:
        """Starts the window where reading has come to."""
        self.base += self.at
        self.at = 0
        self.window = self.text[self.base : self.base + WINDOW]
        self.is_last = self.base + WINDOW >= len(self.text)
        self.scan = self.scan_carefully if may_overflow(self.window) else self.scan_plainly

    def look(self) -> str:
        """The next character that is not space, or nothing at the end of the window."""
        found = _skip(self.window, self.at)
        assert found is not None
        self.at = found.end()
        return self.window[self.at : self.at + 1]

    def peek(self) -> str:
        """The next character that is not space, or nothing at the end of the text."""
        character = self.look()
        while not character and not self.is_last:
            self.move()
            character = self.look()
        return character

    def error(self, message: str, at: int | None = None) -> JSONDecodeError:
        """An error at `at` in the text, or where reading has come to."""
        return JSONDecodeError(message, self.text, self.base + self.at if at is None else at)

    def run(self, opening: str, closing: str) -> Json:
        """All parts from here to a comma far on in the window, or None if that is not easily found.

        What is complete up to a comma, and reads well on its own, is what it is in the whole.
        """
        window, end = self.window, self.window.rfind(",", self.at)
        for _ in range(2):
            if end <= self.at:
                return None
            part = f"{opening}{window[self.at : end]}{closing}"
            try:
                value, read = self.scan(part, 0)
            except (ValueError, StopIteration):
                # The comma was inside a part: try one that follows a container.
                end = 1 + max(window.rfind("},", self.at, end), window.rfind("],", self.at, end))
                continue
            if read == len(part):
                self.at = end
                return value
            return None
        return None

    def whole(self) -> tuple[bool, Json]:
        """The part that starts here, if the window holds all of it."""
        try:
            value, end = self.scan(self.window, self.at)
        except StopIteration as stop:
            if self.is_last:
                raise self.error("Expecting value", self.base + int(stop.value)) from None
            return False, None
        except JSONDecodeError as error:
            if error.msg == OUT_OF_RANGE and not self.is_last:
                # It may be cut before a negative exponent.
                return False, None
            if error.doc is not self.window:
                raise
            if self.is_last:
                raise self.error(error.msg, self.base + error.pos) from None
            return False, None
        if end >= len(self.window) - _CUT and not self.is_last:
            return False, None
        self.at = end
        return True, value

    def string(self) -> str:
        """The string that starts here, however long."""
        done, value = self.whole()
        if not done:
            value = self._from_text()
        return str(value)

    def scalar(self) -> Json:
        """What starts here and is no container, however long."""
        return self._from_text()

    def _from_text(self) -> Json:
        start = self.base + self.at
        try:
            value, end = self.scan_carefully(self.text, start)
        except StopIteration as stop:
            raise self.error("Expecting value", int(stop.value)) from None
        self.at = end - self.base
        self.move()
        return value

    def decoded(self, data: Json, depth: int) -> Value:
        """The value of `data`, `depth` levels down."""
        self.note_surrogates(data)
        return from_json(data, depth=depth)

    def note_surrogates(self, data: Json) -> None:
        """Keeps a half character for the end: a mistake in the syntax, wherever it is, comes first."""
        if self.escapes and self.half_character is None:
            try:
                refuse_surrogates(data, self.text)
            except RuntimeFailure as failure:
                self.half_character = failure


def read_in_windows(meter: Meter, text: str) -> Slices:
    """The value that `text` encodes, giving a turn after each window; raises `invalid json: …`."""
    charge(meter, text)
    yield 0
    try:
        return (yield from _read(_Reader(meter, text)))
    except JSONDecodeError as error:
        raise RuntimeFailure(f"invalid json: {explain(error, text)}") from None


def _read(reader: _Reader) -> Slices:
    reader.move()
    frames: list[_Frame] = []
    value: Value = None
    while True:
        # A value starts here.
        character = reader.peek()
        if character in {"[", "{"}:
            if len(frames) > DEPTH_LIMIT:
                raise RuntimeFailure(TOO_DEEP)
            reader.at += 1
            frames.append(_Frame([] if character == "[" else None))
            entered = True
        else:
            value = reader.decoded(reader.scalar(), len(frames))
            entered = False
        # Go on in the container just entered, or leave those that end here.
        while frames:
            frame = frames[-1]
            if not entered:
                _put(frame, value)
            entered = False
            if (yield from _parts(reader, frame, len(frames))):
                break
            frames.pop()
            value = frame.items if frame.items is not None else record_from_json(frame.record)
        if not frames:
            if reader.peek():
                raise reader.error("Extra data")
            if reader.half_character is not None:
                raise reader.half_character
            return value


def _put(frame: _Frame, value: Value) -> None:
    frame.is_empty = False
    if frame.items is not None:
        frame.items.append(value)
    else:
        frame.record[frame.key] = value


def _parts(reader: _Reader, frame: _Frame, depth: int) -> Generator[int, object, bool]:
    """Reads parts of `frame`; true when one starts here that the window does not hold, false at the end."""
    close = "}" if frame.items is None else "]"
    held: list[Json] = []
    keys: list[str] = []
    seen, tried = reader.base, -1
    while True:
        character = reader.peek()
        if reader.base != seen:
            _keep(reader, frame, held, keys, depth)
            held, keys, seen = [], [], reader.base
            yield 0
        if character == close:
            reader.at += 1
            _keep(reader, frame, held, keys, depth)
            return False
        if not frame.is_empty:
            if character != ",":
                raise reader.error("Expecting ',' delimiter")
            reader.at += 1
            character = reader.peek()
        elif not character:
            raise reader.error("Expecting value" if frame.items is not None else "Expecting property name")
        if tried != reader.base:
            tried = reader.base
            run = reader.run(*("{}" if frame.items is None else "[]"))
            if run:
                frame.is_empty = False
                held += run.values() if isinstance(run, dict) else run  # type: ignore[arg-type]
                keys += run if isinstance(run, dict) else ()
                continue
        if frame.items is None:
            if character != '"':
                raise reader.error("Expecting property name")
            frame.key = reader.string()
            reader.note_surrogates(frame.key)
            if reader.peek() != ":":
                raise reader.error("Expecting ':' delimiter")
            reader.at += 1
            reader.peek()
        done, part = reader.whole()
        if not done and reader.at:
            _keep(reader, frame, held, keys, depth)
            reader.move()
            held, keys, seen = [], [], reader.base
            yield 0
            done, part = reader.whole()
        if not done:
            _keep(reader, frame, held, keys, depth)
            return True
        frame.is_empty = False
        held.append(part)
        if frame.items is None:
            keys.append(frame.key)


def _scanner(decoder: JSONDecoder) -> Callable[[str, int], tuple[Json, int]]:
    return decoder.scan_once  # type: ignore[attr-defined,no-any-return]


def _keep(reader: _Reader, frame: _Frame, held: list[Json], keys: list[str], depth: int) -> None:
    values = reader.decoded(held, depth - 1)
    assert isinstance(values, list)
    if frame.items is not None:
        frame.items += values
    else:
        reader.note_surrogates([*keys])
        frame.record.update(zip(keys, values, strict=True))
    reader.meter.check_items(len(frame.record if frame.items is None else frame.items))
