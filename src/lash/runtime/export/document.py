"""What is exported, and in which form.

The JSON form is the whole active path with its frames and checkpoint, as one object of
`"format": "lash.session/v1"`; `read_export` gives the state that `open_with_state` takes.
Attachments are named by their ids, their bytes stay in the attachment store.
"""

from __future__ import annotations

import base64
from typing import Literal, TypeAlias, cast, get_args

import msgspec

from lash.base.canonical import canonical_json
from lash.base.codec import DecodeError, decode, to_json
from lash.base.errors import InvalidArgument
from lash.base.json import Json
from lash.base.usage import LedgerEntry
from lash.runtime.export.html import as_html
from lash.runtime.export.markdown import as_markdown
from lash.runtime.export.transcript import transcript_of
from lash.sessions.commit import SessionState
from lash.sessions.graph import ActivePath
from lash.sessions.store import PersistedSession, SessionStore

ExportFormat: TypeAlias = Literal["markdown", "html", "json"]
FORMAT: Literal["lash.session/v1"] = "lash.session/v1"


class InvalidExport(InvalidArgument):
    """A text that is no export of a session."""

    code = "invalid_session_export"


class SessionExport(msgspec.Struct, frozen=True):
    """The JSON form."""

    format: Literal["lash.session/v1"]
    session_id: str
    revision: int
    state: SessionState
    ledger: list[LedgerEntry]


async def export_session(store: SessionStore, session_id: str, form: ExportFormat) -> str:
    """What is committed of a session, up to its end."""
    if form not in get_args(ExportFormat):
        raise InvalidArgument(f"format={form!r}: a session is exported as 'markdown', 'html' or 'json'")
    stored = await store.load_session(ActivePath())
    match form:
        case "markdown":
            return as_markdown(transcript_of(session_id, stored))
        case "html":
            return as_html(transcript_of(session_id, stored))
        case "json":
            return canonical_json(_plain(to_json(_export(session_id, stored))))


def read_export(text: str) -> SessionState:
    """The state in a JSON export. Raises `InvalidExport`."""
    try:
        return decode(text, SessionExport).state
    except DecodeError as error:
        raise InvalidExport(f"this is no JSON export of a session ({error}); `session.export('json')` makes one") from (
            error
        )


def _plain(value: object) -> Json:
    """JSON with the bytes of checkpoint components as base64, which is how they are read back."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return cast("Json", value)


def _export(session_id: str, stored: PersistedSession | None) -> SessionExport:
    if stored is None:
        return SessionExport(FORMAT, session_id, 0, SessionState(session_id), [])
    state = SessionState(
        session_id=session_id,
        policy=stored.policy,
        agent_frames=stored.agent_frames,
        current_agent_frame_id=stored.current_agent_frame_id,
        graph=stored.graph,
        checkpoint=stored.checkpoint,
    )
    return SessionExport(FORMAT, session_id, stored.head_revision, state, stored.token_ledger)
