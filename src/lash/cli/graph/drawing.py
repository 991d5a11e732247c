"""The forms of a drawing by their names."""

from __future__ import annotations

import json
import re

import msgspec

from lash.cli.graph.facts import SessionCells
from lash.cli.graph.mermaid import mermaid
from lash.cli.graph.outline import outline
from lash.cli.graph.page import page


def drawn(session: SessionCells, form: str) -> str:
    """`html`, `mermaid`, `text` or `json`."""
    match form:
        case "html":
            return page(session)
        case "mermaid":
            return mermaid(session)
        case "text":
            return outline(session)
        case _:
            return json.dumps(msgspec.to_builtins(session), ensure_ascii=False, indent=2)


def file_name(session_id: str) -> str:
    """Where the page of a session goes: an id may hold what no file name may."""
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', session_id).lstrip('.') or 'session'}.graph.html"
