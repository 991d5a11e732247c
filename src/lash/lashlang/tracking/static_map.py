"""The static map: which effects a body may reach, and in what order (§9.2).

The walk carries a set of owners, the nodes that the next one hangs from. An
effect becomes the only owner of what follows it; after a branch the owners are
the ends of both arms.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lash.base.json import JsonObject
from lash.lashlang.codegen.bodies import entry_of
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import children
from lash.lashlang.tracking.sites import Entry, labelled_effect

_EDGES = {
    "resource_operation": "calls",
    "child_process": "starts",
    "sleep": "sleeps",
    "wait": "waits",
    "signal": "signals",
    "process_event": "emits",
    "terminal": "terminates",
    "branch": "branches",
    "step": "steps",
}


@dataclass(frozen=True, slots=True)
class MapNode:
    id: str
    kind: str
    label: str
    label_metadata: ast.Label | None = None

    def as_json(self) -> JsonObject:
        """The JSON form."""
        out: JsonObject = {"id": self.id, "kind": self.kind, "label": self.label}
        if self.label_metadata is not None:
            metadata: JsonObject = {"title": self.label_metadata.title}
            if self.label_metadata.description is not None:
                metadata["description"] = self.label_metadata.description
            out["label_metadata"] = metadata
        return out


@dataclass(frozen=True, slots=True)
class MapEdge:
    id: str
    source: str
    target: str
    label: str

    def as_json(self) -> JsonObject:
        """The JSON form."""
        return {"id": self.id, "from": self.source, "to": self.target, "label": self.label}


@dataclass(slots=True)
class StaticMap:
    """Nodes and edges of one entry, in walk order, unique by id."""

    entry: Entry
    entry_ref: JsonObject | None
    nodes: dict[str, MapNode] = field(default_factory=dict)
    edges: dict[str, MapEdge] = field(default_factory=dict)

    def as_json(self) -> JsonObject:
        """The JSON form."""
        out: JsonObject = {
            "module_ref": self.entry.module_ref,
            "entry_kind": self.entry.kind,
            "entry_name": self.entry.name,
            "nodes": [node.as_json() for node in self.nodes.values()],
            "edges": [edge.as_json() for edge in self.edges.values()],
        }
        return out if self.entry_ref is None else out | {"entry_ref": self.entry_ref}


def static_map(artifact: ModuleArtifact, process: str | None, *, reachable: bool = False) -> StaticMap:
    """The map of the main block (`process=None`) or of one process.

    With `reachable`, every process that can be started from it is included once.
    """
    entry = entry_of(artifact, process)
    ref = None if process is None else artifact.exports[process].as_json()
    found = StaticMap(entry, ref)
    _Walk(artifact, found, reachable=reachable).enter(process)
    return found


class _Walk:
    def __init__(self, artifact: ModuleArtifact, found: StaticMap, *, reachable: bool) -> None:
        self.artifact = artifact
        self.found = found
        self.reachable = reachable
        self.bodies = {item.name: item for item in artifact.canonical_ir.processes()}
        self.entry = found.entry
        self.visited: set[str] = set()
        self.label: ast.Label | None = None

    def enter(self, process: str | None) -> str:
        outer = self.entry
        self.entry = entry_of(self.artifact, process)
        body = self.artifact.canonical_ir.main if process is None else self.bodies[process].body
        label = None if process is None else self.bodies[process].label
        kind = "main" if process is None else "process"
        root = self.entry.node_id("root", kind)
        if root not in self.found.nodes:
            self.found.nodes[root] = MapNode(root, kind, self.entry.name, label)
            self.walk(body, "", (root,))
        self.entry = outer
        return root

    def node(self, path: str, kind: str, label: str, shown: str | None = None) -> str:
        identity = self.entry.node_id(path or "root", kind)
        metadata, self.label = self.label, None
        if identity not in self.found.nodes:
            self.found.nodes[identity] = MapNode(identity, shown or kind, label, metadata)
        return identity

    def edge(self, path: str, source: str, target: str, label: str, identity: str | None = None) -> None:
        identity = identity or self.entry.edge_id(path or "root", source, target, label)
        self.found.edges.setdefault(identity, MapEdge(identity, source, target, label))

    def walk(self, node: ast.Expr, path: str, owners: tuple[str, ...]) -> tuple[str, ...]:
        match node:
            case ast.LabelAnnotated(label=label, inner=inner):
                if labelled_effect(inner) is not None:
                    self.label = label
                    return self.walk(inner, path, owners)
                step = self._effect(path, "step", label.title, owners, label)
                return self.walk(inner, path, (step,))
            case ast.If():
                return self._branch(node, path, owners)
            case ast.ReceiverCall(operation=operation):
                return self._over_children(node, path, self._effect(path, "resource_operation", operation, owners))
            case ast.StartProcess(process=process):
                start = self._effect(path, "child_process", f"start {process}", owners)
                if self.reachable and process in self.bodies:
                    child_entry = entry_of(self.artifact, process)
                    child_node = child_entry.node_id("root", "process")
                    self.edge(path, start, child_node, "child")
                    self.enter(process)
                return self._over_children(node, path, start)
            case ast.SleepFor() | ast.SleepUntil():
                label_text = "sleep for" if isinstance(node, ast.SleepFor) else "sleep until"
                return self._over_children(node, path, self._effect(path, "sleep", label_text, owners))
            case ast.WaitSignal(name=name):
                return (self._effect(path, "wait", f"wait_signal {name}" if name else "wait signal", owners),)
            case ast.SignalRun(name=name):
                label_text = "signal_run" if name else "signal run"
                return self._over_children(node, path, self._effect(path, "signal", label_text, owners))
            case ast.Yield() | ast.Wake():
                label_text = "yield" if isinstance(node, ast.Yield) else "wake"
                return self._over_children(node, path, self._effect(path, "process_event", label_text, owners))
            case ast.Submit() | ast.Finish() | ast.Fail():
                label_text = "failure" if isinstance(node, ast.Fail) else "result"
                return self._over_children(node, path, self._effect(path, "terminal", label_text, owners))
            case ast.ResourceRef(alias=alias):
                resource = f"resource:{alias}"
                self.found.nodes.setdefault(resource, MapNode(resource, "resource", alias))
                for owner in owners:
                    self.edge(path, owner, resource, "uses")
                return owners
            case _:
                for at, child in enumerate(children(node)):
                    owners = self.walk(child, _below(path, at), owners)
                return owners

    def _effect(
        self, path: str, kind: str, label: str, owners: tuple[str, ...], metadata: ast.Label | None = None
    ) -> str:
        if metadata is not None:
            self.label = metadata
        identity = self.node(path, kind, label)
        for owner in owners:
            self.edge(path, owner, identity, _EDGES[kind])
        return identity

    def _over_children(self, node: ast.Expr, path: str, effect: str) -> tuple[str, ...]:
        owners: tuple[str, ...] = (effect,)
        for at, child in enumerate(children(node)):
            owners = self.walk(child, _below(path, at), owners)
        return owners

    def _branch(self, node: ast.If, path: str, owners: tuple[str, ...]) -> tuple[str, ...]:
        branch = self._effect(path, "branch", "if", owners)
        self.walk(node.condition, _below(path, 0), (branch,))
        arms: list[str] = []
        for at, arm in enumerate(("then", "else"), 1):
            identity = self.node(_below(path, at), f"branch_arm_{arm}", arm, shown="branch_arm")
            self.edge(path, branch, identity, arm, self.entry.branch_edge_id(path or "root", arm))
            arms.append(identity)
        ends: list[str] = []
        bodies = (node.then, node.otherwise)
        for place, (owner, inner) in enumerate(zip(arms, bodies, strict=True), 1):
            for end in self.walk(inner, _below(path, place), (owner,)):
                if end not in ends:
                    ends.append(end)
        return tuple(ends)


def _below(path: str, at: int) -> str:
    return f"{path}.{at}" if path else str(at)
