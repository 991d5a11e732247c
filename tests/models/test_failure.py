"""The classification table of provider failures, and what a failure keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.base.canonical import canonical_json
from lash.base.codec import to_json
from lash.models import ProviderFailure, classify
from lash.models.failure import FailureKind, of_exception, parse_retry_after


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_overload_and_server_trouble_may_be_tried_again(status: int) -> None:
    failure = classify("busy", status=status)

    assert (failure.kind, failure.retryable, failure.status) == ("http", True, status)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "auth"), (403, "auth"), (400, "validation"), (413, "validation"), (422, "validation"), (418, "http")],
)
def test_what_is_our_fault_is_final(status: int, kind: FailureKind) -> None:
    failure = classify("no", status=status)

    assert (failure.kind, failure.retryable, failure.terminal_reason) == (kind, False, "provider_error")


@pytest.mark.parametrize("kind", ["transport", "timeout"])
def test_trouble_on_the_way_without_a_status_may_be_tried_again(kind: FailureKind) -> None:
    assert classify("gone", kind=kind).retryable
    assert not classify("who knows").retryable


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("This model's maximum context length is 8192 tokens", 400),
        ("prompt is too long: 250000 tokens > 200000 maximum", 400),
        ("request_too_large", 413),
        ("the context window was exceeded", 500),
    ],
)
def test_an_overlong_prompt_is_known_by_its_words(message: str, status: int) -> None:
    failure = classify(message, status=status)

    assert (failure.kind, failure.retryable, failure.terminal_reason, failure.provider_code) == (
        "validation",
        False,
        "context_overflow",
        "context_overflow",
    )


def test_a_rate_limit_that_speaks_of_context_is_not_an_overflow() -> None:
    failure = classify("rate limit: too many tokens per minute for this context length", status=429)

    assert (failure.kind, failure.retryable) == ("http", True)


def test_an_exhausted_quota_is_final_also_as_429() -> None:
    failure = classify("You exceeded your current plan", status=429, code="insufficient_quota")

    assert (failure.kind, failure.retryable, failure.provider_code) == ("quota", False, "insufficient_quota")


@pytest.mark.parametrize("message", ["blocked by content_filter", "finish: PROHIBITED_CONTENT"])
def test_a_content_filter_is_a_terminal_reason(message: str) -> None:
    assert classify(message).terminal_reason == "content_filter"


def test_common_words_count_only_in_a_refused_request() -> None:
    assert classify("blocked for safety", status=400).terminal_reason == "content_filter"
    assert classify("safety valve broke", status=503).retryable
    assert classify("the header is case-sensitive", status=400).terminal_reason == "provider_error"


def test_a_missing_model_is_unsupported() -> None:
    for message in ("model_not_found", "The model `x` does not exist", "unsupported model"):
        assert classify(message, status=404).kind == "unsupported"


def test_an_escaped_exception_is_classified_by_its_type() -> None:
    assert of_exception(TimeoutError("slow")).kind == "timeout"
    assert of_exception(ConnectionResetError()).retryable
    assert (of_exception(KeyError("x")).kind, of_exception(KeyError("x")).retryable) == ("unknown", False)
    failure = ProviderFailure("auth", "no")
    assert of_exception(failure) is failure


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "3"}, 3_000),
        ({"retry-after": "0.5"}, 500),
        ({"retry-after-ms": "250", "retry-after": "9"}, 250),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:05 GMT"}, 4_000),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_milliseconds_or_a_date(headers: dict[str, str], wait: int | None) -> None:
    assert parse_retry_after(headers, now_ms=1_000) == wait


def test_header_names_do_not_depend_on_case() -> None:
    assert classify("busy", status=429, headers={"Retry-After": "2"}).retry_after_ms == 2_000


@given(st.text(), st.none() | st.integers(100, 599))
def test_every_failure_can_be_recorded(message: str, status: int | None) -> None:
    failure = classify(message, status=status, raw={"text": message})

    canonical_json(to_json(failure.to_call_error(2)))
