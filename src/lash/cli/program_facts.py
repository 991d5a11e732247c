"""Where a program in a process stands: the place behind its last recorded effect."""

from __future__ import annotations

from lash.effects.scope import ExecutionScope
from lash.lashlang.tracking.static_map import static_map
from lash.processes.inputs import LashlangProcessInput
from lash.processes.record import ProcessRecord
from lash.runtime.programs.modules import Modules, ProgramUnavailable
from lash.stores.store import Store


async def last_place(store: Store, record: ProcessRecord) -> str | None:
    """What the program did last that is recorded, such as `lookup #3`; None where nothing is.

    It reads the journal and the module, and runs nothing.
    """
    if not isinstance(record.input, LashlangProcessInput) or record.is_terminal:
        return None
    try:
        artifact = await Modules(store.artifacts).load(record.input)
    except ProgramUnavailable:
        return None
    labels = {node.id: node.label for node in static_map(artifact, record.input.process_name).nodes.values()}
    for row in reversed(await store.journal.load(ExecutionScope.process(record.id))):
        for node_id, label in labels.items():
            before, found, behind = row.replay_key.partition(f":{node_id}:")
            if found and before:
                return f"{label} #{behind.partition(':')[0]}"
    return None
