"""How an execution ends, and what it may say on the way."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from lash.base.json import Json
from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.execution.effects import Request


class Finished(Struct, frozen=True):
    """`submit`, `finish`, or the end of a process (null)."""

    value: Json


class Failed(Struct, frozen=True):
    """`fail value`; `text` is its display form."""

    value: Json
    text: str


class Continued(Struct, frozen=True):
    """A cell ended without `submit`; the turn goes on."""


class Faulted(Struct, frozen=True):
    """The program went wrong; a cell keeps the assignments made before."""

    error: RuntimeFailure


class Breath(Struct, frozen=True):
    """The program has computed for a while: let other tasks run, then call `resume()`."""


Outcome: TypeAlias = Finished | Failed | Continued | Faulted
Step: TypeAlias = Request | Breath | Outcome
