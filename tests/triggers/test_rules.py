"""Subscriptions, occurrences, templates and sources as pure rules."""

from __future__ import annotations

import msgspec
import pytest

from lash.base.codec import decode, encode
from lash.base.json import Json
from lash.lashlang.host.trigger_requests import TriggerRequestError
from lash.processes.inputs import ProcessIdentity
from lash.testing.conformance.triggers import button_draft, pressed
from lash.triggers.delivery import DeliveryRetry, delivery_process_id, plan_start
from lash.triggers.errors import InvalidDelivery, InvalidTrigger
from lash.triggers.occurrence import Occurrence
from lash.triggers.registrant import HostOriginator, session_of, session_registrant
from lash.triggers.sources import TriggerEvent, empty_source_key, source_key, trigger_catalog
from lash.triggers.subscription import Subscription, SubscriptionDraft, filter_of
from lash.triggers.template import EventInput, FixedInput, render, template_of, with_arguments


def stored(draft: SubscriptionDraft) -> Subscription:
    return Subscription(
        subscription_id="subscription:7",
        handle="trigger:7",
        revision=1,
        enabled=True,
        created_at_ms=0,
        updated_at_ms=0,
        draft=draft,
    )


def happened(payload: Json) -> Occurrence:
    request = msgspec.structs.replace(pressed("k"), payload=payload)
    return Occurrence(
        occurrence_id=request.occurrence_id,
        source_type=request.source_type,
        source_key=request.source_key,
        payload=payload,
        idempotency_key="k",
        occurred_at_ms=0,
    )


def test_a_source_key_is_the_hash_of_type_and_value() -> None:
    assert source_key("clock.Alarm", {"at": 1, "b": 2}) == source_key("clock.Alarm", {"b": 2, "at": 1})
    assert source_key("clock.Alarm", {"at": 1}) != source_key("clock.Alarm", {"at": 1.0})
    assert source_key("clock.Alarm", None) != source_key("other.Alarm", None)
    assert empty_source_key("ui.button.pressed") == source_key("ui.button.pressed", {})
    assert empty_source_key("a").startswith("source:a:sha256:")


def test_sources_are_declared_once_with_a_schema_that_compiles() -> None:
    event = TriggerEvent("Button", "ui.button", "pressed", {"type": "object"})

    assert trigger_catalog([event])["ui.button.pressed"] is event
    with pytest.raises(InvalidTrigger, match=r"duplicate trigger source `ui\.button\.pressed` declared by"):
        trigger_catalog([event, TriggerEvent("Knob", "ui", "button.pressed", {})])
    with pytest.raises(InvalidTrigger, match=r"payload_schema of trigger source `a\.b` is invalid"):
        trigger_catalog([TriggerEvent("A", "a", "b", {"type": "nonsense"})])


def test_a_template_fills_in_the_event_and_what_is_fixed() -> None:
    template = template_of({"order": "event", "again": {"event": None}, "mode": {"fixed": None}})

    assert template == {"order": EventInput(), "again": EventInput(), "mode": FixedInput(None)}
    assert render(template, {"id": 7}) == {"order": {"id": 7}, "again": {"id": 7}, "mode": None}


@pytest.mark.parametrize("written", ["events", None, {}, {"event": 1}, {"fixed": 1, "event": None}, ["event"]])
def test_a_binding_of_another_form_is_refused_by_name(written: Json) -> None:
    with pytest.raises(InvalidTrigger, match="input `order` must be"):
        template_of({"order": written})


def test_arguments_go_where_the_target_has_them() -> None:
    lashlang: dict[str, Json] = {"type": "lashlang_process", "process_name": "p", "args": {}}
    engine: dict[str, Json] = {"type": "engine", "kind": "k", "payload": {"x": 1}}
    external: dict[str, Json] = {"type": "external", "metadata": None}

    assert with_arguments(lashlang, {"a": 1})["args"] == {"a": 1}
    assert with_arguments(engine, {"a": 1})["payload"] == {"x": 1, "args": {"a": 1}}
    assert with_arguments({"type": "engine", "payload": None}, {"a": 1})["payload"] == {"args": {"a": 1}}
    assert with_arguments(external, {}) == external
    with pytest.raises(InvalidDelivery, match="trigger target must be an engine process, got external"):
        with_arguments(external, {"a": 1})
    assert lashlang["args"] == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source_type": ""}, "trigger subscription requires source_type"),
        ({"source_key": ""}, "trigger subscription requires source_key"),
        ({"source_key": "a\0"}, "is no usable name"),
        ({"key": ""}, "is no usable name"),
        ({"name": "\ud800"}, "is no usable name"),
        ({"registrant": session_registrant(" ")}, "session id of a trigger registrant"),
        ({"payload_schema": {"type": 7}}, "payload_schema of trigger source"),
        ({"target": {}}, "trigger target must be a process input"),
        ({"target_label": "x"}, "trigger target_label must match target_identity.label when both are present"),
        ({"overlap": "sometimes"}, "must be one of allow, skip, queue"),
    ],
)
def test_a_draft_that_cannot_be_kept_says_why(change: dict[str, object], reason: str) -> None:
    draft = msgspec.structs.replace(button_draft("session-a", "on_button"), **change)

    with pytest.raises(InvalidTrigger) as refused:
        draft.validated()

    assert reason in str(refused.value)


def test_a_label_may_stand_on_either_side() -> None:
    draft = button_draft("session-a", "on_button")

    assert msgspec.structs.replace(draft, target_label="on_button").validated()
    unnamed = msgspec.structs.replace(draft, target_label="mine", target_identity=ProcessIdentity("lashlang"))
    assert stored(unnamed.validated()).label == "mine"


@pytest.mark.parametrize("field", ["source_type", "source_key", "idempotency_key"])
def test_an_occurrence_needs_its_three_names(field: str) -> None:
    with pytest.raises(InvalidTrigger, match=f"trigger occurrence requires {field}"):
        msgspec.structs.replace(pressed("k"), **{field: ""}).validated()


def test_an_occurrence_is_named_by_where_and_which_not_by_what() -> None:
    assert pressed("k").occurrence_id == pressed("k", "Red").occurrence_id
    assert pressed("k").request_hash != pressed("k", "Red").request_hash
    assert pressed("k").occurrence_id != pressed("k2").occurrence_id
    assert pressed("k").occurrence_id.startswith("trigger:")


def test_a_start_is_planned_from_what_was_stored_alone() -> None:
    subscription = stored(button_draft("session-a", "on_button"))
    occurrence = happened({"button": "Blue"})

    start = plan_start(subscription, occurrence)

    assert start == plan_start(decode(encode(subscription), Subscription), decode(encode(occurrence), Occurrence))
    assert start.process_id == delivery_process_id(occurrence.occurrence_id, "subscription:7")
    assert start.process_id.startswith("process:trigger:")
    assert start.input["args"] == {"event": {"button": "Blue"}}
    assert start.registrant == session_registrant("session-a")


def test_a_payload_that_does_not_fit_names_the_trigger_and_the_place() -> None:
    subscription = stored(button_draft("session-a", "on_button"))

    with pytest.raises(InvalidDelivery, match=r"invalid payload for trigger `trigger:7`: \$: .*required"):
        plan_start(subscription, happened({}))


def test_pauses_grow_to_their_limit_and_end() -> None:
    retry = DeliveryRetry(attempts=5, base_ms=100, max_ms=500)

    assert [retry.pause_ms(attempts) for attempts in range(1, 6)] == [100, 200, 400, 500, None]


def test_registrants_have_the_ids_of_originators() -> None:
    assert HostOriginator().scope_id == "host"
    assert HostOriginator("billing").scope_id == "host:billing"
    assert session_registrant("s").scope_id == "session:s"
    assert session_registrant("s", "f").scope_id == "session:s/frame:f"
    assert session_of(HostOriginator()) is None
    assert encode(session_registrant("s")) == '{"scope":{"session_id":"s"},"type":"session"}'


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"colour": "red"}, "triggers.list field `filters` is invalid: unknown filter `colour`"),
        ({"name": 7}, "triggers.list field `name` is invalid: expected a string"),
        ({"source_type": None}, "triggers.list field `source_type` is invalid: expected a string"),
        ({"enabled": "yes"}, "triggers.list field `enabled` is invalid: expected a boolean"),
        ({"target": "p"}, "triggers.list field `target` is invalid: expected a process value"),
    ],
)
def test_a_filter_of_a_program_is_refused_with_its_text(filters: Json, text: str) -> None:
    with pytest.raises(TriggerRequestError) as refused:
        filter_of(filters)

    assert str(refused.value) == text


def test_a_filter_of_a_program_is_read() -> None:
    found = filter_of({"name": "n", "source_type": "t", "enabled": True, "target": {"a": 1}}, "session-a")

    assert (found.session_id, found.name, found.source_type, found.enabled) == ("session-a", "n", "t", True)
    assert found.target == {"a": 1}
