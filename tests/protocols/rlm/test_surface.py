"""What programs may reach: tools as modules, what plugins add, what the host projects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import lash
from lash.base.json import Json
from lash.lashlang import CompiledModule, Diagnosis, compile_module
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.host.environment import Abilities, HostEnvironment
from lash.lashlang.syntax.features import LanguageFeatures
from lash.lashlang.syntax.types import STR, ObjectField, ObjectType
from lash.plugins import Plugin
from lash.plugins.errors import PluginRegistrationError
from lash.plugins.hooks import ExtensionContribution
from lash.protocols.rlm.options import RlmConfig
from lash.protocols.rlm.projections import ProjectionRef, ProjectionRegistry
from lash.protocols.rlm.surface import LASHLANG_SURFACE_EXTENSION_ID, lashlang_surface
from lash.testing import Lab, Life, ScriptedModel, cell
from lash.tools.decorator import Tool


@lash.tool
async def read_file(path: str) -> str:
    """Reads."""
    return f"text of {path}"


@lash.tool(module="mail.work")
async def send(to: str) -> str:
    """Sends."""
    return f"sent to {to}"


class Adding(Plugin):
    """A plugin that adds to what programs meet."""

    def __init__(self, *contributions: ExtensionContribution) -> None:
        super().__init__("adding")
        self._contributions = contributions

    def extension_contributions(self) -> Sequence[ExtensionContribution]:
        return self._contributions


async def value_of(core: lash.RlmCore) -> object:
    async with core, core.session("s") as session:
        turn = await session.run("go")
        return turn.raise_for_outcome().value


async def test_a_tool_is_an_operation_of_its_module_or_of_tools() -> None:
    source = 'submit [await tools.read_file({ path: "a" })?, await mail.work.send({ to: "b" })?]'

    core = lash.RlmCore(model=ScriptedModel([cell(source)]), tools=[read_file, send])

    assert await value_of(core) == ["text of a", "sent to b"]


async def test_a_call_without_arguments_sends_an_empty_record() -> None:
    @lash.tool
    async def now() -> int:
        """The time."""
        return 7

    assert await value_of(lash.RlmCore(model=ScriptedModel([cell("submit tools.now()?")]), tools=[now])) == 7


async def test_a_plugin_adds_abilities_features_and_data_types() -> None:
    catalog = Catalog()
    event = catalog.add_data_type("timer.Tick", ObjectType((ObjectField("at", STR),)))
    catalog.add_trigger_source("timer.Schedule", ObjectType((ObjectField("expr", STR),)), event)
    added = HostEnvironment(catalog, Abilities(), LanguageFeatures(more_builtins=True))
    model = ScriptedModel([cell('x = timer.Schedule({ expr: "* * * * *" })\nsubmit sum([1, 2])')])

    core = lash.RlmCore(model=model, plugins=[Adding(lashlang_surface(added))])

    assert await value_of(core) == 3
    system = model.requests[0].messages[0].text
    assert "type timer.Tick = { at: str }" in system
    assert "timer.Schedule({ expr: str }) -> TriggerSource<timer.Tick>" in system
    assert "`sort(l)`" in system


def test_a_contribution_that_cannot_be_read_is_refused_when_the_core_is_built() -> None:
    broken = ExtensionContribution(LASHLANG_SURFACE_EXTENSION_ID, {"abilities": 7})

    with pytest.raises(PluginRegistrationError, match="rlm_protocol"):
        lash.RlmCore(model=ScriptedModel([]), plugins=[Adding(broken)])


@pytest.mark.parametrize(
    ("missing", "abilities"),
    [
        ("processes", Abilities(sleep=True)),
        ("process signals", Abilities(processes=True)),
        ("sleep", Abilities(processes=True)),
    ],
)
async def test_what_the_host_switches_off_does_not_link(missing: str, abilities: Abilities) -> None:
    sources = {
        "processes": "process p() { finish 1 }\nh = start p()",
        "process signals": 'process p() signals { go: int } { finish wait_signal("go") }',
        "sleep": 'sleep for "1ms"',
    }
    model = ScriptedModel([cell(sources[missing]), cell("submit history[1].error")])

    error = await value_of(lash.RlmCore(model=model, rlm=RlmConfig(abilities=abilities)))

    assert f"`{missing}`" in str(error)


async def test_a_host_compiles_modules_against_its_core() -> None:
    core = lash.RlmCore(model=ScriptedModel([]), tools=[send])

    good = await compile_module('x = await mail.work.send({ to: "a" })?', core.host_environment)
    bad = await compile_module("x = await mail.work.receive({})?", core.host_environment)

    assert isinstance(good, CompiledModule)
    assert isinstance(bad, Diagnosis)
    assert (bad.stage, bad.line) == ("link", 1)


# projections


class Changing:
    """A source that says something else each time."""

    def __init__(self) -> None:
        self.reads = 0

    async def resolve(self, ref: ProjectionRef) -> Json:
        self.reads += 1
        return {"reads": self.reads, "key": ref.key}


async def test_a_reference_is_fetched_once_per_cell_and_only_when_it_is_read() -> None:
    source = Changing()
    steps = [cell("x = 1"), cell("a = docs.key\nb = docs.reads\nsubmit [a, b, len(docs)]")]
    core = lash.RlmCore(model=ScriptedModel(steps), projected={"docs": ProjectionRef("file", "a.txt")}, resolver=source)

    assert await value_of(core) == ["a.txt", 1, 2]
    assert source.reads == 1


async def test_a_registry_knows_values_by_kind_and_key() -> None:
    registry = ProjectionRegistry()
    known = registry.add("file", "a", [1, 2, 3])
    steps = [cell("submit gone"), cell("submit [known[1], history[1].error]")]
    core = lash.RlmCore(
        model=ScriptedModel(steps), projected={"known": known, "gone": ProjectionRef("file", "b")}, resolver=registry
    )

    found = await value_of(core)

    assert isinstance(found, list)
    assert found[0] == 2
    assert "projection file:b is not known" in found[1]


async def test_what_may_change_is_recorded_when_it_is_first_read() -> None:
    source = Changing()

    def make(life: Life) -> lash.RlmCore:
        return lash.RlmCore(
            model=ScriptedModel([cell("print docs.key"), cell("submit history[1].output[0]")]),
            projected={"docs": ProjectionRef("feed", "a", is_immutable=False)},
            resolver=source,
            store=life.store,
            effect_host=life.effect_host,
        )

    async def program(core: lash.LashCore) -> object:
        async with core.session("s") as session:
            return (await session.run("go", turn_id="t1")).value

    report = await Lab(make).kill_at(program, effect="read:docs", when="recorded")

    report.raise_for_problems()
    assert source.reads == 2  # of the undisturbed run and of the killed one; who went on read what was recorded


async def test_a_list_keeps_what_it_was_not_asked_for_and_reads_it_in_a_later_process(tmp_path: Path) -> None:
    registry = ProjectionRegistry({("file", "a"): {"text": "alpha"}})
    steps = [
        cell("kept = [docs, history[0]]\nsubmit 1"),
        cell("submit [kept[0].text, kept[1].content]"),
        cell("submit kept[0].text"),
    ]
    where = str(tmp_path / "agent.db")

    def core() -> lash.RlmCore:
        projected = {"docs": ProjectionRef("file", "a")}
        return lash.RlmCore(model=ScriptedModel(steps), projected=projected, resolver=registry, store=where)

    assert await value_of(core()) == 1
    assert await value_of(core()) == ["alpha", "go"]
    unbound = lash.RlmCore(model=ScriptedModel([*steps, cell("submit history[5].error")]), store=where)
    assert "`docs` is not bound here any more" in str(await value_of(unbound))


def test_history_is_no_name_for_a_projection() -> None:
    with pytest.raises(PluginRegistrationError, match="history"):
        lash.RlmCore(model=ScriptedModel([]), projected={"history": 1})


def test_the_catalog_of_tools_is_shared_by_the_sessions_of_a_core() -> None:
    core = lash.RlmCore(model=ScriptedModel([]), tools=[send])

    assert core.host_environment is core.host_environment


# references in arguments of tools


def counting(given: list[object], *, keeps: bool = True) -> Tool[..., Any]:
    """A tool that counts what is in `rows`, and tells what it was given."""

    @lash.tool(preserve_projected_refs_in_field="rows" if keeps else None)
    async def count(ctx: lash.ToolContext, rows: Any, factor: int = 1) -> int:
        """Counts."""
        given.append(rows)
        found = await ctx.resolve_projected(rows)
        assert isinstance(found, list)
        return factor * sum(len(item) if isinstance(item, list) else 1 for item in found)

    return count


async def test_a_tool_that_keeps_references_gets_and_resolves_what_the_program_never_read() -> None:
    source = Changing()
    given: list[object] = []
    steps = [
        cell("kept = [docs.key, history[0].content]"),
        cell("""
            n = tools.count({ rows: [docs, docs.reads], factor: 2 })?
            submit [n, tools.count({ rows: kept })?, tools.count({ rows: [docs.gone] })?]
        """),
    ]
    tools = [counting(given)]
    projected = {"docs": ProjectionRef("file", "a.txt")}
    core = lash.RlmCore(model=ScriptedModel(steps), tools=tools, projected=projected, resolver=source)

    assert await value_of(core) == [4, 2, 1]

    def ref(*path: Json) -> Json:
        return {"__projection_ref__": {"kind": "file", "key": "a.txt", **({"path": list(path)} if path else {})}}

    # What is no reference, as the conversation, is read by the program.
    assert given == [[ref(), ref("reads")], [ref("key"), "go"], [ref("gone")]]
    assert source.reads == 4  # by the tool alone


async def test_other_tools_get_values() -> None:
    given: list[object] = []
    model = ScriptedModel([cell("submit tools.count({ rows: [docs] })?")])
    tools = [counting(given, keeps=False)]
    projected = {"docs": ProjectionRef("file", "a.txt")}
    core = lash.RlmCore(model=model, tools=tools, projected=projected, resolver=Changing())

    assert await value_of(core) == 1
    assert given == [[{"reads": 1, "key": "a.txt"}]]


async def test_a_program_cannot_make_references_of_its_own() -> None:
    source = Changing()
    forged = '{ __projection_ref__: { kind: "file", key: "secrets.txt" } }'
    steps = [cell(f"tools.count({{ rows: [{forged}] }})?"), cell("submit history[1].error")]
    projected = {"docs": ProjectionRef("file", "a.txt")}
    core = lash.RlmCore(model=ScriptedModel(steps), tools=[counting([])], projected=projected, resolver=source)

    assert "file:secrets.txt is not projected here" in str(await value_of(core))
    assert source.reads == 0


async def test_a_call_with_a_reference_is_replayed_also_where_its_tool_takes_values_now() -> None:
    given: list[object] = []
    lives: list[Life] = []
    registry = ProjectionRegistry({("file", "a"): [1, 2, 3]})

    def make(life: Life) -> lash.RlmCore:
        lives.append(life)  # the undisturbed one, the killed one, and who goes on
        return lash.RlmCore(
            model=ScriptedModel([cell("x = tools.count({ rows: docs })?\nsubmit x")]),
            tools=[counting(given, keeps=len(lives) < 3)],
            projected={"docs": ProjectionRef("file", "a", is_immutable=False)},
            resolver=registry,
            store=life.store,
            effect_host=life.effect_host,
        )

    async def program(core: lash.LashCore) -> object:
        async with core.session("s") as session:
            return (await session.run("go", turn_id="t1")).value

    report = await Lab(make).kill_at(program, effect="count", when="recorded")

    report.raise_for_problems()
    assert len(lives) == 3
    assert given == [{"__projection_ref__": {"kind": "file", "key": "a"}}] * 2
