"""What can happen in a simulated world, as values: a script is a list of these.

`host` is the number of a simulated operating-system process. A step that does not fit (the host is
dead, the session is none) is skipped, so that any part of a script is a script: shrinking needs that.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from lash.sessions.queue import DeliveryPolicy
from lash.testing.simulation.database import Trouble


@dataclass(frozen=True, slots=True)
class _Step:
    def __repr__(self) -> str:
        """As one writes it: what has its default is left out."""
        values = [(one.name, getattr(self, one.name), one.default) for one in fields(self)]
        said = [f"{name}={value!r}" for name, value, default in values if value != default]
        return f"{type(self).__name__}({', '.join(said)})"


@dataclass(frozen=True, slots=True, repr=False)
class Open(_Step):
    """A host starts, and opens a core over the store. One that was killed starts anew."""

    host: int


@dataclass(frozen=True, slots=True, repr=False)
class Close(_Step):
    """A host ends in order: its core is closed."""

    host: int


@dataclass(frozen=True, slots=True, repr=False)
class Run(_Step):
    """Somebody calls `session.run(say, turn_id=turn)` on a host. The same turn may be asked for on several."""

    host: int
    session: str
    turn: str
    say: str


@dataclass(frozen=True, slots=True, repr=False)
class Leave(_Step):
    """Whoever called `run` on that host for that turn goes away: the call is cancelled."""

    host: int
    turn: str


@dataclass(frozen=True, slots=True, repr=False)
class Enqueue(_Step):
    """Somebody calls `session.enqueue(say, id=id)`."""

    host: int
    session: str
    id: str
    say: str
    delivery: DeliveryPolicy = "after_current_turn_commit"


@dataclass(frozen=True, slots=True, repr=False)
class Withdraw(_Step):
    """Somebody cancels queued input that waits, the newest of the session."""

    host: int
    session: str


@dataclass(frozen=True, slots=True, repr=False)
class Cancel(_Step):
    """Somebody cancels the running turn of a session, from a host that need not run it."""

    host: int
    session: str


@dataclass(frozen=True, slots=True, repr=False)
class Answer(_Step):
    """A person approves or denies everything that waits, and somebody outside completes what was handed to them."""

    host: int
    approve: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Settle(_Step):
    """An operator says of every effect in doubt that the host knows: run it again, or that it happened."""

    host: int
    again: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Fork(_Step):
    """A new session begins where another one stands."""

    host: int
    session: str
    new: str


@dataclass(frozen=True, slots=True, repr=False)
class Reset(_Step):
    """A command waits in the queue: begin again with nothing said."""

    host: int
    session: str
    key: str


@dataclass(frozen=True, slots=True, repr=False)
class Start(_Step):
    """Somebody starts a process that runs a tool; `wake` names the session that is told of its end."""

    host: int
    id: str
    tool: str
    wake: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Task(_Step):
    """Somebody starts a process that is one turn of a session of its own."""

    host: int
    id: str
    say: str
    wake: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Order(_Step):
    """Somebody starts a process that is done elsewhere; at the end of the world it is reported as done."""

    host: int
    id: str
    wake: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Stop(_Step):
    """Somebody asks a process to stop."""

    host: int
    id: str


@dataclass(frozen=True, slots=True, repr=False)
class Report(_Step):
    """Whoever does the work of an order says that it is done."""

    host: int
    id: str


@dataclass(frozen=True, slots=True, repr=False)
class Emit(_Step):
    """Something happened to which a subscription starts a process. The same key is the same thing."""

    host: int
    key: str


@dataclass(frozen=True, slots=True, repr=False)
class Every(_Step):
    """A schedule starts a process every so often, until the end of the world."""

    host: int
    key: str
    seconds: int
    tool: str


@dataclass(frozen=True, slots=True, repr=False)
class Wait(_Step):
    """Time passes."""

    ms: int


@dataclass(frozen=True, slots=True, repr=False)
class Crash(_Step):
    """A host is killed, `after` so many more callbacks of its event loop."""

    host: int
    after: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Pause(_Step):
    """A host stands still for `ms`, `after` so many more callbacks: past its lease, and then it goes on."""

    host: int
    ms: int
    after: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class StoreFails(_Step):
    """The next programs of a host fail."""

    host: int
    programs: int = 1
    trouble: Trouble = "refused"


@dataclass(frozen=True, slots=True, repr=False)
class StoreSlow(_Step):
    """The next programs of a host take up to `ms` on each way."""

    host: int
    programs: int
    ms: int


@dataclass(frozen=True, slots=True, repr=False)
class ClockSet(_Step):
    """Somebody sets the wall clock of the machine, forward or back."""

    ms: int


Step: TypeAlias = (
    Open
    | Close
    | Run
    | Leave
    | Enqueue
    | Withdraw
    | Cancel
    | Answer
    | Settle
    | Fork
    | Reset
    | Start
    | Task
    | Order
    | Stop
    | Report
    | Emit
    | Every
    | Wait
    | Crash
    | Pause
    | StoreFails
    | StoreSlow
    | ClockSet
)
Ending: TypeAlias = Literal["crash", "close"]
