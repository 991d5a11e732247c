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

    def __init__(self, sink: ExecutionSink, registration: ProcessRegistration, body: CompiledBody) -> None:
        self._sink = sink
        identity = TraceIdentity(
            {"session_id": registration.provenance.runtime_session_id},
            {"type": "process", "process_id": registration.id},
            body.entry,
            registration.id,
        )
        self._writer = TraceWriter(identity)
        self._body = body

    def started(self) -> None:
        """The run begins; the map shows where it may go."""
        name = self._body.entry.name
        self._tell(self._writer.started(static_map(self._body.artifact, name, reachable=True)))

    def observed(self, item: Observation) -> None:
        """Something happened at a place of the program."""
        self._tell(self._writer.observed(item))

    def ended(self, output: ProcessAwaitOutput) -> None:
        """The process has ended, as far as this run can say."""
        error = None if isinstance(output, SuccessOutput) else output.message
        self._tell(self._writer.finished(_STATUSES[terminal_state_of(output)], error))

    def _tell(self, event: JsonObject) -> None:
        try:
            self._sink(event)
        except Exception:
            logger.exception("the execution sink failed on %s", event["kind"])
