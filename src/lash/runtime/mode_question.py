"""Before a model call: whether the execution mode would rather go on in another frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lash.base.codec import from_json, to_json
from lash.base.json import Json
from lash.effects.envelope import EffectEnvelope, durable_step_command
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.effects.ports import EffectController
from lash.machine.llm import LlmRequest
from lash.machine.outcome import FrameSwitch
from lash.plugins.protocol import BeforeLlmCall, ProtocolSession, SwitchAgentFrame


@dataclass(frozen=True, slots=True)
class ModeQuestion:
    """The question before one model call. Its answer is recorded before the call is made."""

    scope: RuntimeScope
    effect_id: int
    controller: EffectController
    call_key: str

    async def switch(self, mode: ProtocolSession, request: Callable[[], LlmRequest]) -> FrameSwitch | None:
        """How the turn ends in place of the call; None for the call. A switch without frame or task is none."""
        scope, name = self.scope, f"mode:{self.effect_id}"
        envelope = EffectEnvelope(
            Invocation.effect(scope, name, "durable_step", f"{scope.session_id}:{scope.turn_id}:{name}"),
            durable_step_command("before_llm_call"),
        )
        if self.controller.has_recorded(self.call_key) and not self.controller.has_recorded(envelope.replay_key):
            return None  # the call was made before the mode had a say

        async def ask() -> Json:
            asked = BeforeLlmCall(scope.session_id, scope.turn_id or "", scope.protocol_iteration or 0, request())
            said = await mode.before_llm_call(asked)
            return None if said is None or not said.frame_id or not said.task else to_json(said)

        outcome = await self.controller.execute(envelope, Local.durable_step(ask, impact="reads"))
        said = outcome.expect("durable_step")["value"]
        if said is None:
            return None
        switch = from_json(said, SwitchAgentFrame)
        return FrameSwitch(switch.frame_id, switch.task)
