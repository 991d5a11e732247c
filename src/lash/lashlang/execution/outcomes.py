"""How an execution ends, and what it may say on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lash.base.json import Json
from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.execution.effects import Request


@dataclass(frozen=True, slots=True)
class Finished:
    """`submit`, `finish`, or the end of a process (null)."""

    value: Json


@dataclass(frozen=True, slots=True)
class Failed:
    """`fail value`; `text` is its display form."""

    value: Json
    text: str


@dataclass(frozen=True, slots=True)
class Continued:
    """A cell ended without `submit`; the turn goes on."""


@dataclass(frozen=True, slots=True)
class Faulted:
    """The program went wrong; a cell keeps the assignments made before."""

    error: RuntimeFailure


@dataclass(frozen=True, slots=True)
class Breath:
    """The program has computed for a while: let other tasks run, then call `resume()`."""


Outcome: TypeAlias = Finished | Failed | Continued | Faulted
Step: TypeAlias = Request | Breath | Outcome
