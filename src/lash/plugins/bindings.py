"""Bindings: plugins that take a live input with a turn (docs/spec/runtime.md §2.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar, cast

from lash.base.errors import InvalidArgument
from lash.plugins.errors import PluginRegistrationError
from lash.plugins.hooks import PluginSessionContext
from lash.plugins.plugin import PluginFactory, SessionPlugin

C = TypeVar("C")
I = TypeVar("I")  # noqa: E741 - config and input


class PluginBinding(Generic[C, I]):
    """A configured plugin and the type of what a turn may hand it. It is its own factory.

    ```python
    class Tone(PluginBinding[ToneConfig, ToneInput]):
        id = "tone"
        input_type = ToneInput

        def factory(self, config: ToneConfig) -> PluginFactory: ...

    core = lash.StandardCore(..., plugins=[tone := Tone(ToneConfig())])
    await session.run("hello", plugin_inputs=[tone.input(ToneInput("warm"))])
    ```

    Inputs are live objects: a durable store or host refuses them, because they could not
    be there when the turn goes on in another process. Added in 0.1.
    """

    id: str = ""
    input_type: type[I]

    def __init__(self, config: C) -> None:
        if not self.id:
            raise PluginRegistrationError(f"{type(self).__name__} has no id; set `id`")
        self.config = config
        self._made: PluginFactory | None = None

    def factory(self, config: C) -> PluginFactory:
        """The factory of the plugin."""
        raise NotImplementedError

    def requires_turn_input(self, config: C) -> bool:
        """Whether every turn must bring an input."""
        del config
        return False

    @property
    def needs_input(self) -> bool:
        """The same for this configuration."""
        return self.requires_turn_input(self.config)

    def build(self, context: PluginSessionContext) -> SessionPlugin:
        """The plugin of one session."""
        if self._made is None:
            self._made = self.factory(self.config)
        return self._made.build(context)

    def input(self, value: I) -> PluginInput:
        """An input for one turn. Raises `InvalidArgument` for another type."""
        if not isinstance(value, self.input_type):
            raise InvalidArgument(
                f"plugin {self.id!r} takes {self.input_type.__name__} with a turn, got {type(value).__name__}"
            )
        return PluginInput(self.id, value)

    def input_of(self, inputs: Mapping[str, object]) -> I | None:
        """This plugin's input among those of a turn."""
        return cast("I | None", inputs.get(self.id))


class PluginInput:
    """A live input for one plugin in one turn."""

    __slots__ = ("plugin_id", "value")

    def __init__(self, plugin_id: str, value: object) -> None:
        self.plugin_id = plugin_id
        self.value = value
