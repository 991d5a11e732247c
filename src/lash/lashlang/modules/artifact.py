"""A linked module as data: its references, what it needs, and its tree (§7.1, §7.4).

Bytes are written only after `verify`, and reading verifies again: a module that
is not what its name says is rejected, never half-loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lash.base.canonical import canonical_json_bytes, parse_json
from lash.base.errors import NotCanonical
from lash.base.json import Json, JsonObject
from lash.lashlang.errors import ArtifactCodecError, ArtifactHashMismatch
from lash.lashlang.host.environment import HostRequirements
from lash.lashlang.modules.identity import module_ref, process_component, requirements_ref
from lash.lashlang.modules.requirements_json import requirements_from_json
from lash.lashlang.syntax import ast
from lash.lashlang.syntax.tree_json import program_to_json
from lash.lashlang.syntax.tree_reading import program_from_json

_PREFIX: Final = "failed to encode module artifact: "


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """Which process of a module: its component hash and its position."""

    component: str
    position: int

    @property
    def key(self) -> str:
        """The text form, `component:pos`."""
        return f"{self.component}:{self.position}"

    def as_json(self) -> JsonObject:
        """The JSON form."""
        return {"component": self.component, "pos": self.position}


@dataclass(frozen=True, slots=True)
class ModuleArtifact:
    """A module by content: everything a worker needs to run its processes."""

    module_ref: str
    host_requirements_ref: str
    host_requirements: HostRequirements
    exports: dict[str, ProcessRef]
    canonical_ir: ast.Program

    @classmethod
    def build(cls, program: ast.Program, requirements: HostRequirements) -> ModuleArtifact:
        """The artifact of a linked program."""
        exports = {
            item.name: ProcessRef(process_component(item), position)
            for position, item in enumerate(program.processes())
        }
        requirements_hash = requirements_ref(requirements)
        components = {name: (ref.component, ref.position) for name, ref in exports.items()}
        ref = module_ref(program, requirements_hash, components)
        return cls(ref, requirements_hash, requirements, dict(sorted(exports.items())), program)

    def verify(self) -> None:
        """Raises `ArtifactError` unless the references follow from the contents."""
        actual = ModuleArtifact.build(self.canonical_ir, self.host_requirements)
        for field in ("host_requirements_ref", "module_ref"):
            expected, got = getattr(actual, field), getattr(self, field)
            if expected != got:
                raise ArtifactHashMismatch(field, expected, got)
        if actual.exports != self.exports:
            raise ArtifactHashMismatch("exports", "canonical exports", "artifact exports")

    def to_bytes(self) -> bytes:
        """The stored form. Encode, decode, encode is byte-identical."""
        self.verify()
        body: JsonObject = {
            "module_ref": self.module_ref,
            "host_requirements_ref": self.host_requirements_ref,
            "host_requirements": self.host_requirements.as_json(),
            "exports": {"processes": {name: ref.as_json() for name, ref in self.exports.items()}},
            "canonical_ir": program_to_json(self.canonical_ir),
        }
        try:
            return canonical_json_bytes(body)
        except NotCanonical as error:
            raise ArtifactCodecError(f"{_PREFIX}{error.message}") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> ModuleArtifact:
        """The artifact that `data` holds. Raises `ArtifactError` for anything else."""
        try:
            body = parse_json(data)
        except (ValueError, RecursionError) as error:
            raise ArtifactCodecError(f"{_PREFIX}{error}") from None
        artifact = cls._read(body)
        artifact.verify()
        return artifact

    @classmethod
    def _read(cls, body: Json) -> ModuleArtifact:
        match body:
            case {
                "module_ref": str(module),
                "host_requirements_ref": str(requirements),
                "host_requirements": dict(needs),
                "exports": {"processes": dict(processes)},
                "canonical_ir": tree,
            }:
                exports = {str(name): process_ref_from_json(ref) for name, ref in processes.items()}
                return cls(module, requirements, requirements_from_json(needs), exports, program_from_json(tree))
            case _:
                raise ArtifactCodecError(f"{_PREFIX}missing or malformed fields")


def process_ref_from_json(data: Json) -> ProcessRef:
    """The reference that `{"component", "pos"}` spells."""
    match data:
        case {"component": str(component), "pos": int(position)} if position >= 0:
            return ProcessRef(component, position)
        case _:
            raise ArtifactCodecError(f"{_PREFIX}invalid process reference")
