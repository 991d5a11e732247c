"""Suites over two handles on one storage: runtime_persistence_reopenable (RPR)."""

from __future__ import annotations

import msgspec

from lash.sessions.checkpoint import Checkpoint
from lash.sessions.commit import persisted_state
from lash.sessions.graph import FullGraph
from lash.sessions.meta import RootSession, SessionMeta
from lash.sessions.store import AttachmentIntent, SessionStore
from lash.testing.conformance.drafts import EARLY, draft, state, text_of
from lash.testing.conformance.laws import Law, Rows, Scenario, Suite
from lash.testing.conformance.queue import RUNTIME_PERSISTENCE
from lash.tools.state import ToolState

RUNTIME_PERSISTENCE_REOPENABLE: Suite[tuple[SessionStore, SessionStore]] = Suite("runtime_persistence_reopenable")
law = RUNTIME_PERSISTENCE_REOPENABLE.law


@law("RPR-02", "RPR-03", "RPR-04", "RPR-05", "RPR-06", stores="SP")
async def everything_is_there_through_another_handle(pair: tuple[SessionStore, SessionStore], row: Rows) -> None:
    first, second = pair
    meta = SessionMeta("root", "Durable Root", "2026-06-02T00:00:00Z", "gpt-5.4-mini", relation=RootSession())
    await first.save_session_meta(meta)
    checkpoint = Checkpoint().with_tool_state(ToolState(generation=77))
    await first.commit(persisted_state(msgspec.structs.replace(state("root"), checkpoint=checkpoint)))
    batch = await first.enqueue_queued_work(draft("root", "survives reopen", EARLY, source_key="reopen:queued"))
    await first.record_intent(AttachmentIntent("reopen-attachment", "root", "sha256:reopen-attachment", 100))

    found = await second.load_session_meta()
    loaded = await second.load_session(FullGraph())
    queued = await second.list_queued_work("root")
    announced = await second.list_uncommitted(200)

    row("RPR-02", found is not None and found.session_name == "Durable Root", found)
    row("RPR-03", loaded is not None and loaded.session_id == "root", loaded)
    tool_state = None if loaded is None else loaded.checkpoint.tool_state
    row("RPR-04", tool_state is not None and tool_state.generation == 77, tool_state)
    row(
        "RPR-05",
        [(found.batch_id, text_of(found)) for found in queued] == [(batch.batch_id, "survives reopen")],
        queued,
    )
    row("RPR-06", [entry.attachment_id for entry in announced] == ["reopen-attachment"], announced)


def _holds_on_open(plain: Law[SessionStore]) -> Scenario[tuple[SessionStore, SessionStore]]:
    async def scenario(pair: tuple[SessionStore, SessionStore], row: Rows) -> None:
        own = Rows("durable")
        await plain.scenario(pair[0], own)
        broken = {law_id: why for law_id, why in own.stated.items() if why}
        row("RPR-01", not broken and set(own.stated) == set(plain.ids), broken)

    scenario.__name__ = plain.title
    return scenario


for plain_law in (*RUNTIME_PERSISTENCE.laws,):
    law("RPR-01", stores="SP")(_holds_on_open(plain_law))
