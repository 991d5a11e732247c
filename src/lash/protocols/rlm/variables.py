"""The variables of a session as its host reads and seeds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from lash.base.json import Json
from lash.lashlang.execution.state import State
from lash.lashlang.values.json_form import to_json
from lash.protocols.rlm.options import PLUGIN_ID
from lash.protocols.rlm.seeds import planted, seed_record
from lash.runtime.amend import Amendment
from lash.sessions.frames import INITIAL_FRAME
from lash.sessions.graph import GraphAppend, ProtocolEvent, SessionNode

if TYPE_CHECKING:
    from lash.runtime.memory import SessionMemory
    from lash.sessions.commit import RuntimeCommit


def committed_variables(memory: SessionMemory) -> dict[str, Json]:
    """The variables with which the next cell begins, as JSON."""
    body = memory.execution_state
    variables = {} if body is None else State.restore(msgspec.json.decode(body)).variables
    records = [event.payload for event in memory.records if event.plugin_id == PLUGIN_ID]
    return {name: to_json(value) for name, value in planted(variables, records, frozenset()).items()}


def seeding(variables: Mapping[str, Json], reserved: frozenset[str], memory: SessionMemory, now_ms: int) -> Amendment:
    """Adds a seed to the current frame. Raises `InvalidSeed`."""
    record = seed_record(variables, reserved)

    async def amend(commit: RuntimeCommit) -> RuntimeCommit | None:
        if not variables:
            return None
        node_id = f"seed-{memory.head_revision + 1}"
        frame_id = None if memory.frame_id == INITIAL_FRAME else memory.frame_id
        node = SessionNode(
            node_id, ProtocolEvent(PLUGIN_ID, record), memory.leaf_node_id, frame_id, created_at_ms=now_ms
        )
        return msgspec.structs.replace(commit, graph=GraphAppend([node], node_id))

    return amend
