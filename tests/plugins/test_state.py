"""What plugins remember, across turns, processes and crashes; and their actions (R-086, R-091 to R-093)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

import lash
from face.places import Gate, Place
from lash.base.errors import InvalidArgument
from lash.base.json import Json
from lash.machine.outcome import Stopped
from lash.plugins import (
    ActionContext,
    ActionDefinition,
    AfterToolCall,
    AtCheckpoint,
    BeforeToolCall,
    BeforeTurn,
    ExtensionContribution,
    PluginArtifact,
    PluginError,
    PluginInvokeError,
    PluginRegistrar,
    PluginRegistrationError,
    PluginSessionContext,
    PluginSessionError,
    PluginSnapshot,
    ReplaceToolArgs,
    StatefulPlugin,
    plugin_action,
)
from lash.testing import Lab, Life, ScriptedModel, calls, says


class Add(msgspec.Struct, frozen=True):
    amount: int


class Total(msgspec.Struct, frozen=True):
    total: int


class Tally(StatefulPlugin):
    """Counts what it hears of."""

    id = "tally"
    initial: Json = None

    @property
    def heard(self) -> list[Json]:
        return self.state if isinstance(self.state, list) else []

    def note(self, what: str) -> None:
        self.update([*self.heard, what])

    @lash.hook.before_turn
    def begin(self, context: BeforeTurn) -> None:
        self.note(f"begin {context.turn_id}")

    @lash.hook.checkpoint
    def between(self, context: AtCheckpoint) -> None:
        self.note(context.checkpoint)

    @lash.hook.after_tool_call
    async def called(self, context: AfterToolCall) -> None:
        self.note(f"called {context.args['name']}")

    @plugin_action("tally.add", kind="command")
    async def add(self, context: ActionContext, args: Add) -> Total:
        """Adds to the tally."""
        for _ in range(args.amount):
            self.note("added")
        if args.amount > 9:
            raise ValueError("too much")
        return Total(len(self.heard))

    @plugin_action("tally.read", kind="query")
    def read(self, context: ActionContext) -> list[Json]:
        return self.heard


def echo() -> ScriptedModel:
    return ScriptedModel(lambda _: says("ok"))


async def heard(session: lash.Session) -> object:
    return await session.plugins.invoke("tally.read")


# snapshots


async def test_each_session_has_a_state_of_its_own(memory: Place) -> None:
    core = await memory.core(echo(), plugins=[Tally()])
    async with core.session("a") as a, core.session("b") as b:
        await a.run("go", turn_id="t")

        assert await heard(a) == ["begin t", "before_completion"]
        assert await heard(b) == []


async def test_a_state_is_there_again_when_the_session_is_reopened(file: Place) -> None:
    first = await file.core(echo(), plugins=[Tally()])
    async with first.session("s") as session:
        await session.run("go", turn_id="t")
        before = await heard(session)
    await file.end(first)

    second = await file.core(echo(), plugins=[Tally()])
    async with second.session("s") as session:
        assert await heard(session) == before == ["begin t", "before_completion"]


async def test_the_state_of_a_plugin_that_is_away_for_a_while_is_kept(file: Place) -> None:
    for plugins in ([Tally()], []):
        core = await file.core(echo(), plugins=plugins)
        async with core.session("s") as session:
            await session.run("go", turn_id=f"with {len(plugins)}")
        await file.end(core)

    back = await file.core(echo(), plugins=[Tally()])
    async with back.session("s") as session:
        assert await heard(session) == ["begin with 1", "before_completion"]


async def test_only_what_changed_is_asked_for_again(memory: Place) -> None:
    taken: list[int] = []

    class Lazy(StatefulPlugin):
        id = "lazy"

        @lash.hook.before_turn
        def begin(self, context: BeforeTurn) -> None:
            if context.turn_index == 1:
                self.update("once")

        def snapshot(self) -> Json:
            taken.append(self.snapshot_revision())
            return super().snapshot()

    core = await memory.core(echo(), plugins=[Lazy()])
    async with core.session("s") as session:
        for _ in range(4):
            await session.run("go")

    # With the effect that changed it, and with the commit.
    assert taken == [1, 1]


async def test_a_state_that_cannot_be_stored_is_told_and_loses_no_turn(memory: Place) -> None:
    class Odd(StatefulPlugin):
        id = "odd"

        @lash.hook.after_turn
        def end(self, context: object) -> None:
            self.update({"n": 1})

        def snapshot(self) -> Json:
            raise ZeroDivisionError("oops")

    core = await memory.core(echo(), plugins=[Odd()])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.text == "ok"
        assert [issue.code for issue in turn.errors] == ["plugin_snapshot"]
        assert len(session.messages) == 2


@pytest.mark.parametrize("state", [{1, 2}, float("nan"), "\ud800"], ids=repr)
async def test_a_state_that_is_no_json_ends_its_turn_and_costs_no_session(file: Place, state: object) -> None:
    class Odd(StatefulPlugin):
        id = "odd"

        @lash.hook.before_turn
        def begin(self, context: BeforeTurn) -> None:
            self.update(state if context.turn_index == 1 else "fine")  # type: ignore[arg-type]

    core = await file.core(echo(), plugins=[Odd()])
    async with core.session("s") as session:
        turn = await session.run("go")

        assert turn.outcome == Stopped("runtime_error")
        assert {issue.code for issue in turn.errors} == {"plugin_snapshot"}
        assert (await session.run("go on")).text == "ok"


async def test_a_version_that_could_not_be_read_back_is_not_stored(file: Place) -> None:
    class Odd(Tally):
        version = 2  # type: ignore[assignment]

    core = await file.core(echo(), plugins=[Odd()])
    async with core.session("s") as session:
        turn = await session.run("go")
        assert {issue.code for issue in turn.errors} == {"plugin_snapshot"}
    await file.end(core)

    again = await file.core(echo(), plugins=[Tally()])
    assert (await again.session("s").run("go")).text == "ok"


@pytest.mark.parametrize("given", [Tally, "tally", Tally.begin], ids=["a class", "a name", "a function"])
async def test_what_is_no_plugin_is_refused_where_it_is_given(given: object) -> None:
    with pytest.raises(PluginRegistrationError, match="is no plugin"):
        lash.StandardCore(model=echo(), plugins=[given])  # type: ignore[list-item]


async def test_a_session_that_begins_again_has_the_initial_states_at_once(memory: Place) -> None:
    core = await memory.core(echo(), plugins=[Tally()])
    async with core.session("s") as session, core.session("t") as other:
        await session.run("go", turn_id="t")
        await session.open_fresh()
        assert await heard(session) == []

        await other.run("go", turn_id="t")
        await other.commands.applied(await other.commands.reset("again"))
        assert await heard(other) == []


async def test_what_another_process_made_plugins_remember_is_taken_over(file: Place) -> None:
    here, there = [await file.core(echo(), plugins=[Tally()]) for _ in range(2)]
    session = await here.session("s").open()
    await there.session("s").run("go", turn_id="t")

    await session.refresh()

    assert await heard(session) == ["begin t", "before_completion"]


async def test_a_state_goes_on_after_a_crash_without_running_hooks_again(file: Place) -> None:
    gate = Gate()
    ran: list[str] = []

    class Counted(Tally):
        def note(self, what: str) -> None:
            ran.append(what)
            super().note(what)

    @lash.tool(repeat="idempotent")
    async def work(name: str) -> str:
        if name == "second" and not gate.visits:
            await gate.wait()
        return name

    script = [calls("work", name="first"), calls("work", name="second"), says("done")]
    dying = await file.core(ScriptedModel(script), tools=[work], plugins=[Counted()])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)
    assert ran == ["begin t", "called first", "after_work"]

    core = await file.core(ScriptedModel(script), tools=[work], plugins=[Counted()])
    async with core.session("s") as again:
        await again.run("go", turn_id="t")

        assert ran[3:] == ["called second", "after_work", "before_completion"]
        assert await heard(again) == ran


async def test_parallel_calls_leave_the_newest_state_behind_after_a_crash(file: Place) -> None:
    gate = Gate()

    @lash.tool(repeat="idempotent")
    async def work(name: str) -> str:
        return name

    script: Sequence[object] = [
        [calls("work", name=name) for name in ("a", "b", "c")],
        gate.step(says("never")),
    ]
    dying = await file.core(ScriptedModel(script), tools=[work], plugins=[Tally()])  # type: ignore[arg-type]
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t"))
    await gate.arrival()
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    core = await file.core(ScriptedModel([script[0], says("done")]), tools=[work], plugins=[Tally()])  # type: ignore[list-item]
    async with core.session("s") as again:
        await again.run("go", turn_id="t")
        told = await heard(again)

    assert isinstance(told, list)
    assert sorted(told[1:4]) == ["called a", "called b", "called c"]
    assert told[4:] == ["after_work", "before_completion"]


async def test_another_process_sees_what_was_committed(file: Place) -> None:
    one = await file.core(echo(), plugins=[Tally()])
    two = await file.core(echo(), plugins=[Tally()])
    async with one.session("s") as here, two.session("s") as there:
        await here.run("go", turn_id="first")
        await there.run("go", turn_id="second")

        assert await heard(there) == ["begin first", "before_completion", "begin second", "before_completion"]


async def test_hooks_prepare_a_call_once_for_all_its_attempts_also_when_the_process_dies_between_them() -> None:
    class Counting(StatefulPlugin):
        id = "counting"
        initial: Json = 0

        @lash.hook.before_tool_call
        def count(self, call: BeforeToolCall) -> ReplaceToolArgs:
            assert isinstance(self.state, int)
            self.update(self.state + 1)
            return ReplaceToolArgs({"name": f"prepared {self.state}"})

        @plugin_action("counting.read", kind="query")
        def read(self, context: ActionContext) -> Json:
            return self.state

    @lash.tool(repeat="idempotent", retry=lash.Retry(attempts=2, base_ms=1))
    async def flaky(ctx: lash.ToolContext, name: str) -> lash.ToolResult:
        if ctx.attempt_number == 1:
            return lash.ToolResult.retryable("unavailable", "busy", "later")
        return lash.ToolResult.ok(name)

    def agent(life: Life) -> lash.StandardCore:
        model = ScriptedModel([calls("flaky", name="a"), says("ok")])
        return lash.StandardCore(
            model=model, tools=[flaky], plugins=[Counting()], store=life.store, effect_host=life.effect_host
        )

    async def program(core: lash.StandardCore) -> Json:
        async with core.session("s") as session:
            turn = await session.run("go", turn_id="t")
            return [str(turn.tool_calls[0].output.value), await session.plugins.invoke("counting.read")]

    report = await Lab(agent, test=program).kill_at(program, effect="flaky", when="recorded")

    report.raise_for_problems()


# actions


async def test_an_action_is_typed_and_described(memory: Place) -> None:
    core = await memory.core(echo(), plugins=[Tally()])
    async with core.session("s") as session:
        actions = {action.name: action for action in await session.plugins.actions()}
        total = await session.plugins.invoke("tally.add", Add(2), Total)

    assert total == Total(2)
    assert (actions["tally.add"].kind, actions["tally.add"].description) == ("command", "Adds to the tally.")
    assert actions["tally.read"].input_schema == {"type": "null"}
    assert "amount" in str(actions["tally.add"].input_schema)


async def test_what_a_command_changed_survives_without_a_turn(file: Place) -> None:
    first = await file.core(echo(), plugins=[Tally()])
    async with first.session("s") as session:
        await session.plugins.invoke("tally.add", {"amount": 1})
    await file.crash(first)

    second = await file.core(echo(), plugins=[Tally()])
    async with second.session("s") as session:
        assert await heard(session) == ["added"]


async def test_a_command_that_fails_changes_nothing(memory: Place) -> None:
    core = await memory.core(echo(), plugins=[Tally()])
    async with core.session("s") as session:
        with pytest.raises(PluginInvokeError, match=r"'tally'.*tally\.add.*too much"):
            await session.plugins.invoke("tally.add", {"amount": 10})

        assert await heard(session) == []
        assert (await session.run("go")).ok


async def test_wrong_arguments_and_unknown_actions_are_refused(memory: Place) -> None:
    core = await memory.core(echo(), plugins=[Tally()])
    async with core.session("s") as session:
        with pytest.raises(InvalidArgument, match="amount"):
            await session.plugins.invoke("tally.add", {"amount": "ten"})
        with pytest.raises(InvalidArgument, match=r"tally\.add, tally\.read"):
            await session.plugins.invoke("tally.sub")


async def test_a_command_waits_for_the_running_turn_and_a_query_does_not(memory: Place) -> None:
    gate = Gate()
    core = await memory.core(ScriptedModel([gate.step(says("ok"))]), plugins=[Tally()])
    async with core.session("s") as session:
        turn = asyncio.create_task(session.run("go", turn_id="t"))
        await gate.arrival()
        command = asyncio.create_task(session.plugins.invoke("tally.add", {"amount": 1}))
        assert await heard(session) == ["begin t"]
        gate.open()
        await turn
        await command

        assert await heard(session) == ["begin t", "before_completion", "added"]


async def test_a_command_from_inside_its_own_turn_is_refused_and_does_not_hang(memory: Place) -> None:
    core = await memory.core(ScriptedModel([calls("meddle"), says("ok")]), plugins=[Tally()])
    refused: list[str] = []

    @lash.tool
    async def meddle() -> str:
        try:
            await core.session("s").plugins.invoke("tally.add", {"amount": 1})
        except PluginSessionError as error:
            refused.append(str(error))
        return "tried"

    async with core.session("s") as session:
        await session.tools.add_source("meddling", lash.ToolSet([meddle]))
        await session.run("go")

    assert len(refused) == 1
    assert "its own turn" in refused[0]


async def test_a_raw_action_takes_and_gives_json(memory: Place) -> None:
    class Raw:
        id = "raw"

        def build(self, context: PluginSessionContext) -> Raw:
            return self

        def register(self, registrar: PluginRegistrar) -> None:
            definition = ActionDefinition("raw.echo", kind="query")
            registrar.actions.op(definition, lambda context, args: {"session": context.session_id, "args": args})

    core = await memory.core(echo(), plugins=[Raw()])
    async with core.session("s") as session:
        assert await session.plugins.invoke("raw.echo", [1]) == {"session": "s", "args": [1]}


def test_two_actions_of_one_name_are_refused_naming_both() -> None:
    plugins = [lash.Plugin(name).action("same", lambda context: None) for name in ("a", "b")]

    with pytest.raises(PluginRegistrationError, match=r"'a' and 'b'.*'same'"):
        lash.StandardCore(model=ScriptedModel([]), plugins=plugins)


# extensions and options


class Menu:
    """A factory that offers what other plugins contribute."""

    id = "menu"

    def __init__(self) -> None:
        self.seen: list[object] = []

    def build(self, context: PluginSessionContext) -> lash.Plugin:
        self.seen.append(list(context.extensions.get("menu.items", [])))
        return lash.Plugin(self.id)


class Dish:
    """A factory that contributes one."""

    def __init__(self, name: str) -> None:
        self.id = name

    def extension_contributions(self) -> list[ExtensionContribution]:
        return [ExtensionContribution("menu.items", {"dish": self.id})]

    def build(self, context: PluginSessionContext) -> lash.Plugin:
        return lash.Plugin(self.id)


async def test_contributions_of_all_factories_are_visible_to_every_plugin(memory: Place) -> None:
    menu = Menu()
    core = await memory.core(echo(), plugins=[Dish("soup"), menu, Dish("cake")])
    await core.session("s").open()

    assert menu.seen[-1] == [{"dish": "soup"}, {"dish": "cake"}]


class ToneOptions(msgspec.Struct, frozen=True):
    tone: str


class Tone:
    """Reads its options."""

    id = "tone"

    def __init__(self) -> None:
        self.tones: list[str | None] = []

    def build(self, context: PluginSessionContext) -> lash.Plugin:
        options = context.options(self.id, ToneOptions)
        self.tones.append(None if options is None else options.tone)
        return lash.Plugin(self.id)


async def test_options_of_a_session_beat_those_of_its_core_and_are_kept(file: Place) -> None:
    tone = Tone()
    store = await file.open_store()
    async with lash.StandardCore(
        model=echo(), store=store, plugins=[tone], plugin_options={"tone": {"tone": "dry"}}
    ) as core:
        await core.session("plain").open()
        await core.session("warm", plugin_options={"tone": {"tone": "warm"}}).open()
        assert tone.tones[1:] == ["dry", "warm"]

    later = await file.core(echo(), plugins=[tone])
    await later.session("warm").open()

    assert tone.tones[-1] == "warm"


async def test_options_that_fit_no_plugin_are_refused_where_they_are_given(memory: Place) -> None:
    with pytest.raises(InvalidArgument, match=r"'tome'.*tone"):
        lash.StandardCore(model=echo(), plugins=[Tone()], plugin_options={"tome": {}})
    with pytest.raises(PluginRegistrationError, match="'tone'"):
        lash.StandardCore(model=echo(), plugins=[Tone()], plugin_options={"tone": {"tone": 7}})

    core = await memory.core(echo(), plugins=[Tone()])
    with pytest.raises(InvalidArgument, match="'tome'"):
        core.session("s", plugin_options={"tome": {}})


async def test_an_open_session_cannot_get_other_options(memory: Place) -> None:
    core = await memory.core(echo(), plugins=[Tone()])
    await core.session("s", plugin_options={"tone": {"tone": "warm"}}).open()

    core.session("s", plugin_options={"tone": {"tone": "warm"}})
    with pytest.raises(InvalidArgument, match="open with other plugin_options"):
        core.session("s", plugin_options={"tone": {"tone": "dry"}})


async def test_a_state_that_cannot_be_read_is_named(file: Place) -> None:
    class Picky(Tally):
        def restore(self, snapshot: PluginSnapshot) -> None:
            if snapshot.revision:
                raise ValueError("too old")
            super().restore(snapshot)

    first = await file.core(echo(), plugins=[Tally()])
    async with first.session("s") as session:
        await session.run("go")
    await file.end(first)

    second = await file.core(echo(), plugins=[Picky()])
    with pytest.raises(PluginError, match=r"'tally'.*too old"):
        await second.session("s").open()


# bytes


class Index(StatefulPlugin):
    """Keeps bytes beside its state: one artifact that stays, and one that each turn replaces."""

    id = "index"

    @lash.hook.before_turn
    def begin(self, context: BeforeTurn) -> None:
        self.update({"turns": context.turn_index})
        if context.turn_index == 1:
            self.keep_artifact("whole", b"\x00\xff" * 70_000)
        self.keep_artifact("last", context.turn_id.encode())


async def test_bytes_of_a_state_are_there_again_and_are_stored_once(file: Place) -> None:
    stored: list[set[str]] = []
    for number in (1, 2):
        core = await file.core(echo(), plugins=[Index()])
        async with core.session("s") as session:
            await session.run("go", turn_id=f"t{number}")
            plugins = session._actor.memory.plugin_snapshot
            stored.append({key for key in session._actor.memory.checkpoint.components if "artifact" in key})
            assert {kept.name for kept in plugins.plugins["index"].artifacts or ()} == {"whole", "last"}
        await file.end(core)

    core = await file.core(echo(), plugins=[Index()])
    async with core.session("s") as session:
        drives = await session._actor.open()
        [(_, index)] = drives.plugins.states._plugins
        assert isinstance(index, Index)
        assert index.artifacts == {"whole": b"\x00\xff" * 70_000, "last": b"t2"}
        assert index.state == {"turns": 2}
    assert [len(keys) for keys in stored] == [2, 2]
    assert len(stored[0] & stored[1]) == 1  # what was replaced is dropped


async def test_bytes_go_on_after_a_crash_without_running_hooks_again(file: Place) -> None:
    gate = Gate()

    @lash.tool(repeat="idempotent")
    async def work(name: str) -> str:
        if name == "second" and not gate.visits:
            await gate.wait()
        return name

    script = [calls("work", name="first"), calls("work", name="second"), says("done")]
    dying = await file.core(ScriptedModel(script), tools=[work], plugins=[Index()])
    session = await dying.session("s").open()
    lost = asyncio.create_task(session.run("go", turn_id="t1"))
    await gate.arrival()
    await file.crash(dying)
    await asyncio.gather(lost, return_exceptions=True)

    class Silent(Index):
        @lash.hook.before_turn
        def begin(self, context: BeforeTurn) -> None:
            raise AssertionError("it is recorded")

    core = await file.core(ScriptedModel(script), tools=[work], plugins=[Silent()])
    async with core.session("s") as again:
        assert (await again.run("go", turn_id="t1")).errors == []
        snapshot = again._actor.memory.plugin_snapshot
        assert sorted(snapshot.data.values()) == [b"\x00\xff" * 70_000, b"t1"]


async def test_artifacts_without_a_name_of_their_own_lose_no_turn(memory: Place) -> None:
    class Twice(Index):
        def snapshot_artifacts(self) -> Sequence[PluginArtifact]:
            return [PluginArtifact("a", b"1"), PluginArtifact("a", b"2")]

    core = await memory.core(echo(), plugins=[Twice()])
    async with core.session("s") as session:
        turn = await session.run("go")

    assert "need a name each" in turn.errors[-1].message
