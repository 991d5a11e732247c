"""Suites artifact_store and artifact_store_reopenable (AR)."""

from __future__ import annotations

from lash.artifacts.store import ArtifactStore
from lash.lashlang import ALL_ABILITIES, Diagnosis, HostEnvironment, compile_module
from lash.lashlang.errors import ArtifactCodecError, ArtifactHashMismatch
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.testing.conformance.laws import LawBroken, Rows, Suite

ARTIFACT_STORE: Suite[ArtifactStore] = Suite("artifact_store")
ARTIFACT_STORE_REOPENABLE: Suite[tuple[ArtifactStore, ArtifactStore]] = Suite("artifact_store_reopenable")

_HOST = HostEnvironment(abilities=ALL_ABILITIES)
UNKNOWN = "lashlang:sha256:" + "0" * 64


async def echo_module() -> ModuleArtifact:
    """The module that the suite stores."""
    compiled = await compile_module("process echo(value: str) { finish value }", _HOST)
    if isinstance(compiled, Diagnosis):
        raise LawBroken("AR-01", "the fixture module compiles", compiled.message)
    return compiled.linked.artifact


@ARTIFACT_STORE.law("AR-01", "AR-02", "AR-03", "AR-04")
async def a_module_round_trips(store: ArtifactStore, row: Rows) -> None:
    artifact = await echo_module()
    await store.put_module_artifact(artifact)

    found = await store.get_module_artifact(artifact.module_ref)
    stored = await store.get_artifact_bytes(artifact.module_ref)

    row("AR-01", found is not None and found.module_ref == artifact.module_ref, found)
    row("AR-02", found is not None and found.host_requirements_ref == artifact.host_requirements_ref, found)
    row("AR-03", found is not None and found.exports == artifact.exports, found)
    row("AR-04", found is not None and found.to_bytes() == stored == artifact.to_bytes(), stored)


@ARTIFACT_STORE.law("AR-05")
async def an_unknown_reference_is_none(store: ArtifactStore, row: Rows) -> None:
    found = await store.get_module_artifact(UNKNOWN), await store.get_artifact_bytes(UNKNOWN)

    row("AR-05", found == (None, None), found)


@ARTIFACT_STORE.law("AR-06")
async def a_store_reports_its_tier(store: ArtifactStore, row: Rows) -> None:
    tier = store.durability_tier()

    row("AR-06", tier in ("inline", "durable") and row.tier in (None, tier), tier)


@ARTIFACT_STORE_REOPENABLE.law("AR-07", stores="SP")
async def the_plain_suite_holds_on_a_durable_store(pair: tuple[ArtifactStore, ArtifactStore], row: Rows) -> None:
    own = Rows("durable")
    for law in ARTIFACT_STORE.laws:
        await law.scenario(pair[0], own)
    broken = {law_id: why for law_id, why in own.stated.items() if why}
    row("AR-07", not broken and {f"AR-0{number}" for number in range(1, 7)} <= set(own.stated), broken)


@ARTIFACT_STORE_REOPENABLE.law("AR-08", stores="SP")
async def a_module_is_there_through_another_handle(pair: tuple[ArtifactStore, ArtifactStore], row: Rows) -> None:
    artifact = await echo_module()
    await pair[0].put_module_artifact(artifact)

    found = await pair[1].get_module_artifact(artifact.module_ref)

    kept = found is not None and (found.module_ref, found.host_requirements_ref, found.exports) == (
        artifact.module_ref,
        artifact.host_requirements_ref,
        artifact.exports,
    )
    row("AR-08", kept, found)


@ARTIFACT_STORE.law("AR-09")
async def bytes_that_are_no_module_are_refused(store: ArtifactStore, row: Rows) -> None:
    del store
    artifact = await echo_module()
    other = artifact.to_bytes().replace(artifact.module_ref.encode(), UNKNOWN.encode())
    refused: list[Exception] = []
    for data in (b"not an artifact", b"{}", b"\xff", other):
        try:
            ModuleArtifact.from_bytes(data)
        except ArtifactHashMismatch as error:
            row("AR-09", data == other and error.field == "module_ref" and error.actual == UNKNOWN, error)
            refused.append(error)
        except ArtifactCodecError as error:
            refused.append(error)
    row("AR-09", len(refused) == 4 and isinstance(refused[-1], ArtifactHashMismatch), refused)
