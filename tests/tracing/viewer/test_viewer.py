"""The page of a trace: what it shows, and that nothing in a trace can take it over."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lash
from lash.base.json import JsonObject
from lash.testing import ScriptedModel, calls, says
from lash.tracing import InMemoryTrace
from lash.tracing.viewer import Turn, read_trace, render, timeline

HOSTILE = "</script><img src=x onerror=document.body.dataset.taken=1>\u2028<!--"


def record(kind: str, when: int, *, effect: str = "", turn: str = "t", **payload: object) -> JsonObject:
    context = {"session_id": "s", "turn_id": turn, "effect_id": effect}
    return {"schema_version": 2, "id": f"{kind}-{when}", "timestamp": when, "context": context, "type": kind, **payload}  # type: ignore[dict-item]


@lash.tool()
async def lookup(name: str) -> str:
    """Looks something up."""
    return name


async def traced() -> list[JsonObject]:
    sink = InMemoryTrace()
    model = ScriptedModel([calls("lookup", name=HOSTILE), says(HOSTILE)])
    async with (
        lash.StandardCore(model=model, tools=[lookup], trace_sink=sink, trace_level="extended") as core,
        core.session("chat") as session,
    ):
        await session.run(HOSTILE, turn_id="turn-1")
    return [one.to_json() for one in sink.records]


async def test_a_turn_holds_its_calls_in_order() -> None:
    outside, turn = timeline(await traced())

    assert [span.kind for span in outside.spans] == ["session_started"]
    assert (turn.turn_id, turn.status) == ("turn-1", "ok")
    work = [(span.name, span.depth) for span in turn.spans if span.end_ms > span.start_ms or "call" in span.kind]
    assert [name for name, _ in work if name.startswith(("model", "tool"))] == [
        "model scripted",
        "tool lookup",
        "model scripted",
    ]
    assert turn.spans[0].kind == "turn"
    assert turn.input_tokens > 0


def test_what_never_ended_is_open_until_the_last_that_is_known() -> None:
    [turn] = timeline(
        [
            record("turn_started", 0),
            record("llm_call_started", 10, effect="1", model="m"),
            record("turn_resumed", 50),
            record("llm_call_started", 60, effect="1", model="m"),
            record("llm_call_completed", 90, effect="1", model="m", duration_ms=30),
        ]
    )

    models = [(span.start_ms, span.end_ms, span.status) for span in turn.spans if span.kind == "llm_call"]
    assert models == [(10, 60, "open"), (60, 90, "ok")]
    assert turn.status == "open"


def test_an_end_whose_start_is_missing_is_placed_by_its_duration() -> None:
    [turn] = timeline([record("tool_call_completed", 100, effect="1", duration_ms=40, output={"status": "failure"})])

    assert [(span.start_ms, span.end_ms, span.status) for span in turn.spans[1:]] == [(60, 100, "failed")]


def test_types_nobody_knows_are_kept() -> None:
    [turn] = timeline([record("from_the_future", 5, anything=[1])])

    assert turn.spans[1].records[0]["anything"] == [1]


def test_lines_that_are_no_records_are_counted() -> None:
    records, broken = read_trace(['{"type":"custom"}', "", "{", "[1]", '{"type":7}', b"\xff"])

    assert (len(records), broken) == (1, 4)


SCALAR = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=6)
JSON = SCALAR | st.lists(SCALAR, max_size=2) | st.dictionaries(st.text(max_size=4), SCALAR, max_size=2)
KINDS = [
    "turn_started",
    "llm_call_started",
    "llm_call_completed",
    "tool_call_completed",
    "wait_completed",
    "tool_attempt",
]
FIELDS = ("timestamp", "context", "duration_ms", "output", "usage", "error", "attempts", "name")
RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | st.text(max_size=6)},
    optional=dict.fromkeys(FIELDS, JSON),
)


@given(st.lists(RECORDS, max_size=4))
def test_any_records_make_a_page(records: list[JsonObject]) -> None:
    turns = timeline(records)

    assert embedded(render(turns)) == [json.loads(json.dumps(turn_json(turn))) for turn in turns]


def turn_json(turn: Turn) -> object:
    import msgspec

    return msgspec.to_builtins(turn)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.data = ""
        self._in_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        self._in_data = dict(attrs).get("id") == "data"

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data


def parsed(page: str) -> _Page:
    parser = _Page()
    parser.feed(page)
    return parser


def embedded(page: str) -> object:
    return json.loads(parsed(page).data)["turns"]


async def test_hostile_text_stays_text() -> None:
    page = render(timeline(await traced()), title=HOSTILE)

    assert "img" not in parsed(page).tags
    assert HOSTILE in json.dumps(embedded(page), ensure_ascii=False)
    assert parsed(page).tags.count("script") == 2


async def test_a_page_asks_nobody_for_anything() -> None:
    page = render(timeline(await traced()))

    assert parsed(page).links == ["data:,"]
    assert "default-src 'none'" in page
    without_data = page.replace(parsed(page).data, "")
    assert not re.search(r"https?:|//\w+\.|@import|url\(|fetch\(|XMLHttpRequest|innerHTML", without_data)


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed")
    return found


async def test_a_browser_draws_it(chromium: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.html"
    path.write_text(render(timeline(await traced()), title=HOSTILE), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this test
        [chromium, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    drawn = parsed(done.stdout)
    assert 'data-ready="yes"' in done.stdout
    assert "data-taken" not in done.stdout
    assert "img" not in drawn.tags
    assert drawn.tags.count("button") >= 4
    assert "tool lookup" in done.stdout
    assert "2 turns" not in done.stdout
    assert "1 turns" in done.stdout
