"""Host descriptions: catalogs, tool bindings, trigger requests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lash.base.json import Json, JsonObject
from lash.lashlang import COMPAT, Catalog, CatalogError, HostEnvironment, add_tool, bind_tool, link, parse, to_json
from lash.lashlang.cases.host import case_catalog
from lash.lashlang.host.catalog import NamedDataType
from lash.lashlang.host.trigger_requests import (
    TriggerRequestError,
    decode_cancellation,
    decode_filters,
    decode_registration,
    fill_template,
    subscription_problem,
)
from lash.lashlang.modules.requirements_json import requirements_from_json
from lash.lashlang.syntax.types import (
    ANY,
    STR,
    EnumType,
    ListType,
    ObjectField,
    ObjectType,
    ProcessType,
    RefType,
    TriggerHandleType,
)
from lashlang.running import ENVIRONMENT, drive, linked

_OBJECT = ObjectType((ObjectField("a", STR),))


def _object(type_: object) -> ObjectType:
    return ObjectType((ObjectField("a", type_),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda c: c.add_operation("tools", "Other", "x", "x"), "module `tools` already has resource type `Tools`"),
        (lambda c: c.add_data_type("Tick", _OBJECT), "host data type name `Tick` must be qualified"),
        (lambda c: c.add_data_type("a.B", STR), "host data type `a.B` must be an object type"),
        (lambda c: c.add_data_type("timer.Tick", _OBJECT), "conflicting host data type definition `timer.Tick`"),
        (
            lambda c: c.add_data_type("a.B", ObjectType((ObjectField("x", STR), ObjectField("x", STR)))),
            "host data type object has duplicate field `x`",
        ),
        (lambda c: c.add_data_type("a.B", _object(EnumType(("x", "x")))), "enum has duplicate value `x`"),
        (lambda c: c.add_data_type("a.B", _object(RefType("c.D"))), "cannot contain nested type ref `c.D`"),
        (lambda c: c.add_data_type("a.B", _object(ListType(ProcessType(ANY, ANY, 1)))), "cannot contain process"),
        (lambda c: c.add_data_type("a.B", _object(TriggerHandleType(ANY))), "cannot contain trigger handle"),
        (
            lambda c: c.add_trigger_source("timer.Schedule", ANY, NamedDataType("a.B", _OBJECT)),
            "trigger source `timer.Schedule` already emits `timer.Tick`, cannot change it to `a.B`",
        ),
    ],
)
def test_a_catalog_that_contradicts_itself_is_refused(build: Callable[[Catalog], object], text: str) -> None:
    with pytest.raises(CatalogError, match=text):
        build(case_catalog())


def test_an_environment_survives_the_way_through_json() -> None:
    again = requirements_from_json(ENVIRONMENT.as_json())

    assert again.as_json() == ENVIRONMENT.as_json()
    assert again.satisfies(ENVIRONMENT)


def test_a_tool_keeps_its_underscores_and_answers_to_dots() -> None:
    catalog = Catalog()
    add_tool(catalog, bind_tool("tool-1", "read_file"))

    module = link(parse('x = tools.read_file({})\ny = tools."read.file"({})'), HostEnvironment(catalog))

    assert module.requirements.resources.module_instances["tools"].operations == {
        "read.file": "tool-1",
        "read_file": "tool-1",
    }


def test_the_reference_replaces_underscores() -> None:
    assert bind_tool("tool-1", "read_file", dialect=COMPAT).operation == "read.file"


def test_a_binding_may_name_everything() -> None:
    given: JsonObject = {"module_path": "mail.work", "operation": "send", "authority_type": "Mail", "aliases": ["post"]}

    binding = bind_tool("t", "mail_send", given)

    assert (binding.module_path, binding.operation, binding.authority_type, binding.aliases) == (
        "mail.work",
        "send",
        "Mail",
        ("post",),
    )


_SOURCE = (
    "process p(e: timer.Tick, note: str) { finish e }\n"
    'x = { source: timer.Schedule({ expr: "x" }), target: p, name: "n" }'
)


def _payload() -> JsonObject:
    from lash.lashlang import IMPROVED, Execution, Value, compile_body

    variables: dict[str, Value] = {}
    drive(Execution(compile_body(linked(_SOURCE).artifact, None, IMPROVED), variables=variables))
    payload = to_json(variables["x"])
    assert isinstance(payload, dict)
    return payload | {"inputs": {"e": {"$lash.trigger.event": True}, "note": "daily"}}


def test_a_registration_fills_its_template_on_an_occurrence() -> None:
    registration = decode_registration(_payload())

    assert registration.source_type == "timer.Schedule"
    assert fill_template(registration.template, {"fired_at": "now"}) == {"e": {"fired_at": "now"}, "note": "daily"}
    assert subscription_problem(linked(_SOURCE).artifact, registration, case_catalog()) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"inputs": {"e": {"$lash.trigger.event": True}}}, "trigger target `p` input `note` is not mapped"),
        ({"inputs": {"e": 1, "note": "x"}}, "trigger target `p` inputs must map at least one param to trigger.event"),
        (
            {"inputs": {"e": {"$lash.trigger.event": True}, "note": {"$lash.trigger.event": True}}},
            "trigger source emits { fired_at: str }, but target `p` input `note` expects str",
        ),
        (
            {"source": {"$lash_host_descriptor_type": "x.Y", "$lash_host_descriptor_value": 1}},
            "host descriptor `x.Y` is not registered as a trigger source",
        ),
    ],
)
def test_a_stored_subscription_is_checked_again(change: JsonObject, text: str) -> None:
    registration = decode_registration(_payload() | change)

    assert subscription_problem(linked(_SOURCE).artifact, registration, case_catalog()) == text


def test_a_subscription_belongs_to_its_module() -> None:
    registration = decode_registration(_payload())

    problem = subscription_problem(linked("process p(e: any) { finish e }").artifact, registration, case_catalog())

    assert problem is not None
    assert problem.startswith("trigger target `p` module ref mismatch: target has lashlang:v1")


@pytest.mark.parametrize(
    ("decode", "payload", "text"),
    [
        (decode_registration, {}, "triggers.register requires `source`"),
        (decode_registration, {"source": 1, "target": 1, "inputs": {}}, "trigger source must be a host descriptor"),
        (decode_filters, {"zzz": 1}, "unknown filter `zzz`"),
        (decode_filters, {"enabled": "x"}, "field `enabled` is invalid: expected a boolean"),
        (decode_filters, {"name": 1}, "field `name` is invalid: expected a string"),
        (decode_cancellation, {"handle": 5}, "expected trigger handle string or object with `id`"),
    ],
)
def test_a_malformed_trigger_request_is_refused(decode: Callable[[Json], object], payload: Json, text: str) -> None:
    with pytest.raises(TriggerRequestError, match=text):
        decode(payload)


def test_a_handle_is_cancelled_by_value_or_id() -> None:
    assert decode_cancellation({"handle": "t1"}) == decode_cancellation({"handle": {"id": "t1"}}) == "t1"
