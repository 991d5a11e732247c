"""What one hook asks for, as effects of its turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lash.base.cancel import CancelToken
from lash.base.canonical import stable_hash
from lash.base.errors import LashError
from lash.base.json import Json, JsonObject
from lash.effects.envelope import EffectEnvelope, durable_step_command
from lash.effects.errors import EffectInDoubt
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.effects.ports import EffectController
from lash.plugins.errors import PluginError, PluginSessionError
from lash.plugins.host import PluginSession
from lash.plugins.services import Lend
from lash.plugins.trail import HookTrail
from lash.runtime.direct import DirectModel
from lash.runtime.engine import Engine
from lash.runtime.memory import SessionMemory
from lash.runtime.tooling import SessionTools
from lash.runtime.turn_tools import TurnTools
from lash.sessions.store import SessionStore

if TYPE_CHECKING:  # a session's actor lends what is made of actors
    from lash.runtime.actor import SessionActor
    from lash.runtime.session_processes import SessionProcesses


@dataclass(frozen=True, slots=True)
class ServiceDoors:
    """What a core opens to the hooks of its sessions: other sessions by id, and background processes.

    `lend` makes the services of the hooks at one place of a turn.
    """

    actor_of: Callable[[str], SessionActor]
    forget: Callable[[str], None]
    processes_of: Callable[[str], SessionProcesses]
    lend: Callable[[LendingTurn, str], Lend]


@dataclass(frozen=True, slots=True)
class LendingTurn:
    """One drive of one turn, as far as services need it."""

    engine: Engine
    doors: ServiceDoors
    store: SessionStore
    memory: SessionMemory
    plugins: PluginSession
    tools: TurnTools
    session_tools: SessionTools
    controller: EffectController
    scope: RuntimeScope
    model: DirectModel
    trail: HookTrail
    cancel: CancelToken


class Asking:
    """One call of one hook: `where` names the place in the turn, so that a call that runs again asks the same."""

    def __init__(self, turn: LendingTurn, plugin_id: str, where: str) -> None:
        self.turn = turn
        self.plugin_id = plugin_id
        self.where = where
        self._asked: dict[str, int] = {}

    def key(self, name: str) -> str:
        """The replay key of something that is asked for here."""
        scope = self.turn.scope
        return f"{scope.session_id}:{scope.turn_id}:{name}"

    async def do(self, op: str, asked: JsonObject, step: Callable[[str], Awaitable[Json]]) -> Json:
        """What `step` gives, once: it is given the key of the effect. Raises `PluginSessionError`."""
        digest = stable_hash([op, asked])[:16]
        number = self._asked[digest] = self._asked.get(digest, 0) + 1
        name = f"hook:{self.where}:{self.plugin_id}:{op}:{digest}" + (f"#{number}" if number > 1 else "")
        key = self.key(name)
        envelope = EffectEnvelope(
            Invocation.effect(self.turn.scope, name, "durable_step", key), durable_step_command(f"hook:{op}", asked)
        )

        async def perform() -> Json:
            try:
                return await step(key)
            except EffectInDoubt as doubt:  # of another session: nothing of this turn is in doubt
                raise self.refused(op, doubt) from doubt
            except LashError as error:
                if isinstance(error, PluginError) or error.is_interruption or self.turn.engine.is_closing:
                    raise
                raise self.refused(op, error) from error

        outcome = await self.turn.controller.execute(envelope, Local.durable_step(perform))
        return outcome.expect("durable_step")["value"]

    def refused(self, op: str, why: LashError) -> PluginSessionError:
        """The error of an operation that could not be done."""
        return PluginSessionError(f"plugin {self.plugin_id!r}: {op}: {why}")
