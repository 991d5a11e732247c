"""Direct completions of a tool, as effects: `ctx.direct_completions`.

An answer is durable before the tool sees it, so that what a tool does because of an answer it
would do again because of the same one. Its tokens travel with the outcome of the attempt that
asked (`usage`), and are charged once, by the commit of the turn. A question without an answer is
not recorded: the tool's next attempt asks anew (docs/spec/durability.md §2.2).
"""

from __future__ import annotations

import msgspec

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.codec import from_json, to_json
from lash.base.json import JsonObject
from lash.base.usage import LedgerEntry, TokenUsage, merge_ledger
from lash.effects.envelope import EffectCommand, EffectEnvelope, EffectOutcome
from lash.effects.invocation import Invocation, RuntimeScope
from lash.effects.local import Local
from lash.effects.ports import EffectController
from lash.machine.capability import ModelCapability
from lash.machine.llm import LoadAttachment, RequestPlace
from lash.models.direct import DirectCompletion, DirectRequest, complete_once
from lash.models.provider import Provider
from lash.models.resolver import ModelSpec
from lash.models.spec import ModelFacts

# Where the body of an attempt keeps what its questions used.
USAGE = "direct_usage"


class DirectModel(msgspec.Struct, frozen=True):
    """What a turn lends to the questions of its tools."""

    provider: Provider
    facts: ModelFacts
    capability: ModelCapability
    load_attachment: LoadAttachment

    def spec(self) -> ModelSpec:
        """The turn's own model."""
        facts = self.facts
        return ModelSpec(
            facts.id,
            self.provider,
            facts.variant,
            facts.context_window_tokens,
            facts.output_token_capacity,
            self.capability,
        )


class DirectCalls:
    """The questions of one attempt of one call."""

    def __init__(
        self,
        controller: EffectController,
        scope: RuntimeScope,
        call_id: str,
        model: DirectModel,
        *,
        cancel: CancelToken,
        clock: Clock,
    ) -> None:
        self._controller = controller
        self._scope = scope
        self._call_id = call_id
        self._model = model
        self._cancel = cancel
        self._clock = clock
        self._known: dict[str, DirectCompletion] = {}
        # By replay key, for whoever charges it.
        self.spent: dict[str, LedgerEntry] = {}

    @property
    def usage(self) -> list[LedgerEntry]:
        """What the questions of this attempt used, each counted once."""
        return merge_ledger(self.spent.values())

    async def complete(self, request: DirectRequest) -> DirectCompletion:
        """The recorded answer, or the model's, recorded. Raises `DirectCompletionFailed`."""
        spec = request.model or self._model.spec()

        async def ask(_envelope: EffectEnvelope) -> EffectOutcome:
            answer = await complete_once(
                request,
                spec,
                cancel=self._cancel,
                clock=self._clock,
                place=RequestPlace(
                    self._scope.turn_id or "", self._scope.turn_index or 0, self._scope.protocol_iteration or 0
                ),
                session_id=self._scope.session_id,
                load_attachment=self._model.load_attachment,
            )
            body: JsonObject = {
                "ok": {
                    "text": answer.text,
                    "value": answer.value,
                    "usage": to_json(answer.usage),
                    "model": answer.model,
                }
            }
            return EffectOutcome("direct", {"result": body})

        envelope = self._envelope(request)
        if (known := self._known.get(envelope.stable_hash)) is not None:
            return known  # also where nothing is recorded, equal questions are one
        outcome = await self._controller.execute(envelope, Local(ask))
        await self._controller.barrier()
        result = outcome.expect("direct")["result"]
        assert isinstance(result, dict)
        said = result["ok"]
        assert isinstance(said, dict)
        answer = DirectCompletion(
            str(said["text"]), said["value"], from_json(said["usage"], TokenUsage), str(said["model"])
        )
        self._known[envelope.stable_hash] = answer
        self.spent[envelope.replay_key] = LedgerEntry(request.usage_source, answer.model, answer.usage)
        return answer

    def _envelope(self, request: DirectRequest) -> EffectEnvelope:
        scope = self._scope
        name = f"{request.usage_source}:cause:{self._call_id}:{request.discriminator}"
        key = f"{scope.session_id}:{scope.turn_id or ''}:direct:{name}"
        command = EffectCommand("direct", {"request": request.to_json(), "usage_source": request.usage_source})
        return EffectEnvelope(Invocation.effect(scope, f"direct:{name}", "direct", key), command)


def spent(body: JsonObject) -> list[LedgerEntry]:
    """What an attempt's body says of its questions."""
    return from_json(body[USAGE], list[LedgerEntry]) if USAGE in body else []
