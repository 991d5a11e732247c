"""What a store knows of a session's cells and processes. Needs no application."""

from __future__ import annotations

import msgspec

import lash
from lash.base.messages import ProcessOrigin
from lash.cli.chat.told import Told, told_of
from lash.cli.failure import NotFound
from lash.cli.graph.picture import Picture, picture_of
from lash.cli.graph.runs import ProcessRun, add_runs
from lash.cli.process_facts import ProcessFacts
from lash.cli.stores import open_store, shown
from lash.effects.scope import ExecutionScope
from lash.machine.outcome import outcome_name
from lash.processes.record import ProcessRecord
from lash.processes.registry import ProcessQuery
from lash.processes.scopes import SessionOriginator, SessionScope
from lash.protocols.rlm.graph import CellGraph, turn_cells
from lash.runtime.settle import stored_summary
from lash.sessions.graph import Conversation, FullGraph, SessionNode


class CellFacts(msgspec.Struct, frozen=True):
    """One program: its graph, and what came of it."""

    graph: CellGraph
    printed: list[str]
    problem: str | None
    answer: str | None


class TurnCells(msgspec.Struct, frozen=True):
    """One settled turn. `woken_by`: the processes whose events began it."""

    turn_id: str
    asked: str
    outcome: str
    cells: list[CellFacts]
    woken_by: list[str]


class SessionCells(msgspec.Struct, frozen=True):
    """One session."""

    session_id: str
    turns: list[TurnCells]
    processes: list[ProcessRun]

    def picture(self, cell: CellFacts) -> Picture:
        """The picture of one of its cells."""
        found = picture_of(cell.graph, has_submitted=cell.answer is not None)
        add_runs(found, cell.graph.started, {run.facts.id: run for run in self.processes})
        return found


async def read_cells(where: str, session_id: str, turn_id: str | None = None) -> SessionCells:
    """The cells of a session, or of one turn, and the processes that the session started. Raises `NotFound`."""
    async with await open_store(where) as store:
        handle = await store.sessions.open_existing_store(session_id)
        if handle is None:
            raise NotFound(f"session {session_id!r} is not in {shown(where)}; `lash sessions ls` lists what is")
        stored = await handle.load_session(FullGraph())
        settled = await handle.list_turns(session_id)
        query = ProcessQuery(originator=SessionOriginator(SessionScope(session_id)))
        processes = [await _run(store, record) for record in await store.processes.list_processes(query)]
    if turn_id is not None and all(turn.turn_id != turn_id for turn in settled):
        raise NotFound(
            f"turn {turn_id!r} of session {session_id!r} is not settled; "
            f"`lash turns explain --store … {session_id} {turn_id}` says where it stands"
        )
    nodes = [] if stored is None else stored.graph.nodes
    turns: list[TurnCells] = []
    for turn in settled:
        if turn_id is None or turn.turn_id == turn_id:
            summary = stored_summary(turn)
            mine = [node for node in nodes if node.node_id.startswith(f"t{summary.turn_index}.")]
            turns.append(_turn(turn.turn_id, outcome_name(summary.outcome), summary.turn_index, mine))
    return SessionCells(session_id, turns, processes)


async def _run(store: lash.Store, record: ProcessRecord) -> ProcessRun:
    rows = await store.journal.load(ExecutionScope.process(record.id))
    events = await store.processes.events_after(record.id, 0)
    keys = [row.replay_key for row in rows if row.status != "in_progress"]
    return ProcessRun.of(ProcessFacts.of(record), keys, [event.event_type for event in events])


def _turn(turn_id: str, outcome: str, turn_index: int, nodes: list[SessionNode]) -> TurnCells:
    messages = [node.payload.message for node in nodes if isinstance(node.payload, Conversation)]
    told = list(told_of(messages))
    asked = next((one.text for one in told if one.kind == "you"), "")
    woken_by = [message.origin.process_id for message in messages if isinstance(message.origin, ProcessOrigin)]
    graphs = zip(turn_cells(nodes, turn_index), _came_of(told), strict=False)
    cells = [_cell(graph, came_of) for graph, came_of in graphs]
    return TurnCells(turn_id, asked, outcome, cells, list(dict.fromkeys(woken_by)))


def _came_of(told: list[Told]) -> list[list[Told]]:
    """What followed each program, up to the next one."""
    found: list[list[Told]] = []
    for one in told:
        if one.kind == "program":
            found.append([])
        elif found:
            found[-1].append(one)
    return found


def _cell(graph: CellGraph, came_of: list[Told]) -> CellFacts:
    return CellFacts(
        graph,
        [one.text for one in came_of if one.kind == "printed"],
        next((one.text for one in came_of if one.kind == "problem"), None),
        next((one.text for one in came_of if one.kind == "agent"), None),
    )
