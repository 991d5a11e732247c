"""Processes as they lie in rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.codec import encode
from lash.base.json import JsonObject
from lash.processes.inputs import ToolCallInput
from lash.processes.registration import ProcessRegistration, prepare_registration
from lash.processes.scopes import ProcessProvenance
from lash.sessions.errors import StoredDataCorrupt
from lash.stores.process_records import RecordRow, decode_record
from lash.tools.calls import PreparedToolCall

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def row_of(process_id: str, registration_json: str, event_types_json: str) -> RecordRow:
    """The row of a process that nothing has happened to."""
    return RecordRow(
        process_id=process_id,
        registration_hash="",
        registration_json=registration_json,
        event_types_json=event_types_json,
        recovery="rerunnable",
        wake_detached=0,
        status="running",
        await_output_json=None,
        authority_json=None,
        wait_json=None,
        external_ref_json=None,
        abandon_json=None,
        last_sequence=0,
        first_started_at_ms=None,
        first_started_by=None,
        created_at_ms=0,
        updated_at_ms=0,
        lease_owner="",
        lease_token="",
        lease_fence=0,
        lease_claimed_at_ms=0,
        lease_expires_at_ms=0,
        change_seq=0,
        is_leased=0,
    )


@given(st.dictionaries(st.text(max_size=4), _json, max_size=4))
def test_what_was_registered_is_read_back_to_the_type_of_each_number(args: JsonObject) -> None:
    """The canonical text tells `1` from `1.0`, and has every digit."""
    call = ToolCallInput(PreparedToolCall("call", "tool:t", "t", args))
    prepared = prepare_registration(ProcessRegistration("p", call, ProcessProvenance.host(), [], "env"))

    read = decode_record(row_of("p", prepared.stored_json, prepared.declared.text)).input

    assert encode(read) == encode(call)


@pytest.mark.parametrize(
    "text", ["", "{", '{"input":{"type":"tool_call"}}', '{"input":NaN}', '"\\ud800"', "[" * 10_000]
)
def test_a_row_that_cannot_be_read_is_named(text: str) -> None:
    """Cut short, of another shape, not JSON, or nested beyond reach."""
    with pytest.raises(StoredDataCorrupt, match="process p"):
        decode_record(row_of("p", text, "[]"))
