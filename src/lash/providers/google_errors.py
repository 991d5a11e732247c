"""What Google's errors mean. Pure.

Google calls every limit a quota, those per minute too, and says in the details when to
come back. So the details decide: a quota of the day is final, one of the minute is a
rate limit (docs/spec/runtime.md §8.4).
"""

from __future__ import annotations

import re

from lash.base.json import JsonObject
from lash.models.failure import FailureKind, ProviderFailure
from lash.providers.reading import object_at, objects_at, text_at
from lash.providers.stream import error_of

_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


def error_of_google(
    error: JsonObject,
    *,
    otherwise: str,
    status: int | None = None,
    kind: FailureKind | None = None,
    headers: dict[str, str] | None = None,
    now_ms: int = 0,
) -> ProviderFailure:
    """The failure that one of Google's error objects stands for."""
    failure = error_of(error, otherwise=otherwise, status=status, kind=kind, headers=headers, now_ms=now_ms)
    if failure.kind != "quota" or failure.status != 429:
        return failure
    details = objects_at(object_at(error, "error") or error, "details")
    limits = [text_at(violation, "quotaId") for detail in details for violation in objects_at(detail, "violations")]
    if any("PerDay" in limit for limit in limits):
        return failure
    delays = [match for detail in details if (match := _SECONDS.fullmatch(text_at(detail, "retryDelay")))]
    if not delays and not limits:
        return failure
    return ProviderFailure(
        "http",
        failure.message,
        retryable=True,
        status=failure.status,
        code=failure.provider_code,
        retry_after_ms=round(float(delays[0].group(1)) * 1_000) if delays else None,
        headers=failure.headers,
        raw=failure.raw,
    )
