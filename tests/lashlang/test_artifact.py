"""Artifacts: content-addressed, verified on the way in and out."""

from __future__ import annotations

import json

import pytest

from lash.lashlang import (
    ALL_ABILITIES,
    Abilities,
    ArtifactError,
    Catalog,
    CompiledModule,
    Compiler,
    Diagnosis,
    HostEnvironment,
    LinkError,
    ModuleArtifact,
    compile_module,
    link,
)
from lash.lashlang.cases.host import case_catalog
from lash.lashlang.linking.requirements import collect_requirements
from lash.lashlang.modules.store import MemoryArtifactStore
from lashlang.running import ENVIRONMENT, linked
from lashlang.test_cases import CASES

_PROCESS = (
    'process p(m: Mail, n: int) { r = await m.send({ to: "x" })?\n sleep for n\n finish r }\n'
    "h = start p(m: mail.work, n: 1)"
)
_TRIGGER = (
    "process p(e: timer.Tick) { finish e }\n"
    'h = await triggers.register({ source: timer.Schedule({ expr: "x" }), target: p, inputs: { e: trigger.event } })?'
)


def _linkable() -> list[str]:
    return [case.source for case in CASES if "module_ref" in case.expected]


@pytest.mark.parametrize("source", [*_linkable(), _PROCESS, _TRIGGER])
def test_encoding_decoding_and_encoding_gives_the_same_bytes(source: str) -> None:
    artifact = linked(source).artifact

    data = artifact.to_bytes()

    assert ModuleArtifact.from_bytes(data).to_bytes() == data


@pytest.mark.parametrize("source", [_PROCESS, _TRIGGER])
def test_relinking_stored_code_gives_the_same_references(source: str) -> None:
    artifact = ModuleArtifact.from_bytes(linked(source).artifact.to_bytes())

    again = link(artifact.canonical_ir, ENVIRONMENT)

    assert again.module_ref == artifact.module_ref


def test_relinking_without_the_ability_fails() -> None:
    artifact = linked(_PROCESS).artifact
    without = HostEnvironment(case_catalog(), Abilities(sleep=True))

    with pytest.raises(LinkError, match="lashlang feature `processes` is disabled by this host"):
        link(artifact.canonical_ir, without)


@pytest.mark.parametrize("at", range(0, 1200, 37))
def test_a_corrupt_byte_is_rejected(at: int) -> None:
    data = bytearray(linked(_PROCESS).artifact.to_bytes())
    at %= len(data)
    data[at] = data[at] ^ 1

    with pytest.raises(ArtifactError):
        ModuleArtifact.from_bytes(bytes(data))


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"[", b"\xff", b'{"module_ref": 1}', b"[" * 5000])
def test_other_bytes_are_rejected(data: bytes) -> None:
    with pytest.raises(ArtifactError, match="failed to encode module artifact"):
        ModuleArtifact.from_bytes(data)


def test_a_renamed_module_is_rejected() -> None:
    body = json.loads(linked(_PROCESS).artifact.to_bytes())
    body["module_ref"] = "lashlang:v1:sha256:" + "0" * 64

    with pytest.raises(ArtifactError, match="module artifact module_ref mismatch: expected lashlang"):
        ModuleArtifact.from_bytes(json.dumps(body).encode())


def test_requirements_hold_in_the_host_that_linked() -> None:
    module = linked(_PROCESS)

    assert ENVIRONMENT.satisfies(module.requirements)
    assert HostEnvironment(case_catalog()).missing(module.requirements) == "processes are not available"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda catalog: catalog.module_instances.pop("mail.work"), "module `mail.work` is not available"),
        (
            lambda catalog: catalog.resource_types["Mail"].pop("send"),
            "resource type `Mail` does not expose operation `send`",
        ),
        (
            lambda catalog: catalog.add_operation("mail.work", "Mail", "send", "other"),
            "module `mail.work` operation `send` resolves to `other`, expected `mail_work_send`",
        ),
    ],
)
def test_a_changed_host_names_what_is_missing(change: object, reason: str) -> None:
    module = linked('r = await mail.work.send({ to: "x" })')
    catalog = case_catalog()
    change(catalog)  # type: ignore[operator]

    assert HostEnvironment(catalog, ALL_ABILITIES).missing(module.requirements) == reason


def test_the_reduced_collector_needs_no_catalog() -> None:
    requirements = collect_requirements(linked(_PROCESS).program)

    assert requirements.abilities.processes
    assert requirements.resources.module_instances == {}
    assert list(requirements.resources.resource_types["Mail"]) == []


async def test_only_modules_with_processes_are_stored() -> None:
    store = MemoryArtifactStore()

    cell = await compile_module("submit 1", ENVIRONMENT, store)
    module = await compile_module(_PROCESS, ENVIRONMENT, store)

    assert isinstance(cell, CompiledModule)
    assert isinstance(module, CompiledModule)
    assert await store.get_module_artifact(cell.module_ref) is None
    kept = await store.get_module_artifact(module.module_ref)
    assert kept is not None
    assert kept.exports == module.linked.artifact.exports


@pytest.mark.parametrize(
    ("source", "stage", "line"),
    [("submit (", "parse", 1), ("x = 1\nsubmit nope(1)", "link", 2)],
)
async def test_a_source_that_does_not_compile_is_diagnosed(source: str, stage: str, line: int) -> None:
    found = await compile_module(source, ENVIRONMENT)

    assert isinstance(found, Diagnosis)
    assert found.stage == stage
    assert found.line == line
    assert found.as_json()["message"] == found.message


def test_the_compiler_caches_by_content() -> None:
    compiler = Compiler()

    first = compiler.link("submit 1", ENVIRONMENT)
    second = compiler.link("submit 1", ENVIRONMENT)
    body = compiler.compile(first.artifact, None)

    assert second is first
    assert compiler.compile(first.artifact, None) is body
    assert compiler.linked.statistics.hits == 1
    assert compiler.bodies.statistics.hits == 1


def test_a_cached_link_is_not_reused_where_it_does_not_fit() -> None:
    compiler = Compiler()
    compiler.link("submit await tools.echo({})", ENVIRONMENT)

    with pytest.raises(LinkError):
        compiler.link("submit await tools.echo({})", HostEnvironment(Catalog(), ALL_ABILITIES))


def test_the_caches_are_bounded() -> None:
    compiler = Compiler(size=2)

    for number in range(5):
        compiler.link(f"submit {number}", ENVIRONMENT)

    assert compiler.linked.find(("submit 0", (repr(ENVIRONMENT.as_json()),))) is None


def test_an_operation_added_to_the_same_catalog_is_seen() -> None:
    compiler, catalog = Compiler(), Catalog()
    environment = HostEnvironment(catalog, ALL_ABILITIES)
    compiler.link("submit 1", environment)

    catalog.add_operation("tools", "Tools", "echo", "echo")

    assert compiler.link("submit tools.echo({})", environment).artifact.module_ref
