"""The execution graph of a turn: what its cells could do, and what of it they did (docs/spec/lashlang.md §9).

What a cell could do follows from its program and from what it was linked against; what it did was
recorded with the turn, as counts per place. So the record stays small however long a loop runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from lash.base.errors import InvalidArgument
from lash.base.json import Json, JsonObject
from lash.lashlang.errors import LanguageError
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.linking.linker import LinkedModule, link
from lash.lashlang.syntax.parser import parse
from lash.lashlang.tracking.observations import (
    BranchSelected,
    ChildStarted,
    NodeCompleted,
    NodeFailed,
    NodeStarted,
    Observation,
)
from lash.lashlang.tracking.static_map import StaticMap, static_map
from lash.protocols.rlm.options import PLUGIN_ID
from lash.protocols.rlm.uses import environment_of_uses, uses_of
from lash.runtime.settle import stored_summary
from lash.sessions.graph import Conversation, FullGraph, ProtocolEvent, SessionNode

if TYPE_CHECKING:
    from lash.runtime.driving import SessionDrives

RECORD = "rlm_cell"
NodeStatus: TypeAlias = Literal["unobserved", "running", "completed", "failed"]
EdgeStatus: TypeAlias = Literal["unknown", "selected", "rejected"]


class CellObserver:
    """Counts what happens at each place of a running cell."""

    def __init__(self) -> None:
        self._nodes: dict[str, list[int]] = {}
        self._errors: dict[str, str] = {}
        self._edges: dict[str, int] = {}
        self._children: list[Json] = []
        self._ids: dict[int, str] = {}
        self._linked: LinkedModule | None = None

    def linked(self, linked: LinkedModule) -> None:
        """What the cell is linked to: said with what is observed of it."""
        self._linked = linked

    def __call__(self, seen: Observation) -> None:
        node_id = self._ids.get(id(seen.site))
        if node_id is None:
            # Sites live as long as the compiled body, so their identity may stand for them.
            node_id = self._ids[id(seen.site)] = seen.site.node_id
        if isinstance(seen, BranchSelected):
            edge_id = seen.edge_id
            self._edges[edge_id] = self._edges.get(edge_id, 0) + 1
            return
        counts = self._nodes.setdefault(node_id, [0, 0, 0])
        match seen:
            case NodeStarted():
                counts[0] += 1
            case NodeCompleted():
                counts[1] += 1
            case NodeFailed(error=error):
                counts[2] += 1
                self._errors[node_id] = error[:400]
            case ChildStarted(child=child):
                self._children.append([node_id, seen.occurrence, child])

    def as_json(self) -> JsonObject:
        """The counts; empty when nothing was observed."""
        parts: JsonObject = {
            "nodes": {name: list(counts) for name, counts in self._nodes.items()},
            "errors": dict(self._errors),
            "edges": dict(self._edges),
            "children": self._children,
        }
        said: JsonObject = {name: part for name, part in parts.items() if part}
        if said and self._linked is not None and (uses := uses_of(self._linked)) is not None:
            said["uses"] = uses
        return said


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One place of a program, and how often it began, ended well and failed."""

    id: str
    kind: str
    label: str
    status: NodeStatus = "unobserved"
    started: int = 0
    completed: int = 0
    failed: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """A way from one place to another. Arms of a branch are selected or rejected."""

    id: str
    source: str
    target: str
    label: str
    status: EdgeStatus = "unknown"


@dataclass(frozen=True, slots=True)
class CellGraph:
    """One cell. `problem` says why the program's map cannot be drawn (any more)."""

    code: str
    nodes: list[GraphNode] = field(default_factory=list)
    edges: list[GraphEdge] = field(default_factory=list)
    # The processes that it started, by the place that did.
    started: list[tuple[str, str]] = field(default_factory=list)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionGraph:
    """The cells of one turn, in order. Added in 0.1."""

    turn_id: str
    cells: list[CellGraph] = field(default_factory=list)


async def execution_graph(drives: SessionDrives, turn_id: str) -> ExecutionGraph:
    """The graph of a settled turn. Raises `InvalidArgument` for a turn that the session does not have."""
    from lash.protocols.rlm.executor import RlmExecutor

    store, session_id = drives.store, drives.memory.session_id
    executor = drives.plugins.protocol.executor
    settled = await store.load_turn(session_id, turn_id)
    if settled is None or not isinstance(executor, RlmExecutor):
        raise InvalidArgument(f"turn {turn_id!r} of session {session_id!r} has no execution graph; it is not settled")
    summary = stored_summary(settled)
    stored = await store.load_session(FullGraph())
    environment = executor.environment_of(drives.tools.catalog())
    nodes = [] if stored is None else stored.graph.nodes
    return ExecutionGraph(turn_id, turn_cells(nodes, summary.turn_index, environment))


def turn_cells(
    nodes: Iterable[SessionNode], turn_index: int, environment: HostEnvironment | None = None
) -> list[CellGraph]:
    """The cells of one turn from the nodes of its session.

    `environment` serves cells that do not say what they used: those that reached nobody.
    """
    prefix = f"t{turn_index}."
    cells = _cells(node for node in nodes if node.node_id.startswith(prefix))
    return [
        cell_graph(code, seen, environment_of_uses(seen.get("uses")) if "uses" in seen else environment)
        for code, seen in cells
    ]


def cell_graph(code: str, seen: JsonObject, environment: HostEnvironment | None) -> CellGraph:
    """The map of a program with what was observed laid over it."""
    environment = environment or environment_of_uses(None)
    assert environment is not None
    try:
        program = parse(code, features=environment.language_features)
        found = static_map(link(program, environment).artifact, None, reachable=True)
    except LanguageError as error:
        return CellGraph(code, problem=str(error))
    return CellGraph(code, *_folded(found, seen), _started(seen))


def _folded(found: StaticMap, seen: JsonObject) -> tuple[list[GraphNode], list[GraphEdge]]:
    counts, errors, taken = _object(seen.get("nodes")), _object(seen.get("errors")), _object(seen.get("edges"))
    nodes: list[GraphNode] = []
    for node in found.nodes.values():
        label = node.label if node.label_metadata is None else node.label_metadata.title
        started, completed, failed = _counts(counts.get(node.id))
        status: NodeStatus = "unobserved"
        if started:
            status = "failed" if failed else "completed" if completed else "running"
        error = errors.get(node.id)
        nodes.append(
            GraphNode(
                node.id, node.kind, label, status, started, completed, failed, error if isinstance(error, str) else None
            )
        )
    branched = {edge.source for edge in found.edges.values() if edge.id in taken}
    edges: list[GraphEdge] = []
    for edge in found.edges.values():
        way: EdgeStatus = "unknown"
        if edge.source in branched and edge.label in ("then", "else"):
            way = "selected" if edge.id in taken else "rejected"
        edges.append(GraphEdge(edge.id, edge.source, edge.target, edge.label, way))
    return nodes, edges


def _started(seen: JsonObject) -> list[tuple[str, str]]:
    children = seen.get("children")
    rows = children if isinstance(children, list) else []
    return [(str(row[0]), str(row[2])) for row in rows if isinstance(row, list) and len(row) == 3]


def _cells(nodes: Iterable[SessionNode]) -> list[tuple[str, JsonObject]]:
    """Programs in order, each with what was observed of it."""
    cells: list[tuple[str, JsonObject]] = []
    for node in nodes:
        match node.payload:
            case Conversation(message=message):
                cells += [(part.content, {}) for part in message.parts if part.kind == "code"]
            case ProtocolEvent(plugin_id=plugin_id, payload=dict() as payload) if plugin_id == PLUGIN_ID:
                if payload.get("type") == RECORD and cells:
                    cells[-1] = (cells[-1][0], _object(payload.get("seen")))
            case _:
                pass
    return cells


def _object(json: Json) -> JsonObject:
    return json if isinstance(json, dict) else {}


def _counts(json: Json) -> tuple[int, int, int]:
    if not isinstance(json, list) or len(json) != 3:
        return 0, 0, 0
    started, completed, failed = (item if isinstance(item, int) else 0 for item in json)
    return started, completed, failed
