"""What the suite of rebuilt runtimes speaks of: a core that can be built again, and what its model writes."""

from __future__ import annotations

from typing import Final

import lash
from lash.base.clock import Clock, SystemClock
from lash.base.json import JsonObject
from lash.lashlang.host.environment import ALL_ABILITIES
from lash.machine.llm import LlmRequest
from lash.models.resolver import ModelSpec
from lash.protocols.rlm.options import RlmConfig
from lash.stock.trigger_sources import TriggerSource, TriggerSources
from lash.testing.script import Answer, cell
from lash.testing.scripted import ScriptedModel

SESSION: Final = "rebuild-conformance"
ALARM: Final = TriggerSource("clock.Alarm", "clock.Tick", emits="{ id: str, scheduled_at: str }", takes="{ at: str }")
BUTTON: Final = TriggerSource(
    "ui.button.pressed", "ui.button.Pressed", "{ button: str, message: str, pressed_at: str }"
)

_CLOCK: Final = """
process remember(tick: clock.Tick) {
  wake { id: tick.id, scheduled_at: tick.scheduled_at }
  finish { id: tick.id, ok: true }
}
handle = await triggers.register({
  source: clock.Alarm({ at: "08:00" }),
  target: remember,
  inputs: { tick: trigger.event },
  name: "remembered"
})?
submit "registered"
"""
_BUTTON: Final = """
process remember_button(event: ui.button.Pressed) {
  wake { button: event.button, message: event.message }
  finish { button: event.button, ok: true }
}
handle = await triggers.register({
  source: ui.button.pressed({}),
  target: remember_button,
  inputs: { event: trigger.event },
  name: "button remembered"
})?
submit "registered"
"""
# Everything whose answer could differ from one run to the next, in a cell and in a process that it starts.
EVERYTHING: Final = """
process leaf(n: int) { yield n finish n + 1 }
process whole() signals { go: str } {
  pair = await { a: tools.rebuild_echo({ value: "a" })?, b: tools.rebuild_echo({ value: "b" })? }
  sleep until "2020-01-01T00:00:00Z"
  grown = (await start leaf(n: 1))?
  yield [pair.a.echoed, pair.b.echoed, grown]
  finish wait_signal("go")
}
whole_handle = start whole()
both = await { a: tools.rebuild_echo({ value: "c" })?, b: tools.rebuild_echo({ value: "d" })? }
sleep until "2020-01-01T00:00:00Z"
leaves = await [start leaf(n: 5), start leaf(n: 6)]
print [both.a.echoed, both.b.echoed, leaves[0].value, leaves[1].value]
"""


class Later:
    """The machine's clock, an hour ahead."""

    def __init__(self) -> None:
        self._inner = SystemClock()

    def now_ms(self) -> int:
        """An hour later."""
        return self._inner.now_ms() + 3_600_000

    def monotonic(self) -> float:
        """As it is."""
        return self._inner.monotonic()

    async def sleep(self, ms: int) -> None:
        """As it is."""
        await self._inner.sleep(ms)


@lash.tool(repeat="idempotent")
async def rebuild_echo(value: str) -> JsonObject:
    """Says it again."""
    return {"echoed": value}


def answer(request: LlmRequest) -> Answer:
    """What the model says, by what it is told."""
    said = "\n".join(message.text for message in request.messages)
    if "run child" in said:
        return cell('submit "child done"')
    return cell(_BUTTON if "register rebuild button trigger" in said else _CLOCK)


def model() -> ScriptedModel:
    """The model of the suite."""
    return ScriptedModel(answer, context_window_tokens=4_096)


def rebuilt(
    store: lash.Store, *, workers: int = 1, scripted: ScriptedModel | None = None, clock: Clock | None = None
) -> lash.RlmCore:
    """A core over a store: the same as any earlier one, and knowing nothing of it."""
    return lash.RlmCore(
        model=ModelSpec("rebuild-conformance-model", scripted or model(), context_window_tokens=4_096),
        rlm=RlmConfig(abilities=ALL_ABILITIES),
        tools=[rebuild_echo],
        plugins=[TriggerSources(ALARM, BUTTON)],
        store=store,
        workers=workers,
        clock=clock,
    )
