"""One table of conversations, whole turns through a core, on every wire."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

import lash
from lash.base.usage import TokenUsage
from lash.machine.capability import ModelCapability
from providers.dialects import CACHED, DIALECTS, INPUT, OUTPUT, REASONED, Call, Dialect, Text, Thought
from providers.wire_server import QUICK, WireServer

PICTURE = b"\x89PNG\r\n\x1a\n" + b"\0" * 16


@lash.tool
async def double(n: int) -> int:
    """Doubles a number."""
    return 2 * n


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.kind)
def dialect(request: pytest.FixtureRequest, server: WireServer, monkeypatch: pytest.MonkeyPatch) -> Dialect:
    found: Dialect = request.param
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value.format(root=server.root))
    return found


@pytest.fixture
def model(dialect: Dialect) -> str:
    return f"{dialect.kind}:m"


async def test_a_plain_answer_is_kept_and_the_next_turn_sees_it(
    server: WireServer, dialect: Dialect, model: str, tmp_path: Path
) -> None:
    server.plays(dialect.plays(Text("Grüße 🙂")), dialect.plays(Text("immer noch")))

    async with lash.StandardCore(model=model, store=str(tmp_path / "a.db")) as core, core.session("s") as session:
        first = await session.run("hallo", turn_id="t")
        again = await session.run("hallo", turn_id="t")
        second = await session.run("und jetzt?")

    assert (first.ok, first.text, again.replayed, second.text) == (True, "Grüße 🙂", True, "immer noch")
    assert [asked.path for asked in server.asked] == [dialect.path] * 2
    assert dialect.hears(server.asked[1].body)[1:] == [
        ("user", "hallo"),
        ("assistant", "Grüße 🙂"),
        ("user", "und jetzt?"),
    ]


async def test_usage_is_counted_alike(server: WireServer, dialect: Dialect, model: str) -> None:
    server.plays(dialect.plays(Text("x")))

    async with lash.StandardCore(model=model) as core, core.session("s") as session:
        turn = await session.run("hi")

    assert turn.usage == TokenUsage(INPUT, OUTPUT - REASONED, CACHED, REASONED)


async def test_tools_are_called_in_parallel_and_their_results_go_back(
    server: WireServer, dialect: Dialect, model: str
) -> None:
    calls = [Call("c0", "double", {"n": 1}), Call("c1", "double", {"n": 2})]
    server.plays(dialect.plays(Text("Let me see."), *calls), dialect.plays(Text("2 and 4")))

    async with lash.StandardCore(model=model, tools=[double]) as core, core.session("s") as session:
        turn = await session.run("double 1 and 2")

    assert (turn.ok, turn.text) == (True, "2 and 4")
    said = [heard for heard in dialect.hears(server.asked[1].body) if heard[0] not in ("system", "thought")]
    assert said == [
        ("user", "double 1 and 2"),
        ("assistant", "Let me see."),
        ("call", "c0", "double", {"n": 1}),
        ("call", "c1", "double", {"n": 2}),
        ("result", "c0", "2"),
        ("result", "c1", "4"),
    ]


async def test_reasoning_goes_back_as_it_came(server: WireServer, dialect: Dialect, model: str) -> None:
    server.plays(
        dialect.plays(Thought("hm, twice", "hm, twice"), Call("c0", "double", {"n": 4})), dialect.plays(Text("8"))
    )
    capability = ModelCapability(replays_reasoning="reasoning_content")
    choice = lash.ModelSpec("m", dialect.make(server, QUICK), capability=capability)

    async with lash.StandardCore(model=choice, tools=[double]) as core, core.session("s") as session:
        turn = await session.run("double 4")
    await choice.provider.aclose()  # type: ignore[attr-defined]  # every wire has it

    assert turn.text == "8"
    assert [heard for heard in dialect.hears(server.asked[1].body) if heard[0] in ("thought", "call")] == [
        ("thought", "hm, twice"),
        ("call", "c0", "double", {"n": 4}),
    ]


async def test_an_image_reaches_the_model_whoever_made_the_provider(
    server: WireServer, dialect: Dialect, model: str
) -> None:
    server.plays(dialect.plays(Text("a cat")))
    own = lash.ModelSpec("m", dialect.make(server, QUICK))

    for choice in (model, own):
        async with lash.StandardCore(model=choice) as core, core.session("s") as session:
            assert (await session.run(lash.TurnInput.text("What is this?").image("photo", PICTURE))).ok
    await own.provider.aclose()  # type: ignore[attr-defined]  # every wire has it

    for asked in server.asked:
        url = f"data:image/png;base64,{b64encode(PICTURE).decode()}"
        assert dialect.hears(asked.body)[-2:] == [("user", "What is this?"), ("image", url)]


async def test_a_cut_answer_stops_the_turn_and_is_kept(server: WireServer, dialect: Dialect, model: str) -> None:
    server.plays(dialect.plays(Text("once upon"), finish="cut"), dialect.plays(Text("a time")))

    async with lash.StandardCore(model=model) as core, core.session("s") as session:
        cut = await session.run("tell")
        after = await session.run("go on")

    assert (cut.ok, cut.errors[0].code) == (False, "output_limit")
    assert after.text == "a time"
    assert ("assistant", "once upon") in dialect.hears(server.asked[1].body)


async def test_a_refusal_is_a_typed_outcome(server: WireServer, dialect: Dialect, model: str) -> None:
    server.plays(dialect.plays(finish="filtered"), dialect.plays(Text("fine")))

    async with lash.StandardCore(model=model) as core, core.session("s") as session:
        refused = await session.run("bad things")
        after = await session.run("good things")

    assert (refused.ok, [error.code for error in refused.errors]) == (False, ["content_filter"])
    assert after.text == "fine"
