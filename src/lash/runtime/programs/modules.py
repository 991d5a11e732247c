"""Stored modules, as whoever starts or runs their processes needs them: loaded once, checked, never trusted by name."""

from __future__ import annotations

from typing import TypeAlias

from lash.artifacts.store import ArtifactStore, ArtifactStoreError
from lash.base.errors import LashError
from lash.lashlang.errors import ArtifactError
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.modules.caches import LruCache
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.traversal import descendants
from lash.lashlang.values.json_form import to_json
from lash.lashlang.values.schema import signal_schema
from lash.processes.definitions import ProcessDefinition, ProcessRef
from lash.processes.event_types import ProcessEventType, signal, signal_event_type
from lash.processes.inputs import LashlangProcessInput
from lash.processes.outputs import FailureOutput
from lash.tools.result import FailureClass

# The name that the unnamed signal has outside programs.
DEFAULT_SIGNAL = "default"

HasDefinition: TypeAlias = ProcessDefinition | LashlangProcessInput


class ProgramUnavailable(LashError):
    """A program cannot be had, or cannot be run here. `failure_code` is that of a process that ends with it."""

    code = "program_unavailable"

    def __init__(self, failure_code: str, message: str, kind: FailureClass = "unavailable") -> None:
        super().__init__(message)
        self.failure_code = failure_code
        self.kind: FailureClass = kind

    def as_output(self) -> FailureOutput:
        """The output of a process that ends with it."""
        return FailureOutput(self.kind, self.failure_code, self.message)


class Modules:
    """The modules of one artifact store. What was loaded is kept: a module never changes under its reference."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self._known: LruCache[str, ModuleArtifact] = LruCache()

    def are_of(self, artifacts: ArtifactStore) -> bool:
        """Whether they are those of this store."""
        return self._artifacts is artifacts

    async def load(self, what: HasDefinition) -> ModuleArtifact:
        """The module of a process, which exports it as its four references say. Raises `ProgramUnavailable`."""
        artifact = self._known.find(what.module_ref) or await self._loaded(what.module_ref)
        check_exported(artifact, what)
        return artifact

    async def keep(self, artifact: ModuleArtifact) -> None:
        """Stores a module, also one that was stored before: it counts as young again, or was collected meanwhile."""
        await self._artifacts.put_module_artifact(artifact)
        self._known.keep(artifact.module_ref, artifact)

    async def _loaded(self, module_ref: str) -> ModuleArtifact:
        try:
            found = await self._artifacts.get_module_artifact(module_ref)
        except (ArtifactStoreError, ArtifactError) as error:
            raise ProgramUnavailable(
                "process_module_artifact_load_failed",
                f"failed to load lashlang module artifact `{module_ref}`: {error.message}",
                "internal",
            ) from error
        if found is None:
            raise ProgramUnavailable(
                "process_module_artifact_missing", f"missing lashlang module artifact `{module_ref}`"
            )
        return self._known.keep(module_ref, found)


def check_exported(artifact: ModuleArtifact, what: HasDefinition) -> None:
    """Raises `ProgramUnavailable` unless the module exports the process under these references."""
    name, wanted = what.process_name, what.process_ref
    if artifact.host_requirements_ref != what.host_requirements_ref:
        raise ProgramUnavailable(
            "process_host_requirements_mismatch",
            f"lashlang process `{name}` requested surface {what.host_requirements_ref}, "
            f"artifact has {artifact.host_requirements_ref}",
            "invalid_request",
        )
    exported = artifact.exports.get(name)
    if exported is None or (exported.component, exported.position) != (wanted.component, wanted.pos):
        raise ProgramUnavailable(
            "process_ref_mismatch",
            f"lashlang module `{artifact.module_ref}` does not export process `{name}` "
            f"as requested ref {wanted.component}:{wanted.pos}",
            "invalid_request",
        )


def definition_of(artifact: ModuleArtifact, name: str) -> ProcessDefinition:
    """A process of a module by its references."""
    ref = artifact.exports[name]
    return ProcessDefinition(
        artifact.module_ref, artifact.host_requirements_ref, ProcessRef(ref.component, ref.position), name
    )


def declaration_of(artifact: ModuleArtifact, name: str) -> ast.ProcessDeclaration:
    """The declaration of an exported process."""
    return next(item for item in artifact.canonical_ir.processes() if item.name == name)


def signal_types(artifact: ModuleArtifact, name: str) -> list[ProcessEventType]:
    """The signals that a process takes: those it declares, and those it waits for without a word about them."""
    declared = declaration_of(artifact, name)
    types = {item.name: signal(item.name, to_json(signal_schema(item.type))) for item in declared.signals}
    for node in descendants(declared.body):
        if isinstance(node, ast.WaitSignal):
            waited = node.name or DEFAULT_SIGNAL
            types.setdefault(waited, ProcessEventType(signal_event_type(waited)))
    return list(types.values())
