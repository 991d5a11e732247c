"""Artifacts and environments in the database: once, whole, and only while somebody needs them."""

from __future__ import annotations

from pathlib import Path

import apsw
import msgspec
import pytest

from lash.artifacts.environments import ProcessEnvError, env_ref_of, load_process_env, persist_process_env
from lash.artifacts.store import MODULE, ArtifactConflict, ArtifactDecodeError
from lash.base.json import JsonObject
from lash.stores import Store
from lash.testing.conformance.artifacts import echo_module
from lash.testing.conformance.triggers import button_draft, pressed
from stores.doubles import open_twice


class Env(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An environment, as an owner of processes would describe it."""

    plugin_options: JsonObject = {}
    provider_id: str | None = None


async def test_other_bytes_under_one_reference_are_a_conflict(store: Store) -> None:
    await store.artifacts.put_artifact_bytes("ref", "notes", b"one")
    await store.artifacts.put_artifact_bytes("ref", "notes", b"one")

    with pytest.raises(ArtifactConflict, match="artifact `ref` is already stored with other bytes"):
        await store.artifacts.put_artifact_bytes("ref", "notes", b"two")

    assert await store.artifacts.get_artifact_bytes("ref") == b"one"
    assert await store.artifacts.list_artifacts("notes") == ["ref"]
    assert await store.artifacts.list_artifacts("other") == []


async def test_pm_24_an_environment_is_named_by_its_content(store: Store) -> None:
    env = Env({"memory": {"size": 3}}, "openai")

    ref = await persist_process_env(store.process_envs, env)
    again = await persist_process_env(store.process_envs, env)
    other = await persist_process_env(store.process_envs, Env())

    assert ref == again != other
    assert ref.startswith("process-env:sha256:")
    assert await load_process_env(store.process_envs, ref, Env) == env


async def test_an_environment_that_is_named_again_and_again_is_stored_once(store: Store) -> None:
    env = Env({"memory": {"size": 3}})
    ref = await persist_process_env(store.process_envs, env)
    before = store.transactions

    assert await persist_process_env(store.process_envs, env) == ref
    assert store.transactions == before
    # Whoever collects here takes nothing for stored that is gone.
    await store.artifacts.collect_artifacts(set(), store.clock.now_ms() + 1)
    assert await persist_process_env(store.process_envs, env) == ref
    assert await load_process_env(store.process_envs, ref, Env) == env


async def test_pm_25_26_an_environment_that_is_missing_or_unreadable_says_so(store: Store) -> None:
    with pytest.raises(ProcessEnvError, match="missing process execution env `process-env:sha256:none`"):
        await load_process_env(store.process_envs, "process-env:sha256:none", Env)
    closed = b'{"plugin_options":{},"unknown":1}'
    await store.process_envs.put_process_execution_env(env_ref_of(closed), closed)
    with pytest.raises(ProcessEnvError, match=r"failed to decode process execution env .*unknown"):
        await load_process_env(store.process_envs, env_ref_of(closed), Env)
    await store.process_envs.put_process_execution_env("process-env:sha256:wrong", b"{}")
    with pytest.raises(ProcessEnvError, match="the bytes are of process-env:sha256:"):
        await load_process_env(store.process_envs, "process-env:sha256:wrong", Env)


async def test_damaged_bytes_are_found_when_read_and_by_the_check(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    artifact = await echo_module()
    async with await Store.open(path) as store:
        await store.artifacts.put_module_artifact(artifact)
        ref = await persist_process_env(store.process_envs, Env())
        assert (await store.check()).ok
    connection = apsw.Connection(path)
    connection.execute("UPDATE lash_artifacts SET content = CAST('{}x' AS BLOB)")
    connection.close()

    async with await Store.open(path) as store:
        with pytest.raises(ArtifactDecodeError, match="are damaged"):
            await store.artifacts.get_module_artifact(artifact.module_ref)
        report = await store.check()

    assert {row.key for row in report.corrupt_rows} == {artifact.module_ref, ref}


async def test_bytes_that_are_another_module_are_refused(store: Store) -> None:
    artifact = await echo_module()
    await store.artifacts.put_artifact_bytes("lashlang:other", MODULE, artifact.to_bytes())
    await store.artifacts.put_artifact_bytes("lashlang:none", MODULE, b"not an artifact")

    with pytest.raises(ArtifactDecodeError, match="module_ref mismatch: expected lashlang:other"):
        await store.artifacts.get_module_artifact("lashlang:other")
    with pytest.raises(ArtifactDecodeError, match="failed to decode lashlang artifact"):
        await store.artifacts.get_module_artifact("lashlang:none")


async def test_a_collection_keeps_what_is_live_or_young(store: Store) -> None:
    live = msgspec.structs.replace(button_draft("session-a", "x"), env_ref="env-live")
    subscription = await store.triggers.register_subscription(live)
    for ref in ("module", "env-live", "env-dead"):
        await store.artifacts.put_artifact_bytes(ref, "any", ref.encode())
    future = store.clock.now_ms() + 1

    young = await store.artifacts.collect_artifacts(set(), 0)
    dead = await store.artifacts.collect_artifacts(await store.triggers.live_references(), future)
    emitted = await store.triggers.record_and_reserve(pressed("one"))
    await store.triggers.cancel_subscription("session-a", subscription.handle)
    while_open = await store.artifacts.collect_artifacts(await store.triggers.live_references(), future)
    await store.triggers.mark_delivery_started(emitted.occurrence.occurrence_id, subscription.subscription_id)
    afterwards = await store.artifacts.collect_artifacts(await store.triggers.live_references(), future)

    assert (young, dead, while_open, afterwards) == ([], ["env-dead"], [], ["env-live", "module"])


async def test_every_write_of_artifacts_may_run_twice(tmp_path: Path) -> None:
    store, _ = await open_twice(str(tmp_path / "a.db"))
    artifact = await echo_module()

    await store.artifacts.put_module_artifact(artifact)
    found = await store.artifacts.get_module_artifact(artifact.module_ref)
    await store.artifacts.collect_artifacts(set(), store.clock.now_ms() + 1)

    assert found is not None
    assert found.exports == artifact.exports
    assert await store.artifacts.list_artifacts() == []
    await store.close()
