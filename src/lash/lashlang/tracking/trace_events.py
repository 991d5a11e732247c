"""Trace events of an execution, and the graph they fold into (§9.5).

Event keys are deterministic, so a sink may drop what a replay sends again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lash.base.json import Json, JsonObject
from lash.lashlang.tracking import observations
from lash.lashlang.tracking.observations import Observation
from lash.lashlang.tracking.sites import Entry
from lash.lashlang.tracking.static_map import StaticMap

Status: TypeAlias = Literal["completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class TraceIdentity:
    """Whose execution this is.

    `scope` is `{session_id, turn_id?}`; `subject` is `{type: process, process_id}`
    or `{type: effect, effect_id, kind}`. Event keys carry `run_id`, or the graph
    key where there is none.
    """

    scope: JsonObject
    subject: JsonObject
    entry: Entry
    run_id: str = ""

    @property
    def graph_key(self) -> str:
        """`process:ID`, or `effect:SESSION[:TURN]:EFFECT`."""
        if self.subject.get("type") == "process":
            return f"process:{self.subject['process_id']}"
        turn = self.scope.get("turn_id")
        parts = ["effect", self.scope["session_id"], *([] if turn is None else [turn]), self.subject["effect_id"]]
        return ":".join(map(str, parts))

    def as_json(self) -> JsonObject:
        """The JSON form that every event carries."""
        out: JsonObject = {
            "scope": self.scope,
            "subject": self.subject,
            "module_ref": self.entry.module_ref,
            "entry_kind": self.entry.kind,
            "entry_name": self.entry.name,
        }
        return out if self.entry.kind == "main" else out | {"entry_ref": self.entry.key}


class TraceWriter:
    """Turns observations into trace events."""

    def __init__(self, identity: TraceIdentity) -> None:
        self._identity = identity.as_json()
        self._scope = identity.scope
        self._prefix = f"lashlang_execution:{identity.run_id or identity.graph_key}"

    def _event(self, kind: str, key: str, **fields: Json) -> JsonObject:
        return {"kind": kind, "event_key": f"{self._prefix}:{key}", "identity": self._identity, **fields}

    def started(self, execution_map: StaticMap) -> JsonObject:
        """The first event; the map includes reachable processes."""
        shown = execution_map.as_json()
        if execution_map.entry_ref is not None:
            shown["entry_ref"] = execution_map.entry.key
        return self._event("execution_started", "started", execution_map=shown)

    def finished(self, status: Status, error: str | None = None) -> JsonObject:
        """The last event."""
        extra: JsonObject = {} if error is None else {"error": error}
        return self._event("execution_finished", "finished", status=status) | extra

    def child_of(self, node_id: str, occurrence: int, process_id: str) -> JsonObject:
        """The event of a process that a tool started on behalf of an operation, told by the operation's call site."""
        return self._child(node_id, occurrence, process_id)

    def _child(self, node_id: str, occurrence: int, process_id: str, **known: Json) -> JsonObject:
        child: JsonObject = {"scope": self._scope, "subject": {"type": "process", "process_id": process_id}, **known}
        key = f"child:{node_id}:{occurrence}:{process_id}"
        return self._event("child_started", key, parent_node_id=node_id, occurrence=occurrence, child=child)

    def observed(self, item: Observation) -> JsonObject:
        """The event of one observation."""
        node, count = item.site.node_id, item.occurrence
        key = f"{node}:{count}"
        plain: JsonObject = {
            "node_id": node,
            "node_kind": item.site.kind,
            "label": item.site.label,
            "occurrence": count,
        }
        match item:
            case observations.NodeStarted():
                return self._event("node_started", f"node:{key}:started", **plain)
            case observations.NodeCompleted():
                return self._event("node_completed", f"node:{key}:completed", **plain)
            case observations.NodeFailed(error=error):
                return self._event("node_failed", f"node:{key}:failed", **plain, error=error)
            case observations.BranchSelected(selected=selected, edge_id=edge):
                return self._event(
                    "branch_selected",
                    f"branch:{key}:{edge}",
                    node_id=node,
                    occurrence=count,
                    edge_id=edge,
                    selected=selected,
                )
            case observations.ChildStarted(child=child):
                return self._child(
                    node,
                    count,
                    child,
                    module_ref=item.module_ref,
                    entry_ref=item.process_key,
                    entry_name=item.process_name,
                )


@dataclass(slots=True)
class TraceGraph:
    """What the events of one execution add up to; feeding an event twice changes nothing.

    `children` maps the id of every started run to the node that started it.
    """

    nodes: dict[str, str] = field(default_factory=dict)
    edges: dict[str, str] = field(default_factory=dict)
    children: dict[str, str] = field(default_factory=dict)
    status: str = "running"
    _seen: set[str] = field(default_factory=set)
    _siblings: dict[str, str] = field(default_factory=dict)

    def feed(self, event: JsonObject) -> None:
        """Folds one event in."""
        key = str(event["event_key"])
        if key in self._seen:
            return
        self._seen.add(key)
        kind = event["kind"]
        if kind == "execution_started":
            self._begin(event["execution_map"])
        elif kind == "execution_finished":
            self.status = str(event["status"])
        elif kind == "branch_selected":
            edge = str(event["edge_id"])
            self.edges[edge] = "selected"
            sibling = self._siblings.get(edge)
            if sibling is not None and self.edges.get(sibling) != "selected":
                self.edges[sibling] = "rejected"
        elif kind == "child_started":
            child = event["child"]
            subject = child["subject"] if isinstance(child, dict) else None
            if isinstance(subject, dict):
                self.children[str(subject["process_id"])] = str(event["parent_node_id"])
        else:
            states = {"node_started": "running", "node_completed": "completed", "node_failed": "failed"}
            self.nodes[str(event["node_id"])] = states[str(kind)]

    def _begin(self, execution_map: Json) -> None:
        if not isinstance(execution_map, dict):
            return
        nodes, edges = execution_map["nodes"], execution_map["edges"]
        for node in nodes if isinstance(nodes, list) else []:
            if isinstance(node, dict):
                self.nodes.setdefault(str(node["id"]), "unobserved")
        arms: dict[str, str] = {}
        for edge in edges if isinstance(edges, list) else []:
            if not isinstance(edge, dict):
                continue
            identity, source = str(edge["id"]), str(edge["from"])
            self.edges.setdefault(identity, "unknown")
            if edge["label"] in {"then", "else"}:
                if source in arms:
                    self._siblings[identity], self._siblings[arms[source]] = arms[source], identity
                arms[source] = identity
