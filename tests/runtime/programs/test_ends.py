"""How programs end: with a value, or with one of the codes of docs/spec/durability.md §5.4."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import lash
from lash.artifacts.store import MODULE
from lash.base.json import JsonObject
from lash.lashlang.execution.budgets import Budgets
from lash.lashlang.host.environment import ALL_ABILITIES, HostEnvironment
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.syntax.parser import parse
from lash.processes.definitions import ProcessDefinition, ProcessRef
from lash.processes.inputs import EngineInput, LashlangProcessInput
from lash.processes.outputs import FailureOutput, SuccessOutput
from lash.runtime.programs.engine import LashlangEngine
from lash.runtime.work import InvalidWork
from lash.runtime.worker.runner import ProcessRunner
from lash.testing import ScriptedModel
from lash.testing.conformance.program_drafts import linked, program
from lash.testing.conformance.worker_drafts import core_over, draft, ended
from lash.tools.calls import ToolExecution
from lash.tools.definition import ToolContract, ToolManifest
from runtime.programs.stage import Counter, run, stage

NAP = "process main() { finish 1 }"


async def failure(core: lash.LashCore, registration: Any) -> tuple[str, str]:
    """The code and the message that it ends with."""
    output = await ProcessRunner(core.process_worker_config()).run_process(registration)
    assert isinstance(output, FailureOutput), output
    return output.code, output.message


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("finish { a: [1, 2.5, null, true] }", SuccessOutput({"a": [1, 2.5, None, True]})),
        ("x = 1", SuccessOutput(None)),
        ("finish", SuccessOutput(None)),
        ('fail "no"', FailureOutput("execution", "process_failed", "no", "no")),
        ('finish 1 / 0 == to_int("x")', None),
    ],
)
async def test_the_last_word_of_a_program_is_its_output(store: lash.Store, body: str, output: Any) -> None:
    async with stage(store) as (core, worker):
        found = await run(core, worker, f"process main() {{ {body} }}")

    if output is None:
        assert isinstance(found, FailureOutput)
        assert found.code == "process_runtime_error"
    else:
        assert found == output


async def test_a_module_that_is_not_there_is_named(store: lash.Store) -> None:
    module = linked(NAP)
    registration = await program(store, "p", module)
    await store.artifacts.collect_artifacts([registration.env_ref or ""], 2**53)
    async with core_over(store) as core:
        assert await failure(core, registration) == (
            "process_module_artifact_missing",
            f"missing lashlang module artifact `{module.module_ref}`",
        )


async def test_damaged_bytes_are_never_half_loaded(store: lash.Store) -> None:
    module, other = linked(NAP), linked("process main() { finish 2 }")
    registration = await program(store, "p", module)
    await store.artifacts.collect_artifacts([registration.env_ref or ""], 2**53)
    await store.artifacts.put_artifact_bytes(module.module_ref, MODULE, other.artifact.to_bytes())
    async with core_over(store) as core:
        code, message = await failure(core, registration)

    assert code == "process_module_artifact_load_failed"
    assert message.startswith(f"failed to load lashlang module artifact `{module.module_ref}`: ")


async def test_references_that_do_not_fit_are_refused(store: lash.Store) -> None:
    registration = await program(store, "p", linked(NAP))
    work = registration.input
    assert isinstance(work, LashlangProcessInput)
    other_surface = msgspec.structs.replace(work, host_requirements_ref="another")
    other_ref = msgspec.structs.replace(work, process_ref=ProcessRef("another", 3))
    async with core_over(store) as core:
        assert await failure(core, msgspec.structs.replace(registration, input=other_surface)) == (
            "process_host_requirements_mismatch",
            f"lashlang process `main` requested surface another, artifact has {work.host_requirements_ref}",
        )
        assert await failure(core, msgspec.structs.replace(registration, input=other_ref)) == (
            "process_ref_mismatch",
            f"lashlang module `{work.module_ref}` does not export process `main` as requested ref another:3",
        )


async def test_a_worker_without_the_tool_says_what_is_missing(store: lash.Store) -> None:
    source = 'process main() { finish await tools.process_echo({ value: "x" })? }'
    registration = await program(store, "p", linked(source))
    async with core_over(store) as core:
        assert await failure(core, registration) == (
            "process_host_environment_incompatible",
            "lashlang process `main` is incompatible with this host surface: module `tools` is not available",
        )


class Bound(lash.ToolProvider):
    """A tool that says where programs find it."""

    def __init__(self, name: str, binding: JsonObject) -> None:
        self._manifest = ToolManifest(f"tool:{name}", name, "", bindings={"lashlang": binding})

    def tool_manifests(self) -> list[ToolManifest]:
        return [self._manifest]

    def resolve_contract(self, name: str) -> ToolContract:
        return ToolContract({"type": "object"})

    async def execute(self, call: ToolExecution) -> object:
        raise NotImplementedError


async def test_tools_that_contradict_each_other_make_no_surface(store: lash.Store) -> None:
    registration = await program(store, "p", linked(NAP))
    tools = [Bound(name, {"module": "shop", "authority_type": name}) for name in ("A", "B")]
    async with core_over(store, tools) as core:  # type: ignore[arg-type]  # providers are tools of a core, too
        assert await failure(core, registration) == (
            "process_tool_catalog_failed",
            "module `shop` already has resource type `A`, cannot change it to `B`",
        )


async def test_a_payload_that_says_nothing_is_refused(store: lash.Store) -> None:
    registration = await draft(store, "p", EngineInput("lashlang", {"module_ref": 7}))
    async with core_over(store) as core:
        code, message = await failure(core, registration)

    assert code == "process_payload_invalid"
    assert message.startswith("invalid lashlang process payload: ")


async def test_a_payload_of_the_engine_runs_like_the_input(store: lash.Store) -> None:
    made = await program(store, "p", linked("process main(n: int) { finish n }"), args={"n": 7})
    payload = msgspec.to_builtins(made.input)
    del payload["type"]
    async with core_over(store) as core:
        registration = await draft(store, "p", EngineInput("lashlang", payload))
        output = await ProcessRunner(core.process_worker_config()).run_process(registration)

    assert output == SuccessOutput(7)


async def test_arguments_that_do_not_fit_are_refused_where_the_process_runs(store: lash.Store) -> None:
    module = linked("process main(n: int) { finish n }")
    async with core_over(store) as core:
        for args, problem in [
            ({}, "process `main` is missing argument `n`"),
            ({"n": "x"}, "process `main` argument `n`: expected int, got string"),
            ({"n": 1, "m": 2}, "process `main` does not accept argument `m`"),
        ]:
            code, message = await failure(core, await program(store, "p", module, args=args))  # type: ignore[arg-type]
            assert code == "process_payload_invalid"
            assert message == f"invalid lashlang process payload: {problem}"


async def test_a_module_that_does_not_link_to_itself_is_not_compiled(store: lash.Store) -> None:
    unlinked = parse("process main() { finish nobody }")
    artifact = ModuleArtifact.build(unlinked, HostEnvironment(abilities=ALL_ABILITIES))
    await store.artifacts.put_module_artifact(artifact)
    ref = artifact.exports["main"]
    work = LashlangProcessInput(
        artifact.module_ref, ProcessRef(ref.component, ref.position), artifact.host_requirements_ref, "main"
    )
    async with core_over(store) as core:
        assert await failure(core, await draft(store, "p", work)) == (
            "process_compile_failed",
            "failed to compile process `main`: unknown name `nobody`",
        )


async def test_a_program_that_never_ends_is_ended(store: lash.Store) -> None:
    engine = LashlangEngine(budgets=Budgets(active_ms=30))
    async with stage(store, engines={"lashlang": engine}) as (core, worker):
        output = await run(core, worker, "process main() { while true { x = 1 } }")

    assert isinstance(output, FailureOutput)
    assert (output.kind, output.code) == ("resource_limit", "process_execution_bound_exhausted")


async def test_a_plugin_may_bring_the_engine_with_limits_of_its_own(store: lash.Store) -> None:
    class Limits(lash.Plugin):
        id = "limits"

        def process_engines(self) -> dict[str, LashlangEngine]:
            return {"lashlang": LashlangEngine(budgets=Budgets(started_children=1))}

    source = "process child() { }  process main() { for n in range(3) { start child() } }"
    async with lash.StandardCore(model=ScriptedModel([]), store=store, plugins=[Limits()]) as core:
        handle = await core.processes.start(lash.LangProcess(source, "main"))
        output = await ended(store, handle.id)

    assert isinstance(output, FailureOutput)
    assert output.code == "process_execution_bound_exhausted"
    assert "more than 1 processes started" in output.message


async def test_what_a_program_spends_is_counted_over_all_its_runs(store: lash.Store) -> None:
    counter = Counter()
    source = """
    process main() {
      for part in range(6) {
        n = 0
        while n < 20000 { n = n + 1 }
        tools.say({ text: "part" })
        sleep for "40ms"
      }
    }
    """
    engine = LashlangEngine(budgets=Budgets(instructions=70_000))
    async with stage(store, [counter.tool()], engines={"lashlang": engine}, park_after_ms=5) as (core, worker):
        output = await run(core, worker, source)

    assert isinstance(output, FailureOutput)
    assert output.code == "process_execution_bound_exhausted"
    assert len(counter.said) == 3


async def test_a_program_is_checked_before_it_is_started(store: lash.Store) -> None:
    async with core_over(store) as core:
        for source, args, said in [
            ("process main() { finish nobody }", None, "line 1, column 25: unknown name `nobody`"),
            ("process main() { finish ", None, "line 1, column 25"),
            ("process a() { }  process b() { }", None, "no process `main`; give process= one of a, b"),
            ("x = 1", None, "statements outside its processes"),
            ("", None, "declares no process"),
            ("process main(n: int) { finish n }", {"n": "x"}, "argument `n`: expected int, got string"),
            ("process main(n: int) { finish n }", None, "is missing argument `n`"),
        ]:
            with pytest.raises(InvalidWork) as caught:
                await core.processes.start(lash.LangProcess(source), args=args)
            assert said in str(caught.value), caught.value
        unknown = ProcessDefinition("m", "r", ProcessRef("c", 0), "p")
        with pytest.raises(InvalidWork, match="missing lashlang module artifact `m`"):
            await core.processes.start(unknown)


async def test_a_stored_process_is_started_by_its_references(store: lash.Store) -> None:
    async with stage(store) as (core, worker):
        first = await core.processes.start(lash.LangProcess("process main(n: int) { finish n }"), args={"n": 1})
        work = (await first.record()).input
        assert isinstance(work, LashlangProcessInput)
        second = await core.processes.start(work.definition, args={"n": 2})
        third = await core.processes.start(work, args={"n": 3})
        worker.poke()

        assert [await one.result(timeout=20) for one in (first, second, third)] == [1, 2, 3]
