"""The page: one HTML file with the trace inside, that asks nobody for anything.

The trace travels as JSON in a script element that browsers do not run, with every `<`
escaped; the page's script puts it on the screen as text only. A content security policy
forbids every request, so a trace that holds hostile text has nothing to reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

import msgspec

from lash.tracing.viewer.timeline import Turn


def render(turns: Sequence[Turn], *, title: str = "lash trace", broken: int = 0) -> str:
    """The document."""
    data = msgspec.json.encode({"turns": turns, "broken": broken}).decode()
    for char, code in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        data = data.replace(char, code)
    template = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    head, _, rest = template.partition("@TITLE@")
    between, _, rest = rest.partition("@TITLE@")
    body, _, tail = rest.partition("@DATA@")
    return f"{head}{escape(title)}{between}{escape(title)}{body}{data}{tail}"
