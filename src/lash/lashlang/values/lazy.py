"""Lazy values: read-only bindings that the host answers for, read by read (§3.11).

A field or index of a lazy value is another lazy value with a longer path; only
an operation asks. A host that cannot answer an operation answers nothing, and
then the whole value is fetched and the ordinary rule applies.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.coercion import as_text
from lash.lashlang.values.json_form import to_json
from lash.lashlang.values.kinds import LazyValue, Value, kind_name
from lash.lashlang.values.meter import Meter
from lash.lashlang.values.text import lazy_text

Request = tuple[object, ...]
Reply = tuple[bool, Value]

# The builtins that a host may answer without handing the value over.
READS: Final = {
    "len": "Len",
    "empty": "Empty",
    "contains": "Contains",
    "find": "Find",
    "grep_text": "GrepText",
    "keys": "Keys",
    "values": "Values",
    "starts_with": "StartsWith",
    "ends_with": "EndsWith",
    "split": "Split",
    "join": "Join",
    "trim": "Trim",
    "slice": "Slice",
    "push": "Push",
    "to_int": "ToNumber",
    "to_float": "ToNumber",
    "json_parse": "JsonParse",
}


_ANSWERS: Final[dict[str, tuple[type, ...]]] = {
    "Len": (float,),
    "Empty": (bool,),
    "Contains": (bool,),
    "StartsWith": (bool,),
    "EndsWith": (bool,),
    "Find": (float, type(None)),
    "Keys": (list,),
    "Values": (list,),
    "Split": (list,),
    "GrepText": (list,),
    "Push": (list,),
    "Join": (str,),
    "Trim": (str,),
    "Slice": (str, list),
}


def _fits(operation: str, result: Value) -> bool:
    """Whether an answer is of the kind that the builtin gives: generated code relies on it."""
    if operation in _ANSWERS and type(result) not in _ANSWERS[operation]:
        return False
    if operation in {"Keys", "Split"} and type(result) is list:
        return all(type(item) is str for item in result)
    return True


def lazy_field(value: Value, name: str) -> Value:
    """`x.name`, still lazy."""
    assert isinstance(value, LazyValue)
    return LazyValue(f"{value.name}.{name}", value.type_name, value.descriptor, (*value.path, name))


def lazy_index(value: Value, key: Value) -> Value:
    """`x[key]`, still lazy."""
    assert isinstance(value, LazyValue)
    step = to_json(key)
    shown = f'"{key}"' if isinstance(key, str) else as_text(key)
    plain = step if isinstance(step, str | int) else as_text(key)
    return LazyValue(f"{value.name}[{shown}]", value.type_name, value.descriptor, (*value.path, plain))


def materialize(value: Value) -> Generator[Request, Reply, Value]:
    """The whole value."""
    found, whole = yield ("read", value, "Materialize", ())
    if not found:
        assert isinstance(value, LazyValue)
        raise RuntimeFailure(lazy_text(value))
    return whole


def read_lazy(
    meter: Meter, operation: str, function: Callable[..., Value], value: Value, *args: Value
) -> Generator[Request, Reply, Value]:
    """`function(value, …)`, answered by the host where it can."""
    found, result = yield ("read", value, operation, args)
    if found:
        if operation == "ToNumber":
            return function(meter, result)
        if not _fits(operation, result):
            raise RuntimeFailure(f"host answered `{operation}` with {kind_name(result)}")
        return result
    return function(meter, (yield from materialize(value)), *args)


def lazy_truth(truthy: Callable[[Value], bool], value: Value) -> Generator[Request, Reply, bool]:
    """Whether the value is true."""
    found, result = yield ("read", value, "Truthy", ())
    return truthy(result if found else (yield from materialize(value)))


def lazy_render(value: Value) -> Generator[Request, Reply, Value]:
    """What `print` shows."""
    found, result = yield ("read", value, "Render", ())
    return result if found else (yield from materialize(value))
