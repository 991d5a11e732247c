"""Plugin actions: named, typed operations that a host invokes outside of turns.

A `query` reads and may run at any time. A `command` or `task` runs between turns, under
the session's lease, and what it changes in the state of plugins is committed with it
(docs/spec/runtime.md §2.6).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, get_type_hints

import msgspec

from lash.base.codec import DecodeError, from_json, to_json
from lash.base.errors import InvalidArgument
from lash.base.json import Json, JsonObject
from lash.plugins.errors import PluginError, PluginInvokeError, PluginRegistrationError

F = TypeVar("F", bound=Callable[..., Any])
ActionKind: TypeAlias = Literal["query", "command", "task"]
SessionParameter: TypeAlias = Literal["required", "optional", "forbidden"]

ANYTHING: JsonObject = {}
ACTION_MARK = "__lash_action__"


class ActionDefinition(msgspec.Struct, frozen=True):
    """An action as a host sees it. Schemas are JSON Schema; `{}` takes anything."""

    name: str
    description: str = ""
    kind: ActionKind = "command"
    session: SessionParameter = "required"
    input_schema: JsonObject = ANYTHING
    output_schema: JsonObject = ANYTHING


@dataclass(frozen=True, slots=True)
class ActionContext:
    """Where an action runs."""

    session_id: str
    plugin_id: str


# Given the context and the arguments as JSON; what it returns must be JSON. May be async.
ActionHandler: TypeAlias = Callable[[ActionContext, Json], object]


@dataclass(frozen=True, slots=True)
class Action:
    """A registered action."""

    definition: ActionDefinition
    handler: ActionHandler

    async def invoke(self, context: ActionContext, args: Json) -> Json:
        """Runs it. Raises `InvalidArgument` for wrong arguments, `PluginInvokeError` for what it raises."""
        name = self.definition.name
        try:
            returned = self.handler(context, args)
            if inspect.isawaitable(returned):
                returned = await returned
            return to_json(returned)
        except (PluginError, InvalidArgument):
            raise
        except Exception as error:
            raise PluginInvokeError(
                f"plugin {context.plugin_id!r}: action {name} raised {type(error).__name__}: {error}"
            ) from error


def plugin_action(name: str, *, kind: ActionKind = "command", description: str = "") -> Callable[[F], F]:
    """Marks a method of a `Plugin` class as an action: `(self, context, args: Args) -> Report`. Added in 0.1."""

    def mark(method: F) -> F:
        setattr(method, ACTION_MARK, (name, kind, description))
        return method

    return mark


def typed_action(name: str, kind: ActionKind, description: str, function: Callable[..., Any]) -> Action:
    """An action whose schemas come from the hints of `function`: `(context)` or `(context, args: Args)`.

    Raises `PluginRegistrationError` for hints that have no JSON form.
    """
    try:
        hints = get_type_hints(function)
        parameters = list(inspect.signature(function).parameters)
        takes = hints.get(parameters[1], Any) if len(parameters) > 1 else None
        definition = ActionDefinition(
            name,
            description or inspect.cleandoc(function.__doc__ or ""),
            kind,
            input_schema={"type": "null"} if takes is None else _schema(takes),
            output_schema=_schema(hints.get("return", Any)),
        )
    except (TypeError, NameError, IndexError) as error:
        raise PluginRegistrationError(f"action {name}: its hints have no JSON form: {error}") from error

    def handle(context: ActionContext, args: Json) -> object:
        if takes is None:
            return function(context)
        try:
            given = from_json(args, takes)
        except DecodeError as error:
            raise InvalidArgument(f"action {name}: wrong arguments: {error}; see its input_schema") from error
        return function(context, given)

    return Action(definition, handle)


def _schema(wanted: object) -> JsonObject:
    return ANYTHING if wanted is Any else msgspec.json.schema(wanted)
