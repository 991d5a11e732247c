"""The canonical text of an envelope, which every hash and journal row of an effect rests on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.canonical import canonical_json
from lash.base.causes import EffectCause, ProcessEventCause, TriggerOccurrenceCause
from lash.base.errors import NotCanonical
from lash.effects.envelope import EffectCommand, EffectEnvelope
from lash.effects.invocation import EffectSubject, Invocation, Replay, RuntimeScope

_texts = st.text(min_size=1, max_size=8)
_maybe_texts = st.none() | _texts
_maybe_numbers = st.none() | st.integers(0, 2**40)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_bodies = st.dictionaries(st.text(max_size=4), _json, max_size=3)
_causes = st.one_of(
    st.none(),
    st.builds(EffectCause, _texts, _texts, _maybe_texts),
    st.builds(ProcessEventCause, _texts, st.integers(0, 2**40)),
    st.builds(TriggerOccurrenceCause, _texts, _maybe_texts),
)
_scopes = st.builds(RuntimeScope, _texts, _maybe_texts, _maybe_numbers, _maybe_numbers)


@given(_scopes, _texts, _causes, _bodies, st.none() | _bodies)
def test_the_text_of_an_envelope_is_that_of_its_json(
    scope: RuntimeScope, name: str, cause: object, body: dict[str, object], group: dict[str, object] | None
) -> None:
    """Its parts are written one by one; whole, they are what the reference writer makes of the JSON."""
    envelope = EffectEnvelope(
        Invocation(scope, EffectSubject(name, "process"), cause, Replay(name)),  # type: ignore[arg-type]
        EffectCommand("process", body),  # type: ignore[arg-type]
        group,  # type: ignore[arg-type]
    )

    assert envelope.canonical == canonical_json(envelope.to_json())


def test_what_is_not_json_is_refused_with_its_place_in_the_whole() -> None:
    """A set in the arguments, and a lone surrogate in the id of a session."""
    subject, replay = EffectSubject("e", "process"), Replay("k")
    unfit = EffectEnvelope(
        Invocation(RuntimeScope("s"), subject, None, replay),
        EffectCommand("process", {"args": {"of": {1}}}),  # type: ignore[dict-item]
    )
    unsaid = EffectEnvelope(Invocation(RuntimeScope("\ud800"), subject, None, replay), EffectCommand("process", {}))

    with pytest.raises(NotCanonical, match=r"\$\.command\.args\.of"):
        _ = unfit.stable_hash
    with pytest.raises(NotCanonical, match=r"\$\.invocation\.scope\.session_id"):
        _ = unsaid.stable_hash
