"""Starting a process of a program from inside another one, or from a cell: under an id that replays find again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lash.base.json import JsonObject
from lash.lashlang.execution.effects import StartProcess
from lash.lashlang.execution.keys import child_run_id
from lash.processes.definitions import ProcessDefinition, ProcessRef
from lash.processes.errors import ProcessNoLongerRetained, RegistrationConflict
from lash.processes.handles import ProcessHandleDescriptor, ProcessStartGrant
from lash.processes.inputs import LashlangProcessInput
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ProcessRegistry
from lash.processes.scopes import ProcessProvenance, SessionScope, WakeTarget
from lash.processes.starting import StartsProcesses
from lash.runtime.programs.modules import Modules, ProgramUnavailable, signal_types


@dataclass(frozen=True, slots=True)
class ProgramStart:
    """A process to start. Whatever is in here follows from what is recorded, so starting again is starting once.

    `seen_by` is given a handle; it need not be the wake target.
    """

    process_id: str
    definition: ProcessDefinition
    args: JsonObject
    provenance: ProcessProvenance
    env_ref: str
    wake_target: WakeTarget = "detached"
    seen_by: SessionScope | None = None

    @staticmethod
    def of(
        request: StartProcess,
        seed: str,
        provenance: ProcessProvenance,
        env_ref: str,
        *,
        wake_target: WakeTarget = "detached",
        seen_by: SessionScope | None = None,
    ) -> ProgramStart:
        """What a program asked for with `start p(…)`.

        `seed` names the asker: `parent-process:{id}` for a process, `runtime-replay:{key}` for a cell
        (docs/spec/lashlang.md §8.3).
        """
        ref = ProcessRef(request.process_ref.component, request.process_ref.position)
        definition = ProcessDefinition(request.module_ref, request.host_requirements_ref, ref, request.process_name)
        return ProgramStart(
            child_run_id(seed, request), definition, request.args, provenance, env_ref, wake_target, seen_by
        )


class Starts(Protocol):
    """Where processes are kept, and how they are started."""

    @property
    def processes(self) -> ProcessRegistry: ...

    @property
    def start(self) -> StartsProcesses: ...


async def start_program(start: ProgramStart, starts: Starts, modules: Modules) -> None:
    """Starts the process unless it is known; returns once that is durable.

    Raises `ProgramUnavailable` when the module is not stored or does not export the process, and
    `InvalidRegistration`.
    """
    definition = start.definition
    try:
        artifact = await modules.load(definition)
    except ProgramUnavailable as error:
        if error.failure_code != "process_module_artifact_missing":
            raise
        raise ProgramUnavailable(
            error.failure_code, f"{error.message} for process `{definition.process_name}`", error.kind
        ) from error
    work = LashlangProcessInput(
        definition.module_ref,
        definition.process_ref,
        definition.host_requirements_ref,
        definition.process_name,
        start.args,
    )
    registration = ProcessRegistration(
        start.process_id,
        work,
        start.provenance,
        signal_types(artifact, definition.process_name),
        start.env_ref,
        start.wake_target,
    )
    grant = None
    if start.seen_by is not None:
        grant = ProcessStartGrant(start.seen_by, ProcessHandleDescriptor("lashlang", definition.process_name))
    try:
        await starts.start(registration, grant)
    except ProcessNoLongerRetained:
        return  # it has ended, long ago
    except RegistrationConflict:
        # The id says what it runs. The rest may be told otherwise by another build, or was detached meanwhile.
        known = await starts.processes.get_process(start.process_id)
        if known is None or known.input != work:
            raise
