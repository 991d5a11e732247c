"""The system prompt of a model call, from all its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lash.base.codec import from_json
from lash.base.json import JsonObject
from lash.machine.prompt import PromptBuiltin, PromptContribution, PromptLayer, layer_of, resolve_layers
from lash.machine.prompt_render import PromptMemo
from lash.plugins.errors import PluginInvokeError
from lash.plugins.hooks import PromptContext
from lash.plugins.transforms import ShownTools
from lash.runtime.engine import PromptRequest
from lash.runtime.turn_tools import concealed_by


class Prompting:
    """Renders prompts for one core: mode, plugins, core, session and turn, in this order."""

    def __init__(self, builtins: Mapping[PromptBuiltin, str], core_layer: PromptLayer) -> None:
        self._builtins = dict(builtins)
        self._core_layer = core_layer
        self._memo = PromptMemo()
        # A prompt that no plugin contributes to depends on three things only.
        self._plain: dict[tuple[int, frozenset[str]], tuple[object, str]] = {}

    def render(self, request: PromptRequest) -> str:
        """The system prompt of one model call."""
        tools = request.catalog.callable_names
        hooks = request.plugins.registrations.prompt.items
        if not hooks and request.turn_prompt is None and not request.context_prompt:
            key = (id(request.session_prompt), tools)
            known = self._plain.get(key)
            if known is not None and known[0] is request.session_prompt:
                return known[1]
            text = self._render(request, [], tools)
            # The prompt object is kept beside its id, so that the id cannot be taken by another.
            self._plain[key] = (request.session_prompt, text)
            if len(self._plain) > PromptMemo.CAPACITY:
                self._plain.pop(next(iter(self._plain)))
            return text
        names = sorted(tools)
        shown = ShownTools(request.session_id, request.turn_id, names)
        context = PromptContext(
            request.session_id,
            request.turn_id,
            request.iteration,
            names,
            request.turn_inputs,
            concealed_by(request.plugins, shown),
        )
        contributions: list[PromptContribution] = []
        for registered in hooks:
            try:
                contributions += _contributions(registered.value(context))
            except Exception as error:
                raise PluginInvokeError(f"plugin {registered.plugin_id!r}: hook prompt raised {error!r}") from error
        return self._render(request, _each_once([*contributions, *request.context_prompt]), tools)

    def _render(self, request: PromptRequest, contributions: list[PromptContribution], tools: frozenset[str]) -> str:
        layers = [layer_of(contributions), self._core_layer]
        layers += [_layer(prompt) for prompt in (request.session_prompt, request.turn_prompt) if prompt is not None]
        return self._memo.render(resolve_layers(layers), self._builtins, tools)


def _layer(prompt: JsonObject) -> PromptLayer:
    return from_json(prompt, PromptLayer)


def _contributions(returned: object) -> list[PromptContribution]:
    items = returned if isinstance(returned, list | tuple) else [] if returned is None else [returned]
    return [PromptContribution("runtime_context", item) if isinstance(item, str) else _checked(item) for item in items]


def _each_once(contributions: Sequence[PromptContribution]) -> list[PromptContribution]:
    """What several plugins say in the same place stands there once."""
    return list({(each.slot, each.priority, each.content, str(each.gate)): each for each in contributions}.values())


def _checked(item: object) -> PromptContribution:
    if not isinstance(item, PromptContribution):
        raise TypeError(f"a prompt hook returns text or PromptContribution, got {type(item).__name__}")
    return item
