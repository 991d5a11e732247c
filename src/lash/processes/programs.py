"""Processes of lashlang modules as registrations: what a program's `start` asks a registry for.

Cells, processes and triggers start programs; all of them go through here, so that a process
declares the same events whoever started it.
"""

from __future__ import annotations

from typing import Final

from lash.base.json import Json, JsonObject
from lash.lashlang.execution.effects import StartProcess
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.modules.artifact import ProcessRef as ExportedRef
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import descendants
from lash.lashlang.values.json_form import to_json
from lash.lashlang.values.schema import signal_schema
from lash.processes.definitions import ProcessDefinition, ProcessRef
from lash.processes.event_types import ProcessEventType, signal
from lash.processes.inputs import LashlangProcessInput
from lash.processes.registration import ProcessRegistration, default_event_types
from lash.processes.scopes import ProcessProvenance, WakeTarget

# What the unnamed signal of older programs is called in event types and keys.
UNNAMED_SIGNAL: Final = "default"


def program_registration(
    process_id: str,
    start: StartProcess,
    artifact: ModuleArtifact,
    *,
    provenance: ProcessProvenance,
    env_ref: str,
    wake_target: WakeTarget,
) -> ProcessRegistration:
    """The registration of a process that a program starts. It wakes with its own words, not by its end."""
    definition = ProcessDefinition(
        start.module_ref, start.host_requirements_ref, stored_ref(start.process_ref), start.process_name
    )
    event_types = [*default_event_types(), *signal_types(artifact, start.process_name)]
    work = program_input(definition, start.args)
    return ProcessRegistration(process_id, work, provenance, event_types, env_ref, wake_target)


def program_input(definition: ProcessDefinition, args: JsonObject) -> LashlangProcessInput:
    """The input of a process with its arguments."""
    return LashlangProcessInput(
        definition.module_ref, definition.process_ref, definition.host_requirements_ref, definition.process_name, args
    )


def stored_ref(ref: ExportedRef) -> ProcessRef:
    """A reference as inputs carry it."""
    return ProcessRef(ref.component, ref.position)


def signal_types(artifact: ModuleArtifact, process_name: str) -> list[ProcessEventType]:
    """The signals that a process takes: those it declares, with the schemas of what they carry, and any other
    that it waits for, which carries anything."""
    for process in artifact.canonical_ir.processes():
        if process.name == process_name:
            schemas: dict[str, Json] = {item.name: to_json(signal_schema(item.type)) for item in process.signals}
            for node in descendants(process.body):
                if isinstance(node, ast.WaitSignal):
                    schemas.setdefault(node.name or UNNAMED_SIGNAL, True)
            return [signal(name, schema) for name, schema in schemas.items()]
    return []
