"""A process of a lashlang module as a value: which one, in all four parts."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lash.base.codec import DecodeError, from_json, struct_to_json
from lash.base.json import Json, JsonObject
from lash.processes.errors import InvalidProcessDefinition

T = TypeVar("T")

MARK = "$lash_process"


class ProcessRef(msgspec.Struct, frozen=True):
    """Which process of a module: its component hash and its position."""

    component: str
    pos: int


class ProcessDefinition(msgspec.Struct, frozen=True):
    """A definition is equal to another only in all four parts."""

    module_ref: str
    host_requirements_ref: str
    process_ref: ProcessRef
    process_name: str

    def to_value(self) -> JsonObject:
        """The value that programs hold."""
        return {MARK: True, **struct_to_json(self)}

    @staticmethod
    def of_value(value: Json) -> ProcessDefinition:
        """The inverse of `to_value`; raises `InvalidProcessDefinition`.

        A position that went through a program may come back as a whole float.
        """
        if not isinstance(value, dict) or value.get(MARK) is not True:
            raise InvalidProcessDefinition("definition must be a process definition value")
        module_ref = _field(value, "module_ref", str)
        requirements_ref = _field(value, "host_requirements_ref", str)
        process_ref = _field(value, "process_ref", ProcessRef)
        name = value.get("process_name")
        if not isinstance(name, str):
            raise InvalidProcessDefinition("definition is missing its process name")
        return ProcessDefinition(module_ref, requirements_ref, process_ref, name)


def _field(value: JsonObject, field: str, shape: type[T]) -> T:
    if field not in value:
        raise InvalidProcessDefinition(f"definition is missing {field}")
    try:
        return from_json(value[field], shape)
    except DecodeError as error:
        raise InvalidProcessDefinition(f"definition has invalid {field}: {error.message}") from error
