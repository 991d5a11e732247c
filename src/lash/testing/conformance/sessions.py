"""Suite runtime_persistence (RP): sessions, graph, checkpoint, manifest, meta."""

from __future__ import annotations

import msgspec

from lash.base.usage import TokenUsage
from lash.sessions.checkpoint import EXECUTION_STATE, PLUGIN_SNAPSHOT, Checkpoint, Component
from lash.sessions.commit import UsageDelta, persisted_state, turn_commit_hash
from lash.sessions.errors import SessionBindingMismatch, TurnCommitConflict
from lash.sessions.frames import INITIAL_FRAME, AgentFrame, FrameAssignment
from lash.sessions.graph import ActivePath, FullGraph, GraphAppend, GraphUnchanged, SessionGraph
from lash.sessions.meta import RootSession, SessionMeta
from lash.sessions.store import AttachmentIntent, SessionStore
from lash.testing.conformance.drafts import graph_state, node, plain_commit, replaced, stamped, state
from lash.testing.conformance.laws import Rows, Suite
from lash.tools.state import ToolState

RUNTIME_PERSISTENCE: Suite[SessionStore] = Suite("runtime_persistence")
law = RUNTIME_PERSISTENCE.law


@law("RP-01")
async def a_store_reports_its_tier(store: SessionStore, row: Rows) -> None:
    tier = store.durability_tier()

    row("RP-01", tier in ("inline", "durable") and row.tier in (None, tier), tier)


@law("RP-02", "RP-03", "RP-04", "RP-05", "RP-06")
async def frames_and_their_snapshots_round_trip(store: SessionStore, row: Rows) -> None:
    assignment = FrameAssignment()
    frames = [
        AgentFrame(INITIAL_FRAME, "root", status="superseded", assignment=assignment),
        AgentFrame(
            "frame-2",
            "root",
            reason="plan_mode",
            previous_frame_id=INITIAL_FRAME,
            assignment=assignment,
            execution_state_snapshot=b"frame-vm",
        ),
    ]
    checkpoint = Checkpoint().with_component(EXECUTION_STATE, b"frame-vm")
    commit = replaced(
        persisted_state(state("root")),
        agent_frames=frames,
        current_agent_frame_id="frame-2",
        checkpoint=checkpoint,
    )
    await store.commit(commit)

    loaded = await store.load_session(FullGraph())

    assert loaded is not None
    row("RP-02", loaded.current_agent_frame_id == "frame-2", loaded.current_agent_frame_id)
    row("RP-03", len(loaded.agent_frames) == 2, loaded.agent_frames)
    row("RP-04", loaded.agent_frames[1].reason == "plan_mode", loaded.agent_frames[1].reason)
    row("RP-05", loaded.agent_frames[1].execution_state_snapshot == b"frame-vm")
    row("RP-06", loaded.checkpoint.execution_state == b"frame-vm")


@law("RP-07")
async def a_handle_serves_one_session(store: SessionStore, row: Rows) -> None:
    await store.commit(plain_commit("alpha"))

    await row.raises("RP-07", SessionBindingMismatch, store.commit(plain_commit("beta")))


@law("RP-08", "RP-09", "RP-10", "RP-11")
async def checkpoint_and_usage_round_trip(store: SessionStore, row: Rows) -> None:
    checkpoint = Checkpoint(components={PLUGIN_SNAPSHOT: Component(b"")}, plugin_snapshot_revision=12)
    hydrated = msgspec.structs.replace(
        state("hydrated"), checkpoint=checkpoint.with_tool_state(ToolState(generation=9))
    )
    await store.commit(persisted_state(hydrated, [UsageDelta("turn", "mock-model", TokenUsage(11, 7, 3, 5))]))

    loaded = await store.load_session(FullGraph())

    assert loaded is not None
    row("RP-08", loaded.session_id == "hydrated", loaded.session_id)
    tool_state = loaded.checkpoint.tool_state
    row("RP-09", tool_state is not None and tool_state.generation == 9, tool_state)
    row("RP-10", loaded.checkpoint.plugin_snapshot_revision == 12)
    row("RP-11", [entry.usage.input_tokens for entry in loaded.token_ledger] == [11], loaded.token_ledger)


@law("RP-12", "RP-13", "RP-14", "RP-15", "RP-16")
async def a_path_is_read_from_root_to_leaf(store: SessionStore, row: Rows) -> None:
    nodes = [
        node("root-node"),
        node("left-node", "root-node"),
        node("left-leaf", "left-node"),
        node("right-leaf", "root-node"),
    ]
    await store.commit(persisted_state(graph_state("branchy", SessionGraph(nodes, "left-leaf"))))

    full = await store.load_session(FullGraph())
    path = await store.load_session(ActivePath())
    right = await store.load_session(ActivePath("right-leaf"))

    assert full is not None
    assert path is not None
    assert right is not None
    row("RP-12", _ids(full.graph) == ["root-node", "left-node", "left-leaf", "right-leaf"], _ids(full.graph))
    row("RP-13", _ids(path.graph) == ["root-node", "left-node", "left-leaf"], _ids(path.graph))
    row("RP-14", path.graph.leaf_node_id == "left-leaf", path.graph.leaf_node_id)
    row("RP-15", _ids(right.graph) == ["root-node", "right-leaf"], _ids(right.graph))
    row("RP-16", right.graph.leaf_node_id == "right-leaf", right.graph.leaf_node_id)

    later = plain_commit("branchy", head_revision=1)
    await store.commit(replaced(later, graph=GraphAppend([node("next", "left-leaf")], "next")))
    since = await store.load_since("left-leaf", 1)
    row("RP-13", since is not None and _ids(since.graph) == ["next"], since)
    back = plain_commit("branchy", head_revision=2)
    await store.commit(replaced(back, graph=GraphUnchanged("right-leaf")))
    row("RP-13", await store.load_since("next", 2) is None)


@law("RP-17", "RP-18", "RP-19")
async def an_announced_attachment_is_committed_or_listed(store: SessionStore, row: Rows) -> None:
    for attachment_id in ("runtime-commit", "manual-commit", "orphan"):
        await store.record_intent(AttachmentIntent(attachment_id, "root", f"sha256:{attachment_id}", 100))
    row("RP-17", len(await store.list_uncommitted(200)) == 3)

    await store.commit_refs("root", ["manual-commit"])
    await store.commit(replaced(plain_commit("root"), committed_attachment_ids=["runtime-commit"]))
    left = await store.list_uncommitted(200)
    row(
        "RP-18",
        [(entry.attachment_id, entry.committed_at_epoch_ms) for entry in left] == [("orphan", None)],
        left,
    )

    await store.forget("orphan")
    row("RP-19", await store.list_uncommitted(200) == [])


@law("RP-70")
async def meta_round_trips(store: SessionStore, row: Rows) -> None:
    meta = SessionMeta(
        "root", "Conformance Root", "2026-06-02T00:00:00Z", "gpt-5.4-mini", "/srv/project", RootSession()
    )
    await store.save_session_meta(meta)

    row("RP-70", await store.load_session_meta() == meta)


@law("RP-71", "RP-72", "RP-73", "RP-74", "RP-75")
async def a_tombstoned_node_is_hidden_then_vacuumed(store: SessionStore, row: Rows) -> None:
    nodes = [node("node-live"), node("node-delete", "node-live")]
    await store.commit(persisted_state(graph_state("root", SessionGraph(nodes, "node-delete"))))
    row("RP-71", await store.load_node("node-delete") is not None)

    await store.tombstone_nodes(["node-delete"])
    loaded = await store.load_session(FullGraph())

    row("RP-72", await store.load_node("node-delete") is None)
    row("RP-73", loaded is not None and _ids(loaded.graph) == ["node-live"])
    row("RP-74", (await store.vacuum()).removed_node_count <= 1)
    report = await store.gc_unreachable()
    row("RP-75", report.deleted_blob_count >= 0, report)


@law("RP-76", "RP-77", "RP-78")
async def a_turn_is_committed_once_whatever_the_revision(store: SessionStore, row: Rows) -> None:
    commit = stamped(plain_commit("root"), "provider-turn")
    first = await store.commit(commit)
    again = await store.commit(commit)
    row(
        "RP-76",
        (again.head_revision, again.checkpoint_ref) == (first.head_revision, first.checkpoint_ref),
        again,
    )

    rebased = plain_commit("root", head_revision=None)
    rebased = replaced(rebased, expected_head_revision=first.head_revision)
    row("RP-77", turn_commit_hash(rebased) == turn_commit_hash(commit))

    other = stamped(persisted_state(state("root", turn_index=1)), "provider-turn")
    await row.raises("RP-78", TurnCommitConflict, store.commit(other))


def _ids(graph: SessionGraph) -> list[str]:
    return [found.node_id for found in graph.nodes]
