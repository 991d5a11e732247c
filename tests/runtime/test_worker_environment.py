"""What processes run with: plugins with a memory are made for each, and what is the same for all is registered once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

import lash
from lash.artifacts import persist_process_env
from lash.plugins import AfterToolCall, BeforeToolCall, PluginSessionContext, ShortCircuitTool
from lash.plugins.host import PluginHost
from lash.plugins.plugin import PluginFactory
from lash.plugins.registrar import PluginRegistrar
from lash.processes.environment import ProcessExecutionEnvSpec
from lash.processes.outputs import SuccessOutput
from lash.protocols.standard import StandardProtocol
from lash.stock.output_budget import ToolOutputBudget
from lash.testing import ScriptedModel
from lash.testing.conformance.worker_drafts import Tools, ended, tool_process
from lash.tools import ToolResult


class CountOptions(msgspec.Struct, frozen=True):
    """What the counter begins at."""

    first: int = 1


class Counting:
    """Answers each call with how many there were in its session."""

    id = "counting"

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def build(self, context: PluginSessionContext) -> Counting:
        options = context.options(self.id, CountOptions)
        return Counting(1 if options is None else options.first)

    def register(self, registrar: PluginRegistrar) -> None:
        registrar.tool_calls.before(self.count)

    def count(self, call: BeforeToolCall) -> ShortCircuitTool:
        del call
        self._next += 1
        return ShortCircuitTool(ToolResult.ok(self._next - 1))


class ByOptions(Counting):
    """Says what it was built with, and remembers nothing."""

    registers_alike = True

    def build(self, context: PluginSessionContext) -> ByOptions:
        options = context.options(self.id, CountOptions)
        return ByOptions(1 if options is None else options.first)

    def count(self, call: BeforeToolCall) -> ShortCircuitTool:
        del call
        return ShortCircuitTool(ToolResult.ok(self._next))


class Recording(lash.Plugin):
    """Notes how often it is asked to register."""

    id = "recording"
    registers_alike = True

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def register(self, registrar: PluginRegistrar) -> None:
        self.asked += 1
        super().register(registrar)


class Unlike(lash.Plugin):
    """Registers by itself, and says nothing of what."""

    id = "unlike"

    def register(self, registrar: PluginRegistrar) -> None:
        super().register(registrar)


class Watching(lash.Plugin):
    """Marked methods alone."""

    id = "watching"

    @lash.hook.after_tool_call
    def seen(self, call: AfterToolCall) -> None: ...


class Projecting(lash.Plugin):
    """Notes what it is asked about."""

    id = "projecting"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def register(self, registrar: PluginRegistrar) -> None:
        registrar.tool_results.projector(self.project)

    def project(self, call: AfterToolCall, text: str) -> str:
        del call
        self.asked.append(text)
        return text


class InheritsTheWord(Recording):
    """Its parent's word does not bind it."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[lash.Store]:
    """A store in a file."""
    async with await lash.Store.open(str(tmp_path / "agent.db")) as store:
        yield store


async def answers(
    store: lash.Store, plugin: PluginFactory, environments: Sequence[ProcessExecutionEnvSpec]
) -> list[object]:
    """What one call each comes to in these environments, one process after another."""
    found: list[object] = []
    core = lash.StandardCore(model=ScriptedModel([]), tools=Tools().all(), store=store, plugins=[plugin], workers=0)
    async with core:
        for number, environment in enumerate(environments):
            process = await tool_process(store, f"p{number}", "echo", {"value": "x"})
            env_ref = await persist_process_env(store.process_envs, environment)
            await store.processes.register_process(msgspec.structs.replace(process, env_ref=env_ref))
            core.worker.poke()
            output = await ended(store, f"p{number}")
            assert isinstance(output, SuccessOutput)
            found.append(output.value)
    return found


async def test_a_plugin_that_remembers_is_made_for_each_process(store: lash.Store) -> None:
    assert await answers(store, Counting(), [ProcessExecutionEnvSpec()] * 3) == [1, 1, 1]


async def test_what_is_registered_alike_still_follows_the_options_of_the_environment(store: lash.Store) -> None:
    plain, other = ProcessExecutionEnvSpec(), ProcessExecutionEnvSpec(plugin_options={"counting": {"first": 7}})

    assert await answers(store, ByOptions(), [plain, other, plain, other]) == [1, 7, 1, 7]


async def test_plugins_that_register_alike_are_asked_once_for_an_environment(store: lash.Store) -> None:
    plugin = Recording()
    core_alone = Recording()
    await answers(store, core_alone, [])
    await answers(store, plugin, [ProcessExecutionEnvSpec()] * 3)

    assert plugin.asked == core_alone.asked + 1


@pytest.mark.parametrize(
    ("factory", "is_alike"),
    [
        (lash.Plugin("chain").before_turn(lambda _: None), True),
        (Watching(), True),
        (Recording(), True),
        (ToolOutputBudget(), True),
        (InheritsTheWord(), False),
        (Unlike(), False),
        (Counting(), False),
    ],
)
def test_only_a_plugin_that_cannot_differ_counts_as_registering_alike(factory: PluginFactory, is_alike: bool) -> None:
    assert PluginHost([StandardProtocol(), factory]).registers_alike is is_alike


async def test_no_projector_is_asked_about_a_result_that_no_model_reads(store: lash.Store) -> None:
    plugin = Projecting()

    assert await answers(store, plugin, [ProcessExecutionEnvSpec()]) == [{"payload": "raw:x"}]
    assert plugin.asked == []
