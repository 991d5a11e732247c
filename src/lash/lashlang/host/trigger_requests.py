"""Decoding trigger operations, and checking a subscription against its target (§3.12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lash.base.json import Json, JsonObject
from lash.lashlang.dialect import IMPROVED, Dialect
from lash.lashlang.errors import ArtifactError, LanguageError
from lash.lashlang.host.catalog import Catalog
from lash.lashlang.linking.assignability import TypeRules
from lash.lashlang.modules.artifact import ModuleArtifact, ProcessRef, process_ref_from_json
from lash.lashlang.syntax.types import RefType, type_text

_EVENT: Final[JsonObject] = {"$lash.trigger.event": True}
_FILTERS: Final = {"target": dict, "name": str, "source_type": str, "enabled": bool}


class TriggerRequestError(LanguageError):
    """A trigger operation's argument cannot be used; nothing was changed."""

    code = "lashlang.trigger_request"


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Which process of which module, in all four parts."""

    module_ref: str
    host_requirements_ref: str
    process_ref: ProcessRef
    process_name: str


@dataclass(frozen=True, slots=True)
class Registration:
    """A decoded `triggers.register`. `template` is per input `{kind: event}` or `{kind: fixed, value}`."""

    source_type: str
    source_value: Json
    target: ProcessIdentity
    template: dict[str, JsonObject]
    name: str | None


def process_identity(data: Json) -> ProcessIdentity:
    """The process that a process value stands for."""
    if not isinstance(data, dict) or data.get("$lash_process") is not True:
        raise TriggerRequestError("trigger target must be a process value")
    found: list[str] = []
    for name in ("module_ref", "host_requirements_ref", "process_name"):
        value = data.get(name)
        if value is None:
            raise TriggerRequestError(f"trigger target must be a process value: missing {name}")
        if not isinstance(value, str):
            raise TriggerRequestError(f"trigger target must be a process value: invalid {name}: expected a string")
        found.append(value)
    try:
        ref = process_ref_from_json(data.get("process_ref"))
    except ArtifactError:
        raise TriggerRequestError(
            "trigger target must be a process value: invalid process_ref: expected component and pos"
        ) from None
    return ProcessIdentity(found[0], found[1], ref, found[2])


def decode_registration(payload: Json) -> Registration:
    """The registration that a raw payload asks for. Raises `TriggerRequestError`."""
    fields = payload if isinstance(payload, dict) else {}
    for name in ("source", "target", "inputs"):
        if name not in fields:
            raise TriggerRequestError(f"triggers.register requires `{name}`")
    source, inputs, name_value = fields["source"], fields["inputs"], fields.get("name")
    if not isinstance(source, dict) or not isinstance(source.get("$lash_host_descriptor_type"), str):
        raise TriggerRequestError("trigger source must be a host descriptor constructor result")
    if not isinstance(inputs, dict):
        raise TriggerRequestError(
            "triggers.register field `inputs` is invalid: expected an object mapping process params to values"
        )
    if name_value is not None and not isinstance(name_value, str):
        raise TriggerRequestError("triggers.register field `name` is invalid: expected a string")
    template: dict[str, JsonObject] = {
        key: {"kind": "event"} if value == _EVENT else {"kind": "fixed", "value": value}
        for key, value in inputs.items()
    }
    kind = str(source["$lash_host_descriptor_type"])
    target = process_identity(fields["target"])
    return Registration(kind, source.get("$lash_host_descriptor_value"), target, template, name_value)


def decode_filters(payload: Json) -> JsonObject:
    """The filters of a raw `triggers.list`."""
    fields = payload if isinstance(payload, dict) else {}
    for name, value in fields.items():
        if name not in _FILTERS:
            raise TriggerRequestError(f"triggers.list field `filters` is invalid: unknown filter `{name}`")
        if not isinstance(value, _FILTERS[name]):
            kind = {"target": "a process value", "enabled": "a boolean"}.get(name, "a string")
            raise TriggerRequestError(f"triggers.list field `{name}` is invalid: expected {kind}")
    return fields


def decode_cancellation(payload: Json) -> str:
    """The handle id of a raw `triggers.cancel`."""
    handle = payload.get("handle") if isinstance(payload, dict) else None
    if isinstance(handle, dict):
        handle = handle.get("id")
    if not isinstance(handle, str):
        raise TriggerRequestError(
            "triggers.cancel field `handle` is invalid: expected trigger handle string or object with `id`"
        )
    return handle


def fill_template(template: dict[str, JsonObject], event: Json) -> JsonObject:
    """The arguments of the run that an occurrence starts."""
    return {name: event if part["kind"] == "event" else part["value"] for name, part in template.items()}


def subscription_problem(
    artifact: ModuleArtifact, registration: Registration, catalog: Catalog, *, dialect: Dialect = IMPROVED
) -> str | None:
    """Why the subscription cannot be kept, or None. Checked again when it is read back from a store."""
    source, target = registration.source_type, registration.target
    name = target.process_name
    event = catalog.trigger_sources.get(source)
    if event is None:
        return f"host descriptor `{source}` is not registered as a trigger source"
    if target.module_ref != artifact.module_ref:
        return (
            f"trigger target `{name}` module ref mismatch: "
            f"target has {target.module_ref}, artifact has {artifact.module_ref}"
        )
    if target.host_requirements_ref != artifact.host_requirements_ref:
        return (
            f"trigger target `{name}` host requirements mismatch: "
            f"target has {target.host_requirements_ref}, artifact has {artifact.host_requirements_ref}"
        )
    where = f"trigger target artifact `{artifact.module_ref}`"
    if name not in artifact.exports:
        return f"{where} is missing process `{name}`"
    if artifact.exports[name] != target.process_ref:
        return f"{where} does not export process `{name}` as requested ref {target.process_ref.key}"
    declaration = next(item for item in artifact.canonical_ir.processes() if item.name == name)
    params = {item.name: item.type for item in declaration.params}
    for key in params:
        if key not in registration.template:
            return f"trigger target `{name}` input `{key}` is not mapped"
    for key in registration.template:
        if key not in params:
            return f"trigger target `{name}` has no input `{key}`"
    events = [key for key, part in registration.template.items() if part["kind"] == "event"]
    if not events:
        return f"trigger target `{name}` inputs must map at least one param to trigger.event"
    declared = {item.name: item.type for item in artifact.canonical_ir.types()}
    rules = TypeRules(declared, catalog, dialect)
    for key, type_ in params.items():
        if key in events:
            if not rules.assignable(event.type, type_):
                wanted = type_text(rules.resolved(type_))
                return (
                    f"trigger source emits {type_text(event.type)}, but target `{name}` input `{key}` expects {wanted}"
                )
        elif isinstance(type_, RefType) and (resource := rules.resource_type(type_)) is not None:
            value = registration.template[key].get("value")
            got = value.get("type") if isinstance(value, dict) and value.get("__resource__") is True else "value"
            if got != resource:
                return (
                    f"trigger target `{name}` input `{key}` has incompatible fixed authority type: "
                    f"expected {resource}, got {got}"
                )
    return None
