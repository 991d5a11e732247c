"""What a program does, told to the sink of executions while it happens (docs/spec/lashlang.md §9.5).

Every event has a key that follows from the place in the program, so a run that begins anew tells
the same events under the same keys, and a sink may drop those it has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from lash.base.json import JsonObject
from lash.lashlang.codegen.bodies import CompiledBody
from lash.lashlang.tracking.observations import Observation
from lash.lashlang.tracking.static_map import static_map
from lash.lashlang.tracking.trace_events import Status, TraceIdentity, TraceWriter
from lash.processes.outputs import ProcessAwaitOutput, SuccessOutput, terminal_state_of
from lash.processes.registration import ProcessRegistration

logger = logging.getLogger("lash.worker")

ExecutionSink: TypeAlias = Callable[[JsonObject], None]

_STATUSES: dict[str, Status] = {"completed": "completed", "failed": "failed", "cancelled": "cancelled"}


class ExecutionTrace:
    """Tells one run of a program. A sink that fails costs its event, never the run."""

    def __init__(self, sink: ExecutionSink, identity: TraceIdentity, body: CompiledBody) -> None:
        self._sink = sink
        self._writer = TraceWriter(identity)
        self._body = body

    @staticmethod
    def of_process(sink: ExecutionSink, registration: ProcessRegistration, body: CompiledBody) -> ExecutionTrace:
        """Of a process of a program."""
        scope: JsonObject = {"session_id": registration.provenance.runtime_session_id}
        subject: JsonObject = {"type": "process", "process_id": registration.id}
        return ExecutionTrace(sink, TraceIdentity(scope, subject, body.entry, registration.id), body)

    @staticmethod
    def of_cell(
        sink: ExecutionSink, session_id: str, turn_id: str, effect_id: str, body: CompiledBody
    ) -> ExecutionTrace:
        """Of a cell, which is an effect of its turn."""
        scope: JsonObject = {"session_id": session_id, "turn_id": turn_id}
        subject: JsonObject = {"type": "effect", "effect_id": effect_id, "kind": "exec_code"}
        return ExecutionTrace(sink, TraceIdentity(scope, subject, body.entry), body)

    def started(self) -> None:
        """The run begins; the map shows where it may go."""
        entry = self._body.entry
        name = None if entry.kind == "main" else entry.name
        self._tell(self._writer.started(static_map(self._body.artifact, name, reachable=True)))

    def observed(self, item: Observation) -> None:
        """Something happened at a place of the program."""
        self._tell(self._writer.observed(item))

    def ended(self, output: ProcessAwaitOutput) -> None:
        """The process has ended, as far as this run can say."""
        error = None if isinstance(output, SuccessOutput) else output.message
        self.finished(_STATUSES[terminal_state_of(output)], error)

    def finished(self, status: Status, error: str | None = None) -> None:
        """The run has come to its end."""
        self._tell(self._writer.finished(status, error))

    def _tell(self, event: JsonObject) -> None:
        try:
            self._sink(event)
        except Exception:
            logger.exception("the execution sink failed on %s", event["kind"])
