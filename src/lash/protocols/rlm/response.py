"""What comes of a cell, as its executor tells the driver. Never stored: a replay makes it anew."""

from __future__ import annotations

import msgspec

from lash.base.json import Json, JsonObject
from lash.base.messages import AttachmentRef
from lash.machine.values import CompletedCall
from lash.protocols.rlm.output import Truncation


class Submitted(msgspec.Struct, frozen=True):
    """`submit value`."""

    value: Json


class CellResponse(msgspec.Struct, frozen=True):
    """`address` is the step in `history`; `ended_by` a tool call whose result ends the turn."""

    address: str = "history[-1]"
    output: list[str] = []
    truncation: list[Truncation] = []
    images: list[AttachmentRef] = []
    error: str | None = None
    submitted: Submitted | None = None
    ended_by: CompletedCall | None = None
    # What was observed of it, for the execution graph.
    seen: JsonObject = {}
