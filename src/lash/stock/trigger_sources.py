"""Sources of triggers that programs may subscribe to, and hosts emit to (docs/spec/runtime.md §16 R-061, R-088).

```python
clock = TriggerSource("clock.Alarm", "clock.Tick", emits="{ id: str, at: str }", takes="{ at: str }")
core = lash.RlmCore(..., plugins=[TriggerSources(clock)])
# in a program: triggers.register({ source: clock.Alarm({ at: "08:00" }), target: p, inputs: { tick: trigger.event } })
await core.triggers.emit("clock.Alarm", {"id": "1", "at": "08:00"}, source={"at": "08:00"}, key="alarm-1")
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lash.lashlang.errors import LanguageError
from lash.lashlang.host.catalog import Catalog, NamedDataType
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.syntax.parser import parse
from lash.lashlang.syntax.types import TypeExpr
from lash.lashlang.values.json_form import to_json
from lash.lashlang.values.schema import signal_schema
from lash.plugins.errors import PluginRegistrationError
from lash.plugins.hooks import ExtensionContribution, PluginSessionContext
from lash.plugins.registrar import PluginRegistrar
from lash.tools.surface import SURFACE_EXTENSION_ID
from lash.triggers.schedules import SOURCE_TYPE as SCHEDULE
from lash.triggers.sources import TriggerEvent

PLUGIN_ID: Final = "trigger_sources"


@dataclass(frozen=True, slots=True)
class TriggerSource:
    """One source: the constructor `path` of programs, and what it emits. Added in 0.1.

    `event` names the type of what is emitted; `emits` and `takes` are object types as programs write
    them. `takes` says which one of its type a source is; the empty object where there is only one.
    """

    path: str
    event: str
    emits: str
    takes: str = "{}"


# The clock as a source: by a cron expression in a zone, at multiples of a time span, or once.
SCHEDULES: Final = TriggerSource(
    SCHEDULE,
    "clock.Due",
    emits="{ schedule_id: str, due_at_ms: int, due_at: str }",
    takes="{ cron: str?, tz: str?, every: str?, at: str? }",
)


class TriggerSources:
    """The plugin. Programs of its core may register triggers. Added in 0.1."""

    def __init__(self, *sources: TriggerSource, id: str = PLUGIN_ID) -> None:  # noqa: A002 - as everywhere
        """Raises `PluginRegistrationError` for a source that cannot be."""
        self.id = id
        self._catalog = Catalog()
        self._events: list[TriggerEvent] = []
        for source in sources:
            alias, _, name = source.path.rpartition(".")
            if not alias:
                raise PluginRegistrationError(f"trigger source {source.path!r} has no module; name it module.source")
            emitted = self._added(source)
            self._events.append(TriggerEvent(source.event, alias, name, to_json(signal_schema(emitted.type))))

    def extension_contributions(self) -> Sequence[ExtensionContribution]:
        """The constructors, and the types of what they emit."""
        return [ExtensionContribution(SURFACE_EXTENSION_ID, HostEnvironment(self._catalog).as_json())]

    def build(self, context: PluginSessionContext) -> TriggerSources:
        """Stateless: one object serves every session."""
        del context
        return self

    def register(self, registrar: PluginRegistrar) -> None:
        """The events: what is emitted must be what was declared."""
        for event in self._events:
            registrar.triggers.declare(event)

    def _added(self, source: TriggerSource) -> NamedDataType:
        try:
            event = self._catalog.add_data_type(source.event, _type(source.emits))
            self._catalog.add_trigger_source(source.path, _type(source.takes), event)
        except LanguageError as error:
            raise PluginRegistrationError(f"trigger source {source.path!r}: {error}") from error
        return event


def _type(text: str) -> TypeExpr:
    return parse(f"type T = {text}").types()[0].type
