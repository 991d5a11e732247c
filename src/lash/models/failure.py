"""Why a model call failed, and what that means. Pure.

A provider raises `ProviderFailure`; `classify` builds one from whatever evidence there
is: an HTTP status, a code, the provider's words. The table is docs/spec/runtime.md
§8.4. Words come before the status, because gateways send an exhausted quota as 429
and an overlong prompt as almost anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from lash.base.canonical import canonical_json_bytes
from lash.base.errors import LashError, NotCanonical
from lash.base.json import Json
from lash.machine.llm import LlmCallError, TerminalReason
from lash.models.text import readable

FailureKind: TypeAlias = Literal[
    "transport", "timeout", "http", "stream", "auth", "validation", "quota", "unsupported", "unknown"
]

# 529 is how Anthropic says that it is overloaded.
RETRYABLE_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_AUTH_STATUS = frozenset({401, 403})
_VALIDATION_STATUS = frozenset({400, 413, 422})

_OVERFLOW = re.compile(
    r"context[ _](length|window)|prompt is too long|prompt too long|maximum context|request_too_large"
    r"|input is too long|too many tokens|exceeds the maximum number of tokens",
    re.IGNORECASE,
)
_RATE = re.compile(r"rate[ _-]?limit|per minute|too many requests|quota", re.IGNORECASE)
_QUOTA = re.compile(
    r"insufficient_quota|usage_limit_reached|quota|billing_error|credit balance is too low", re.IGNORECASE
)
_FILTERED = re.compile(r"content[ _]filter|content_policy|prohibited_content", re.IGNORECASE)
# Too common as plain words to count unless the request itself was refused.
_FILTERED_WORDS = re.compile(r"\bsafety\b|(?<!-)\bsensitive\b", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model_not_found|unsupported model|model .*does not exist|model .*not found|models/\S+ is not found"
    r"|not_found_error model:",
    re.IGNORECASE,
)
# Google answers a wrong key with 400.
_NO_KEY = re.compile(r"api key not valid|api_key_invalid", re.IGNORECASE)


class ProviderFailure(LashError):
    """A model call failed. `retryable` says whether the same request may succeed later. Added in 0.1."""

    code = "provider_failure"

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        retryable: bool = False,
        status: int | None = None,
        code: str | None = None,
        terminal_reason: TerminalReason = "provider_error",
        retry_after_ms: int | None = None,
        headers: Mapping[str, str] | None = None,
        raw: Json = None,
    ) -> None:
        super().__init__(readable(message))
        self.kind: FailureKind = kind
        self.retryable = retryable
        self.status = status
        self.provider_code = code
        self.terminal_reason: TerminalReason = terminal_reason
        self.retry_after_ms = retry_after_ms
        self.headers = dict(headers or {})
        self.raw = raw

    def to_call_error(self, attempts: int) -> LlmCallError:
        """The failure as the machine hears of it after `attempts` attempts."""
        return LlmCallError(
            kind=self.kind,
            message=self.message,
            code=self.provider_code,
            status=self.status,
            terminal_reason=self.terminal_reason,
            attempts=attempts,
            raw=_storable(self.raw),
        )


def classify(
    message: str,
    *,
    status: int | None = None,
    kind: FailureKind | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
    now_ms: int = 0,
    raw: Json = None,
) -> ProviderFailure:
    """The failure that the evidence amounts to. `kind` is what the transport itself knows, e.g. `timeout`."""
    words = f"{code or ''} {message}"
    found_kind, retryable, reason = _verdict(words, status, kind)
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    return ProviderFailure(
        found_kind,
        message,
        retryable=retryable,
        status=status,
        code=code or (reason if reason != "provider_error" else None),
        terminal_reason=reason,
        retry_after_ms=parse_retry_after(lowered, now_ms) if retryable else None,
        headers=lowered,
        raw=raw,
    )


def of_exception(error: Exception) -> ProviderFailure:
    """The failure that stands for an exception that a provider let escape."""
    if isinstance(error, ProviderFailure):
        return error
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return ProviderFailure("timeout", text, retryable=True)
    if isinstance(error, ConnectionError):
        return ProviderFailure("transport", text, retryable=True)
    return ProviderFailure("unknown", text)


def parse_retry_after(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Milliseconds to wait, from lower-cased headers; seconds, milliseconds or an HTTP date (RFC 9110 §10.2.3)."""
    for name, unit in (("retry-after-ms", 1), ("retry-after", 1_000)):
        if (text := headers.get(name)) is not None:
            try:
                wait = float(text) * unit
            except ValueError:
                break
            return round(wait) if 0 <= wait < 1e12 else None
    if (date := headers.get("retry-after")) is not None:
        from email.utils import parsedate_to_datetime  # rare, and it loads half of `email`

        try:
            return max(0, round(parsedate_to_datetime(date).timestamp() * 1_000) - now_ms)
        except ValueError:
            return None
    return None


def _verdict(words: str, status: int | None, kind: FailureKind | None) -> tuple[FailureKind, bool, TerminalReason]:
    if _OVERFLOW.search(words) and not _RATE.search(words):
        return "validation", False, "context_overflow"
    if _QUOTA.search(words):
        return "quota", False, "provider_error"
    if _FILTERED.search(words) or (status in _VALIDATION_STATUS and _FILTERED_WORDS.search(words)):
        return "validation", False, "content_filter"
    if _NO_MODEL.search(words):
        return "unsupported", False, "provider_error"
    if _NO_KEY.search(words):
        return "auth", False, "provider_error"
    if status is not None:
        if status in RETRYABLE_STATUS:
            return kind or "http", True, "provider_error"
        if status in _AUTH_STATUS:
            return "auth", False, "provider_error"
        if status in _VALIDATION_STATUS:
            return "validation", False, "provider_error"
        return kind or "http", False, "provider_error"
    return kind or "unknown", kind in ("transport", "timeout", "stream"), "provider_error"


def _storable(raw: Json) -> Json:
    try:
        canonical_json_bytes(raw)
    except NotCanonical:
        return readable(repr(raw))
    return raw
