"""Errors as the command line tells them: a line and an exit code."""

from __future__ import annotations

from typing import Final

from lash.base.errors import ConfigurationError, LashError
from lash.sessions.errors import (
    StoredDataCorrupt,
    StoreError,
    StoreUnavailable,
    UnsupportedRecordSchemaVersion,
    UnsupportedSchemaVersion,
)

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNUSABLE: Final = 3
# What shells report for a program that SIGINT ended.
INTERRUPTED: Final = 130

# What is wrong with the store itself; other store errors say that a request was refused.
_BROKEN_STORE = (StoredDataCorrupt, StoreUnavailable, UnsupportedRecordSchemaVersion, UnsupportedSchemaVersion)


class NotFound(LashError):
    """What the command line was asked to show is not there."""

    code = "not_found"


class BadOption(LashError):
    """An argument or option is well formed and means nothing here."""

    code = "bad_option"


def exit_code(error: BaseException) -> int:
    """1 the work failed, 2 usage, 3 store or configuration."""
    match error:
        case BadOption():
            return USAGE
        case ConfigurationError():
            return UNUSABLE
        case StoreError() if isinstance(error, _BROKEN_STORE):
            return UNUSABLE
        case _:
            return FAILED


def one_line(error: BaseException) -> str:
    """What, value, remedy; then the code, for people who search."""
    if isinstance(error, LashError):
        return f"{' '.join(error.message.split())} ({error.code})"
    text = " ".join(str(error).split())
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"unexpected {said}; run again with --debug for the traceback"
